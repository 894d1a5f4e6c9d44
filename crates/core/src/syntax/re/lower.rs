//! The tree of `re` → expression: flags are applied here, because `(?i)` counts for what stands before it as well.

use super::class::Classes;
use super::flags;
use super::tree::{At, Item, Width};
use crate::error::Result;
use crate::syntax::Dialect;
use crate::syntax::ast::{Assertion, CaseMapping, Direction, Node, RepeatKind, WordAssertion};
use crate::syntax::failure::refused;

/// Turns sequences into nodes.
pub struct Lowering<'a> {
    dialect: &'a Dialect,
    minor: u8,
}

impl<'a> Lowering<'a> {
    pub fn new(dialect: &'a Dialect, minor: u8) -> Self {
        Lowering { dialect, minor }
    }

    pub fn sequence(&self, items: &[Item], flags: u32) -> Result<Node> {
        match items {
            [] => Ok(Node::Empty),
            [item] => self.item(item, flags),
            _ => Ok(Node::Sequence(items.iter().map(|item| self.item(item, flags)).collect::<Result<_>>()?)),
        }
    }

    fn item(&self, item: &Item, flags: u32) -> Result<Node> {
        let classes = Classes::new(self.dialect, flags);
        Ok(match item {
            Item::Literal(c) => match classes.literal(*c) {
                Some(set) => Node::Class(set),
                // A lone surrogate is in no text.
                None => char::from_u32(*c).map_or(Node::Nothing, Node::Char),
            },
            Item::NotLiteral(c) => Node::Class(classes.all_but(*c)),
            Item::Any if flags & flags::DOTALL != 0 => Node::Class(self.dialect.sets.all.clone()),
            Item::Any => Node::Class(self.dialect.sets.not_newline.clone()),
            Item::In(class) => Node::Class(classes.set(class)),
            Item::At(at) => Node::Assertion(self.assertion(*at, flags, classes)),
            Item::Branch(branches, _) => {
                Node::Alternation(branches.iter().map(|b| self.sequence(b, flags)).collect::<Result<_>>()?)
            }
            Item::Repeat { position, .. } if flags & flags::TEMPLATE != 0 => {
                return Err(refused("repetition under the flag TEMPLATE", *position, "leave the flag out"));
            }
            Item::Repeat { min, max, kind, body, .. } => {
                let mut node = Box::new(self.sequence(body, flags)?);
                // `re` does not go back into an iteration that is done, not even for the iterations that are required.
                if *kind == RepeatKind::Possessive && *min > 1 && !is_one_character(body) {
                    node = Box::new(Node::Atomic(node));
                }
                Node::Repeat { node, min: *min, max: *max, kind: *kind }
            }
            Item::Group { index, on, off, body, .. } => {
                let node = self.sequence(body, flags::combined(flags, *on, *off))?;
                match index {
                    Some(index) => Node::Group { index: *index, node: Box::new(node) },
                    None => node,
                }
            }
            Item::Atomic(body, _) => Node::Atomic(Box::new(self.sequence(body, flags)?)),
            Item::Look { direction, negated, body, width, position } => {
                if *direction == Direction::Behind {
                    check_width(*width, *position)?;
                }
                let node = Box::new(self.sequence(body, flags)?);
                Node::Look { direction: *direction, negated: *negated, node, position: Some(*position) }
            }
            Item::Reference { group, position, .. } => {
                let case = if flags & flags::IGNORECASE == 0 {
                    CaseMapping::Exact
                } else {
                    CaseMapping::Sets(classes.case_sets())
                };
                Node::Backreference { groups: vec![*group], case, position: *position }
            }
            Item::Conditional { group, yes, no, position, .. } => Node::Conditional {
                groups: vec![*group],
                yes: Box::new(self.sequence(yes, flags)?),
                no: Box::new(self.sequence(no, flags)?),
                position: *position,
            },
        })
    }

    fn assertion(&self, at: At, flags: u32, classes: Classes<'_>) -> Assertion {
        let newline = || self.dialect.sets.newline.clone();
        let multiline = flags & flags::MULTILINE != 0;
        match at {
            At::Beginning if multiline => Assertion::LineStart(newline()),
            At::Beginning | At::BeginningOfText => Assertion::TextStart,
            At::End if multiline => Assertion::LineEnd(newline()),
            At::End => Assertion::TextEndOrFinal(newline()),
            At::EndOfText => Assertion::TextEnd,
            At::Boundary => Assertion::Word { word: classes.word().clone(), kind: WordAssertion::Boundary },
            At::NotBoundary => {
                let kind =
                    if self.minor < 14 { WordAssertion::NotBoundaryUnlessEmpty } else { WordAssertion::NotBoundary };
                Assertion::Word { word: classes.word().clone(), kind }
            }
        }
    }
}

fn check_width(width: Width, position: usize) -> Result<()> {
    if width.min > u64::from(u32::MAX) {
        return Err(refused("looks too much behind", position, "repeat less inside the lookbehind"));
    }
    if width.min != width.max {
        let remedy = "give every alternative in it the same length, or write one lookbehind for each length";
        return Err(refused("look-behind requires fixed-width pattern", position, remedy));
    }
    Ok(())
}

fn is_one_character(body: &[Item]) -> bool {
    matches!(body, [Item::Literal(_) | Item::NotLiteral(_) | Item::Any | Item::In(_)])
}
