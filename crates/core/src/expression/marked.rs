//! The parts of a tree whose borders are asked for, apart from the rest of it.
//!
//! States must not know of marks, or they would not meet: so a tree with marks is translated a second time, for texts that
//! are already written. What holds no mark is one expression each; what does keeps its structure and the order of its
//! alternatives.

use crate::expression::node::{ExprId, MANY};
use crate::syntax::ast::Node;

/// A node of the structure, by its place in [`Marked::pieces`].
pub type PieceId = u32;

/// A node of the structure that holds marks.
#[derive(Debug, Clone)]
pub enum Piece {
    /// No mark inside: a language of its own.
    Language(ExprId),
    /// One after the other.
    Sequence(Vec<PieceId>),
    /// The first of these that leads to a match.
    Union(Vec<PieceId>),
    /// As often as possible.
    Repeat {
        /// What is repeated.
        body: PieceId,
        /// At least so often.
        min: u32,
        /// At most so often.
        max: u32,
    },
    /// Its borders are asked for.
    Mark {
        /// The number of the mark.
        number: u32,
        /// What is marked.
        body: PieceId,
    },
    /// What a rule stands for.
    Rule(u32),
}

/// The structure of a tree with marks.
#[derive(Debug, Clone, Default)]
pub struct Marked {
    /// All nodes.
    pub pieces: Vec<Piece>,
    /// By rule: what it stands for, if it holds marks.
    pub rules: Vec<Option<PieceId>>,
    /// The whole.
    pub root: PieceId,
}

/// Which rules hold marks.
pub fn marked_rules(rules: &[Node]) -> Vec<bool> {
    let mut marked = vec![false; rules.len()];
    loop {
        let mut changed = false;
        for (number, rule) in rules.iter().enumerate() {
            if !marked[number] && holds_marks(rule, &marked) {
                marked[number] = true;
                changed = true;
            }
        }
        if !changed {
            return marked;
        }
    }
}

/// Whether a node has a mark in its structure. Inside boolean terms, patterns and collections none is kept.
pub fn holds_marks(node: &Node, rules: &[bool]) -> bool {
    match node {
        Node::Marked { .. } => true,
        Node::Rule(rule) => rules[*rule as usize],
        Node::Sequence(nodes) | Node::Alternation(nodes) => nodes.iter().any(|node| holds_marks(node, rules)),
        Node::Repeat { node, .. } | Node::Part(node) => holds_marks(node, rules),
        _ => false,
    }
}

impl Marked {
    /// Adds a node; `language` makes an expression of what holds no mark.
    pub fn add<E>(
        &mut self,
        node: &Node,
        rules: &[bool],
        language: &mut impl FnMut(&Node) -> Result<ExprId, E>,
    ) -> Result<PieceId, E> {
        let piece = if holds_marks(node, rules) {
            match node {
                Node::Sequence(nodes) => Piece::Sequence(self.all(nodes, rules, language)?),
                Node::Alternation(nodes) => Piece::Union(self.all(nodes, rules, language)?),
                Node::Repeat { node, min, max, .. } => {
                    let body = self.add(node, rules, language)?;
                    Piece::Repeat { body, min: *min, max: max.unwrap_or(MANY) }
                }
                Node::Part(node) => return self.add(node, rules, language),
                Node::Marked { number, node } => {
                    Piece::Mark { number: *number, body: self.add(node, rules, language)? }
                }
                Node::Rule(rule) => Piece::Rule(*rule),
                _ => Piece::Language(language(node)?),
            }
        } else {
            Piece::Language(language(node)?)
        };
        self.pieces.push(piece);
        Ok(self.pieces.len() as PieceId - 1)
    }

    fn all<E>(
        &mut self,
        nodes: &[Node],
        rules: &[bool],
        language: &mut impl FnMut(&Node) -> Result<ExprId, E>,
    ) -> Result<Vec<PieceId>, E> {
        nodes.iter().map(|node| self.add(node, rules, language)).collect()
    }
}
