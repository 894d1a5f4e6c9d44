//! Derivatives in continuation form.
//!
//! A sequence runs to the end of the text, and its derivative is taken from its head with the tail in hand:
//! `D(ab, K) = D(a, bK)`, `D(a|b, K) = D(a, K) ∪ D(b, K)`, `D((?=B), K) = D(BΣ*) ∩ D(K)`,
//! `D((?!B), K) = ¬D(BΣ*) ∩ D(K)`. So an intersection is made only of whole terms and never has a tail. (Brzozowski
//! derivatives: Owens, Reppy & Turon 2009. Lookaheads as intersections of continuations: Miyazaki & Minamide 2019.)
//!
//! What depends on the text before is answered by the state that is being left: the character before by a few bits,
//! a lookbehind by a *tracker*, the derivative of `Σ*B` over the text so far, which is asked whether it could be
//! finished now (`now`). What a group captured is put into the continuation when the group closes.
//!
//! An iteration of a repetition that consumed nothing leads back to the repetition without an end; it is worth
//! something only where it makes up for a required iteration, or sets a group, and once is enough for that.
//! `Expr::Mark` stands behind each iteration to notice it.
//!
//! The walk over one sequence is a worklist, not a recursion: neither long nor much-branching sequences use the stack.
//! Recursion goes only into lookarounds and atomic groups, whose nesting the pattern bounds.

use crate::derivative::calculus::{Calculus, STEP, UNKNOWN};
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::{Minterm, folded};
use crate::expression::node::{ANYTHING, Expr, ExprId, MANY, NOTHING, START_BIT};
use rustc_hash::FxHashSet;

/// Deeper than this, what could be derived part by part goes over the worklist.
const SHALLOW: u32 = 48;

impl Calculus {
    /// A tail that is about to be kept after a character was read: its marks become what is left to iterate.
    pub(crate) fn settle(&mut self, tail: ExprId) -> ExprId {
        if !self.arena.is(tail, flag::MARKED) {
            return tail;
        }
        let mut heads = Vec::new();
        let mut rest = tail;
        while self.arena.is(rest, flag::MARKED) {
            let (head, next) = self.arena.split(rest);
            heads.push(match *self.arena.get(head) {
                Expr::Mark { body, min, max, lazy, .. } => self.arena.repeat(body, min, max, lazy),
                _ => head,
            });
            rest = next;
        }
        heads.into_iter().rev().fold(rest, |tail, head| self.arena.concat(head, tail))
    }

    /// One iteration of a repetition and what stands behind it.
    pub(crate) fn iterate(&mut self, repeat: (ExprId, u32, u32, bool), tail: ExprId) -> ExprId {
        let (body, min, max, lazy) = repeat;
        let left = (min.saturating_sub(1), if max == MANY { MANY } else { max - 1 });
        let behind = if !self.arena.is(body, flag::MAY_SKIP) {
            self.arena.repeat(body, left.0, left.1, lazy)
        } else {
            // An empty iteration is of use only where it stands for a required one or sets a group.
            self.arena.intern(Expr::Mark { body, min: left.0, max: left.1, lazy, dead: min == 0 })
        };
        let rest = self.arena.concat(behind, tail);
        self.arena.concat(body, rest)
    }

    /// A last iteration, after one that consumed nothing.
    fn iterate_again(&mut self, (body, max, lazy): (ExprId, u32, bool), tail: ExprId) -> ExprId {
        if max == 0 {
            return NOTHING;
        }
        let max = if max == MANY { MANY } else { max - 1 };
        let mark = self.arena.intern(Expr::Mark { body, min: 0, max, lazy, dead: true });
        let rest = self.arena.concat(mark, tail);
        self.arena.concat(body, rest)
    }

