//! Expressions rewritten from their parts up.

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::Result;
use crate::expression::node::{EMPTY, Expr, ExprId};
use rustc_hash::FxHashMap;

/// What becomes of an item.
pub(super) enum Change {
    /// The same of its rewritten parts.
    Parts,
    /// This.
    To(ExprId),
    /// It cannot be rewritten, nor can what it stands in.
    Impossible,
}

/// A way to rewrite expressions.
pub(super) trait Rewriting {
    /// An expression without this flag stays as it is.
    const FLAG: u32;

    /// What becomes of an item with the flag.
    fn item(&mut self, calculus: &mut Calculus, item: &Expr) -> Result<Change>;

    /// What was rewritten before.
    fn done(&mut self) -> &mut FxHashMap<ExprId, ExprId>;
}

impl Calculus {
    /// The sequence `id`, rewritten; `None`: it cannot be.
    pub(super) fn rewrite<R: Rewriting>(&mut self, id: ExprId, rewriting: &mut R) -> Result<Option<ExprId>> {
        if !self.arena.is(id, R::FLAG) {
            return Ok(Some(id));
        }
        if let Some(&known) = rewriting.done().get(&id) {
            return Ok(Some(known));
        }
        self.spend(STEP)?;
        let mut heads = Vec::new();
        let mut rest = id;
        // The spine is walked, not recursed into: it may be long.
        while rest != EMPTY && self.arena.is(rest, R::FLAG) {
            let (head, tail) = self.arena.split(rest);
            let Some(head) = self.rewrite_item(head, rewriting)? else { return Ok(None) };
            heads.push(head);
            rest = tail;
        }
        let made = heads.into_iter().rev().fold(rest, |tail, head| self.joined(head, tail));
        rewriting.done().insert(id, made);
        Ok(Some(made))
    }

    fn rewrite_item<R: Rewriting>(&mut self, id: ExprId, rewriting: &mut R) -> Result<Option<ExprId>> {
        if !self.arena.is(id, R::FLAG) {
            return Ok(Some(id));
        }
        let item = self.arena.get(id).clone();
        match rewriting.item(self, &item)? {
            Change::Parts => {}
            Change::To(made) => return Ok(Some(made)),
            Change::Impossible => return Ok(None),
        }
        let mut parts = Vec::new();
        item.children(&mut parts);
        for part in &mut parts {
            let Some(made) = self.rewrite(*part, rewriting)? else { return Ok(None) };
            *part = made;
        }
        Ok(Some(match item {
            Expr::Union(_) => self.arena.union(parts, &mut self.partition),
            Expr::Ordered(_) => self.arena.ordered(parts),
            Expr::Inter(_) => self.arena.inter(parts),
            Expr::Not(_) => self.arena.not(parts[0]),
            Expr::Repeat { min, max, lazy, .. } => self.arena.repeat(parts[0], min, max, lazy),
            Expr::Mark { min, max, lazy, dead, .. } => {
                self.arena.intern(Expr::Mark { body: parts[0], min, max, lazy, dead })
            }
            Expr::Ahead { negated, .. } => self.arena.intern(Expr::Ahead { negated, body: parts[0] }),
            Expr::Cond { groups, .. } => self.arena.intern(Expr::Cond { groups, yes: parts[0], no: parts[1] }),
            Expr::Atomic(_) => {
                let threads = parts.chunks_exact(2).map(|thread| (thread[0], thread[1]));
                self.arena.intern(Expr::Atomic(threads.collect()))
            }
            _ => id,
        }))
    }
}
