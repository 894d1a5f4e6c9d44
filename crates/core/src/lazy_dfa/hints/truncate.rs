//! States whose stacks of tails are cut off, so that states that differ only in what lies deep share a mask.
//!
//! A mask reads only the top of the stack: what lies deeper than a token reaches cannot matter. A truncated state is an
//! ordinary state, of the first items of the term and the *opaque tail* in place of the rest. If making its mask has to
//! look behind the opaque tail, that fails with [`Error::Opaque`], and the state makes a mask of its own. So it is exact by
//! construction: what was not read cannot matter. Collections below the top forget what was seen of them: all that is kept
//! is whether they can be closed, and the first letters of the keys that may come.
//!
//! A failed attempt costs about half a mask. Attempts are made only where something is cut off, and a depth that fails more
//! often than it helps is given up.

use crate::derivative::calculus::Calculus;
use crate::derivative::calculus::STEP;
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::Bits;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD};
use rustc_hash::{FxHashMap, FxHashSet};

/// How many items are kept, by attempt.
const KEPT: [usize; 2] = [12, 24];

/// An attempt that fails this often in a row is given up.
const PATIENCE: u32 = 8;

/// What is known of truncated states.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truncated {
    /// By term and attempt; `None`: nothing is gained.
    states: FxHashMap<(ExprId, usize), Option<CharState>>,
    /// The truncated states whose masks look behind the opaque tail.
    failed: FxHashSet<CharState>,
    failures: [u32; KEPT.len()],
}

impl Truncated {
    pub(crate) fn clear(&mut self) {
        *self = Truncated { failures: self.failures, ..Truncated::default() };
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.states.capacity() * 25 + self.failed.capacity() * 5
    }
}

impl Truncated {
    /// A state that has the same mask, if the mask can be made, and more states share it the smaller `attempt` is. `None`:
    /// no such state; `Err`: no further attempt is worth it.
    pub(crate) fn find_truncated(
        &mut self,
        dfa: &mut CharDfa,
        state: CharState,
        attempt: usize,
    ) -> Result<std::result::Result<Option<CharState>, ()>> {
        let term = dfa.states[state as usize].term;
        let arena = &dfa.calculus.arena;
        let has_stack = !arena.rules.is_empty() || !arena.collections.members.is_empty();
        if attempt >= KEPT.len() || !has_stack || state == DEAD || !arena.is(term, flag::PLAIN) {
            return Ok(Err(()));
        }
        if self.failures[attempt] >= PATIENCE {
            return Ok(Ok(None));
        }
        let key = (term, attempt);
        let known = match self.states.get(&key) {
            Some(&known) => known,
            None => {
                let made = self.truncate(dfa, term, KEPT[attempt])?;
                self.states.insert(key, made);
                dfa.check_memory()?;
                made
            }
        };
        Ok(Ok(known.filter(|state| !self.failed.contains(state))))
    }

    /// Takes note of whether the mask of a truncated state could be made.
    pub(crate) fn note_truncated_state(&mut self, state: CharState, attempt: usize, succeeded: bool) {
        let failures = &mut self.failures[attempt];
        if succeeded {
            *failures = 0;
        } else {
            *failures += 1;
            self.failed.insert(state);
        }
    }

    fn truncate(&mut self, dfa: &mut CharDfa, term: ExprId, keep: usize) -> Result<Option<CharState>> {
        let members = match dfa.calculus.arena.get(term) {
            Expr::Union(ids) if term != ANYTHING => ids.to_vec(),
            _ => vec![term],
        };
        let mut parts = Vec::with_capacity(members.len());
        for member in members {
            parts.push(self.truncate_sequence(dfa, member, keep)?);
        }
        let truncated = dfa.calculus.any(parts);
        if truncated == term || dfa.calculus.arena.is(truncated, flag::FRONT_OPAQUE) {
            return Ok(None);
        }
        Ok(Some(dfa.intern_bare(truncated)))
    }

    fn truncate_sequence(&mut self, dfa: &mut CharDfa, sequence: ExprId, keep: usize) -> Result<ExprId> {
        let mut heads = Vec::with_capacity(keep);
        let mut rest = sequence;
        while rest != EMPTY && heads.len() < keep {
            let (head, tail) = dfa.calculus.arena.split(rest);
            heads.push(head);
            rest = tail;
        }
        dfa.calculus.spend(STEP + heads.len() as u64)?;
        let mut made = if rest == EMPTY { EMPTY } else { dfa.calculus.arena.intern(Expr::Opaque) };
        for (index, head) in heads.into_iter().enumerate().rev() {
            let head = dfa.calculus.forgetting(head, index > 0)?;
            made = dfa.calculus.arena.concat(head, made);
        }
        Ok(made)
    }
}

impl Calculus {
    /// An item without what was seen of collections, as far as tokens do not reach that as a rule. `below`: it is not the
    /// first one.
    fn forgetting(&mut self, item: ExprId, below: bool) -> Result<ExprId> {
        match self.arena.get(item) {
            Expr::Members { .. } if below => self.top_of_members(item),
            Expr::Keys { .. } => self.opaque_keys(item),
            Expr::Union(ids) if below && item != ANYTHING => {
                let mut ways = ids.to_vec();
                for way in &mut ways {
                    *way = self.forgetting_sequence(*way)?;
                }
                Ok(self.any(ways))
            }
            _ => Ok(item),
        }
    }

    /// The same of each item of a sequence that stands below the first item.
    fn forgetting_sequence(&mut self, sequence: ExprId) -> Result<ExprId> {
        let (mut heads, mut rest) = (Vec::new(), sequence);
        while rest != EMPTY && heads.len() < KEPT[1] {
            let (head, tail) = self.arena.split(rest);
            heads.push(head);
            rest = tail;
        }
        self.spend(STEP + heads.len() as u64)?;
        for head in heads.into_iter().rev() {
            let head = match self.arena.get(head) {
                Expr::Members { .. } => self.top_of_members(head)?,
                Expr::Keys { .. } => self.opaque_keys(head)?,
                _ => head,
            };
            rest = self.arena.concat(head, rest);
        }
        Ok(rest)
    }

    /// A collection of members that has forgotten what was seen of it; anything else is itself.
    fn top_of_members(&mut self, item: ExprId) -> Result<ExprId> {
        let Expr::Members { spec, seen } = *self.arena.get(item) else { return Ok(item) };
        let collections = &self.arena.collections;
        let (whole, seen) = (&collections.members[spec as usize], &collections.seen[seen as usize]);
        let (closes, begun) = (whole.can_close(seen), seen.begun);
        let mut work = 0;
        let keys = whole.allowed(seen, 0..whole.follows.len() as u32, &mut work);
        let mut letters = Bits::default();
        self.first_of_keys(whole, &keys, 0, &mut letters);
        for &(key, _, bit) in &whole.others {
            if whole.can_end(&whole.after_other(seen, bit), &mut work) {
                self.first(key, &Bits::default(), &mut letters);
            }
        }
        self.spend(work)?;
        let letters = if letters.is_empty() {
            None
        } else {
            let set = self.partition.set(&letters);
            let class = self.partition.class(&set);
            self.arena.learn(&self.partition);
            class
        };
        Ok(self.arena.intern(Expr::Top { spec, begun, closes, letters }))
    }
}
