//! Copies the expressions that live states need into a fresh arena, so that the dead weight of old ones is dropped.

use super::captures::Captures;
use super::derive::Calculus;
use super::expr::{Expr, ExprId, UNBOUND};
use rustc_hash::{FxHashMap, FxHashSet};

/// The fresh calculus and what has been copied.
pub struct Copier {
    fresh: Calculus,
    ids: FxHashMap<ExprId, ExprId>,
}

impl Copier {
    /// A fresh calculus with the same classes, strings and groups.
    pub fn new(old: &Calculus) -> Self {
        let captures: Captures = old.captures.blank();
        let mut fresh = Calculus::new(old.partition.clone(), captures);
        fresh.arena.pool.clone_from(&old.arena.pool);
        fresh.arena.tables.clone_from(&old.arena.tables);
        let constants = (0..=super::expr::ALL_CHARACTERS).map(|id| (id, id)).collect();
        Copier { fresh, ids: constants }
    }

    /// The copy of a buffer.
    pub fn buffer(&mut self, old: &Calculus, buffer: u32) -> u32 {
        let characters = old.captures.read(buffer, 0);
        characters.into_iter().fold(0, |buffer, c| self.fresh.captures.push(buffer, c))
    }

    /// The copy of an expression.
    pub fn expr(&mut self, old: &Calculus, id: ExprId) -> ExprId {
        // Parts have smaller ids than the whole: what is needed, in ascending order, needs no recursion.
        let mut needed = Vec::new();
        let mut seen = FxHashSet::default();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.ids.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            needed.push(id);
            match old.arena.get(id) {
                Expr::Concat(a, b) => stack.extend([*a, *b]),
                Expr::Union(ids) | Expr::Ordered(ids) | Expr::Inter(ids) => stack.extend(ids),
                Expr::Not(body) | Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { body, .. } => {
                    stack.push(*body)
                }
                Expr::Cond { yes, no, .. } => stack.extend([*yes, *no]),
                Expr::Atomic(threads) => stack.extend(threads.iter().flat_map(|t| [t.0, t.1])),
                _ => {}
            }
        }
        needed.sort_unstable();
        for id in needed {
            let copy = self.one(old, id);
            self.ids.insert(id, copy);
        }
        self.ids[&id]
    }

    fn one(&mut self, old: &Calculus, id: ExprId) -> ExprId {
        let at = |id: &ExprId| self.ids[id];
        let sorted = |ids: &[ExprId]| {
            let mut ids: Vec<ExprId> = ids.iter().map(at).collect();
            ids.sort_unstable();
            ids.into_boxed_slice()
        };
        let copy = match old.arena.get(id).clone() {
            Expr::Concat(a, b) => Expr::Concat(at(&a), at(&b)),
            Expr::Union(ids) => Expr::Union(sorted(&ids)),
            Expr::Inter(ids) => Expr::Inter(sorted(&ids)),
            Expr::Ordered(ids) => Expr::Ordered(ids.iter().map(at).collect()),
            Expr::Not(body) => Expr::Not(at(&body)),
            Expr::Repeat { body, min, max, lazy } => Expr::Repeat { body: at(&body), min, max, lazy },
            Expr::Mark { body, min, max, lazy, dead } => Expr::Mark { body: at(&body), min, max, lazy, dead },
            Expr::Ahead { negated, body } => Expr::Ahead { negated, body: at(&body) },
            Expr::Cond { groups, yes, no } => Expr::Cond { groups, yes: at(&yes), no: at(&no) },
            Expr::Atomic(threads) => Expr::Atomic(threads.iter().map(|t| (at(&t.0), at(&t.1))).collect()),
            Expr::Backref { reference, content } if content != UNBOUND => {
                let text = old.captures.text(content).to_vec();
                Expr::Backref { reference, content: self.fresh.captures.content(text) }
            }
            Expr::Text { reference, content, left } => {
                let text = old.captures.text(content).to_vec();
                Expr::Text { reference, content: self.fresh.captures.content(text), left }
            }
            other => other,
        };
        self.fresh.arena.intern(copy)
    }

    /// The fresh calculus.
    pub fn finish(self) -> Calculus {
        self.fresh
    }
}
