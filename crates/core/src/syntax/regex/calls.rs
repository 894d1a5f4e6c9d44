//! Calls of groups, `(?R)`, `(?1)`, `(?&name)`: what each stands for, and which of them an automaton holds.
//!
//! In a called group, groups that are set outside of it keep their texts, and those that it sets itself are forgotten
//! when it ends. A called group that neither sets a group that something asks for nor asks for one is a rule like those of
//! a grammar.

use super::groups::Groups;
use super::lower::{Lowering, children};
use super::tree::{GroupName, Node};
use crate::error::{Error, Result};
use crate::syntax::ast::Called;
use crate::syntax::failure::shown;
use std::collections::HashSet;

/// The numbers of the groups that are called, each once, the whole pattern being number 0.
pub fn numbers(groups: &Groups) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (group, _) in &groups.calls {
        let number = groups.number(group).unwrap_or(0) as u32;
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// What the calls of a pattern stand for, in the order of [`numbers`].
///
/// # Errors
/// [`Error::NotRegular`], if what a called group captures may be asked for.
pub fn called(tree: &Node, groups: &Groups, lowering: &Lowering<'_>) -> Result<Vec<Called>> {
    if groups.calls.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = HashSet::new();
    asked_for(tree, groups, &mut asked);
    let mut found: Vec<Called> = Vec::new();
    let mut seen = HashSet::new();
    for (group, position) in &groups.calls {
        let number = groups.number(group).unwrap_or(0) as u32;
        if !seen.insert(number) {
            continue;
        }
        let call = match group {
            GroupName::Number(0) => "(?R)".to_string(),
            GroupName::Number(number) => format!("(?{number})"),
            GroupName::Name(name) => format!("(?&{})", shown(name)),
        };
        let body = if number == 0 { Some(tree) } else { group_of(tree, number) };
        let Some(body) = body.filter(|body| !captures(body, groups, &asked)) else {
            let construct = format!("a call {call} of what sets or asks for the text of a group");
            return Err(Error::NotRegular { construct, position: Some(*position) });
        };
        found.push(Called { group: number, position: *position, node: lowering.node(body)? });
    }
    Ok(found)
}

/// The groups whose texts something asks for.
fn asked_for(tree: &Node, groups: &Groups, into: &mut HashSet<u32>) {
    if let Node::Reference { group, .. } | Node::Conditional { group, .. } = tree {
        into.extend(groups.number(group).map(|number| number as u32));
    }
    let _ = children(tree, &mut |child| {
        asked_for(child, groups, into);
        Ok(())
    });
}

/// Whether something in a tree sets one of these groups, or asks for any.
fn captures(tree: &Node, groups: &Groups, asked: &HashSet<u32>) -> bool {
    let mut found = match tree {
        Node::Group { index, .. } => asked.contains(index),
        Node::Reference { .. } => true,
        // `(?(DEFINE)…)` asks for nothing.
        Node::Conditional { group, .. } => groups.number(group).is_some(),
        _ => false,
    };
    let _ = children(tree, &mut |child| {
        found |= captures(child, groups, asked);
        Ok(())
    });
    found
}

fn group_of(tree: &Node, number: u32) -> Option<&Node> {
    match tree {
        Node::Group { index, .. } if *index == number => Some(tree),
        Node::Sequence(items) | Node::Branch(items) => items.iter().find_map(|item| group_of(item, number)),
        Node::Repeat { body, .. }
        | Node::Group { body, .. }
        | Node::Fuzzy { body, .. }
        | Node::Atomic(body)
        | Node::Look { body, .. } => group_of(body, number),
        Node::Conditional { yes, no, .. } => group_of(yes, number).or_else(|| group_of(no, number)),
        Node::LookConditional { test, yes, no, .. } => {
            [test, yes, no].into_iter().find_map(|node| group_of(node, number))
        }
        _ => None,
    }
}
