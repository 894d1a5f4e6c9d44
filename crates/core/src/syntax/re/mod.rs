//! Python's `re`, 3.11 and later: text → [`tree`] (as the library's parser reads it) → expression.

pub mod class;
mod escape;
mod flags;
mod inline_flags;
mod lower;
mod parser;
mod set;
pub(super) mod tree;

use super::ast::Pattern;
use super::failure::refused_argument;
use super::{Dialect, Library, NamedLists};
use crate::error::Result;
use crate::limits::Limits;
use parser::Parser;

/// Parses a pattern of `re`.
pub fn parse(
    pattern: &[u32],
    flags: u32,
    dialect: &Dialect,
    named_lists: &NamedLists,
    limits: &Limits,
) -> Result<Pattern> {
    let Library::Re { minor } = dialect.library() else { unreachable!("the dialect is that of `re`") };
    if let Some((name, _)) = named_lists.first() {
        let remedy = r#"write the alternatives out, or say dialect="regex" and use \L<name>"#;
        return Err(refused_argument(format!("the named list {name}= is nothing that `re` knows"), remedy));
    }
    if flags & !flags::known(minor) != 0 {
        let message = format!("flags={flags:#x} has a flag that `re` does not know");
        return Err(refused_argument(message, "pass members of re.RegexFlag"));
    }
    if flags & flags::LOCALE != 0 {
        return Err(refused_argument("flags=LOCALE cannot be used with a str pattern", "leave the flag out"));
    }
    let parser = Parser::new(pattern, flags, minor, dialect, limits);
    let (tree, flags, groups) = parser.parse()?;
    let root = lower::Lowering::new(dialect, minor).sequence(&tree, flags)?;
    Ok(Pattern { root, groups, called: Vec::new() })
}

#[cfg(test)]
mod tests {
    use crate::codepoints::CodePoints;
    use crate::error::{Error, Result};
    use crate::limits::Limits;
    use crate::syntax::ast::Node;
    use crate::syntax::{parse_str, testing};

    fn tree(pattern: &str, flags: u32) -> Result<Node> {
        parse_str(pattern, flags, testing::re(), &Limits::default()).map(|p| p.root)
    }

    fn class(pattern: &str) -> CodePoints {
        match tree(pattern, 0).expect(pattern) {
            Node::Class(set) => (*set).clone(),
            other => panic!("{pattern} is {other:?}"),
        }
    }

    fn points(text: &str) -> CodePoints {
        text.chars().map(|c| (c as u32, c as u32)).collect()
    }

    #[test]
    fn case_is_ignored_as_the_library_does_it() {
        assert_eq!(class("(?i)k"), points("kK\u{212A}"));
        assert_eq!(class("(?i)s"), points("sSſ"));
        assert_eq!(class("(?ia)s"), points("sS"));
        assert_eq!(class("(?i)ß"), points("ßẞ"));
        assert_eq!(tree("(?i)€", 0).unwrap(), Node::Char('€'));
        assert_eq!(class("(?i)ß|a"), points("aAßẞ"));
        assert_eq!(class("(?i)[^k]"), points("kK\u{212A}").complement());
        // Beyond the basic plane a literal in a set is compared with the lower case of the text.
        assert_eq!(class("(?i)[\u{10400}x]"), points("xX"));
        assert_eq!(class("(?i)\u{10400}"), points("\u{10400}\u{10428}"));
    }

    #[test]
    fn what_is_not_closed_is_refused_in_time() {
        for pattern in ["(".repeat(30_000), format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000))] {
            match tree(&pattern, 0) {
                Err(Error::Limit { limit: "nesting", allowed: 500, .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(tree(&format!("{}a{}", "(".repeat(500), ")".repeat(500)), 0).is_ok());
    }

    #[test]
    fn errors_say_where() {
        let error = tree(r"\d+(abc", 0).unwrap_err();
        let pattern: Vec<u32> = r"\d+(abc".chars().map(u32::from).collect();
        let expected = r#"unbalanced parenthesis at position 7 of '\d+(abc': add ")" or escape "(" as "\(""#;
        assert_eq!(error.describe(Some(&pattern)), expected);
    }
}