    /// The derivative of a term by a minterm, in the present context.
    pub fn derive(&mut self, term: ExprId, m: Minterm) -> Result<ExprId> {
        if !self.arena.may_begin(term, folded(m)) {
            return Ok(NOTHING);
        }
        match *self.arena.get(term) {
            Expr::Nothing | Expr::Empty | Expr::Done => Ok(NOTHING),
            Expr::Union(ref parts) => {
                let count = parts.len();
                self.spend(count as u64)?;
                let mut derived = Vec::with_capacity(count.min(64));
                for index in 0..count {
                    // Deriving makes nodes, so that no reference to this one is held meanwhile.
                    let Expr::Union(ref parts) = *self.arena.get(term) else { break };
                    let part = parts[index];
                    if !self.arena.may_begin(part, folded(m)) {
                        continue;
                    }
                    let one = self.derive_part(part, m)?;
                    if one == ANYTHING {
                        return Ok(ANYTHING);
                    }
                    if one != NOTHING {
                        derived.push(one);
                    }
                }
                Ok(self.any(derived))
            }
            Expr::Inter(ref parts) => {
                let parts = parts.clone();
                let mut derived = Vec::with_capacity(parts.len());
                for &part in &parts {
                    let one = self.derive_part(part, m)?;
                    if one == NOTHING {
                        return Ok(NOTHING);
                    }
                    derived.push(one);
                }
                Ok(self.arena.inter(derived))
            }
            Expr::Not(inner) => {
                let inner = self.derive_part(inner, m)?;
                Ok(self.arena.not(inner))
            }
            Expr::Part(number) => self.derive_part_of_its_own(number, m),
            _ if term == ANYTHING => Ok(ANYTHING),
            _ => self.derive_sequence(term, m),
        }
    }

    /// A part of a union or an intersection, or what stands behind what can be skipped: remembered, since it is met again.
    fn derive_part(&mut self, part: ExprId, m: Minterm) -> Result<ExprId> {
        let info = self.arena.info(part);
        let free = info.front == 0
            && info.trackers == 0
            && info.flags & (flag::FRONT_CAPTURE | flag::FRONT_TEXT | flag::CAPTURING) == 0;
        if !free {
            return self.deeper(|this| this.derive(part, m));
        }
        let place = self.memo.place(part, m, self.partition.len());
        let known = self.memo.derived[place];
        if known != UNKNOWN {
            return Ok(known);
        }
        let derived = self.deeper(|this| this.derive(part, m))?;
        self.memo.derived[place] = derived;
        Ok(derived)
    }

