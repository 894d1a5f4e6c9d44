//! The shortest text to a match.
//!
//! A plain term is taken apart (`cheapest.rs`). Anything else has a way that is known
//! (`known_way.rs`), and is searched by states for a shorter one, those first that promise the shortest whole (A*), as long
//! as the work that is allowed lasts. A search costs one derivative a state and character that it looks at; how many
//! states, the bound decides by which they are ordered: behind a group that a backreference asks for, the text that is
//! captured so far has to be written once more, so closing the group early is not taken for the end of the work. Of
//! equally promising states the one nearest to its end comes first. The states along the way that is found keep theirs, and
//! later searches end where they meet one, or a plain term.

use crate::derivative::calculus::STEP;
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::Minterm;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, UNBOUND};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use crate::lazy_dfa::ways::Way;
use crate::symbols::{push, width};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Items that are looked at for the bound of one state.
const MOST_LOOKED_AT: u32 = 10_000;

/// What a search may add to the memory held: one part of so many of the limit.
const SHARE_OF_MEMORY: u64 = 16;

/// How a state was reached: the bytes so far, the state before, the character between.
type Reached = FxHashMap<CharState, (u32, CharState, u32)>;

/// Where a way begins, and its text.
type Rest = (CharState, Vec<u8>);

/// The best end of a way that a search has come to: the bytes of the whole way, and the state from which the rest is known.
type Goal = Option<(u32, CharState)>;

impl CharDfa {
    /// The bytes of the cheapest text of a state whose term is plain.
    pub(crate) fn cost_of(&mut self, state: CharState) -> Result<u64> {
        self.cheapest.cost(&mut self.calculus, self.states[state as usize].term)
    }

    /// Looks for a way of fewer bytes than `most` with a share of the work and of the memory: where it begins, and its text.
    /// And whether there is surely no shorter one.
    pub(crate) fn search_within(
        &mut self,
        sources: &[(CharState, (Minterm, u32))],
        most: u32,
        work: u64,
    ) -> Result<(Option<Rest>, bool)> {
        let fuel = self.calculus.fuel;
        self.calculus.fuel = work.min(fuel);
        let share = self.calculus.fuel;
        let mut reached = Reached::default();
        let mut goal = None;
        let done = self.search(sources, most, &mut reached, &mut goal);
        self.calculus.fuel = fuel - (share - self.calculus.fuel.min(share));
        let is_exhaustive = match done {
            Ok(is_exhaustive) => is_exhaustive,
            Err(Error::Limit { .. }) => false,
            Err(other) => return Err(other),
        };
        let Some((_, to)) = goal else { return Ok((None, is_exhaustive)) };
        let Some(rest) = self.known_way(to)? else { return Ok((None, false)) };
        let mut characters = Vec::new();
        let mut at = to;
        let mut bytes = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let from = loop {
            let (_, parent, character) = reached[&at];
            if parent == at {
                break at;
            }
            bytes = bytes.saturating_add(width(character));
            characters.push(character);
            if is_exhaustive {
                self.ways.nearest.insert(parent, Way { character, next: at, bytes });
            }
            at = parent;
        };
        let mut text = Vec::with_capacity(bytes as usize);
        characters.iter().rev().for_each(|&character| push(character, &mut text));
        text.extend(rest);
        if !is_exhaustive {
            self.ways.keep(from, &text);
        }
        Ok((Some((from, text)), is_exhaustive))
    }

    /// A*: whether all ways of fewer bytes than `most` were followed; `goal` is the best end so far.
    fn search(
        &mut self,
        sources: &[(CharState, (Minterm, u32))],
        most: u32,
        reached: &mut Reached,
        goal: &mut Goal,
    ) -> Result<bool> {
        let memory = self.memory_bytes() as u64;
        let memory = (memory + self.limits.memory_bytes / SHARE_OF_MEMORY).min(self.limits.memory_bytes / 8 * 7);
        let mut best = most;
        let mut queue = BinaryHeap::new();
        let mut order = 0u32;
        for &(from, _) in sources {
            reached.insert(from, (0, from, 0));
            order += 1;
            let least = self.remaining(from)?;
            queue.push((Reverse(least), Reverse(least), Reverse(order), from, 0u32));
        }
        while let Some((Reverse(promise), _, _, at, cost)) = queue.pop() {
            if promise >= best {
                return Ok(true);
            }
            if reached[&at].0 < cost {
                continue;
            }
            let term = self.states[at as usize].term;
            let rest = match self.ways.nearest.get(&at).map(|way| way.bytes) {
                Some(bytes) => Some(bytes),
                None if self.accepting(at)? => Some(0),
                None if self.calculus.arena.is(term, flag::PLAIN) => {
                    Some(u32::try_from(self.cheapest.cost(&mut self.calculus, term)?).unwrap_or(u32::MAX))
                }
                None => None,
            };
            if let Some(rest) = rest {
                let whole = cost.saturating_add(rest);
                if whole < best {
                    best = whole;
                    *goal = Some((whole, at));
                }
                continue;
            }
            if self.memory_bytes() as u64 > memory {
                return Ok(false);
            }
            let candidates = self.candidates(at);
            self.calculus.spend(STEP / 2 * (candidates.len() as u64 + 1))?;
            for (m, c) in candidates {
                let next = self.walk(at, m, c)?;
                if next == DEAD {
                    continue;
                }
                let cost = cost + width(c);
                if reached.get(&next).is_none_or(|known| cost < known.0) {
                    let least = self.remaining(next)?;
                    let promise = cost.saturating_add(least);
                    if promise < best {
                        reached.insert(next, (cost, at, c));
                        order += 1;
                        queue.push((Reverse(promise), Reverse(least), Reverse(order), next, cost));
                    }
                }
            }
        }
        Ok(true)
    }

