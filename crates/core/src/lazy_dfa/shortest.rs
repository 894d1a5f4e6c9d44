//! The shortest text to a match.
//!
//! A plain term is taken apart (`cheapest.rs`). Anything else is searched by states, those first
//! that promise the shortest whole (A*). A search costs one derivative a state and character that it looks at; how many
//! states, the bound decides by which they are ordered: behind a group that a backreference asks for, the text that is
//! captured so far has to be written once more, so closing the group early is not taken for the end of the work. Of
//! equally promising states the one nearest to its end comes first. The states along the way that is found keep theirs, and
//! later searches end where they meet one.

use crate::automaton::{Automaton, StateId};
use crate::derivative::derive::STEP;
use crate::error::Result;
use crate::expression::arena::{ANYTHING, EMPTY, Expr, ExprId, UNBOUND};
use crate::expression::facts::flag;
use crate::expression::minterms::Minterm;
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::mid_char::written;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use crate::lazy_dfa::utf8::Target;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Items that are looked at for the bound of one state.
const MOST_LOOKED_AT: u32 = 10_000;

/// The first step of a shortest way from a state to a match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    character: u32,
    next: CharState,
    /// The bytes of the whole way.
    bytes: u32,
}

fn width(character: u32) -> u32 {
    char::from_u32(character).map_or(1, char::len_utf8) as u32
}

fn push(character: u32, text: &mut Vec<u8>) {
    if let Some(character) = char::from_u32(character) {
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl RegexAutomaton {
    /// A shortest text, in bytes, from a state to an accepting one; of a plain term without stepping.
    pub(crate) fn completion(&mut self, state: StateId) -> Result<Vec<u8>> {
        let (sources, mut all_plain) = (self.finishes(state)?, true);
        for &(from, _) in &sources {
            all_plain &= self.calculus.arena.is(self.states[from as usize].term, flag::PLAIN);
        }
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        if all_plain {
            let mut nearest = (u64::MAX, 0);
            for (index, &(from, _)) in sources.iter().enumerate().filter(|_| sources.len() > 1) {
                nearest = nearest.min((self.calculus.cost(self.states[from as usize].term)?, index));
            }
            let (from, character) = sources[nearest.1];
            let mut result = self.rest_of_character(state, character)?;
            self.calculus.write_cheapest(self.states[from as usize].term, &mut result)?;
            return Ok(result);
        }
        let mut best: FxHashMap<CharState, (u32, CharState, u32)> = FxHashMap::default();
        let mut queue = BinaryHeap::new();
        let mut order = 0u32;
        for &(from, _) in &sources {
            best.insert(from, (0, from, 0));
            order += 1;
            let least = self.remaining(from)?;
            queue.push((Reverse(least), Reverse(least), Reverse(order), from, 0u32));
        }
        while let Some((_, _, _, at, cost)) = queue.pop() {
            if best[&at].0 < cost {
                continue;
            }
            if self.nearest.contains_key(&at) || self.accepting(at)? {
                let from = self.remember(at, &best);
                let character = sources.iter().find(|source| source.0 == from).map_or((0, 0), |source| source.1);
                let mut result = self.rest_of_character(state, character)?;
                self.follow(from, &mut result)?;
                return Ok(result);
            }
            let candidates = self.candidates(at);
            self.calculus.spend(STEP / 2 * (candidates.len() as u64 + 1))?;
            for (m, c) in candidates {
                let next = self.walk(at, m, c)?;
                if next == DEAD {
                    continue;
                }
                let cost = cost + width(c);
                if best.get(&next).is_none_or(|known| cost < known.0) {
                    best.insert(next, (cost, at, c));
                    order += 1;
                    let least = self.remaining(next)?;
                    queue.push((Reverse(cost.saturating_add(least)), Reverse(least), Reverse(order), next, cost));
                }
            }
        }
        Ok(Vec::new())
    }

    /// Remembers the way that was found to a state, which accepts or has a way that is known. Returns where it begins.
    fn remember(&mut self, to: CharState, best: &FxHashMap<CharState, (u32, CharState, u32)>) -> CharState {
        let mut at = to;
        let mut bytes = self.nearest.get(&to).map_or(0, |way| way.bytes);
        loop {
            let (_, parent, character) = best[&at];
            if parent == at {
                return at;
            }
            bytes += width(character);
            self.nearest.insert(parent, Way { character, next: at, bytes });
            at = parent;
        }
    }

    /// Appends the text of the way that is known from a state.
    fn follow(&mut self, from: CharState, text: &mut Vec<u8>) -> Result<()> {
        let mut at = from;
        while let Some(way) = self.nearest.get(&at) {
            push(way.character, text);
            at = way.next;
        }
        self.calculus.spend(text.len() as u64)
    }

    /// So many characters at least lead from a state to a match.
    fn remaining(&mut self, state: CharState) -> Result<u32> {
        if let Some(way) = self.nearest.get(&state) {
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

    /// The states after the character that is being written, alive, and a character that leads to each.
    fn finishes(&mut self, state: StateId) -> Result<Vec<(CharState, (Minterm, u32))>> {
        let (at, middle) = self.parts(state);
        let Some((node, bytes)) = middle else { return Ok(vec![(at, (0, 0))]) };
        let mut seen = FxHashSet::default();
        let mut found = Vec::new();
        for (m, c) in self.inside_character(at, node, bytes) {
            self.calculus.spend(1)?;
            let next = self.walk(at, m, c)?;
            if next != DEAD && seen.insert(next) {
                found.push((next, (m, c)));
            }
        }
        Ok(found)
    }

    /// What is missing of the character that is being written, as a character of a minterm.
    fn rest_of_character(&mut self, state: StateId, (m, c): (Minterm, u32)) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        let mut at = state;
        while let (_, Some((node, bytes))) = self.parts(at) {
            if self.captures {
                push(c, &mut rest);
                rest.drain(..rest.len().min(written(bytes) as usize));
                break;
            }
            let leads = (0x80..0xC0).find(|&byte| match self.decoder.next(node, byte) {
                Target::Minterm(found) => found == m,
                Target::Node(child) => self.decoder.reach(child).any(|found| found == m),
                Target::Dead => false,
            });
            let Some(byte) = leads else { break };
            rest.push(byte);
            at = self.step(at, byte)?;
        }
        Ok(rest)
    }
}
