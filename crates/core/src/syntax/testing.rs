//! Dialects for tests, from the tables that the package ships.

use super::{Dialect, Library, NoResolver, Tables};
use std::sync::OnceLock;

/// The length of the text lines before the sections of a table file.
pub fn header_length(file: &[u8]) -> usize {
    file.iter().position(|&b| b == 0).expect("a table file's header ends with NUL") + 1
}

/// Python's `re` as of 3.11, without names of characters.
pub fn re() -> &'static Dialect {
    static RE: OnceLock<Dialect> = OnceLock::new();
    RE.get_or_init(|| {
        let file = include_bytes!("../../../../python/rellm/_dialects/data/re-3.11-14.0.0.tables");
        let tables = Tables::from_bytes(&file[header_length(file)..]).expect("the shipped tables are good");
        Dialect::new(Library::Re { minor: 11 }, tables, Box::new(NoResolver))
    })
}

/// The `regex` library, without names and properties.
pub fn regex() -> &'static Dialect {
    static REGEX: OnceLock<Dialect> = OnceLock::new();
    REGEX.get_or_init(|| {
        let file = include_bytes!("../../../../python/rellm/_dialects/data/regex-2026.11.15.tables");
        let tables = Tables::from_bytes(&file[header_length(file)..]).expect("the shipped tables are good");
        Dialect::new(Library::Regex, tables, Box::new(NoResolver))
    })
}
