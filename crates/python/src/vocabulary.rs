//! `Vocabulary`.

use crate::errors::{detached, exception};
use crate::numbers::{TokenId, token_ids};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use rellm_core::vocabulary as core;
use std::sync::Arc;

/// Token bytes by id, and the tries over them. Immutable; `None` is a token that is never text.
#[pyclass(frozen, module = "rellm._core")]
pub(crate) struct Vocabulary {
    pub(crate) inner: Arc<core::Vocabulary>,
}

impl Vocabulary {
    fn checked(&self, py: Python<'_>, token: &TokenId) -> PyResult<u32> {
        if (token.id as usize) < self.inner.len() {
            return Ok(token.id);
        }
        let (given, last) = (token.given(py)?, self.inner.len() - 1);
        Err(PyIndexError::new_err(format!(
            "token id {given} is out of range: this vocabulary has ids from 0 to {last}"
        )))
    }
}

#[pymethods]
impl Vocabulary {
    #[new]
    #[pyo3(signature = (tokens, eos_token_ids=None))]
    fn new(py: Python<'_>, tokens: &Bound<'_, PyAny>, eos_token_ids: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let tokens: Vec<Option<PyBackedBytes>> = tokens
            .try_iter()?
            .enumerate()
            .map(|(id, token)| {
                let token = token?;
                token.extract().map_err(|_| {
                    let kind = token.get_type();
                    let name = kind.name().map_or_else(|_| kind.to_string(), |name| name.to_string());
                    PyTypeError::new_err(format!(
                        "tokens[{id}]: expected bytes, or None for a special token, not {name}"
                    ))
                })
            })
            .collect::<PyResult<_>>()?;
        let eos = eos_token_ids.map_or_else(|| Ok(Vec::new()), token_ids)?;
        let eos: Vec<u32> = eos.iter().map(|token| token.id).collect();
        detached(py, || core::Vocabulary::new(tokens.iter().map(|token| token.as_deref()), &eos))?
            .map(|inner| Vocabulary { inner: Arc::new(inner) })
            .map_err(|error| exception(py, &error, None))
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    #[getter]
    fn eos_token_ids(&self) -> Vec<u32> {
        self.inner.eos_token_ids().to_vec()
    }

    #[getter]
    fn fingerprint(&self) -> [u8; 16] {
        self.inner.fingerprint().to_be_bytes()
    }

    #[getter]
    fn memory_bytes(&self) -> usize {
        self.inner.memory_bytes()
    }

    #[getter]
    fn is_regular(&self) -> bool {
        self.inner.is_regular()
    }

    #[getter]
    fn alphabet(&self) -> Vec<(u32, u32)> {
        self.inner.alphabet().ranges().to_vec()
    }

    fn token_bytes<'py>(&self, py: Python<'py>, token_id: TokenId) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.inner.token_bytes(self.checked(py, &token_id)?).map(|bytes| PyBytes::new(py, bytes)))
    }

    fn tokens_bytes<'py>(&self, py: Python<'py>, token_ids: &Bound<'_, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        for token in crate::numbers::token_ids(token_ids)? {
            bytes.extend_from_slice(self.inner.token_bytes(self.checked(py, &token)?).unwrap_or_default());
        }
        Ok(PyBytes::new(py, &bytes))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = crate::fork::detach(py, || self.inner.to_bytes());
        PyBytes::new(py, &bytes)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: PyBackedBytes) -> PyResult<Self> {
        detached(py, || core::Vocabulary::from_bytes(&data))?
            .map(|inner| Vocabulary { inner: Arc::new(inner) })
            .map_err(|error| exception(py, &error, None))
    }
}
