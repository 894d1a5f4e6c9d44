//! The sets of characters that ECMA-262 names.

use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::syntax::Dialect;
use crate::syntax::dialect::{PropertyEncoding, PropertyQuery};

/// White space and line terminators: `\s`.
const SPACE: [(u32, u32); 10] = [
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
];

/// The set of `\d \D \s \S \w \W`; `None` for other letters.
pub fn of_letter(letter: u32) -> Option<CodePoints> {
    let set = match char::from_u32(letter)?.to_ascii_lowercase() {
        'd' => CodePoints::from_ranges([(0x30, 0x39)]),
        's' => CodePoints::from_ranges(SPACE),
        'w' => word(),
        _ => return None,
    };
    Some(if char::from_u32(letter).is_some_and(|c| c.is_ascii_uppercase()) { set.complement() } else { set })
}

/// The characters of words, for `\w` and `\b`.
pub fn word() -> CodePoints {
    CodePoints::from_ranges([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
}

/// What `.` matches: everything but line terminators.
pub fn dot() -> CodePoints {
    CodePoints::from_ranges([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]).complement()
}

/// The set of `\p{text}`; `None` if there is no property of this name.
pub fn of_property(text: &[u32], dialect: &Dialect) -> Result<Option<CodePoints>> {
    let Some(text) = text.iter().map(|&c| char::from_u32(c)).collect::<Option<String>>() else { return Ok(None) };
    if text == "Any" {
        return Ok(Some(CodePoints::all()));
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (Some(name), value),
        None => (None, text.as_str()),
    };
    let query = PropertyQuery { name, value, posix: false, encoding: PropertyEncoding::Unicode };
    let Some(property) = dialect.resolver.property(query)? else { return Ok(None) };
    let members = (*property.members).clone();
    Ok(Some(if property.negated { members.complement() } else { members }))
}
