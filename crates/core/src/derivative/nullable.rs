//! What a term says of the text's end, and a lookbehind's tracker of the present position.

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, NOTHING, START_BIT};
use rustc_hash::FxHashSet;

impl Calculus {
    /// Whether a term matches the empty text that is left at the end.
    pub fn accepts(&mut self, term: ExprId) -> Result<bool> {
        if self.arena.is(term, flag::SKIPS) {
            return Ok(true);
        }
        if self.arena.info(term).min_len > 0 || !self.arena.is(term, flag::MAY_SKIP) {
            return Ok(false);
        }
        self.spend(STEP)?;
        match *self.arena.get(term) {
            Expr::Inter(ref parts) => {
                for part in parts.clone() {
                    if !self.deeper(|this| this.accepts(part))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expr::Not(inner) => Ok(!self.deeper(|this| this.accepts(inner))?),
            _ => self.accepts_sequence(term),
        }
    }

    fn accepts_sequence(&mut self, sequence: ExprId) -> Result<bool> {
        let mut stack = vec![sequence];
        let mut seen: FxHashSet<ExprId> = FxHashSet::default();
        while let Some(at) = stack.pop() {
            self.spend(STEP)?;
            if at == EMPTY || self.arena.is(at, flag::SKIPS) && !self.arena.is(at, flag::GROUPS) {
                return Ok(true);
            }
            if !seen.insert(at) {
                continue;
            }
            let (head, tail) = self.arena.split(at);
            let goes_on = match *self.arena.get(head) {
                Expr::Nothing | Expr::Done | Expr::Class(_) | Expr::Str { .. } | Expr::Text { .. } => false,
                Expr::Empty | Expr::End => true,
                Expr::Literals { .. } | Expr::Table { .. } => self.arena.is(head, flag::SKIPS),
                Expr::Ordered(_) if head == ANYTHING => true,
                Expr::Concat(..) => {
                    stack.push(self.arena.concat(head, tail));
                    false
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    for &id in ids.clone().iter() {
                        if self.arena.is(id, flag::MAY_SKIP) {
                            stack.push(self.arena.concat(id, tail));
                        }
                    }
                    false
                }
                Expr::Repeat { body, min, max, lazy } => {
                    if self.arena.is(body, flag::MAY_SKIP) && (min > 0 || self.arena.is(body, flag::GROUPS)) {
                        stack.push(self.iterate((body, min, max, lazy), tail));
                    }
                    min == 0
                }
                Expr::Mark { body, min, max, lazy, .. } if min > 0 && self.arena.is(body, flag::GROUPS) => {
                    let left = self.arena.repeat(body, min, max, lazy);
                    stack.push(self.arena.concat(left, tail));
                    false
                }
                Expr::Mark { .. } => true,
                Expr::Before { set, negated } => (self.context.before >> set & 1 == 1) != negated,
                Expr::Start { negated } => (self.context.before & START_BIT != 0) != negated,
                Expr::Next { negated, .. } => negated,
                Expr::Ahead { negated, body } => self.deeper(|this| this.accepts(body))? != negated,
                Expr::Behind { negated, tracker } => {
                    let holds = self.tracker_now(tracker)?;
                    self.deeper(|this| this.accepts(holds))? != negated
                }
                Expr::Open(group) => {
                    stack.push(self.open(group, tail));
                    false
                }
                Expr::Close { group, start } => {
                    let closed = self.close(group, start, tail)?;
                    stack.push(closed);
                    false
                }
                Expr::Backref { reference, content } => {
                    if let Some(text) = self.content(reference, content) {
                        stack.push(self.arena.concat(text, tail));
                    }
                    false
                }
                Expr::Cond { no, .. } => {
                    stack.push(self.arena.concat(no, tail));
                    false
                }
                Expr::Atomic(ref threads) => {
                    let mut found = false;
                    for (condition, thread) in threads.clone() {
                        found = found || self.deeper(|this| Ok(this.accepts(condition)? && this.accepts(thread)?))?;
                    }
                    found
                }
                Expr::Opaque => return Err(Error::Opaque),
                Expr::Keys { .. } => false,
                Expr::Rule(_) | Expr::Members { .. } | Expr::Items { .. } | Expr::Top { .. } => {
                    let body = self.unfold(head)?;
                    stack.push(self.arena.concat(body, tail));
                    false
                }
                Expr::Fuzzy(state) => self.arena.fuzzy.states[state as usize].ends,
                Expr::Part(number) => self.part_may_end(number)?,
                Expr::Inter(_) | Expr::Not(_) => self.deeper(|this| this.accepts(head))?,
            };
            if goes_on {
                stack.push(tail);
            }
        }
        Ok(false)
    }

    pub(crate) fn tracker_now(&mut self, tracker: u8) -> Result<ExprId> {
        let tracker = self.context.trackers[usize::from(tracker)];
        self.deeper(|this| this.now(tracker))
    }

    /// What the remaining text has to satisfy for a tracker's term to be finished at this position.
    fn now(&mut self, term: ExprId) -> Result<ExprId> {
        if !self.arena.is(term, flag::ENDS_NOW) {
            // What a lookahead inside the lookbehind left: it already speaks of the remaining text.
            return Ok(term);
        }
        self.spend(STEP)?;
        match *self.arena.get(term) {
            Expr::Union(ref parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts.clone() {
                    // A part without an end mark cannot stand beside parts with one.
                    all.push(self.deeper(|this| this.now(part))?);
                }
                Ok(self.any(all))
            }
            Expr::Inter(ref parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for part in parts.clone() {
                    all.push(self.deeper(|this| this.now(part))?);
                }
                Ok(self.arena.inter(all))
            }
            Expr::Not(inner) => {
                let inner = self.deeper(|this| this.now(inner))?;
                Ok(self.arena.not(inner))
            }
            _ => self.now_sequence(term),
        }
    }

    fn now_sequence(&mut self, sequence: ExprId) -> Result<ExprId> {
        let mut parts: Vec<ExprId> = Vec::new();
        let mut stack = vec![sequence];
        let mut seen: FxHashSet<ExprId> = FxHashSet::default();
        while let Some(at) = stack.pop() {
            self.spend(STEP)?;
            if !seen.insert(at) {
                continue;
            }
            let (head, tail) = self.arena.split(at);
            let condition = match *self.arena.get(head) {
                Expr::Done => return Ok(ANYTHING),
                Expr::Nothing | Expr::Class(_) | Expr::Str { .. } => NOTHING,
                Expr::Empty | Expr::Mark { .. } => ANYTHING,
                Expr::Ordered(_) if head == ANYTHING => ANYTHING,
                Expr::Literals { .. } | Expr::Table { .. } => truth(self.arena.is(head, flag::SKIPS)),
                Expr::Concat(..) => {
                    stack.push(self.arena.concat(head, tail));
                    NOTHING
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    for &id in ids.clone().iter() {
                        if self.arena.is(id, flag::MAY_SKIP) {
                            stack.push(self.arena.concat(id, tail));
                        }
                    }
                    NOTHING
                }
                Expr::Repeat { body, min, max, lazy } => {
                    if self.arena.is(body, flag::MAY_SKIP) && min > 0 {
                        stack.push(self.iterate((body, min, max, lazy), tail));
                    }
                    if min == 0 { ANYTHING } else { NOTHING }
                }
                Expr::Before { set, negated } => truth((self.context.before >> set & 1 == 1) != negated),
                Expr::Start { negated } => truth((self.context.before & START_BIT != 0) != negated),
                Expr::End => EMPTY,
                Expr::Next { class, negated } => {
                    let next = self.arena.class(class);
                    let next = self.arena.concat(next, ANYTHING);
                    if negated { self.arena.not(next) } else { next }
                }
                Expr::Ahead { negated, body } => {
                    let next = self.arena.concat(body, ANYTHING);
                    if negated { self.arena.not(next) } else { next }
                }
                Expr::Behind { negated, tracker } => {
                    let holds = self.tracker_now(tracker)?;
                    if negated { self.arena.not(holds) } else { holds }
                }
                Expr::Opaque => return Err(Error::Opaque),
                Expr::Keys { .. } => NOTHING,
                Expr::Rule(_) | Expr::Members { .. } | Expr::Items { .. } | Expr::Top { .. } => {
                    let body = self.unfold(head)?;
                    stack.push(self.arena.concat(body, tail));
                    NOTHING
                }
                Expr::Part(number) => truth(self.part_may_end(number)?),
                // `translate` keeps these out of lookbehinds.
                Expr::Open(_)
                | Expr::Close { .. }
                | Expr::Backref { .. }
                | Expr::Text { .. }
                | Expr::Cond { .. }
                | Expr::Atomic(_)
                | Expr::Fuzzy(_)
                | Expr::Inter(_)
                | Expr::Not(_) => NOTHING,
            };
            match condition {
                NOTHING => {}
                ANYTHING => stack.push(tail),
                _ => {
                    let rest = self.deeper(|this| this.now(tail))?;
                    parts.push(self.arena.inter([condition, rest]));
                }
            }
        }
        Ok(self.any(parts))
    }
}

fn truth(holds: bool) -> ExprId {
    if holds { ANYTHING } else { NOTHING }
}
