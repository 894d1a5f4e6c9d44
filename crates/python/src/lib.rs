//! `rellm._core`: the Python boundary. A signature, a call, one table from error kinds to exceptions.
//!
//! Every call lets other Python threads run while it works. No lock is ever waited for with the GIL held, and none is held
//! while the GIL is waited for, so that the two cannot deadlock.
#![deny(unsafe_code)]

mod buffer;
mod constraint;
mod dialect;
mod errors;
mod fork;
mod matcher;
mod numbers;
mod rejection;
mod vocabulary;

use pyo3::prelude::*;

/// The native part of rellm.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NotRegularError", module.py().get_type::<errors::NotRegularError>())?;
    module.add_class::<dialect::Dialect>()?;
    module.add_class::<vocabulary::Vocabulary>()?;
    module.add_class::<constraint::Limits>()?;
    module.add_class::<constraint::Constraint>()?;
    module.add_class::<matcher::Matcher>()?;
    module.add_class::<rejection::Rejection>()?;
    module.add_function(wrap_pyfunction!(errors::refusal, module)?)?;
    module.add_function(wrap_pyfunction!(matcher::fill_masks, module)?)?;
    module.add_function(wrap_pyfunction!(constraint::expression_matches, module)?)?;
    module.add_function(wrap_pyfunction!(fork::before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(fork::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(matcher::expectation, module)?)
}
