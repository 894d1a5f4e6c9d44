//! The `regex` library, VERSION0 and VERSION1: text → [`tree`] (as the library's parser reads it) → expression.

pub(super) mod class;
mod escape;
mod flags;
mod fold;
mod fuzzy;
mod groups;
mod lower;
mod parser;
mod set;
mod source;
pub(super) mod tree;

use super::ast::Pattern;
use super::failure::{refused, unsupported};
use super::{Dialect, NamedLists};
use crate::error::Result;
use crate::limits::Limits;
use parser::{Parser, Stop};

/// Parses a pattern of `regex`.
pub fn parse(
    pattern: &[u32],
    flags: u32,
    dialect: &Dialect,
    named_lists: &NamedLists,
    limits: &Limits,
) -> Result<Pattern> {
    if flags & !flags::KNOWN != 0 {
        return Err(unsupported("a flag that `regex` does not know", None, "pass members of regex.RegexFlag"));
    }
    if flags & flags::LOCALE != 0 {
        return Err(unsupported("the flag LOCALE", None, "leave it out: texts are Unicode"));
    }
    let mut global = flags;
    loop {
        if global & flags::VERSIONS == flags::VERSIONS {
            return Err(refused("VERSION0 and VERSION1 flags are mutually incompatible", 0, "keep one of them"));
        }
        if global & flags::VERSION1 != 0 {
            global |= flags::FULLCASE;
        }
        let mut parser = Parser::new(pattern, global, dialect, named_lists, limits);
        match parser.pattern() {
            Ok(tree) => return finish(tree, parser),
            Err(Stop::Again(flags)) => global = flags,
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
}

/// Checks what concerns the whole pattern, and makes the expression.
fn finish(tree: tree::Node, mut parser: Parser<'_>) -> Result<Pattern> {
    let mut flags = parser.flags;
    if (flags & flags::ENCODINGS).count_ones() > 1 {
        let message = "ASCII, LOCALE and UNICODE flags are mutually incompatible";
        return Err(refused(message, 0, "keep one of them, or write (?a:…) for a part"));
    }
    if flags & flags::ENCODINGS == 0 {
        flags |= flags::UNICODE;
    }
    for (group, position) in &parser.groups.calls {
        let remedy = "call a group that the pattern has";
        let Some(number) = parser.groups.number(group) else {
            return Err(refused("invalid group reference", *position, remedy));
        };
        if number > u64::from(parser.groups.count) {
            return Err(refused("unknown group", *position, remedy));
        }
        if number > 0 && parser.groups.is_ambiguous(number) {
            return Err(refused("ambiguous group reference", *position, "give the groups different names"));
        }
    }
    lower::check_references(&tree, &parser.groups)?;
    if let Some((name, _)) = parser.named_lists.iter().find(|(name, _)| !parser.used_lists.contains(name)) {
        let remedy = format!(r"write \L<{name}> where it belongs, or leave it out");
        return Err(refused(format!("the named list '{name}' is not used"), 0, remedy));
    }
    for (flag, name, remedy) in [
        (flags::REVERSE, "REVERSE", "leave it out: text is written forwards"),
        (flags::BESTMATCH, "BESTMATCH", "leave it out: a full match has no better or worse"),
    ] {
        if flags & flag != 0 {
            return Err(unsupported(format!("the flag {name}"), None, remedy));
        }
    }
    if parser.groups.nested_namesakes && lower::has_references(&tree) {
        parser.not_regular("a group inside another one of its name, beside a backreference or condition", 0);
    }
    if parser.folds_in_full && flags & flags::ASCII != 0 {
        parser.not_regular("full case folding in a part of an ASCII pattern", 0);
    }
    if let Some(error) = parser.not_regular.take() {
        return Err(error);
    }
    let is_ascii = flags & flags::ASCII != 0;
    let classes = class::Classes::new(parser.dialect, is_ascii);
    let tree = if parser.folds_in_full || parser.shape_matters { fold::optimised(tree, &classes)? } else { tree };
    let lowering = lower::Lowering::new(parser.dialect, classes, &parser.groups, &tree);
    let root = lowering.node(&tree)?;
    Ok(Pattern { root, groups: parser.groups.count })
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::limits::Limits;
    use crate::syntax::ast::Node;
    use crate::syntax::failure::MAX_NESTING;
    use crate::syntax::{parse_str, testing};

    #[test]
    fn the_deepest_nesting_fits_on_half_a_stack() {
        let limits = Limits { nesting: u32::MAX, ..Limits::default() };
        let deep = MAX_NESTING as usize;
        for dialect in [testing::re(), testing::regex()] {
            for (open, close) in [("(", ")"), ("(?:a|(?=", "))"), ("(?i:", ")")] {
                let depth = if open.len() > 5 { deep / 2 } else { deep };
                let pattern = format!("{}a{}", open.repeat(depth), close.repeat(depth));
                let parsed = std::thread::Builder::new().stack_size(4 << 20).spawn({
                    let pattern = pattern.clone();
                    move || parse_str(&pattern, 0x102, dialect, &limits).map(drop)
                });
                parsed.expect("a thread starts").join().expect("it ends").expect(open);
                let deeper = format!("({pattern})");
                let error = parse_str(&deeper, 0, dialect, &limits).unwrap_err();
                assert!(matches!(error, Error::Limit { limit: "nesting", .. }), "{error}");
            }
        }
    }

    #[test]
    fn strings_fold_in_full_only_where_they_are_compared_as_strings() {
        let parsed = |pattern: &str| parse_str(pattern, 0, testing::regex(), &Limits::default()).expect(pattern).root;
        assert!(matches!(parsed("(?if)ss"), Node::Alternation(_)));
        assert!(matches!(parsed("(?i)ss"), Node::Sequence(_)));
        assert!(matches!(parsed("(?if)(s)s"), Node::Sequence(_)));
    }
}
