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
use crate::derivative::calculus::STEP;
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::{BEYOND, Minterm};
use crate::expression::node::{Expr, ExprId, MANY};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use crate::mask::hints::{Representatives, TokenBounds};
use rustc_hash::FxHashMap;

/// What a term is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    /// One that short texts cannot tell apart; only of plain terms.
    Same,
    /// One of fewer texts.
    Fewer,
    /// One of more texts.
    More,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::Same => Side::Same,
            Side::Fewer => Side::More,
            Side::More => Side::Fewer,
        }
    }
}

/// The lower bound keeps this many iterations beyond those that a short text touches, enough to end what it has begun: the
/// first number where the repetition allows as many, else the second.
const TO_END: [u32; 2] = [142, 14];
/// A least number of iterations is raised to a multiple of this in a term of fewer texts.
const ROUND: u32 = 64;

/// What has been saturated so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saturated {
    terms: FxHashMap<(ExprId, Side), ExprId>,
}

impl Saturated {
    pub(crate) fn clear(&mut self) {
        *self = Saturated::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.terms.capacity() * 13
    }
}

impl Saturated {
    /// See [`crate::mask::hints::MaskHints::saturate`].
    pub(crate) fn saturate_counts(
        &mut self,
        dfa: &mut CharDfa,
        state: CharState,
        bounds: &TokenBounds<'_>,
    ) -> Result<Option<Representatives>> {
        let State { term, before, trackers, buffer, .. } = dfa.states[state as usize];
        if state == DEAD || !dfa.calculus.arena.is(term, flag::COUNTS) {
            return Ok(None);
        }
        if dfa.calculus.arena.is(term, flag::PLAIN) {
            let saturated = self.side_of(dfa, term, Side::Same, bounds)?;
            if saturated == term {
                return Ok(None);
            }
            let high = StateId(dfa.intern_bare(saturated));
            dfa.check_memory()?;
            return Ok(Some(Representatives { high, low: None }));
        }
        let (low, high) = (self.side_of(dfa, term, Side::Fewer, bounds)?, self.side_of(dfa, term, Side::More, bounds)?);
        if low == term || high == term {
            return Ok(None);
        }
        let trackers = dfa.calculus.tracker_sets.get(trackers).to_vec();
        let mut made = [DEAD; 2];
        for (made, term) in made.iter_mut().zip([low, high]) {
            let situation = dfa.calculus.situation(term, before, &trackers, buffer);
            let at = dfa.intern(situation);
            if dfa.alive(at)? {
                dfa.accepting(at)?;
                *made = at;
            }
        }
        dfa.check_memory()?;
        Ok(Some(Representatives { high: StateId(made[1]), low: Some(StateId(made[0])) }))
    }

    /// See [`crate::mask::hints::MaskHints::fewer`].
    pub(crate) fn fewer_repetitions(
        &mut self,
        dfa: &mut CharDfa,
        state: CharState,
        bounds: &TokenBounds<'_>,
    ) -> Result<Option<StateId>> {
        let State { term, before, trackers, buffer, .. } = dfa.states[state as usize];
        if state == DEAD || dfa.captures || !dfa.calculus.arena.is(term, flag::COUNTS) {
            return Ok(None);
        }
        let fewer = self.side_of(dfa, term, Side::Fewer, bounds)?;
        if fewer == term {
            return Ok(None);
        }
        let trackers = dfa.calculus.tracker_sets.get(trackers).to_vec();
        let situation = dfa.calculus.situation(fewer, before, &trackers, buffer);
        let at = dfa.intern(situation);
        dfa.check_memory()?;
        Ok(if dfa.alive(at)? { Some(StateId(at)) } else { None })
    }

