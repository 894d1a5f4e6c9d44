//! `Matcher`, `fill_masks`.

use crate::buffer::Rows;
use crate::constraint::Constraint;
use crate::errors::{detached, exception, match_exception};
use crate::numbers::{TokenId, Whole};
use crate::rejection::Rejection;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use rellm_core::codepoints::CodePoints;
use rellm_core::error::Error;
use rellm_core::matcher as core;
use std::sync::{Mutex, MutexGuard, PoisonError};

const UNPICKLED: &str = "a matcher cannot be pickled: pickle its compiled constraint and the tokens that it has taken, \
     and there make one with compiled.matcher() and advance it by them";

/// One text being written.
#[pyclass(frozen, module = "rellm._core")]
pub(crate) struct Matcher {
    inner: Mutex<core::Matcher>,
    constraint: Py<Constraint>,
    /// The words of a mask. PERF: in a batch, asking each constraint's vocabulary takes memory that is far away three times.
    words: usize,
}

impl Matcher {
    pub(crate) fn new(inner: core::Matcher, constraint: Py<Constraint>) -> Self {
        let words = inner.mask_words();
        Matcher { inner: Mutex::new(inner), constraint, words }
    }

    fn lock(&self) -> MutexGuard<'_, core::Matcher> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads without the GIL.
    fn ask<T: Send>(&self, py: Python<'_>, ask: impl FnOnce(&core::Matcher) -> Result<T, Error> + Send) -> PyResult<T> {
        detached(py, || ask(&self.lock()))?.map_err(|error| exception(py, &error, None))
    }

    /// Changes the state without the GIL.
    fn change(
        &self,
        py: Python<'_>,
        token: Option<&TokenId>,
        change: impl FnOnce(&mut core::Matcher) -> Result<(), core::MatchError> + Send,
    ) -> PyResult<()> {
        detached(py, || change(&mut self.lock()))?.map_err(|error| match_exception(py, error, token))
    }

    /// Writes the mask: at once if it only has to be copied, else without the GIL.
    fn fill(&self, py: Python<'_>, row: &mut [u32]) -> PyResult<()> {
        // PERF: letting go of the GIL and taking it again costs about as much as the copy.
        let ready = self.inner.try_lock().is_ok_and(|matcher| matcher.fill_mask_if_ready(row));
        if ready { Ok(()) } else { self.ask(py, |matcher| matcher.fill_mask(row)) }
    }
}

#[pymethods]
impl Matcher {
    #[getter]
    fn constraint(&self, py: Python<'_>) -> Py<Constraint> {
        self.constraint.clone_ref(py)
    }

    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.ask(py, |matcher| Ok(matcher.text().to_vec()))?))
    }

    fn mask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static WORD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let empty = EMPTY.get_or_try_init(py, || Ok::<_, PyErr>(py.import("numpy")?.getattr("empty")?.unbind()))?;
        let word = WORD.get_or_try_init(py, || Ok::<_, PyErr>(py.import("numpy")?.getattr("uint32")?.unbind()))?;
        let out = empty.bind(py).call1((self.words, word.bind(py)))?;
        self.fill(py, Rows::of(&out, self.words)?.row(0)?)?;
        Ok(out)
    }

    #[pyo3(signature = (out, row=Whole(0)), text_signature = "(out, row=0)")]
    fn fill_mask(&self, py: Python<'_>, out: &Bound<'_, PyAny>, row: Whole) -> PyResult<()> {
        self.fill(py, Rows::of(out, self.words)?.row(row.0)?)
    }

    fn fill_mask_within(&self, py: Python<'_>, out: &Bound<'_, PyAny>, row: Whole, tokens_left: Whole) -> PyResult<()> {
        let tokens_left = count("tokens_left", tokens_left)?;
        let mut rows = Rows::of(out, self.words)?;
        let row = rows.row(row.0)?;
        self.ask(py, |matcher| matcher.fill_mask_within(row, tokens_left))
    }

    /// No text that can still match is more tokens than this away from a match; None: nothing is known.
    #[getter]
    fn longest_way(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        self.ask(py, |matcher| Ok(matcher.longest_way()))
    }

    fn tokens_to_match(&self, py: Python<'_>, at_most: Whole) -> PyResult<Option<u32>> {
        let at_most = count("at_most", at_most)?;
        self.ask(py, |matcher| matcher.tokens_to_match(at_most))
    }

    fn matches_within(&self, py: Python<'_>, at_most: Whole) -> PyResult<bool> {
        let at_most = count("at_most", at_most)?;
        self.ask(py, |matcher| matcher.matches_within(at_most))
    }

    fn allows(&self, py: Python<'_>, token_id: TokenId) -> PyResult<bool> {
        self.ask(py, |matcher| matcher.allows(token_id.id))
    }

    fn advance(&self, py: Python<'_>, token_id: TokenId) -> PyResult<()> {
        let id = token_id.id;
        self.change(py, Some(&token_id), |matcher| matcher.advance(id))
    }

    fn advance_bytes(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data: PyBackedBytes = data.extract().map_err(|_| not_bytes(data))?;
        self.change(py, None, |matcher| matcher.advance_bytes(&data))
    }

    fn rollback(&self, py: Python<'_>, n: Whole) -> PyResult<()> {
        let n = usize::try_from(n.0).map_err(|_| PyValueError::new_err("rollback: n must not be negative"))?;
        self.change(py, None, |matcher| matcher.rollback(n))
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, None, |matcher| {
            matcher.reset();
            Ok(())
        })
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let inner = self.ask(py, |matcher| Ok(matcher.clone()))?;
        Ok(Matcher::new(inner, self.constraint.clone_ref(py)))
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        self.copy(py)
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.copy(py)
    }

    /// A matcher is a place in a text, not a value: what it is made from can be sent to another process.
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(UNPICKLED))
    }

    fn validate(&self, py: Python<'_>, token_ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ids: Vec<u32> = crate::numbers::token_ids(token_ids)?.iter().map(|token| token.id).collect();
        self.ask(py, |matcher| matcher.validate(&ids))
    }

    #[getter]
    fn is_accepting(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, |matcher| Ok(matcher.is_accepting()))
    }

    #[getter]
    fn is_finished(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, core::Matcher::is_finished)
    }

    fn forced_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.ask(py, core::Matcher::forced_bytes)?))
    }

    fn shortest_completion<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.ask(py, core::Matcher::shortest_completion)?))
    }

    fn explain(&self, py: Python<'_>, token_id: TokenId) -> PyResult<Option<Rejection>> {
        let id = token_id.id;
        let rejection = self.ask(py, |matcher| matcher.explain(id))?;
        rejection.map(|rejection| Rejection::of(py, rejection, Some(&token_id))).transpose()
    }

    fn shortest_completion_tokens(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        self.ask(py, core::Matcher::shortest_completion_tokens)
    }

    fn forced_tokens(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        self.ask(py, core::Matcher::forced_tokens)
    }

    fn specials(&self, py: Python<'_>) -> PyResult<Vec<(usize, u32)>> {
        self.ask(py, |matcher| Ok(matcher.specials()))
    }

    /// (mark, start, end) of each marked part of the text, in bytes, in the order in which they begin.
    fn marks(&self, py: Python<'_>) -> PyResult<Vec<(u32, usize, usize)>> {
        self.ask(py, core::Matcher::marks)
    }

    fn next_characters(&self, py: Python<'_>) -> PyResult<Vec<(u32, u32)>> {
        Ok(self.ask(py, core::Matcher::next_characters)?.ranges().to_vec())
    }
}

