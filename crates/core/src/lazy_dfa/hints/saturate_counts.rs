//! States that short texts cannot tell apart.
//!
//! A text of at most `c` characters completes at most `q - 1 = c / l` iterations of a repetition whose body is at least
//! `l ≥ 1` characters long, and touches at most `q`. The same is so for `q - 1` runs of a character with which alone the
//! body begins, and which is never its second: an iteration begins with the last of a run. So `x{m,n}` may be replaced by
//! `x{min(m,q),n}`, and, where `n ≥ q`, by `x{min(m,q),∞}`: no text of at most `c` characters, as a whole or as the
//! beginning of another, sees the difference. (An iteration that consumes nothing is never needed: a body that can be empty
//! has `m = 0` by normal form.) Having the same short words and the same short beginnings is kept by sequences, unions and
//! repetitions of what is never empty, so that it may be done in all parts of a `PLAIN` term at once. And since every
//! replacement has all the texts of what it replaces, so has the whole.
//!
//! A term with conditions has no such proof: whether a text is alive may depend on what comes long after it. But less can only
//! match less: of the same term with fewer repetitions allowed and with more, the one has a part of its texts and the other
//! all of them, and both are shared by all counts that are large enough (`Side`; under a complement, the sides change). What
//! their masks agree on is decided, and little else is left.
//!
//! In `"[^"]{0,120}"` and in `(, x{8}){0,9}` nearly all states so share one mask; and since few tokens have a space behind
//! anything else, in `\w{1,64}( \w{1,64}){0,9}`, too.

use crate::automaton::StateId;
use crate::derivative::derive::STEP;
use crate::error::Result;
use crate::expression::arena::{Expr, ExprId, MANY};
use crate::expression::facts::flag;
use crate::expression::minterms::{BEYOND, Minterm};
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use crate::mask::hints::{Representatives, TokenBounds};
use rustc_hash::FxHashMap;

/// Whether a term is to become one of fewer texts, or of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Fewer,
    More,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::Fewer => Side::More,
            Side::More => Side::Fewer,
        }
    }
}

/// So many iterations more than a short text touches are left in a term of fewer texts, enough to end what it has begun: as
/// many as there are tokens' characters where there are as many, else a few.
const TO_END: [u32; 2] = [142, 14];
/// A least number of iterations is raised to a multiple of this in a term of fewer texts.
const ROUND: u32 = 64;

/// What has been saturated so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saturated {
    terms: FxHashMap<ExprId, ExprId>,
    sides: FxHashMap<(ExprId, Side), ExprId>,
}

impl Saturated {
    pub(crate) fn clear(&mut self) {
        *self = Saturated::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.terms.capacity() * 9 + self.sides.capacity() * 13
    }
}

impl RegexAutomaton {
    /// See [`crate::mask::hints::MaskHints::saturate`].
    pub(crate) fn saturate_counts(
        &mut self,
        state: CharState,
        bounds: &TokenBounds<'_>,
    ) -> Result<Option<Representatives>> {
        let State { term, before, trackers, buffer, .. } = self.states[state as usize];
        if state == DEAD || !self.calculus.arena.is(term, flag::COUNTS) {
            return Ok(None);
        }
        if self.calculus.arena.is(term, flag::PLAIN) {
            let saturated = self.saturated_term(term, bounds)?;
            if saturated == term {
                return Ok(None);
            }
            let high = StateId(self.intern_bare(saturated));
            self.check_memory()?;
            return Ok(Some(Representatives { high, low: None }));
        }
        let (low, high) = (self.side_of(term, Side::Fewer, bounds)?, self.side_of(term, Side::More, bounds)?);
        if low == term || high == term {
            return Ok(None);
        }
        let trackers = self.calculus.tracker_sets.get(trackers).to_vec();
        let mut made = [DEAD; 2];
        for (made, term) in made.iter_mut().zip([low, high]) {
            let situation = self.calculus.situation(term, before, &trackers, buffer);
            let at = self.intern(situation);
            if self.alive(at)? {
                self.accepting(at)?;
                *made = at;
            }
        }
        self.check_memory()?;
        Ok(Some(Representatives { high: StateId(made[1]), low: Some(StateId(made[0])) }))
    }

    /// See [`crate::mask::hints::MaskHints::fewer`].
    pub(crate) fn fewer_repetitions(&mut self, state: CharState, bounds: &TokenBounds<'_>) -> Result<Option<StateId>> {
        let State { term, before, trackers, buffer, .. } = self.states[state as usize];
        if state == DEAD || self.captures || !self.calculus.arena.is(term, flag::COUNTS) {
            return Ok(None);
        }
        let fewer = self.side_of(term, Side::Fewer, bounds)?;
        if fewer == term {
            return Ok(None);
        }
        let trackers = self.calculus.tracker_sets.get(trackers).to_vec();
        let situation = self.calculus.situation(fewer, before, &trackers, buffer);
        let at = self.intern(situation);
        self.check_memory()?;
        Ok(if self.alive(at)? { Some(StateId(at)) } else { None })
    }

