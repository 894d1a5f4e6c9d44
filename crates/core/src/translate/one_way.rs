//! Atomic groups and possessive repetitions: of several ways, the library takes the first.

use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::ClassId;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, MANY, NOTHING};
use crate::syntax::ast::{Node, RepeatKind};
use crate::translate::translator::{Mode, Translator};

impl Translator<'_> {
    /// Whether no iteration of a body can begin where the string begins that follows the repetition: then it ends where it
    /// has to, and taking as many iterations as there are excludes no text.
    pub(super) fn ends_by_itself(&mut self, body: ExprId, following: &[ClassId]) -> Result<bool> {
        let info = *self.calculus.arena.info(body);
        if info.front != 0 || info.trackers != 0 || self.calculus.arena.is(body, flag::GROUPS) {
            return Ok(false);
        }
        let mut rest = self.calculus.arena.concat(body, ANYTHING);
        for &class in following {
            let Some(m) = self.calculus.partition.bits(class).only() else { return Ok(false) };
            rest = self.calculus.derive(rest, m)?;
            if rest == NOTHING {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn possessive(
        &mut self,
        node: &Node,
        min: u32,
        max: u32,
        mode: Mode,
        following: &[ClassId],
    ) -> Result<ExprId> {
        if !mode.behind && !mode.ordered && !following.is_empty() && iteration_length(node).is_some() {
            let body = self.node(node, mode)?;
            if self.ends_by_itself(body, following)? {
                return Ok(self.calculus.arena.repeat(body, min, max, false));
            }
        }
        // `X*+` of one class is `X*(?!X)`.
        if let Node::Char(_) | Node::Class(_) = node {
            let body = self.node(node, mode)?;
            let repeat = self.calculus.arena.repeat(body, min, max, false);
            if min == max {
                return Ok(repeat);
            }
            if mode.behind {
                // Read from its end, it takes what a repetition to its left would need.
                return Err(Error::NotRegular {
                    construct: "a possessive repetition of variable length in a lookbehind".into(),
                    position: self.looking_from,
                });
            }
            if let Expr::Class(class) = *self.calculus.arena.get(body) {
                let stop = self.calculus.arena.intern(Expr::Next { class, negated: true });
                if max == MANY {
                    return Ok(self.calculus.arena.concat(repeat, stop));
                }
                let all = self.calculus.arena.repeat(body, max, max, false);
                let fewer = self.calculus.arena.repeat(body, min, max - 1, false);
                let fewer = self.calculus.arena.concat(fewer, stop);
                return Ok(self.either(vec![all, fewer], mode));
            }
            return Ok(repeat);
        }
        let body = self.node(node, Mode { ordered: true, ..mode })?;
        let repeat = self.calculus.arena.repeat(body, min, max, false);
        self.confine(repeat, fixed_length(node).is_some() && min == max, mode)
    }

    pub(super) fn atomic(&mut self, node: &Node, mode: Mode) -> Result<ExprId> {
        if fixed_length(node).is_some() {
            // All ways end at the same place.
            return self.node(node, mode);
        }
        let following = std::mem::take(&mut self.following);
        if let Node::Repeat { node: inner, min, max, kind: RepeatKind::Greedy } = node {
            let made = self.possessive(inner, *min, max.unwrap_or(MANY), mode, &following)?;
            self.following = following;
            return Ok(made);
        }
        let body = self.node(node, Mode { ordered: true, ..mode })?;
        self.following = following;
        self.confine(body, false, mode)
    }

    pub(super) fn confine(&mut self, body: ExprId, fixed: bool, mode: Mode) -> Result<ExprId> {
        if fixed || body == NOTHING || body == EMPTY {
            return Ok(body);
        }
        if mode.behind {
            return Err(Error::NotRegular {
                construct: "an atomic group of variable length in a lookbehind".into(),
                position: self.looking_from,
            });
        }
        Ok(self.calculus.arena.intern(Expr::Atomic(Box::new([(ANYTHING, body)]))))
    }
}

/// The number of characters of every iteration of a body that has no order of ways, if it is one number and not zero.
pub(super) fn iteration_length(node: &Node) -> Option<u64> {
    match node {
        Node::Group { node, .. } => iteration_length(node),
        Node::Sequence(nodes) => {
            let mut sum = 0u64;
            for node in nodes {
                sum = sum.checked_add(match node {
                    Node::Assertion(_) | Node::Look { .. } => 0,
                    node => iteration_length(node)?,
                })?;
            }
            Some(sum).filter(|&sum| sum > 0)
        }
        Node::Alternation(nodes) => {
            let mut lengths = nodes.iter().map(iteration_length);
            let first = lengths.next()??;
            lengths.all(|length| length == Some(first)).then_some(first)
        }
        Node::Char(_) | Node::Class(_) => Some(1),
        _ => None,
    }
}

/// The number of characters that every match has, if it is one number.
pub(super) fn fixed_length(node: &Node) -> Option<u64> {
    match node {
        Node::Empty | Node::Assertion(_) | Node::Look { .. } => Some(0),
        Node::Nothing | Node::Char(_) | Node::Class(_) => Some(1),
        Node::Sequence(nodes) => nodes.iter().map(fixed_length).sum(),
        Node::Alternation(nodes) => {
            let mut lengths = nodes.iter().map(fixed_length);
            let first = lengths.next()??;
            lengths.all(|l| l == Some(first)).then_some(first)
        }
        Node::Repeat { node, min, max, .. } => {
            let body = fixed_length(node)?;
            match (body, *max) {
                (0, _) => Some(0),
                (_, Some(max)) if max == *min => body.checked_mul(u64::from(max)),
                _ => None,
            }
        }
        // What a group captured may depend on the way.
        Node::Group { .. } => None,
        Node::Atomic(node) => fixed_length(node),
        Node::Backreference { .. } => None,
        Node::Conditional { .. } | Node::LookConditional { .. } => None,
        Node::Literal(characters) => Some(characters.len() as u64),
        Node::Marked { node, .. } => fixed_length(node),
        Node::Pattern { .. }
        | Node::Part(_)
        | Node::Intersection(_)
        | Node::Complement(_)
        | Node::Rule(_)
        | Node::Call { .. }
        | Node::Fuzzy(_)
        | Node::Table(_)
        | Node::Members(_)
        | Node::Items(_)
        | Node::Special(_) => None,
    }
}
