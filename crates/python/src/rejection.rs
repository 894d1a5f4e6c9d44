//! `Rejection`.

use crate::numbers::TokenId;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rellm_core::matcher as core;

/// Why a token, or bytes, cannot come next: what `Matcher.explain` returns and `TokenRejectedError.rejection` holds.
#[pyclass(frozen, get_all, module = "rellm._core")]
pub(crate) struct Rejection {
    /// The token, or None where bytes were taken.
    token_id: Option<Py<PyAny>>,
    /// Its bytes; empty for a special token.
    token_bytes: Py<PyBytes>,
    /// The index of the byte with which no match can be reached any more.
    failed_at: usize,
    /// The text before it.
    text_before: String,
    /// What could have come next, in words: `a digit, or "."`.
    expected: String,
    /// All of this in a sentence, as `TokenRejectedError` says it.
    pub(crate) message: String,
}

impl Rejection {
    /// `token` is what was rejected; none if it was bytes.
    pub(crate) fn of(py: Python<'_>, rejection: core::Rejection, token: Option<&TokenId>) -> PyResult<Self> {
        let token_id = token.map(|token| token.given(py)).transpose()?;
        let message = match &token_id {
            Some(id) => rejection.message(id),
            None => rejection.to_string(),
        };
        let token_bytes = PyBytes::new(py, &rejection.token_bytes).unbind();
        let core::Rejection { failed_at, text_before, expected, .. } = rejection;
        Ok(Rejection { token_id: token_id.map(Bound::unbind), token_bytes, failed_at, text_before, expected, message })
    }
}

#[pymethods]
impl Rejection {
    #[new]
    fn new(
        token_id: Option<Py<PyAny>>,
        token_bytes: Py<PyBytes>,
        failed_at: usize,
        text_before: String,
        expected: String,
        message: String,
    ) -> Self {
        Rejection { token_id, token_bytes, failed_at, text_before, expected, message }
    }

    /// For `pickle`: an error that carries a rejection crosses from one process to another.
    fn __getnewargs__(&self, py: Python<'_>) -> (Option<Py<PyAny>>, Py<PyBytes>, usize, &str, &str, &str) {
        let token_id = self.token_id.as_ref().map(|id| id.clone_ref(py));
        let token_bytes = self.token_bytes.clone_ref(py);
        (token_id, token_bytes, self.failed_at, &self.text_before, &self.expected, &self.message)
    }

    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self) -> String {
        format!("<Rejection: {}>", self.message)
    }
}
