//! What a tree tells apart.

use crate::codepoints::CodePoints;
use crate::syntax::ast::{Assertion, Node, Pattern};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The sets of characters that a tree tells apart, and whether it compares captured texts.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) sets: Vec<Arc<CodePoints>>,
    seen_sets: FxHashSet<*const CodePoints>,
    pub(super) characters: FxHashSet<u32>,
    pub(super) specials: BTreeSet<u32>,
    pub(super) backreferences: bool,
    /// The patterns that call groups, and the numbers of their strings.
    pub(super) calling: Vec<(Arc<Pattern>, Option<usize>)>,
    seen_patterns: FxHashSet<*const Pattern>,
}

impl Letters {
    fn set(&mut self, set: &Arc<CodePoints>) {
        if self.seen_sets.insert(Arc::as_ptr(set)) {
            self.sets.push(set.clone());
        }
    }

    pub(super) fn visit(&mut self, node: &Node) {
        match node {
            Node::Empty | Node::Nothing | Node::Rule(_) | Node::Call { .. } => {}
            Node::Char(c) => {
                self.characters.insert(u32::from(*c));
            }
            Node::Literal(characters) => self.characters.extend(characters.iter().map(|&c| u32::from(c))),
            Node::Class(set) => self.set(set),
            Node::Fuzzy(fuzzy) => {
                self.visit(&fuzzy.node);
                fuzzy.characters.iter().for_each(|set| self.set(set));
            }
            Node::Special(ids) => self.specials.extend(ids.iter()),
            Node::Table(table) => table.classes.iter().for_each(|class| self.set(class)),
            Node::Members(members) => {
                [&members.first, &members.between, &members.close].into_iter().for_each(|node| self.visit(node));
                for member in &members.keys {
                    self.characters.extend(member.key.iter().flat_map(|key| key.iter()).map(|&c| u32::from(c)));
                    self.visit(&member.follow);
                }
                for (key, follow) in &members.others {
                    self.visit(key);
                    self.visit(follow);
                }
            }
            Node::Items(items) => {
                [&items.first, &items.between, &items.close].into_iter().for_each(|node| self.visit(node));
                items.groups.iter().flatten().for_each(|way| self.visit(&way.1));
            }
            Node::Sequence(nodes) | Node::Alternation(nodes) | Node::Intersection(nodes) => {
                nodes.iter().for_each(|node| self.visit(node));
            }
            Node::Repeat { node, .. }
            | Node::Group { node, .. }
            | Node::Atomic(node)
            | Node::Look { node, .. }
            | Node::Part(node)
            | Node::Complement(node)
            | Node::Marked { node, .. } => self.visit(node),
            Node::Pattern { pattern, string } => {
                self.visit(&pattern.root);
                if !pattern.called.is_empty() && self.seen_patterns.insert(Arc::as_ptr(pattern)) {
                    pattern.called.iter().for_each(|called| self.visit(&called.node));
                    self.calling.push((pattern.clone(), *string));
                }
            }
            Node::Assertion(assertion) => match assertion {
                Assertion::TextEndOrFinal(set) | Assertion::LineStart(set) | Assertion::LineEnd(set) => self.set(set),
                Assertion::Word { word, .. } => self.set(word),
                Assertion::TextStart | Assertion::TextEnd | Assertion::SearchStart => {}
            },
            Node::Backreference { .. } => self.backreferences = true,
            Node::Conditional { yes, no, .. } => [yes, no].into_iter().for_each(|node| self.visit(node)),
            Node::LookConditional { test, yes, no } => {
                [test, yes, no].into_iter().for_each(|node| self.visit(node));
            }
        }
    }
}