fn not_bytes(given: &Bound<'_, PyAny>) -> PyErr {
    let kind = given.get_type();
    let name = kind.name().map_or_else(|_| kind.to_string(), |name| name.to_string());
    let remedy = if name == "str" { ": encode it as UTF-8" } else { "" };
    PyTypeError::new_err(format!("data: expected bytes, not {name}{remedy}"))
}

/// A number of tokens: not negative; more than there can be is as good as the most.
fn count(name: &str, value: Whole) -> PyResult<u32> {
    let value = value.0;
    if value < 0 {
        return Err(PyValueError::new_err(format!("{name} is {value}: a number of tokens is not negative")));
    }
    Ok(u32::try_from(value).unwrap_or(u32::MAX))
}

/// Fills the rows of `out` with the masks of `matchers`, on several threads where that pays.
#[pyfunction]
#[pyo3(signature = (matchers, out, threads=None))]
pub(crate) fn fill_masks(
    py: Python<'_>,
    matchers: Vec<Py<Matcher>>,
    out: &Bound<'_, PyAny>,
    threads: Option<Whole>,
) -> PyResult<()> {
    let threads =
        threads.map(|Whole(given)| usize::try_from(given).ok().filter(|&threads| threads > 0).ok_or(given)).transpose();
    let threads = threads.map_err(|given| {
        PyValueError::new_err(format!("threads is {given}: it must be at least 1, or None for as many as there are"))
    })?;
    let words = matchers.iter().map(|matcher| matcher.get().words).max().unwrap_or(0);
    let mut rows = Rows::of(out, words)?;
    let rows = rows.rows(matchers.len())?;
    let matchers: Vec<&Matcher> = matchers.iter().map(Py::get).collect();
    let filled = detached(py, || {
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        // By address: each once, and in the same order in every thread, so that two batches cannot block one another.
        let address = |matcher: &Matcher| std::ptr::from_ref(matcher) as usize;
        let mut by_address = matchers.clone();
        by_address.sort_unstable_by_key(|&matcher| address(matcher));
        by_address.dedup_by_key(|&mut matcher| address(matcher));
        let locked: Vec<MutexGuard<'_, core::Matcher>> = by_address.iter().map(|matcher| matcher.lock()).collect();
        let place = |&matcher: &&Matcher| by_address.partition_point(|&other| address(other) < address(matcher));
        let inner = matchers.iter().map(|matcher| &*locked[place(matcher)]);
        rellm_core::batch::fill_masks(inner.zip(rows), threads)
    })?;
    filled.map_err(|error| exception(py, &error, None))
}

/// What may come next, in the words of a `Rejection`.
#[pyfunction]
pub(crate) fn expectation(next: Vec<(u32, u32)>, alphabet: Vec<(u32, u32)>, started: bool, may_end: bool) -> String {
    core::expectation(&CodePoints::from_ranges(next), &CodePoints::from_ranges(alphabet), &[], started, may_end)
}
