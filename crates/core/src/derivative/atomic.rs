//! Atomic groups and possessive repetitions: of the ways through them, in the order in which the library tries them,
//! only the first that ever gets to its end counts.
//!
//! `Expr::Atomic` holds the ways that are still open, the preferred first, each with the term under which it exists (a
//! lookahead on it). A way that ends before a character goes on with what follows the group, provided that none before
//! it ever ends, `¬(way Σ*)` for each of them, and cuts off those behind it. (Such groups are regular, and can need
//! exponentially many states: Berglund et al. 2017.)

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::Minterm;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, NOTHING, START_BIT};
use rustc_hash::FxHashSet;

impl Calculus {
    /// The derivative of `(?>…)K`: of the ways through the group only the first that ever reaches its end counts.
    ///
    /// Ways are taken in order. One that is at its end before the character goes on with `K`, provided that no way
    /// before it ever gets to its end: `¬(way Σ*)` for each. It cuts off all ways behind it.
    pub(crate) fn derive_atomic(&mut self, threads: &[(ExprId, ExprId)], tail: ExprId, m: Minterm) -> Result<ExprId> {
        let (ended, ongoing) = self.race(threads, m)?;
        let mut parts = Vec::with_capacity(2);
        if ended != NOTHING {
            let rest = self.deeper(|this| this.derive(tail, m))?;
            parts.push(self.arena.inter([ended, rest]));
        }
        if !ongoing.is_empty() {
            let group = self.atomic(ongoing);
            let settled = self.settle(tail);
            parts.push(self.arena.concat(group, settled));
        }
        Ok(self.any(parts))
    }

    /// Makes an atomic group of ways; one that cannot go two ways is no group.
    fn atomic(&mut self, threads: Vec<(ExprId, ExprId)>) -> ExprId {
        match threads[..] {
            [(ANYTHING, only)] if self.arena.is(only, flag::PLAIN) && self.single_way(only) => only,
            _ => self.arena.intern(Expr::Atomic(threads.into_boxed_slice())),
        }
    }

