//! A library whose patterns are read: which one, its tables of characters, and whom to ask for the rest.

use super::class_cache::ClassCache;
use super::re::tree::ClassKey as ReClass;
use super::regex::tree::ClassKey as RegexClass;
use super::tables::{CharMap, Tables};
use crate::codepoints::CodePoints;
use crate::error::Result;
use std::sync::{Arc, OnceLock};

/// Which library, and what of its version decides how a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// Python's `re`, of Python 3.`minor`.
    Re {
        /// The minor version of Python.
        minor: u8,
    },
    /// The `regex` library.
    Regex,
    /// Patterns of ECMA-262 under the flag `u`, as JSON Schema means them; no tables are needed.
    Ecma,
}

/// A Unicode property that a pattern of `regex` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PropertyQuery<'a> {
    /// The name before `:` or `=`, if there is one.
    pub name: Option<&'a str>,
    /// The value, or the name of a property that has only yes and no.
    pub value: &'a str,
    /// Whether it stands in `[:…:]`.
    pub posix: bool,
    /// What of it counts.
    pub encoding: PropertyEncoding,
}

/// How a property is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PropertyEncoding {
    /// In Unicode.
    Unicode,
    /// In ASCII, in a part of a Unicode pattern: `(?a:…)`.
    AsciiPart,
    /// In an ASCII pattern.
    Ascii,
}

/// What [`Resolver::property`] answers.
#[derive(Debug, Clone)]
pub struct Property {
    /// A number that is the same for all names of the property, and no other's.
    pub id: u64,
    /// Whether the name means the characters that are *not* in `members`, as `Assigned` does.
    pub negated: bool,
    /// The characters that have it.
    pub members: Arc<CodePoints>,
    /// The characters that match it when case is ignored.
    pub members_ignoring_case: Arc<CodePoints>,
}

/// Answers what no table holds. Called while a pattern is parsed, and only for the constructs named here.
pub trait Resolver: Send + Sync {
    /// The character that `\N{name}` names; `None` if there is none, or if the name means several characters.
    fn character(&self, name: &str) -> Result<Option<u32>>;

    /// Whether `name`, which has a character outside ASCII, is an identifier.
    fn is_identifier(&self, name: &str) -> Result<bool>;

    /// The property that `\p{…}` or `[:…:]` names; `None` if the library knows none of that name.
    fn property(&self, query: PropertyQuery<'_>) -> Result<Option<Property>>;

    /// How the library misreads a set that is written so and should match `members` and nothing else, in words; `None`
    /// if it does not. `flags` are those in force where the set stands.
    fn misreading(&self, set: &str, flags: u32, members: &CodePoints) -> Result<Option<String>>;
}

/// Knows nothing: for patterns that ask for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn character(&self, _name: &str) -> Result<Option<u32>> {
        Ok(None)
    }

    fn is_identifier(&self, _name: &str) -> Result<bool> {
        Ok(false)
    }

    fn property(&self, _query: PropertyQuery<'_>) -> Result<Option<Property>> {
        Ok(None)
    }

    fn misreading(&self, _set: &str, _flags: u32, _members: &CodePoints) -> Result<Option<String>> {
        Ok(None)
    }
}

/// A library whose patterns can be parsed. Made once and shared.
pub struct Dialect {
    library: Library,
    pub(super) tables: Tables,
    pub(super) resolver: Box<dyn Resolver>,
    pub(super) sets: Sets,
    pub(super) re_classes: ClassCache<ReClass>,
    pub(super) regex_classes: ClassCache<RegexClass>,
    /// Who has a character as lower case; made when it is first asked for.
    lower_inverse: OnceLock<CharMap>,
    /// Who folds to one character that is another one.
    folding_inverse: OnceLock<CharMap>,
    /// What backreferences compare, in ASCII and in Unicode.
    pub(super) case_sets: [OnceLock<Arc<CaseSets>>; 2],
}

/// The characters that each character matches when case is ignored, sorted; only those that match others.
pub(super) type CaseSets = Vec<(u32, CodePoints)>;

/// Sets that every pattern shares.
pub(super) struct Sets {
    pub all: Arc<CodePoints>,
    pub not_newline: Arc<CodePoints>,
    pub newline: Arc<CodePoints>,
}

impl Dialect {
    /// A dialect of these tables.
    pub fn new(library: Library, tables: Tables, resolver: Box<dyn Resolver>) -> Dialect {
        let newline = CodePoints::single(0x0A);
        Dialect {
            library,
            tables,
            resolver,
            sets: Sets {
                all: Arc::new(CodePoints::all()),
                not_newline: Arc::new(newline.complement()),
                newline: Arc::new(newline),
            },
            re_classes: ClassCache::default(),
            regex_classes: ClassCache::default(),
            folding_inverse: OnceLock::new(),
            lower_inverse: OnceLock::new(),
            case_sets: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// Which library this is.
    pub fn library(&self) -> Library {
        self.library
    }

    pub(super) fn lower_inverse(&self) -> &CharMap {
        self.lower_inverse.get_or_init(|| self.tables.lower.inverse())
    }

    pub(super) fn folding_inverse(&self) -> &CharMap {
        self.folding_inverse.get_or_init(|| self.tables.folding.single_targets().inverse())
    }

    /// The value of a decimal digit of any script. Unicode has them in runs of ten.
    pub(super) fn digit_value(&self, c: u32) -> Option<u64> {
        let ranges = self.tables.digit.ranges();
        let (lo, _) = ranges.get(ranges.partition_point(|r| r.1 < c)).filter(|r| r.0 <= c)?;
        Some(u64::from(c - lo) % 10)
    }

    /// The number that these digits of any script write; `None` if one is no digit, or there is none.
    pub(super) fn number(&self, digits: &[u32]) -> Option<u64> {
        let add = |n: u64, c: &u32| Some(n.saturating_mul(10).saturating_add(self.digit_value(*c)?));
        digits.iter().try_fold(0, add).filter(|_| !digits.is_empty())
    }

    /// Whether a name may be a group's.
    pub(super) fn is_identifier(&self, name: &[u32]) -> Result<bool> {
        let is_start = |c: u32| c == 0x5F || (c < 0x80 && (c as u8).is_ascii_alphabetic());
        if name.iter().all(|&c| c < 0x80) {
            let Some((&first, rest)) = name.split_first() else { return Ok(false) };
            return Ok(is_start(first) && rest.iter().all(|&c| is_start(c) || (c as u8).is_ascii_digit()));
        }
        match name.iter().map(|&c| char::from_u32(c)).collect::<Option<String>>() {
            Some(name) => self.resolver.is_identifier(&name),
            None => Ok(false),
        }
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialect").field("library", &self.library).finish_non_exhaustive()
    }
}
