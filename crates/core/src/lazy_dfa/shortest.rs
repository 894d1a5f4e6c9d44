//! The shortest text to a match.
//!
//! A plain term is taken apart (`cheapest.rs`). Anything else has a way that is known
//! (`known_way.rs`), and is searched by states for a shorter one, those first that promise the shortest whole (A*), as long
//! as the work that is allowed lasts. A search costs one derivative a state and character that it looks at; how many
//! states, the bound decides by which they are ordered: behind a group that a backreference asks for, the text that is
//! captured so far has to be written once more, so closing the group early is not taken for the end of the work. Of
//! equally promising states the one nearest to its end comes first. The states along the way that is found keep theirs, and
//! later searches end where they meet one, or a plain term.

use crate::automaton::{Automaton, Completion, StateId};
use crate::derivative::derive::STEP;
use crate::error::{Error, Result};
use crate::expression::arena::{ANYTHING, EMPTY, Expr, ExprId, UNBOUND};
use crate::expression::facts::flag;
use crate::expression::minterms::{Minterm, SPECIAL};
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::mid_char::written;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use crate::lazy_dfa::utf8::Target;
use crate::symbols;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Items that are looked at for the bound of one state.
const MOST_LOOKED_AT: u32 = 10_000;

/// What a search may add to the memory held: one part of so many of the limit.
const SHARE_OF_MEMORY: u64 = 16;

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
    match char::from_u32(character) {
        Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None if character >= SPECIAL => text.extend_from_slice(&symbols::encode(character - SPECIAL)),
        None => {}
    }
}

/// How a state was reached: the bytes so far, the state before, the character between.
type Reached = FxHashMap<CharState, (u32, CharState, u32)>;

/// Where a way begins, and its text.
type Rest = (CharState, Vec<u8>);

/// The best end of a way that a search has come to: the bytes of the whole way, and the state from which the rest is known.
type Goal = Option<(u32, CharState)>;

impl RegexAutomaton {
    /// See [`Automaton::shortest_completion`]; of a plain term without stepping.
    pub(crate) fn completion(&mut self, state: StateId, work: u64) -> Result<Completion> {
        let (sources, mut all_plain) = (self.finishes(state)?, true);
        for &(from, _) in &sources {
            all_plain &= self.calculus.arena.is(self.states[from as usize].term, flag::PLAIN);
        }
        if all_plain {
            let mut nearest = (u64::MAX, 0);
            for (index, &(from, _)) in sources.iter().enumerate().filter(|_| sources.len() > 1) {
                nearest = nearest.min((self.calculus.cost(self.states[from as usize].term)?, index));
            }
            let Some(&(from, character)) = sources.get(nearest.1) else { return Ok(Completion::default()) };
            let mut text = self.rest_of_character(state, character)?;
            self.calculus.write_cheapest(self.states[from as usize].term, &mut text)?;
            let is_only = self.parts(state).1.is_none() && self.is_one_text(self.states[from as usize].term);
            return Ok(Completion { text, is_shortest: true, is_only });
        }
        let mut known: Option<(Vec<u8>, (Minterm, u32))> = None;
        let mut least = u32::MAX;
        for &(from, character) in &sources {
            least = least.min(self.remaining(from)?);
            if let Some(way) = self.known_way(from)?
                && known.as_ref().is_none_or(|(best, _)| way.len() < best.len())
            {
                known = Some((way, character));
            }
        }
        let most = known.as_ref().map_or(u32::MAX, |(way, _)| u32::try_from(way.len()).unwrap_or(u32::MAX));
        let mut is_shortest = most <= least;
        if !is_shortest {
            let work = if known.is_some() { work } else { self.calculus.fuel };
            let (found, is_exhaustive) = self.search_within(&sources, most, work)?;
            is_shortest = is_exhaustive;
            if let Some((from, rest)) = found {
                let character = sources.iter().find(|source| source.0 == from).map_or((0, 0), |source| source.1);
                known = Some((rest, character));
            }
        }
        let Some((way, character)) = known else { return Err(self.calculus.spent()) };
        let mut text = self.rest_of_character(state, character)?;
        text.extend(way);
        Ok(Completion { text, is_shortest, is_only: false })
    }

    /// Looks for a way of fewer bytes than `most` with a share of the work and of the memory: where it begins, and its text.
    /// And whether there is surely no shorter one.
    fn search_within(
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
                self.nearest.insert(parent, Way { character, next: at, bytes });
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
            let rest = match self.nearest.get(&at).map(|way| way.bytes) {
                Some(bytes) => Some(bytes),
                None if self.accepting(at)? => Some(0),
                None if self.calculus.arena.is(term, flag::PLAIN) => {
                    Some(u32::try_from(self.calculus.cost(term)?).unwrap_or(u32::MAX))
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
    fn is_one_text(&self, term: ExprId) -> bool {
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
        while let Some(way) = self.nearest.get(&at) {
            push(way.character, text);
            at = way.next;
        }
        self.calculus.spend(text.len() as u64)?;
        let term = self.states[at as usize].term;
        if !self.accepting(at)? && self.calculus.arena.is(term, flag::PLAIN) {
            self.calculus.write_cheapest(term, text)?;
        }
        Ok(())
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
