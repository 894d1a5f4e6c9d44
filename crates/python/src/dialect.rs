//! The dialects: tables from Python's side, and the questions that a pattern asks while it is parsed.

use pyo3::exceptions::{PyException, PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use rellm_core::codepoints::CodePoints;
use rellm_core::error::{Error, Result};
use rellm_core::limits::Limits;
use rellm_core::syntax::ast::{Node, Pattern};
use rellm_core::syntax::{self, Library, Property, PropertyEncoding, PropertyQuery, Resolver, Tables, tables};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Texts by name: the lists behind `\L<name>`.
pub type NamedLists<'py> = BTreeMap<String, Vec<Bound<'py, PyString>>>;

/// What says how patterns are read: `re` of the running interpreter, the installed `regex`, or ECMA-262.
#[pyclass(frozen, module = "rellm._core")]
pub struct Dialect {
    /// The dialect itself; the binding of constraints parses with it.
    pub inner: syntax::Dialect,
    /// The pattern that was parsed last: a constructor parses it to check it, and it is compiled a moment later.
    last: Mutex<Option<(Source, Arc<Pattern>)>>,
}

/// What the tree of a pattern follows from.
#[derive(PartialEq)]
pub struct Source {
    /// The code points.
    pub points: Vec<u32>,
    /// The flags.
    pub flags: u32,
    /// The named lists.
    pub lists: Vec<(String, Vec<Vec<u32>>)>,
    /// What parsing may cost.
    pub limits: Limits,
}

/// A longer pattern is not kept.
const MOST_KEPT: usize = 10_000;

#[pymethods]
impl Dialect {
    /// `library` is "re", "regex" or "ecma" (which needs no tables), `minor` Python's minor version, `tables` what `rellm._dialects.tables` scanned, `resolver`
    /// an object with its methods `character`, `is_identifier`, `property` and `misreading`.
    #[new]
    fn new(library: &str, minor: u8, tables: &[u8], resolver: Py<PyAny>) -> PyResult<Self> {
        let library = match library {
            "re" => Library::Re { minor },
            "regex" => Library::Regex,
            "ecma" => Library::Ecma,
            other => {
                let message = format!("the dialect is \"re\", \"regex\" or \"ecma\", not {other:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        let tables = match library {
            Library::Ecma => Tables::default(),
            _ => Tables::from_bytes(tables).map_err(|e| PyValueError::new_err(e.to_string()))?,
        };
        let inner = syntax::Dialect::new(library, tables, Box::new(PythonResolver(resolver)));
        Ok(Dialect { inner, last: Mutex::new(None) })
    }

    /// What becomes of a pattern: ("automaton" | "search" | "refused" | "unsupported" | "limit", message, position).
    #[pyo3(signature = (pattern, flags, named_lists, nesting = 500, pattern_length = 2_000_000))]
    fn outcome(
        &self,
        pattern: &Bound<'_, PyString>,
        flags: u32,
        named_lists: NamedLists<'_>,
        nesting: u32,
        pattern_length: u64,
    ) -> PyResult<(&'static str, String, Option<usize>)> {
        let points = code_points(pattern)?;
        let limits = Limits { nesting, pattern_length, ..Limits::default() };
        Ok(match self.parse(pattern.py(), &points, flags, &named_lists, &limits)? {
            Ok(_) => ("automaton", String::new(), None),
            Err(error) => {
                let (kind, position) = match &error {
                    Error::Pattern { position, .. } => ("refused", *position),
                    Error::Unsupported { position, .. } => ("unsupported", *position),
                    Error::NotRegular { position, .. } => ("search", *position),
                    _ => ("limit", None),
                };
                (kind, error.describe(Some(&points)), position)
            }
        })
    }

    /// The characters that a pattern matches, if it is one class, as inclusive ranges; for tests.
    #[pyo3(signature = (pattern, flags = 0))]
    fn character_class(&self, pattern: &Bound<'_, PyString>, flags: u32) -> PyResult<Option<Vec<(u32, u32)>>> {
        let points = code_points(pattern)?;
        let parsed = self.parse(pattern.py(), &points, flags, &NamedLists::new(), &Limits::default())?;
        let parsed = parsed.map_err(|e| PyValueError::new_err(e.describe(Some(&points))))?;
        Ok(match &parsed.root {
            Node::Char(c) => Some(vec![(u32::from(*c), u32::from(*c))]),
            Node::Class(set) => Some(set.ranges().to_vec()),
            Node::Nothing => Some(Vec::new()),
            _ => None,
        })
    }

    /// The expression tree, written out; for tests.
    #[pyo3(signature = (pattern, flags, named_lists))]
    fn tree(&self, pattern: &Bound<'_, PyString>, flags: u32, named_lists: NamedLists<'_>) -> PyResult<String> {
        let points = code_points(pattern)?;
        let parsed = self.parse(pattern.py(), &points, flags, &named_lists, &Limits::default())?;
        let parsed = parsed.map_err(|e| PyValueError::new_err(e.describe(Some(&points))))?;
        Ok(format!("{parsed:?}"))
    }
}

impl Dialect {
    /// The tree of a pattern, without the GIL.
    pub fn parsed(&self, source: Source) -> Result<Arc<Pattern>> {
        // Nobody waits for the lock: in a forked child it may be held by a thread that is not there.
        if let Ok(last) = self.last.try_lock()
            && let Some((known, parsed)) = &*last
            && *known == source
        {
            return Ok(Arc::clone(parsed));
        }
        let parsed = Arc::new(syntax::parse(&source.points, source.flags, &self.inner, &source.lists, &source.limits)?);
        if source.points.len() <= MOST_KEPT
            && source.lists.is_empty()
            && let Ok(mut last) = self.last.try_lock()
        {
            *last = Some((source, Arc::clone(&parsed)));
        }
        Ok(parsed)
    }

    fn parse(
        &self,
        py: Python<'_>,
        points: &[u32],
        flags: u32,
        named_lists: &NamedLists<'_>,
        limits: &Limits,
    ) -> PyResult<Result<Arc<Pattern>>> {
        let lists = named_list_points(named_lists)?;
        let source = Source { points: points.to_vec(), flags, lists, limits: *limits };
        let parsed = crate::fork::detach(py, || self.parsed(source));
        raised().map_or(Ok(parsed), Err)
    }
}

/// The code points of a string, lone surrogates included.
pub fn code_points(text: &Bound<'_, PyString>) -> PyResult<Vec<u32>> {
    if let Ok(text) = text.to_str() {
        return Ok(text.chars().map(u32::from).collect());
    }
    let encoded = text.call_method1("encode", ("utf-32-le", "surrogatepass"))?;
    let units = encoded.cast::<PyBytes>()?.as_bytes().chunks_exact(4);
    Ok(units.map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]])).collect())
}

