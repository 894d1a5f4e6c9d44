//! From the core's errors to the classes of `rellm._errors`: the one table.

use crate::fork;
use crate::numbers::TokenId;
use crate::rejection::Rejection;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rellm_core::error::Error;
use rellm_core::matcher::MatchError;
use std::panic::{AssertUnwindSafe, catch_unwind};

pyo3::create_exception!(
    rellm._core,
    NotRegularError,
    pyo3::exceptions::PyException,
    "The automaton cannot hold this construct: a case for the search engine. `args` are the construct and its position."
);

/// Works without the GIL. A panic, which would be a bug of ours, becomes a `RellmError`.
pub(crate) fn detached<T: Send, E: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> PyResult<Result<T, E>> {
    fork::detach(py, || catch_unwind(AssertUnwindSafe(work))).map_err(|panic| {
        let detail = panic.downcast_ref::<String>().map(String::as_str);
        let detail = detail.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let message = format!("internal error of rellm, please report it: {detail}");
        instance(py, "RellmError", message, &[]).unwrap_or_else(|error| error)
    })
}

/// The exception for `error`; `pattern` is what was being compiled.
pub(crate) fn exception(py: Python<'_>, error: &Error, pattern: Option<(&Bound<'_, PyAny>, &[u32])>) -> PyErr {
    if let Some(raised) = crate::dialect::raised() {
        return raised;
    }
    if let Error::InString { error, .. } = error {
        return exception(py, error, pattern);
    }
    let message = error.describe(pattern.map(|(_, code_points)| code_points));
    let source = || match pattern {
        Some((text, _)) => text.clone(),
        None => py.None().into_bound(py),
    };
    let place = |position: Option<usize>| -> PyResult<[(&str, Bound<'_, PyAny>); 2]> {
        Ok([("pattern", source()), ("position", position.into_pyobject(py)?)])
    };
    let made = || -> PyResult<PyErr> {
        match error {
            Error::Pattern { position, .. } => instance(py, "PatternError", message, &place(*position)?),
            Error::Unsupported { position, .. } => instance(py, "UnsupportedError", message, &place(*position)?),
            Error::NotRegular { construct, position } => Ok(NotRegularError::new_err((construct.clone(), *position))),
            Error::InString { .. } | Error::Malformed { .. } | Error::Opaque => Ok(PyValueError::new_err(message)),
            Error::LeftRecursion { .. } => instance(py, "PatternError", message, &[]),
            Error::Unsatisfiable { .. } => instance(py, "UnsatisfiableError", message, &[]),
            Error::Vocabulary { .. } => instance(py, "VocabularyError", message, &[]),
            Error::Limit { limit, allowed, .. } => {
                let limit = limit.into_pyobject(py)?.into_any();
                let allowed = allowed.into_pyobject(py)?.into_any();
                instance(py, "LimitExceededError", message, &[("limit", limit), ("allowed", allowed)])
            }
        }
    };
    made().unwrap_or_else(|error| error)
}

/// The exception for a failure of a matcher.
/// `token` is what was taken, where it was a token.
pub(crate) fn match_exception(py: Python<'_>, error: MatchError, token: Option<&TokenId>) -> PyErr {
    match error {
        MatchError::Core(error) => exception(py, &error, None),
        MatchError::NothingToTakeBack { .. } => PyIndexError::new_err(error.to_string()),
        MatchError::Rejected(rejection) => {
            let made = || -> PyResult<PyErr> {
                let rejection = Rejection::of(py, *rejection, token)?;
                let raised = instance(py, "TokenRejectedError", rejection.message.clone(), &[])?;
                raised.value(py).setattr("rejection", rejection)?;
                Ok(raised)
            };
            made().unwrap_or_else(|error| error)
        }
    }
}

/// How a refusal reads: what is refused, where in the pattern, and what to do.
#[pyfunction]
#[pyo3(signature = (construct, remedy, pattern, position))]
pub(crate) fn refusal(
    construct: String,
    remedy: String,
    pattern: &Bound<'_, PyString>,
    position: Option<usize>,
) -> PyResult<String> {
    let points = crate::dialect::code_points(pattern)?;
    Ok(Error::Unsupported { message: construct, remedy, position }.describe(Some(&points)))
}

/// An instance of a class of `rellm._errors`, as an error.
pub(crate) fn instance(
    py: Python<'_>,
    class: &str,
    message: String,
    keywords: &[(&str, Bound<'_, PyAny>)],
) -> PyResult<PyErr> {
    let class = py.import("rellm._errors")?.getattr(class)?;
    let arguments = PyDict::new(py);
    for (name, value) in keywords {
        arguments.set_item(name, value)?;
    }
    Ok(PyErr::from_value(class.call((message,), Some(&arguments))?))
}
