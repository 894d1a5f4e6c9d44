//! Text of a constraint → expression tree, in the dialects of Python's `re`, of the `regex` library, and of ECMA-262.
//!
//! A dialect is read as its library reads it: the parsers follow the grammar of the installed versions, and every
//! table of characters comes from the library itself (see [`tables`]). What the library refuses is refused; what
//! is not regular is [`Error::NotRegular`](crate::error::Error::NotRegular); nothing is read as something else.

pub mod ast;
mod class_cache;
mod control;
pub mod dialect;
mod ecma;
mod failure;
pub mod fragments;
mod quoted;
mod re;
mod regex;
mod searched;
pub mod tables;

#[cfg(test)]
pub(crate) mod testing;

pub use dialect::{Dialect, Library, NoResolver, Property, PropertyEncoding, PropertyQuery, Resolver};
pub use tables::Tables;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// The lists behind `\L<name>`: by name, the texts as code points.
pub type NamedLists = [(String, Vec<Vec<u32>>)];

/// Parses the text of a pattern.
///
/// `pattern` is given in code points, because a Python string may hold surrogates; `flags` are those of the dialect's
/// library, as its `compile` takes them.
pub fn parse(
    pattern: &[u32],
    flags: u32,
    dialect: &Dialect,
    named_lists: &NamedLists,
    limits: &Limits,
) -> Result<ast::Pattern> {
    if pattern.len() as u64 > limits.pattern_length {
        return Err(Error::Limit {
            limit: "pattern_length",
            allowed: limits.pattern_length,
            message: format!(
                "the pattern has {} characters, and Limits.pattern_length is {}: shorten it or raise the limit",
                pattern.len(),
                limits.pattern_length
            ),
        });
    }
    match dialect.library() {
        Library::Re { .. } => re::parse(pattern, flags, dialect, named_lists, limits),
        Library::Regex => regex::parse(pattern, flags, dialect, named_lists, limits),
        Library::Ecma => ecma::parse(pattern, flags, dialect, named_lists, limits),
    }
}

/// Parses a pattern given as text.
pub fn parse_str(pattern: &str, flags: u32, dialect: &Dialect, limits: &Limits) -> Result<ast::Pattern> {
    let points: Vec<u32> = pattern.chars().map(u32::from).collect();
    parse(&points, flags, dialect, &[], limits)
}
