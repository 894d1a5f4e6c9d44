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
//! In `"[^"]{0,120}"` and in `(, x{8}){0,9}` nearly all states so share one mask; and since few tokens have a space behind
//! anything else, in `\w{1,64}( \w{1,64}){0,9}`, too.

use crate::derivative::derive::STEP;
use crate::error::Result;
use crate::expression::arena::{Expr, ExprId, MANY};
use crate::expression::facts::flag;
use crate::expression::minterms::{BEYOND, Minterm};
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::mask::hints::TokenBounds;
use rustc_hash::FxHashMap;

/// What has been made coarse so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saturated {
    terms: FxHashMap<ExprId, ExprId>,
}

impl Saturated {
    pub(crate) fn clear(&mut self) {
        self.terms = FxHashMap::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.terms.capacity() * 9
    }
}

impl RegexAutomaton {
    /// See [`crate::mask::hints::MaskHints::saturate`].
    pub(crate) fn saturate_counts(&mut self, state: CharState, bounds: &TokenBounds<'_>) -> Result<CharState> {
        let term = self.states[state as usize].term;
        if state == DEAD || !self.calculus.arena.is(term, flag::COUNTS) || !self.calculus.arena.is(term, flag::PLAIN) {
            return Ok(state);
        }
        let saturated = self.saturated_term(term, bounds)?;
        if saturated == term {
            return Ok(state);
        }
        let saturated = self.intern_bare(saturated);
        self.check_memory()?;
        Ok(saturated)
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