    /// The derivative of a sequence whose head is plain: without lists of what is to be done, and with what is known of
    /// head and tail from other sequences. `None`: it has to be done with lists.
    ///
    /// PERF: the digits of `[0-9]{1,9}( AND …)*( ORDER BY …)?` are nine states before one tail, and what is behind them
    /// need be looked at once; a cold step there takes 3 µs in place of 6.
    fn derive_simple(&mut self, sequence: ExprId, m: Minterm) -> Result<Option<ExprId>> {
        let (head, tail) = self.arena.split(sequence);
        let bit = folded(m);
        let shallow = self.depth < SHALLOW;
        let mut skips = false;
        let derived = match *self.arena.get(head) {
            Expr::Class(class) if self.partition.has(class, m) => self.settle(tail),
            Expr::Class(_) => NOTHING,
            Expr::Str { at, len } if self.partition.has(self.arena.pool[at as usize], m) => {
                let rest = self.arena.string(at + 1, len - 1);
                self.before_settled(rest, tail)
            }
            Expr::Str { .. } => NOTHING,
            Expr::Literals { table, lo, hi, depth } if shallow || !self.arena.is(head, flag::SKIPS) => {
                skips = self.arena.is(head, flag::SKIPS);
                let (from, to) = self.arena.descend(&self.partition, (table, lo, hi, depth), m);
                let rest = self.arena.literals(table, from, to, depth + 1);
                self.before_settled(rest, tail)
            }
            Expr::Repeat { body, min, max, lazy: false } if shallow => {
                self.spend(STEP)?;
                skips = min == 0;
                let left = (min.saturating_sub(1), if max == MANY { MANY } else { max - 1 });
                match *self.arena.get(body) {
                    Expr::Class(class) if self.partition.has(class, m) => {
                        let left = self.arena.repeat(body, left.0, left.1, false);
                        self.before_settled(left, tail)
                    }
                    Expr::Class(_) => NOTHING,
                    _ if self.arena.is(body, flag::MAY_SKIP) || !self.arena.is(body, flag::PLAIN) => return Ok(None),
                    _ => match self.derive_part(body, m)? {
                        NOTHING => NOTHING,
                        one => {
                            let left = self.arena.repeat(body, left.0, left.1, false);
                            let behind = self.before_settled(left, tail);
                            self.distribute(one, behind)?
                        }
                    },
                }
            }
            Expr::Table { table, state } if shallow || !self.arena.is(head, flag::SKIPS) => {
                skips = self.arena.is(head, flag::SKIPS);
                let rest = self.arena.after_in_table(table, state, m);
                self.before_settled(rest, tail)
            }
            Expr::Rule(_) | Expr::Members { .. } | Expr::Items { .. } | Expr::Top { .. }
                if shallow && self.arena.is(head, flag::PLAIN) =>
            {
                self.spend(STEP)?;
                skips = self.arena.is(head, flag::SKIPS);
                let body = self.unfold(head)?;
                self.derive_before(body, m, tail)?
            }
            Expr::Keys { .. } => {
                self.spend(STEP)?;
                let rest = self.derive_keys(head, m)?;
                let tail = self.settle(tail);
                self.distribute(rest, tail)?
            }
            Expr::Part(_) if shallow && self.arena.is(head, flag::PLAIN) => {
                self.spend(STEP)?;
                skips = self.arena.is(head, flag::SKIPS);
                self.derive_before(head, m, tail)?
            }
            Expr::Union(_) if shallow && self.arena.is(head, flag::PLAIN) && !self.arena.is(head, flag::MAY_SKIP) => {
                self.spend(STEP)?;
                match self.derive_part(head, m)? {
                    NOTHING => NOTHING,
                    one => {
                        let behind = self.settle(tail);
                        self.distribute(one, behind)?
                    }
                }
            }
            _ => return Ok(None),
        };
        if !skips || !self.arena.may_begin(tail, bit) {
            return Ok(Some(derived));
        }
        let behind = self.derive_part(tail, m)?;
        Ok(Some(if derived == NOTHING { behind } else { self.or(derived, behind) }))
    }

    /// What is left of a head, and its tail, once a character was read.
    fn before_settled(&mut self, rest: ExprId, tail: ExprId) -> ExprId {
        if rest == NOTHING {
            return NOTHING;
        }
        let tail = self.settle(tail);
        self.arena.concat(rest, tail)
    }

    /// The derivative of something plain in front of a tail, that of the tail itself left out.
    fn derive_before(&mut self, head: ExprId, m: Minterm, tail: ExprId) -> Result<ExprId> {
        match self.derive_part(head, m)? {
            NOTHING => Ok(NOTHING),
            one => {
                let behind = self.settle(tail);
                self.distribute(one, behind)
            }
        }
    }

    /// What is left of a head in front of what follows; each alternative is a sequence of its own.
    fn distribute(&mut self, rest: ExprId, behind: ExprId) -> Result<ExprId> {
        let Expr::Union(ref parts) = *self.arena.get(rest) else { return Ok(self.arena.concat(rest, behind)) };
        let mut parts = parts.to_vec();
        // A sequence is made of each: rules that may all be empty have exponentially many tails.
        self.spend(8 * parts.len() as u64)?;
        for part in &mut parts {
            *part = self.arena.concat(*part, behind);
        }
        Ok(self.any(parts))
    }

