//! Patterns of ECMA-262 (JavaScript) with the `u` flag and no other, as JSON Schema means them: text → expression.
//!
//! Source: ECMA-262, *Patterns*, with its Annex B where a pattern without `u` has one plain meaning: an escaped sign that
//! needs no escape is that sign, a brace or bracket that opens nothing stands for itself. `^` and `$` are the ends of
//! the text, `.` is everything but a line terminator, `\d` and `\w` are ASCII.

mod classes;
mod parser;

use super::ast::Pattern;
use super::failure::refused_argument;
use super::{Dialect, NamedLists};
use crate::error::Result;
use crate::limits::Limits;
use parser::Parser;

/// Parses a pattern.
pub fn parse(
    pattern: &[u32],
    flags: u32,
    dialect: &Dialect,
    named_lists: &NamedLists,
    limits: &Limits,
) -> Result<Pattern> {
    if flags != 0 {
        let message = format!("flags={flags:#x}: patterns of ECMA-262 are read with the flag u and no other");
        return Err(refused_argument(message, "leave the flags out"));
    }
    if let Some((name, _)) = named_lists.first() {
        let remedy = "write the alternatives out";
        return Err(refused_argument(format!("the named list {name}= is nothing that ECMA-262 knows"), remedy));
    }
    Parser::new(pattern, dialect, limits).parse()
}

#[cfg(test)]
mod tests {
    use crate::codepoints::CodePoints;
    use crate::error::{Error, Result};
    use crate::limits::Limits;
    use crate::syntax::ast::{Assertion, Node};
    use crate::syntax::{Dialect, Library, NoResolver, Tables, parse_str};

    fn tree(pattern: &str) -> Result<Node> {
        let dialect = Dialect::new(Library::Ecma, Tables::default(), Box::new(NoResolver));
        parse_str(pattern, 0, &dialect, &Limits::default()).map(|p| p.root)
    }

    fn class(pattern: &str) -> CodePoints {
        match tree(pattern).expect(pattern) {
            Node::Class(set) => (*set).clone(),
            Node::Char(c) => CodePoints::single(u32::from(c)),
            other => panic!("{pattern} is {other:?}"),
        }
    }

    fn points(text: &str) -> CodePoints {
        text.chars().map(|c| (c as u32, c as u32)).collect()
    }

    #[test]
    fn classes_are_those_of_the_specification() {
        assert_eq!(class(r"\d"), points("0123456789"));
        assert_eq!(class(r"[\W\w]"), CodePoints::all());
        assert!(class(r"\s").contains(0xFEFF) && class(r"\s").contains(0x2029) && !class(r"\s").contains(0x200B));
        assert_eq!(class(".").complement(), points("\n\r\u{2028}\u{2029}"));
        assert_eq!(class(r"[a\-z]"), points("a-z"));
        assert_eq!(class(r"[\w-]"), class(r"[-\w]"));
        assert_eq!(class(r"[\b]"), points("\u{8}"));
        assert_eq!(class("[^]"), CodePoints::all());
        assert_eq!(tree("[]").unwrap(), Node::Nothing);
    }

    #[test]
    fn characters_have_many_spellings() {
        for spelled in [r"\x41", r"\u0041", r"\u{41}", r"\u{000041}", "A", "[A]"] {
            assert_eq!(class(spelled), points("A"), "{spelled}");
        }
        assert_eq!(class(r"\ud83d\udc32"), points("🐲"));
        assert_eq!(class(r"[\ud83d\udc32]"), points("🐲"));
        assert_eq!(class(r"\cA"), points("\u{1}"));
        assert_eq!(class(r"\0"), points("\0"));
        assert_eq!(class(r"\/"), points("/"));
        assert_eq!(class(r"\@"), points("@"));
        assert_eq!(class("]"), points("]"));
        assert_eq!(class("{"), points("{"));
    }

    #[test]
    fn anchors_are_the_ends_of_the_text() {
        let expected = [Node::Assertion(Assertion::TextStart), Node::Char('a'), Node::Assertion(Assertion::TextEnd)];
        assert_eq!(tree("^a$").unwrap(), Node::Sequence(expected.to_vec()));
    }

    #[test]
    fn what_is_not_valid_says_where() {
        for (pattern, position) in [
            ("a(b", 1),
            ("a)b", 1),
            ("*a", 0),
            ("a**", 2),
            ("a{3,2}", 1),
            ("[b-a]", 1),
            ("[ab", 0),
            (r"a\", 1),
            (r"\Z", 0),
            (r"\1", 0),
            (r"\k<x>", 0),
            ("(?<a>x)(?<a>y)", 9),
            ("(?P<a>x)", 0),
            ("(?i)a", 0),
            (r"\u{110000}", 0),
            (r"\p{No_such_property}", 0),
        ] {
            match tree(pattern) {
                Err(Error::Pattern { position: Some(found), .. }) => assert_eq!(found, position, "{pattern}"),
                other => panic!("{pattern} is {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_closed_is_refused_in_time() {
        for pattern in ["(".repeat(30_000), format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000))] {
            match tree(&pattern) {
                Err(Error::Limit { limit: "nesting", allowed: 500, .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(tree(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_ok());
    }

    #[test]
    fn a_group_that_was_not_taken_is_the_empty_text() {
        let node = tree(r"(?:(a)|b)\1").unwrap();
        assert!(matches!(&node, Node::Sequence(parts) if matches!(parts[1], Node::Conditional { .. })), "{node:?}");
        assert_eq!(tree(r"\k<x>(?<x>a)").unwrap(), tree("(?:)(a)").unwrap());
    }
}