    /// Whether a plain term has no choice: one text matches, and no other.
    pub(crate) fn is_one_text(&self, term: ExprId) -> bool {
        let arena = &self.calculus.arena;
        let partition = &self.calculus.partition;
        let mut rest = term;
        while rest != EMPTY {
            let (head, tail) = arena.split(rest);
            let is_one = match *arena.get(head) {
                Expr::Class(class) => partition.single(class).is_some(),
                Expr::Str { at, len } => {
                    arena.pool[at as usize..(at + len) as usize].iter().all(|&class| partition.single(class).is_some())
                }
                _ => false,
            };
            if !is_one {
                return false;
            }
            rest = tail;
        }
        true
    }

    /// Appends the text of the way that is known from a state.
    pub(crate) fn follow(&mut self, from: CharState, text: &mut Vec<u8>) -> Result<()> {
        let mut at = from;
        while let Some(way) = self.ways.nearest.get(&at) {
            push(way.character, text);
            at = way.next;
        }
        self.calculus.spend(text.len() as u64)?;
        let term = self.states[at as usize].term;
        if !self.accepting(at)? && self.calculus.arena.is(term, flag::PLAIN) {
            self.cheapest.write_cheapest(&mut self.calculus, term, text)?;
        }
        Ok(())
    }

    /// A lower bound, in bytes, on the distance from a state to a match.
    pub(crate) fn remaining(&mut self, state: CharState) -> Result<u32> {
        if let Some(way) = self.ways.nearest.get(&state) {
            return Ok(way.bytes);
        }
        let State { term, buffer, .. } = self.states[state as usize];
        if !self.captures {
            return Ok(self.estimate(state));
        }
        let length = self.calculus.captures.buffer_len(buffer);
        let mut budget = MOST_LOOKED_AT;
        let least = self.least(term, length, &mut Vec::new(), &mut budget);
        self.calculus.spend(u64::from(MOST_LOOKED_AT - budget) * 2)?;
        Ok(least)
    }

    /// The least length of a text of a sequence. `length`: characters captured so far; `captured`: the groups that are
    /// set by then, and how long their texts are at least.
    fn least(&self, sequence: ExprId, length: u32, captured: &mut Vec<(u32, u32)>, budget: &mut u32) -> u32 {
        let arena = &self.calculus.arena;
        let (mut rest, mut sum) = (sequence, 0u32);
        while rest != EMPTY {
            if *budget == 0 || !arena.is(rest, flag::GROUPS) {
                sum = sum.saturating_add(arena.info(rest).min_len);
                break;
            }
            *budget -= 1;
            let (head, tail) = arena.split(rest);
            let one = match *arena.get(head) {
                // All that is read up to here belongs to the group.
                Expr::Close { group, start } if start != UNBOUND => {
                    captured.push((group, length.saturating_sub(start).saturating_add(sum)));
                    0
                }
                Expr::Open(group) | Expr::Close { group, .. } => {
                    captured.retain(|known| known.0 != group);
                    0
                }
                Expr::Backref { reference, .. } => {
                    let group = self.calculus.captures.group(reference);
                    captured.iter().rev().find(|known| known.0 == group).map_or(0, |known| known.1)
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    let ways = ids.iter().map(|&id| self.least(id, length, &mut captured.clone(), budget));
                    ways.min().unwrap_or(0)
                }
                Expr::Inter(ref ids) => {
                    let all = ids.iter().map(|&id| self.least(id, length, &mut captured.clone(), budget));
                    all.max().unwrap_or(0)
                }
                // What looks ahead reads nothing.
                Expr::Ahead { .. } | Expr::Next { .. } => 0,
                _ => arena.reads(head),
            };
            if !matches!(arena.get(head), Expr::Close { .. } | Expr::Open(_) | Expr::Backref { .. } | Expr::Text { .. })
                && arena.is(head, flag::GROUPS)
            {
                // Groups that begin or end inside may have other texts then.
                captured.clear();
            }
            sum = sum.saturating_add(one);
            rest = tail;
        }
        sum.max(arena.info(sequence).min_len)
    }
}