    fn derive_sequence(&mut self, sequence: ExprId, m: Minterm) -> Result<ExprId> {
        self.spend(1)?;
        if let Some(derived) = self.derive_simple(sequence, m)? {
            return Ok(derived);
        }
        let bit = folded(m);
        let mut parts: Vec<ExprId> = Vec::new();
        let mut stack: Vec<ExprId> = Vec::new();
        let mut seen: FxHashSet<ExprId> = FxHashSet::default();
        let mut branched = false;
        let mut next = Some(sequence);
        while let Some(at) = next.take().or_else(|| stack.pop()) {
            self.spend(STEP)?;
            if !self.arena.may_begin(at, bit) || (branched && !seen.insert(at)) {
                continue;
            }
            let (head, tail) = self.arena.split(at);
            match *self.arena.get(head) {
                Expr::Nothing | Expr::Empty | Expr::Done | Expr::End => {}
                Expr::Class(class) => {
                    if self.partition.has(class, m) {
                        parts.push(self.settle(tail));
                    }
                }
                Expr::Str { at, len } => {
                    if self.partition.has(self.arena.pool[at as usize], m) {
                        let rest = self.arena.string(at + 1, len - 1);
                        let tail = self.settle(tail);
                        parts.push(self.arena.concat(rest, tail));
                    }
                }
                Expr::Literals { table, lo, hi, depth } => {
                    let skips = self.arena.is(head, flag::SKIPS);
                    let (from, to) = self.arena.descend(&self.partition, (table, lo, hi, depth), m);
                    let rest = self.arena.literals(table, from, to, depth + 1);
                    if rest != NOTHING {
                        let settled = self.settle(tail);
                        parts.push(self.arena.concat(rest, settled));
                    }
                    if skips {
                        next = Some(tail);
                    }
                }
                Expr::Concat(..) => stack.push(self.arena.concat(head, tail)),
                Expr::Ordered(_) if head == ANYTHING => {
                    let settled = self.settle(tail);
                    parts.push(self.arena.concat(ANYTHING, settled));
                    next = Some(tail);
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    let ids = ids.clone();
                    self.spend(ids.len() as u64)?;
                    for &id in ids.iter().rev() {
                        // PERF: most alternatives of a large union begin with another character. Without this, steps of
                        // 200 words between `\b`s take 1.5 times as long.
                        let (first, rest) = self.arena.split(id);
                        if let Expr::Class(class) = *self.arena.get(first) {
                            if self.partition.has(class, m) {
                                let tail = self.settle(tail);
                                parts.push(self.arena.concat(rest, tail));
                            }
                            continue;
                        }
                        branched = true;
                        stack.push(self.arena.concat(id, tail));
                    }
                }
                Expr::Repeat { body, min, max, lazy } => {
                    if let Expr::Class(class) = *self.arena.get(body) {
                        if self.partition.has(class, m) {
                            let most = if max == MANY { MANY } else { max - 1 };
                            let left = self.arena.repeat(body, min.saturating_sub(1), most, lazy);
                            let settled = self.settle(tail);
                            parts.push(self.arena.concat(left, settled));
                        }
                    } else {
                        branched = true;
                        stack.push(self.iterate((body, min, max, lazy), tail));
                    }
                    if min == 0 {
                        next = Some(tail);
                    }
                }
                Expr::Mark { body, min, max, lazy, dead } => match (dead, self.arena.is(body, flag::GROUPS)) {
                    (true, false) => {}
                    // The group that it set is all that it is good for.
                    (true, true) => next = Some(tail),
                    (false, true) => {
                        let left = self.arena.repeat(body, min, max, lazy);
                        next = Some(self.arena.concat(left, tail));
                    }
                    (false, false) => {
                        branched = true;
                        stack.push(self.iterate_again((body, max, lazy), tail));
                        next = Some(tail);
                    }
                },
                Expr::Before { set, negated } => {
                    if (self.context.before >> set & 1 == 1) != negated {
                        next = Some(tail);
                    }
                }
                Expr::Start { negated } => {
                    if (self.context.before & START_BIT != 0) != negated {
                        next = Some(tail);
                    }
                }
                Expr::Next { class, negated } => {
                    if self.partition.has(class, m) != negated {
                        next = Some(tail);
                    }
                }
                Expr::Ahead { negated, body } => {
                    let seen_ahead = self.arena.concat(body, ANYTHING);
                    let mut condition = self.deeper(|this| this.derive(seen_ahead, m))?;
                    if negated {
                        condition = self.arena.not(condition);
                    }
                    self.under(condition, tail, m, &mut parts, &mut next)?;
                }
                Expr::Behind { negated, tracker } => {
                    let mut holds = self.tracker_now(tracker)?;
                    if negated {
                        holds = self.arena.not(holds);
                    }
                    let condition = self.deeper(|this| this.derive(holds, m))?;
                    self.under(condition, tail, m, &mut parts, &mut next)?;
                }
                Expr::Open(group) => next = Some(self.open(group, tail)),
                Expr::Close { group, start } => {
                    next = Some(self.close(group, start, tail)?);
                }
                Expr::Backref { reference, content } => {
                    if let Some(text) = self.content(reference, content) {
                        next = Some(self.arena.concat(text, tail));
                    }
                }
                Expr::Text { reference, content, left } => {
                    if let Some(rest) = self.read_text(reference, content, left) {
                        let settled = self.settle(tail);
                        parts.push(self.arena.concat(rest, settled));
                    }
                }
                Expr::Cond { no, .. } => next = Some(self.arena.concat(no, tail)),
                Expr::Atomic(ref threads) => {
                    let threads = threads.clone();
                    let derived = self.deeper(|this| this.derive_atomic(&threads, tail, m))?;
                    parts.push(derived);
                }
                Expr::Keys { .. } => {
                    let rest = self.derive_keys(head, m)?;
                    let tail = self.settle(tail);
                    parts.push(self.distribute(rest, tail)?);
                }
                Expr::Opaque => return Err(Error::Opaque),
                Expr::Rule(_) | Expr::Members { .. } | Expr::Items { .. } | Expr::Top { .. } => {
                    let body = self.unfold(head)?;
                    if self.depth < SHALLOW && self.arena.is(head, flag::PLAIN) {
                        parts.push(self.derive_before(body, m, tail)?);
                        if self.arena.is(head, flag::SKIPS) {
                            next = Some(tail);
                        }
                    } else {
                        branched = true;
                        stack.push(self.arena.concat(body, tail));
                    }
                }
                Expr::Fuzzy(state) => {
                    let (rest, passes) = self.derive_fuzzy(state, m)?;
                    parts.push(self.before_settled(rest, tail));
                    if passes {
                        next = Some(tail);
                    }
                }
                Expr::Table { table, state } => {
                    let rest = self.arena.after_in_table(table, state, m);
                    parts.push(self.before_settled(rest, tail));
                    if self.arena.is(head, flag::SKIPS) {
                        next = Some(tail);
                    }
                }
                Expr::Part(number) => {
                    parts.push(self.derive_before(head, m, tail)?);
                    if self.part_may_end(number)? {
                        next = Some(tail);
                    }
                }
                // Only as a whole term: what is behind a condition is never in a sequence with it.
                Expr::Inter(_) | Expr::Not(_) => {
                    let derived = self.deeper(|this| this.derive(head, m))?;
                    parts.push(derived);
                }
            }
        }
        Ok(self.any(parts))
    }

    /// Goes on with `tail` under a condition on the text after the character.
    fn under(
        &mut self,
        condition: ExprId,
        tail: ExprId,
        m: Minterm,
        parts: &mut Vec<ExprId>,
        next: &mut Option<ExprId>,
    ) -> Result<()> {
        match condition {
            NOTHING => {}
            ANYTHING => *next = Some(tail),
            _ => {
                let rest = self.deeper(|this| this.derive(tail, m))?;
                parts.push(self.arena.inter([condition, rest]));
            }
        }
        Ok(())
    }
}
