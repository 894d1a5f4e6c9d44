//! `Constraint`, `Limits`.

use crate::dialect::{Dialect, NamedLists, code_points, named_list_points};
use crate::errors::{detached, exception};
use crate::matcher::Matcher;
use crate::vocabulary::Vocabulary;
use pyo3::prelude::*;
use pyo3::types::PyString;
use rellm_core::automaton;
use rellm_core::error::Result;
use rellm_core::limits as core_limits;
use rellm_core::mask::CompiledConstraint;
use rellm_core::syntax;
use rellm_core::syntax::ast::{Node, Pattern};
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

impl Constraint {
    pub(crate) fn mask_words(&self) -> usize {
        self.inner.vocabulary().mask_words()
    }
}

#[pymethods]
impl Constraint {
    /// A pattern of a dialect's library, with that library's flags.
    #[staticmethod]
    fn regex(
        pattern: &Bound<'_, PyString>,
        flags: u32,
        dialect: &Bound<'_, Dialect>,
        named_lists: NamedLists<'_>,
        vocabulary: &Bound<'_, Vocabulary>,
        limits: &Limits,
    ) -> PyResult<Self> {
        let py = pattern.py();
        let points = code_points(pattern)?;
        let lists = named_list_points(&named_lists)?;
        let (dialect, words, limits) = (&dialect.get().inner, &vocabulary.get().inner, &limits.inner);
        let compiled = detached(py, || {
            let tree = syntax::parse(&points, flags, dialect, &lists, limits)?;
            compile(&tree, words, limits)
        })?;
        let inner = compiled.map_err(|error| exception(py, &error, Some((pattern.as_any(), &points))))?;
        Ok(Constraint { inner, vocabulary: vocabulary.clone().unbind() })
    }

    /// Exactly one of some texts.
    #[staticmethod]
    fn choice(texts: Vec<Bound<'_, PyString>>, vocabulary: &Bound<'_, Vocabulary>, limits: &Limits) -> PyResult<Self> {
        let py = vocabulary.py();
        // A text with a lone surrogate is none that can be written.
        let texts: Vec<String> = texts.iter().filter_map(|text| text.to_str().ok().map(str::to_owned)).collect();
        let (words, limits) = (&vocabulary.get().inner, &limits.inner);
        let compiled = detached(py, || {
            let text = |text: &String| Node::Sequence(text.chars().map(Node::Char).collect());
            let root = Node::Alternation(texts.iter().map(text).collect());
            compile(&Pattern { root, groups: 0 }, words, limits)
        })?;
        let inner = compiled.map_err(|error| exception(py, &error, None))?;
        Ok(Constraint { inner, vocabulary: vocabulary.clone().unbind() })
    }

    #[getter]
    fn vocabulary(&self, py: Python<'_>) -> Py<Vocabulary> {
        self.vocabulary.clone_ref(py)
    }

    #[getter]
    fn memory_bytes(&self, py: Python<'_>) -> usize {
        py.detach(|| self.inner.memory_bytes())
    }

    fn matcher(slf: Bound<'_, Self>) -> PyResult<Matcher> {
        let compiled = Arc::clone(&slf.get().inner);
        let inner = slf.py().detach(|| rellm_core::matcher::Matcher::new(compiled));
        Ok(Matcher::new(inner, slf.unbind()))
    }
}

fn compile(
    tree: &Pattern,
    vocabulary: &Arc<rellm_core::vocabulary::Vocabulary>,
    limits: &core_limits::Limits,
) -> Result<Arc<CompiledConstraint>> {
    let automaton = automaton::compile(tree, vocabulary.alphabet(), limits)?;
    CompiledConstraint::new(Box::new(automaton), Arc::clone(vocabulary), limits)
}