/// The lists as the parser takes them.
pub fn named_list_points(lists: &NamedLists<'_>) -> PyResult<Vec<(String, Vec<Vec<u32>>)>> {
    let points = |texts: &Vec<Bound<'_, PyString>>| texts.iter().map(code_points).collect::<PyResult<Vec<_>>>();
    lists.iter().map(|(name, texts)| Ok((name.clone(), points(texts)?))).collect()
}

/// Asks a Python object; the interpreter is entered for the question only.
struct PythonResolver(Py<PyAny>);

impl PythonResolver {
    fn ask<T>(&self, question: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T> {
        Python::attach(|py| question(self.0.bind(py)).map_err(|error| failed(py, error)))
    }
}

thread_local! {
    /// What a resolver raised that is no answer: a Ctrl-C, no memory, a limit. The core knows no Python and fails with
    /// an error of its own; the boundary raises this one in its place.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a resolver raised while the core asked it, if it has to reach the caller as it is.
pub fn raised() -> Option<PyErr> {
    RAISED.take()
}

fn failed(py: Python<'_>, error: PyErr) -> Error {
    let message = format!("the pattern's library could not be asked: {error}");
    if passes_through(py, &error) {
        RAISED.set(Some(error));
    }
    let remedy = "report it with the pattern and the versions of Python and regex".to_string();
    Error::Unsupported { message, remedy, position: None }
}

/// Whether an error says nothing of the library: an interruption, no memory, or one of ours.
fn passes_through(py: Python<'_>, error: &PyErr) -> bool {
    let ours = || py.import("rellm._errors").and_then(|module| module.getattr("RellmError"));
    !error.is_instance_of::<PyException>(py)
        || error.is_instance_of::<PyMemoryError>(py)
        || ours().is_ok_and(|class| error.is_instance(py, &class))
}

impl Resolver for PythonResolver {
    fn character(&self, name: &str) -> Result<Option<u32>> {
        self.ask(|resolver| resolver.call_method1("character", (name,))?.extract())
    }

    fn is_identifier(&self, name: &str) -> Result<bool> {
        self.ask(|resolver| resolver.call_method1("is_identifier", (name,))?.extract())
    }

    fn property(&self, query: PropertyQuery<'_>) -> Result<Option<Property>> {
        let encoding = match query.encoding {
            PropertyEncoding::Unicode => "unicode",
            PropertyEncoding::AsciiPart => "ascii part",
            PropertyEncoding::Ascii => "ascii",
        };
        let arguments = (query.name, query.value, query.posix, encoding);
        type Answer = Option<(u64, bool, Vec<u8>, Vec<u8>)>;
        let answer: Answer = self.ask(|resolver| resolver.call_method1("property", arguments)?.extract())?;
        let Some((id, negated, members, ignoring_case)) = answer else { return Ok(None) };
        let set = |bytes: &[u8]| -> Result<Arc<CodePoints>> { Ok(Arc::new(tables::ranges_from_bytes(bytes)?)) };
        Ok(Some(Property { id, negated, members: set(&members)?, members_ignoring_case: set(&ignoring_case)? }))
    }

    fn misreading(&self, set: &str, flags: u32, members: &CodePoints) -> Result<Option<String>> {
        let arguments = (set, flags, members.ranges().to_vec());
        self.ask(|resolver| resolver.call_method1("misreading", arguments)?.extract())
    }
}
