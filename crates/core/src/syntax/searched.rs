//! A pattern that is searched for: the texts in which it matches somewhere.

use super::ast::{Assertion, Node, Pattern, RepeatKind};
use crate::codepoints::CodePoints;
use std::sync::Arc;

/// The pattern of the texts in which `pattern` matches somewhere: `Σ* pattern Σ*`, where its anchors mean the ends of the
/// whole.
///
/// An anchor at the end of an alternative takes the place of `Σ*` there, so that most patterns need no look at what
/// surrounds them; any other stays what it is.
pub fn searched(pattern: &Pattern) -> Pattern {
    let any = Node::Repeat {
        node: Box::new(Node::Class(Arc::new(CodePoints::scalars()))),
        min: 0,
        max: None,
        kind: RepeatKind::Greedy,
    };
    let keeps_groups = asks_for_groups(&pattern.root);
    // A call means the pattern as it is written.
    Pattern { root: around(&pattern.root, &any, keeps_groups), ..pattern.clone() }
}

fn around(node: &Node, any: &Node, keeps_groups: bool) -> Node {
    match node {
        Node::Alternation(nodes) => {
            Node::Alternation(nodes.iter().map(|node| around(node, any, keeps_groups)).collect())
        }
        Node::Group { node, .. } if !keeps_groups => around(node, any, keeps_groups),
        Node::Sequence(nodes) => {
            let mut inside = &nodes[..];
            let mut ends = (false, false);
            while let [Node::Assertion(Assertion::TextStart), rest @ ..] = inside {
                (ends.0, inside) = (true, rest);
            }
            while let [rest @ .., Node::Assertion(Assertion::TextEnd)] = inside {
                (ends.1, inside) = (true, rest);
            }
            match (ends, inside) {
                ((false, false), [only]) => around(only, any, keeps_groups),
                _ => {
                    let before = (!ends.0).then(|| any.clone());
                    let after = (!ends.1).then(|| any.clone());
                    Node::Sequence(before.into_iter().chain(inside.iter().cloned()).chain(after).collect())
                }
            }
        }
        Node::Assertion(Assertion::TextStart | Assertion::TextEnd) | Node::Empty => any.clone(),
        _ => Node::Sequence(vec![any.clone(), node.clone(), any.clone()]),
    }
}

/// Whether something asks for the text of a group.
fn asks_for_groups(node: &Node) -> bool {
    match node {
        Node::Backreference { .. } | Node::Conditional { .. } => true,
        Node::Sequence(nodes) | Node::Alternation(nodes) => nodes.iter().any(asks_for_groups),
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Atomic(node) | Node::Look { node, .. } => {
            asks_for_groups(node)
        }
        Node::LookConditional { test, yes, no } => [test, yes, no].into_iter().any(|node| asks_for_groups(node)),
        _ => false,
    }
}
