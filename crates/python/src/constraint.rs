//! `Constraint`, `Limits`.

use crate::dialect::{Dialect, NamedLists, Source, code_points, named_list_points};
use crate::errors::{detached, exception};
use crate::fork;
use crate::matcher::Matcher;
use crate::vocabulary::Vocabulary;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use rellm_core::automaton::Automaton;
use rellm_core::codepoints::CodePoints;
use rellm_core::compile;
use rellm_core::error::Error;
use rellm_core::lazy_dfa;
use rellm_core::limits as core_limits;
use rellm_core::mask::{CompiledConstraint, FastPaths};
use rellm_core::syntax::{self, fragments};
use std::sync::Arc;

/// What one compiled constraint may cost.
#[pyclass(frozen, from_py_object, module = "rellm._core")]
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) inner: core_limits::Limits,
}

#[pymethods]
impl Limits {
    #[new]
    fn new(memory_bytes: u64, fuel: u64, nesting: u32, pattern_length: u64) -> Self {
        Limits { inner: core_limits::Limits { memory_bytes, fuel, nesting, pattern_length } }
    }
}

/// A compiled constraint: an automaton over a vocabulary.
#[pyclass(frozen, module = "rellm._core")]
pub(crate) struct Constraint {
    inner: Arc<CompiledConstraint>,
    vocabulary: Py<Vocabulary>,
}

/// Whether texts can fit into the memory that a constraint may take: asked before they are copied.
fn check_texts(texts: &[Bound<'_, PyString>], limits: &Limits) -> PyResult<()> {
    let mut characters = 0;
    for text in texts {
        characters += text.len()? as u64;
    }
    let Some(first) = texts.first() else { return Ok(()) };
    let checked = limits.inner.check_texts(texts.len() as u64, characters);
    checked.map_err(|error| exception(first.py(), &error, None))
}

/// Whether a text is in the language of a tree in its flat form.
#[pyfunction]
pub(crate) fn expression_matches(
    py: Python<'_>,
    ops: Vec<i64>,
    strings: Vec<Bound<'_, PyString>>,
    dialects: Vec<Py<Dialect>>,
    text: &str,
    limits: Limits,
) -> PyResult<bool> {
    let points: Vec<Vec<u32>> = strings.iter().map(code_points).collect::<PyResult<_>>()?;
    detached(py, || {
        let dialects: Vec<&syntax::Dialect> = dialects.iter().map(|dialect| &dialect.get().inner).collect();
        let context = fragments::Context { strings: &points, dialects: &dialects, limits: &limits.inner };
        let tree = fragments::read(&ops, &context)?;
        let mut automaton = lazy_dfa::compile_tree(&tree, &CodePoints::scalars(), &limits.inner)?;
        automaton.refuel(limits.inner.fuel);
        let end = text.bytes().try_fold(automaton.start(), |state, byte| automaton.step(state, byte))?;
        Ok(automaton.is_accepting(end))
    })?
    .map_err(|error: Error| exception(py, &error, None))
}

#[pymethods]
impl Constraint {
    #[staticmethod]
    fn regex(
        pattern: &Bound<'_, PyString>,
        flags: u32,
        dialect: &Dialect,
        named_lists: NamedLists<'_>,
        vocabulary: Py<Vocabulary>,
        limits: Limits,
    ) -> PyResult<Self> {
        let py = pattern.py();
        let points = code_points(pattern)?;
        let lists = named_list_points(&named_lists)?;
        let inner = detached(py, || {
            let parsed = dialect.parsed(Source { points: points.clone(), flags, lists, limits: limits.inner })?;
            compile::compile(&parsed, Arc::clone(&vocabulary.get().inner), &limits.inner)
        })?
        .map_err(|error| exception(py, &error, Some((pattern.as_any(), &points))))?;
        Ok(Constraint { inner, vocabulary })
    }

    #[staticmethod]
    fn choice(
        py: Python<'_>,
        texts: Vec<Bound<'_, PyString>>,
        vocabulary: Py<Vocabulary>,
        limits: Limits,
    ) -> PyResult<Self> {
        check_texts(&texts, &limits)?;
        let texts: Vec<Vec<u32>> = texts.iter().map(code_points).collect::<PyResult<_>>()?;
        let inner = detached(py, || compile::choice(&texts, Arc::clone(&vocabulary.get().inner), &limits.inner))?
            .map_err(|error| exception(py, &error, None))?;
        Ok(Constraint { inner, vocabulary })
    }

    /// The constraint of a tree in its flat form: `ops`, and the strings and dialects that it refers to.
    #[staticmethod]
    fn expression(
        py: Python<'_>,
        ops: Vec<i64>,
        strings: Vec<Bound<'_, PyString>>,
        dialects: Vec<Py<Dialect>>,
        vocabulary: Py<Vocabulary>,
        limits: Limits,
    ) -> PyResult<Self> {
        check_texts(&strings, &limits)?;
        let points: Vec<Vec<u32>> = strings.iter().map(code_points).collect::<PyResult<_>>()?;
        let inner = detached(py, || {
            let dialects: Vec<&syntax::Dialect> = dialects.iter().map(|dialect| &dialect.get().inner).collect();
            let context = fragments::Context { strings: &points, dialects: &dialects, limits: &limits.inner };
            let tree = fragments::read(&ops, &context)?;
            compile::compile_tree(&tree, Arc::clone(&vocabulary.get().inner), &limits.inner)
        })?
        .map_err(|error| {
            // A failure of one pattern is told of that pattern.
            let pattern = match &error {
                Error::InString { string, .. } => strings.get(*string).zip(points.get(*string)),
                _ => None,
            };
            exception(py, &error, pattern.map(|(text, points)| (text.as_any(), &points[..])))
        })?;
        Ok(Constraint { inner, vocabulary })
    }

    #[getter]
    fn vocabulary(&self, py: Python<'_>) -> Py<Vocabulary> {
        self.vocabulary.clone_ref(py)
    }

    #[getter]
    fn memory_bytes(&self, py: Python<'_>) -> usize {
        fork::detach(py, || self.inner.memory_bytes())
    }

    /// How masks are made: "where-paying" (as always), "never" or "always" by the fast ways. For tests.
    fn set_fast_paths(&self, py: Python<'_>, when: &str) -> PyResult<()> {
        let when = match when {
            "where-paying" => FastPaths::WherePaying,
            "never" => FastPaths::Never,
            "always" => FastPaths::Always,
            other => {
                return Err(PyValueError::new_err(format!("when: {other:?} is none of where-paying, never, always")));
            }
        };
        fork::detach(py, || self.inner.set_fast_paths(when));
        Ok(())
    }

    fn matcher(slf: Bound<'_, Self>) -> PyResult<Matcher> {
        let compiled = Arc::clone(&slf.get().inner);
        let inner = fork::detach(slf.py(), || rellm_core::matcher::Matcher::new(compiled));
        Ok(Matcher::new(inner, slf.unbind()))
    }
}
