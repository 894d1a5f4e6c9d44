//! `rellm._core`: the Python boundary.

mod dialect;

use pyo3::prelude::*;

/// The native part of rellm.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<dialect::Dialect>()?;
    Ok(())
}
