//! Which calls and fuzzy items an automaton holds: not where the first way counts that the library finds, nor where it
//! reads backwards.

use crate::error::{Error, Result};
use crate::syntax::ast::{Direction, Node, RepeatKind};
use std::collections::HashSet;

/// What surrounds a node, in words, if calls and fuzzy items cannot stand there.
type Place = Option<&'static str>;

const ONE_WAY: Place = Some("inside an atomic group or a possessive repetition");
const BACKWARDS: Place = Some("inside a lookbehind");

/// Checks the calls and the fuzzy items of a pattern.
///
/// # Errors
/// [`Error::NotRegular`], with the place of the first that no automaton holds.
pub fn check_held(pattern: &Node) -> Result<()> {
    let mut asked = HashSet::new();
    asked_for(pattern, &mut asked);
    check(pattern, None, &asked)
}

fn refused(what: &str, position: usize) -> Result<()> {
    Err(Error::NotRegular { construct: what.to_owned(), position: Some(position) })
}

fn check(node: &Node, place: Place, asked: &HashSet<u32>) -> Result<()> {
    match (node, place) {
        (Node::Call { position, .. }, Some(place)) => refused(&format!("a call of a group {place}"), *position),
        (Node::Fuzzy(fuzzy), Some(place)) => refused(&format!("a fuzzy item {place}"), fuzzy.position),
        (Node::Fuzzy(fuzzy), None) => match unfit(&fuzzy.node, asked) {
            Some(what) => refused(&format!("a fuzzy item that holds {what}"), fuzzy.position),
            None => Ok(()),
        },
        (Node::Repeat { node, kind: RepeatKind::Possessive, .. } | Node::Atomic(node), None) => {
            check(node, ONE_WAY, asked)
        }
        (Node::Look { direction: Direction::Behind, node, .. }, _) => check(node, BACKWARDS, asked),
        (Node::Look { node, .. }, _) => check(node, None, asked),
        _ => parts(node).into_iter().try_for_each(|part| check(part, place, asked)),
    }
}

/// What a fuzzy item cannot hold, if it holds any of it.
fn unfit(node: &Node, asked: &HashSet<u32>) -> Option<&'static str> {
    match node {
        Node::Empty | Node::Char(_) | Node::Class(_) | Node::Literal(_) => None,
        Node::Repeat { kind: RepeatKind::Possessive, .. } => Some("a possessive repetition"),
        Node::Group { index, .. } if asked.contains(index) => Some("a group that something asks for"),
        Node::Nothing => Some("what never matches"),
        Node::Atomic(_) => Some("an atomic group"),
        Node::Look { .. } | Node::Assertion(_) => Some("a lookaround, anchor or boundary"),
        Node::Backreference { .. } => Some("a backreference"),
        Node::Conditional { .. } | Node::LookConditional { .. } => Some("a conditional"),
        Node::Call { .. } => Some("a call of a group"),
        Node::Fuzzy(_) => Some("another one"),
        _ => parts(node).into_iter().find_map(|part| unfit(part, asked)),
    }
}

fn asked_for(node: &Node, into: &mut HashSet<u32>) {
    if let Node::Backreference { groups, .. } | Node::Conditional { groups, .. } = node {
        into.extend(groups);
    }
    parts(node).into_iter().for_each(|part| asked_for(part, into));
}

/// The nodes that a node of a pattern of `regex` is made of.
fn parts(node: &Node) -> Vec<&Node> {
    match node {
        Node::Sequence(nodes) | Node::Alternation(nodes) => nodes.iter().collect(),
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Atomic(node) | Node::Look { node, .. } => {
            vec![node]
        }
        Node::Fuzzy(fuzzy) => vec![&fuzzy.node],
        Node::Conditional { yes, no, .. } => vec![yes, no],
        Node::LookConditional { test, yes, no } => vec![test, yes, no],
        _ => Vec::new(),
    }
}
