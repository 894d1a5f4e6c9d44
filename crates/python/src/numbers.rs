//! Whole numbers from Python, which has no largest one.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

/// A token id. One that no vocabulary has becomes `u32::MAX`, which is never in range, and is kept as it was given.
pub(crate) struct TokenId {
    pub(crate) id: u32,
    given: Option<Py<PyAny>>,
}

impl TokenId {
    /// The id as it was given, for Python and for messages.
    pub(crate) fn given<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.given {
            Some(given) => Ok(given.bind(py).clone()),
            None => Ok(self.id.into_pyobject(py)?.into_any()),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for TokenId {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<u32>() {
            Ok(id) => Ok(TokenId { id, given: None }),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(TokenId { id: u32::MAX, given: Some(object.call_method0("__index__")?.unbind()) })
            }
            Err(error) => Err(error),
        }
    }
}

/// A whole number; one that does not fit becomes the nearest that does.
#[derive(Clone, Copy)]
pub(crate) struct Whole(pub(crate) isize);

impl<'a, 'py> FromPyObject<'a, 'py> for Whole {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<isize>() {
            Ok(number) => Ok(Whole(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                let negative = object.call_method0("__index__")?.lt(0)?;
                Ok(Whole(if negative { isize::MIN } else { isize::MAX }))
            }
            Err(error) => Err(error),
        }
    }
}

/// Token ids from anything that can be iterated over.
pub(crate) fn token_ids<'py>(ids: &Bound<'py, PyAny>) -> PyResult<Vec<TokenId>> {
    ids.try_iter()?.map(|id| id?.extract()).collect()
}