    /// The term with its counts saturated, so that it has fewer texts, or more.
    fn side_of(&mut self, term: ExprId, side: Side, bounds: &TokenBounds<'_>) -> Result<ExprId> {
        // Sequences nest to the right, as deep as they are long.
        let mut heads: Vec<(ExprId, ExprId)> = Vec::new();
        let mut rest = term;
        let mut made = loop {
            if !self.calculus.arena.is(rest, flag::COUNTS) {
                break rest;
            }
            if let Some(&known) = self.saturated.sides.get(&(rest, side)) {
                break known;
            }
            self.calculus.spend(STEP)?;
            match *self.calculus.arena.get(rest) {
                Expr::Concat(head, tail) => {
                    heads.push((rest, head));
                    rest = tail;
                }
                _ => {
                    let made = self.side_of_part(rest, side, bounds)?;
                    self.saturated.sides.insert((rest, side), made);
                    break made;
                }
            }
        };
        for (whole, head) in heads.into_iter().rev() {
            let head = self.side_of(head, side, bounds)?;
            made = self.calculus.arena.concat(head, made);
            self.saturated.sides.insert((whole, side), made);
        }
        Ok(made)
    }

    fn side_of_part(&mut self, part: ExprId, side: Side, bounds: &TokenBounds<'_>) -> Result<ExprId> {
        match self.calculus.arena.get(part).clone() {
            Expr::Repeat { body, min, max, lazy: false } => {
                let touched = bounds.characters / self.calculus.arena.info(body).min_len.max(1) + 1;
                let body = self.side_of(body, side, bounds)?;
                let (least, most) = match side {
                    Side::More => (min.min(touched), if max >= touched { MANY } else { max }),
                    Side::Fewer => {
                        let round = min.div_ceil(ROUND).saturating_mul(ROUND);
                        let least = if min > touched && round <= max { round } else { min };
                        let left = |more| least.saturating_add(touched + more);
                        (least, TO_END.into_iter().map(left).find(|&left| left <= max).unwrap_or(max))
                    }
                };
                Ok(self.calculus.arena.repeat(body, least, most, false))
            }
            Expr::Union(ids) => {
                let ids = self.sides_of(&ids, side, bounds)?;
                Ok(self.calculus.any(ids))
            }
            Expr::Inter(ids) => {
                let ids = self.sides_of(&ids, side, bounds)?;
                Ok(self.calculus.arena.inter(ids))
            }
            Expr::Not(inner) => {
                let inner = self.side_of(inner, side.other(), bounds)?;
                Ok(self.calculus.arena.not(inner))
            }
            // Of ways in an order, more may mean less.
            _ => Ok(part),
        }
    }

    fn sides_of(&mut self, ids: &[ExprId], side: Side, bounds: &TokenBounds<'_>) -> Result<Vec<ExprId>> {
        ids.iter().map(|&id| self.side_of(id, side, bounds)).collect()
    }

    fn saturated_term(&mut self, term: ExprId, bounds: &TokenBounds<'_>) -> Result<ExprId> {
        // Sequences nest to the right, as deep as they are long.
        let mut heads: Vec<(ExprId, ExprId)> = Vec::new();
        let mut rest = term;
        let mut made = loop {
            if !self.calculus.arena.is(rest, flag::COUNTS) {
                break rest;
            }
            if let Some(&known) = self.saturated.terms.get(&rest) {
                break known;
            }
            self.calculus.spend(STEP)?;
            match *self.calculus.arena.get(rest) {
                Expr::Concat(head, tail) => {
                    heads.push((rest, head));
                    rest = tail;
                }
                _ => {
                    let made = self.saturated_part(rest, bounds)?;
                    self.saturated.terms.insert(rest, made);
                    break made;
                }
            }
        };
        for (whole, head) in heads.into_iter().rev() {
            let head = self.saturated_term(head, bounds)?;
            made = self.calculus.arena.concat(head, made);
            self.saturated.terms.insert(whole, made);
        }
        Ok(made)
    }

    /// How many iterations of a body a short text touches; it completes fewer.
    fn touched(&mut self, (body, min, max): (ExprId, u32, u32), bounds: &TokenBounds<'_>) -> Result<u32> {
        let least = self.calculus.arena.info(body).min_len.max(1);
        let by_length = bounds.characters / least + 1;
        let arena = &self.calculus.arena;
        let first = arena.info(body).first;
        let decided = min <= 2 && (max >= by_length || max < 2);
        if decided
            || by_length <= 2
            || least < 2
            || first & BEYOND != 0
            || !first.is_power_of_two()
            || !arena.is(body, flag::PLAIN)
        {
            return Ok(by_length);
        }
        let m = first.trailing_zeros() as Minterm;
        let (character, size) = (self.calculus.partition.representative(m), self.calculus.partition.size(m));
        if size != 1 || character >= 0x80 {
            return Ok(by_length);
        }
        let behind = self.calculus.derive(body, m)?;
        if self.calculus.arena.is(behind, flag::MAY_SKIP) || self.calculus.arena.may_begin(behind, first) {
            return Ok(by_length);
        }
        Ok(by_length.min((bounds.runs)(character as u8).saturating_add(1)))
    }

    fn saturated_part(&mut self, part: ExprId, bounds: &TokenBounds<'_>) -> Result<ExprId> {
        match *self.calculus.arena.get(part) {
            Expr::Repeat { body, min, max, lazy: false } => {
                let touched = self.touched((body, min, max), bounds)?;
                let body = self.saturated_term(body, bounds)?;
                let max = if max >= touched { MANY } else { max };
                Ok(self.calculus.arena.repeat(body, min.min(touched), max, false))
            }
            Expr::Union(ref ids) => {
                let mut parts = ids.to_vec();
                let mut changed = false;
                for id in &mut parts {
                    let made = self.saturated_term(*id, bounds)?;
                    changed |= made != *id;
                    *id = made;
                }
                Ok(if changed { self.calculus.any(parts) } else { part })
            }
            _ => Ok(part),
        }
    }
}
