//! The `regex` library, VERSION0 and VERSION1: text → [`tree`] (as the library's parser reads it) → expression.

mod calls;
pub(super) mod class;
mod escape;
mod extensions;
mod flags;
mod fold;
mod fuzzy;
mod groups;
mod held;
mod lower;
mod parser;
mod set;
mod source;
pub(super) mod tree;

use super::ast::Pattern;
use super::failure::{refused, refused_argument, unsupported};
use super::{Dialect, NamedLists};
use crate::error::{Error, Result};
use crate::limits::Limits;
use parser::{Global, Parser, Stop};

/// Parses a pattern of `regex`.
pub fn parse(
    pattern: &[u32],
    flags: u32,
    dialect: &Dialect,
    named_lists: &NamedLists,
    limits: &Limits,
) -> Result<Pattern> {
    if flags & !flags::KNOWN != 0 {
        let message = format!("flags={flags:#x} has a flag that `regex` does not know");
        return Err(refused_argument(message, "pass members of regex.RegexFlag"));
    }
    if flags & flags::LOCALE != 0 {
        return Err(unsupported("flags=LOCALE is not supported", None, "leave it out: texts are Unicode"));
    }
    let mut global = Global { flags, places: Vec::new() };
    loop {
        if global.flags & flags::VERSIONS == flags::VERSIONS {
            // The later of the two, if the pattern turns on any.
            let place = global.places.iter().rev().find(|place| place.0 & flags::VERSIONS != 0);
            return Err(match place {
                Some(&(_, position)) => {
                    refused("VERSION0 and VERSION1 flags are mutually incompatible", position, "keep one of them")
                }
                None => refused_argument("flags=VERSION0 | VERSION1 are mutually incompatible", "keep one of them"),
            });
        }
        if global.flags & flags::VERSION1 != 0 {
            global.flags |= flags::FULLCASE;
        }
        let mut parser = Parser::new(pattern, global.clone(), dialect, named_lists, limits);
        match parser.pattern() {
            Ok(tree) => return finish(tree, parser),
            Err(Stop::Again(with_more)) => global = with_more,
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
}

/// Checks what concerns the whole pattern, and makes the expression.
fn finish(tree: tree::Node, mut parser: Parser<'_>) -> Result<Pattern> {
    let mut flags = parser.flags;
    if (flags & flags::ENCODINGS).count_ones() > 1 {
        let remedy = "keep one of them, or write (?a:…) for a part";
        return Err(match parser.encoding_at {
            Some(position) => refused("ASCII, LOCALE and UNICODE flags are mutually incompatible", position, remedy),
            None => refused_argument("flags=ASCII | UNICODE are mutually incompatible", remedy),
        });
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
        return Err(refused_argument(format!("the named list {name}= is not used"), remedy));
    }
    for (flag, name, remedy) in [
        (flags::REVERSE, "REVERSE", "leave it out: text is written forwards"),
        (flags::BESTMATCH, "BESTMATCH", "leave it out: a full match has no better or worse"),
    ] {
        if flags & flag != 0 {
            let place = parser.global.place(flag);
            let message =
                if place.is_some() { format!("the flag {name}") } else { format!("flags={name} is not supported") };
            return Err(unsupported(message, place, remedy));
        }
    }
    if let Some(position) = parser.groups.nested_namesake
        && (lower::has_references(&tree) || !parser.groups.calls.is_empty())
    {
        parser
            .not_regular("a group inside another one of its name, beside a backreference, condition or call", position);
    }
    if let Some(end) = parser.folds_in_full
        && flags & flags::ASCII != 0
    {
        parser.not_regular("full case folding in a part of an ASCII pattern", end.saturating_sub(1));
    }
    if let Some(position) = parser.fuzzy_at
        && parser.folds_in_full.is_some()
    {
        parser.not_regular("a fuzzy constraint beside full case folding", position);
    }
    if let Some(error) = parser.not_regular.take() {
        return Err(error);
    }
    let classes = class::Classes::new(parser.dialect, flags);
    let tree =
        if parser.folds_in_full.is_some() || parser.shape_matters { fold::optimised(tree, &classes)? } else { tree };
    if let Some(end) = parser.folds_in_full
        && classes.folds_in_parts_only()
        && fold::folds_to_several(&tree, &classes)
    {
        // The library loses track there: `(?fi:ß)` does not match `ß`.
        let construct = "full case folding in a part of the pattern only".to_string();
        return Err(Error::NotRegular { construct, position: Some(end.saturating_sub(1)) });
    }
    let lowering = lower::Lowering::new(parser.dialect, classes, &parser.groups, &tree);
    // What has no place of its own comes of folding in full.
    let place = parser.folds_in_full.map(|end| end.saturating_sub(1));
    let root = lowering.node(&tree).map_err(|error| error.or_at(place))?;
    let called = calls::called(&tree, &parser.groups, &lowering).map_err(|error| error.or_at(place))?;
    if parser.fuzzy_at.is_some() || !called.is_empty() {
        held::check_held(&root)?;
    }
    Ok(Pattern { root, groups: parser.groups.count, called })
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