    fn single_way(&self, sequence: ExprId) -> bool {
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Empty => return true,
                Expr::Class(_) | Expr::Str { .. } => {}
                Expr::Repeat { body, min, max, .. } if min == max && matches!(self.arena.get(body), Expr::Class(_)) => {
                }
                _ => return false,
            }
            rest = tail;
        }
    }

    /// The condition under which some way is at its end before the character and is the one that counts; and the
    /// ways that go on, with the conditions under which they count. Conditions speak of the text after the character.
    fn race(&mut self, threads: &[(ExprId, ExprId)], m: Minterm) -> Result<(ExprId, Vec<(ExprId, ExprId)>)> {
        let mut outcomes: Vec<(ExprId, Option<ExprId>)> = Vec::new();
        for &(condition, thread) in threads {
            let condition = self.deeper(|this| this.derive(condition, m))?;
            if condition != NOTHING {
                let mut seen = FxHashSet::default();
                self.deeper(|this| this.ways(thread, condition, m, &mut outcomes, &mut seen))?;
            }
        }
        let mut ended: Vec<ExprId> = Vec::new();
        let mut ongoing: Vec<(ExprId, ExprId)> = Vec::new();
        let mut known: FxHashSet<(ExprId, ExprId)> = FxHashSet::default();
        let mut cut = NOTHING;
        for (condition, way) in outcomes {
            // No way before it was at its end here …
            let not_cut = self.arena.not(cut);
            let condition = self.arena.inter([condition, not_cut]);
            if condition == NOTHING {
                continue;
            }
            let Some(way) = way else {
                // … and none that goes on will be. It cuts off those behind it even where one before it wins.
                let mut wins = vec![condition];
                for &(its, way) in &ongoing {
                    let reaches = self.arena.concat(way, ANYTHING);
                    let reaches = self.arena.inter([its, reaches]);
                    wins.push(self.arena.not(reaches));
                }
                ended.push(self.arena.inter(wins));
                if condition == ANYTHING {
                    break;
                }
                cut = self.or(cut, condition);
                continue;
            };
            if !known.contains(&(ANYTHING, way)) && known.insert((condition, way)) {
                ongoing.push((condition, way));
            }
        }
        let ended = self.any(ended);
        Ok((ended, ongoing))
    }

    /// The ways in which a sequence of an atomic group goes on, in order: `None` where it is at its end before the
    /// character, else what is left of it after the character.
    fn ways(
        &mut self,
        sequence: ExprId,
        condition: ExprId,
        m: Minterm,
        out: &mut Vec<(ExprId, Option<ExprId>)>,
        seen: &mut FxHashSet<(ExprId, ExprId)>,
    ) -> Result<()> {
        let mut at = sequence;
        let mut condition = condition;
        loop {
            self.spend(STEP)?;
            if !seen.insert((at, condition)) {
                return Ok(());
            }
            if at == EMPTY {
                out.push((condition, None));
                return Ok(());
            }
            let (head, tail) = self.arena.split(at);
            match *self.arena.get(head) {
                Expr::Empty => at = tail,
                Expr::Class(class) => {
                    if self.partition.has(class, m) {
                        let settled = self.settle(tail);
                        out.push((condition, Some(settled)));
                    }
                    return Ok(());
                }
                Expr::Str { at, len } => {
                    if self.partition.has(self.arena.pool[at as usize], m) {
                        let rest = self.arena.string(at + 1, len - 1);
                        let settled = self.settle(tail);
                        let way = self.arena.concat(rest, settled);
                        out.push((condition, Some(way)));
                    }
                    return Ok(());
                }
                Expr::Concat(..) => at = self.arena.concat(head, tail),
                Expr::Ordered(_) if head == ANYTHING => {
                    let settled = self.settle(tail);
                    let way = self.arena.concat(ANYTHING, settled);
                    out.push((condition, Some(way)));
                    at = tail;
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    for &id in ids.clone().iter() {
                        let one = self.arena.concat(id, tail);
                        self.deeper(|this| this.ways(one, condition, m, out, seen))?;
                    }
                    return Ok(());
                }
                Expr::Repeat { body, min, max, lazy } => {
                    let more = self.iterate((body, min, max, lazy), tail);
                    if min == 0 && lazy {
                        self.deeper(|this| this.ways(tail, condition, m, out, seen))?;
                        at = more;
                    } else {
                        self.deeper(|this| this.ways(more, condition, m, out, seen))?;
                        if min > 0 {
                            return Ok(());
                        }
                        at = tail;
                    }
                }
                // An optional iteration that consumed nothing ends the repetition; after a required one it goes on.
                Expr::Mark { body, min, max, lazy, dead } => {
                    at = tail;
                    if !dead {
                        let left = self.arena.repeat(body, min, max, lazy);
                        at = self.arena.concat(left, tail);
                    }
                }
                Expr::Before { set, negated } => {
                    if (self.context.before >> set & 1 == 1) == negated {
                        return Ok(());
                    }
                    at = tail;
                }
                Expr::Start { negated } => {
                    if (self.context.before & START_BIT != 0) == negated {
                        return Ok(());
                    }
                    at = tail;
                }
                Expr::Next { class, negated } => {
                    if self.partition.has(class, m) == negated {
                        return Ok(());
                    }
                    at = tail;
                }
                Expr::Ahead { .. } | Expr::Behind { .. } => {
                    let mut holds = match *self.arena.get(head) {
                        Expr::Ahead { body, .. } => self.arena.concat(body, ANYTHING),
                        Expr::Behind { tracker, .. } => self.tracker_now(tracker)?,
                        _ => NOTHING,
                    };
                    if let Expr::Ahead { negated: true, .. } | Expr::Behind { negated: true, .. } = self.arena.get(head)
                    {
                        holds = self.arena.not(holds);
                    }
                    let holds = self.deeper(|this| this.derive(holds, m))?;
                    condition = self.arena.inter([condition, holds]);
                    if condition == NOTHING {
                        return Ok(());
                    }
                    at = tail;
                }
                Expr::Open(group) => at = self.open(group, tail),
                Expr::Close { group, start } => at = self.close(group, start, tail)?,
                Expr::Backref { reference, content } => {
                    let Some(text) = self.content(reference, content) else { return Ok(()) };
                    at = self.arena.concat(text, tail);
                }
                Expr::Text { reference, content, left } => {
                    if let Some(rest) = self.read_text(reference, content, left) {
                        let settled = self.settle(tail);
                        let way = self.arena.concat(rest, settled);
                        out.push((condition, Some(way)));
                    }
                    return Ok(());
                }
                Expr::Cond { no, .. } => at = self.arena.concat(no, tail),
                Expr::Atomic(ref threads) => {
                    let threads = threads.clone();
                    let (ended, ongoing) = self.deeper(|this| this.race(&threads, m))?;
                    if !ongoing.is_empty() {
                        let group = self.atomic(ongoing);
                        let settled = self.settle(tail);
                        let way = self.arena.concat(group, settled);
                        out.push((condition, Some(way)));
                    }
                    condition = self.arena.inter([condition, ended]);
                    if condition == NOTHING {
                        return Ok(());
                    }
                    at = tail;
                }
                Expr::Literals { .. } | Expr::Nothing | Expr::Done | Expr::End | Expr::Inter(_) | Expr::Not(_) => {
                    // The end of the text is not before a character; the others do not stand in atomic groups.
                    return Ok(());
                }
                // Patterns have none of these inside.
                Expr::Rule(_)
                | Expr::Part(_)
                | Expr::Table { .. }
                | Expr::Fuzzy(_)
                | Expr::Members { .. }
                | Expr::Keys { .. }
                | Expr::Items { .. }
                | Expr::Top { .. }
                | Expr::Opaque => return Ok(()),
            }
        }
    }
}
