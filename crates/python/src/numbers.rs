//! Token ids from Python.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// A token id; one that no vocabulary has becomes `u32::MAX`, which is never in range.
pub(crate) struct TokenId(pub(crate) u32);

impl<'a, 'py> FromPyObject<'a, 'py> for TokenId {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<i64>() {
            Ok(id) => Ok(TokenId(u32::try_from(id).unwrap_or(u32::MAX))),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => Ok(TokenId(u32::MAX)),
            Err(error) => Err(error),
        }
    }
}

/// Token ids from anything that can be iterated over.
pub(crate) fn token_ids(ids: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    ids.try_iter()?.map(|id| Ok(id?.extract::<TokenId>()?.0)).collect()
}