    /// The term with its counts saturated, so that it has fewer texts, or more.
    fn side_of(&mut self, dfa: &mut CharDfa, term: ExprId, side: Side, bounds: &TokenBounds<'_>) -> Result<ExprId> {
        // Sequences nest to the right, as deep as they are long.
        let mut heads: Vec<(ExprId, ExprId)> = Vec::new();
        let mut rest = term;
        let mut made = loop {
            if !dfa.calculus.arena.is(rest, flag::COUNTS) {
                break rest;
            }
            if let Some(&known) = self.terms.get(&(rest, side)) {
                break known;
            }
            dfa.calculus.spend(STEP)?;
            match *dfa.calculus.arena.get(rest) {
                Expr::Concat(head, tail) => {
                    heads.push((rest, head));
                    rest = tail;
                }
                _ => {
                    let made = self.side_of_part(dfa, rest, side, bounds)?;
                    self.terms.insert((rest, side), made);
                    break made;
                }
            }
        };
        for (whole, head) in heads.into_iter().rev() {
            let head = self.side_of(dfa, head, side, bounds)?;
            made = dfa.calculus.arena.concat(head, made);
            self.terms.insert((whole, side), made);
        }
        Ok(made)
    }

    fn side_of_part(
        &mut self,
        dfa: &mut CharDfa,
        part: ExprId,
        side: Side,
        bounds: &TokenBounds<'_>,
    ) -> Result<ExprId> {
        match *dfa.calculus.arena.get(part) {
            Expr::Repeat { body, min, max, lazy: false } => {
                let touched = match side {
                    Side::Same => touched(dfa, (body, min, max), bounds)?,
                    _ => bounds.characters / dfa.calculus.arena.info(body).min_len.max(1) + 1,
                };
                let body = self.side_of(dfa, body, side, bounds)?;
                let (least, most) = match side {
                    Side::Same | Side::More => (min.min(touched), if max >= touched { MANY } else { max }),
                    Side::Fewer => {
                        let round = min.div_ceil(ROUND).saturating_mul(ROUND);
                        let least = if min > touched && round <= max { round } else { min };
                        let left = |more| least.saturating_add(touched + more);
                        (least, TO_END.into_iter().map(left).find(|&left| left <= max).unwrap_or(max))
                    }
                };
                Ok(dfa.calculus.arena.repeat(body, least, most, false))
            }
            Expr::Union(ref ids) => {
                let mut parts = ids.to_vec();
                let is_changed = self.sides_of(dfa, &mut parts, side, bounds)?;
                Ok(if is_changed { dfa.calculus.any(parts) } else { part })
            }
            Expr::Inter(ref ids) => {
                let mut parts = ids.to_vec();
                let is_changed = self.sides_of(dfa, &mut parts, side, bounds)?;
                Ok(if is_changed { dfa.calculus.arena.inter(parts) } else { part })
            }
            Expr::Not(inner) => {
                let inner = self.side_of(dfa, inner, side.other(), bounds)?;
                Ok(dfa.calculus.arena.not(inner))
            }
            // Of ways in an order, more may mean less.
            _ => Ok(part),
        }
    }

    /// Saturates all parts; whether that changed any.
    fn sides_of(
        &mut self,
        dfa: &mut CharDfa,
        parts: &mut [ExprId],
        side: Side,
        bounds: &TokenBounds<'_>,
    ) -> Result<bool> {
        let mut is_changed = false;
        for part in parts {
            let made = self.side_of(dfa, *part, side, bounds)?;
            is_changed |= made != *part;
            *part = made;
        }
        Ok(is_changed)
    }
}

/// How many iterations of a body a short text touches; it completes fewer.
fn touched(dfa: &mut CharDfa, (body, min, max): (ExprId, u32, u32), bounds: &TokenBounds<'_>) -> Result<u32> {
    let least = dfa.calculus.arena.info(body).min_len.max(1);
    let by_length = bounds.characters / least + 1;
    let arena = &dfa.calculus.arena;
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
    let (character, size) = (dfa.calculus.partition.representative(m), dfa.calculus.partition.size(m));
    if size != 1 || character >= 0x80 {
        return Ok(by_length);
    }
    let behind = dfa.calculus.derive(body, m)?;
    if dfa.calculus.arena.is(behind, flag::MAY_SKIP) || dfa.calculus.arena.may_begin(behind, first) {
        return Ok(by_length);
    }
    Ok(by_length.min((bounds.runs)(character as u8).saturating_add(1)))
}
