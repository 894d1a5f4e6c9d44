//! Whether anything can still match, decided exactly.
//!
//! A plain term is alive by construction, and so is one whose only conditions are backreferences to groups that are
//! closed by then. Any other state is searched for a way to an accepting one, the most promising first; the way that
//! is found marks all of itself alive, a search that ends without one proves all that it saw dead. So every state is
//! decided at most once. What groups capture makes the states infinite in number, and a search for a way that is not
//! there would not end; so after some states it is asked whether one is there with the captured texts left open, which
//! takes states of their own, finite in number and as many as the pattern without its groups has. (Stanford & Veanes, CAV 2023, bound such searches better; measured on the benchmarks'
//! patterns, searches end within a few states.)

use crate::error::Result;
use crate::expression::arena::{EMPTY, Expr, ExprId, NOTHING, UNBOUND};
use crate::expression::facts::flag;
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD, Life, State};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// States that a search goes through before it is asked whether it can end at all.
const PATIENCE: u32 = 64;

impl RegexAutomaton {
    /// Whether some text leads from the state to an accepting one.
    pub(crate) fn alive(&mut self, state: CharState) -> Result<bool> {
        match self.states[state as usize].life {
            Life::Alive => return Ok(true),
            Life::Dead => return Ok(false),
            Life::Unknown => {}
        }
        let mut parents: FxHashMap<CharState, CharState> = FxHashMap::default();
        let mut queue = BinaryHeap::new();
        parents.insert(state, state);
        queue.push((Reverse(self.promise(state)), 0u32, state));
        let mut terms: FxHashSet<ExprId> = FxHashSet::default();
        let mut found = None;
        let (mut order, mut popped) = (0u32, 0u32);
        while let Some((Reverse(promise), _, at)) = queue.pop() {
            if self.states[at as usize].life == Life::Alive || self.accepting(at)? {
                found = Some(at);
                break;
            }
            if self.states[at as usize].life == Life::Dead {
                continue;
            }
            self.calculus.spend(crate::derivative::derive::STEP)?;
            popped += 1;
            if popped == PATIENCE && self.surely_dead(state)? {
                break;
            }
            for (m, c) in self.candidates(at) {
                let next = self.go(at, m, c)?;
                if next != DEAD && !parents.contains_key(&next) {
                    parents.insert(next, at);
                    order += 1;
                    // Captures make the states infinite in number: there the way so far counts, too, and states that
                    // differ only in what was captured wait until the first of them has failed.
                    let mut so_far = 0;
                    if self.captures {
                        so_far = promise - self.promise(at).min(promise) + 1;
                        if !terms.insert(self.states[next as usize].term) {
                            so_far += 64;
                        }
                    }
                    queue.push((Reverse(self.promise(next).saturating_add(so_far)), order, next));
                }
            }
        }
        match found {
            Some(mut at) => loop {
                self.states[at as usize].life = Life::Alive;
                let parent = parents[&at];
                if parent == at {
                    return Ok(true);
                }
                at = parent;
            },
            None => {
                for &seen in parents.keys() {
                    self.states[seen as usize].life = Life::Dead;
                }
                Ok(false)
            }
        }
    }

    /// How far from acceptance a state seems: each condition that is still open counts.
    fn promise(&self, state: CharState) -> u32 {
        let arena = &self.calculus.arena;
        match arena.get(self.states[state as usize].term) {
            Expr::Inter(parts) => parts.iter().fold(0, |sum: u32, &p| sum.saturating_add(arena.info(p).min_len)),
            _ => self.estimate(state),
        }
    }

    /// Whether nothing matches even if captured texts could be any texts: of such states there are only so many.
    fn surely_dead(&mut self, state: CharState) -> Result<bool> {
        let State { term, before, trackers, .. } = self.states[state as usize];
        if !self.calculus.arena.is(term, flag::GROUPS) {
            return Ok(false);
        }
        let Some(loose) = self.calculus.loosened(term, &mut FxHashMap::default())? else { return Ok(false) };
        let trackers = self.tracker_sets[trackers as usize].clone();
        let loose = self.intern(loose, before, &trackers, 0);
        Ok(loose == DEAD || !self.alive(loose)?)
    }

    /// Whether the structure shows that something matches: no conditions but on groups that are closed by then.
    pub(crate) fn surely_alive(&self, term: ExprId) -> bool {
        if !self.captures && !self.calculus.arena.is(term, flag::GROUPS) {
            return false;
        }
        let mut budget = 400;
        self.surely(term, EMPTY, &mut Vec::new(), &mut budget)
    }

    /// Whether a sequence followed by another surely matches something; `closed`: the groups that are set by then.
    fn surely(&self, sequence: ExprId, behind: ExprId, closed: &mut Vec<u32>, budget: &mut u32) -> bool {
        let arena = &self.calculus.arena;
        let (mut rest, mut behind) = (sequence, behind);
        loop {
            if rest == EMPTY {
                if behind == EMPTY {
                    return true;
                }
                (rest, behind) = (behind, EMPTY);
            }
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            let (head, tail) = arena.split(rest);
            match *arena.get(head) {
                _ if arena.is(head, flag::PLAIN) && head != NOTHING => {}
                Expr::Repeat { min: 0, .. } | Expr::Open(_) => {}
                Expr::Repeat { body, .. } => {
                    // One iteration that matches can be repeated; what it closes stays closed.
                    if !self.surely(body, EMPTY, closed, budget) {
                        return false;
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    if behind != EMPTY {
                        return false;
                    }
                    return ids.iter().any(|&id| self.surely(id, tail, &mut closed.clone(), budget));
                }
                Expr::Text { .. } => {}
                Expr::Close { group, .. } => closed.push(group),
                Expr::Backref { reference, content } => {
                    if content == UNBOUND && !closed.contains(&self.calculus.captures.group(reference)) {
                        return false;
                    }
                }
                _ => return false,
            }
            rest = tail;
        }
    }

    /// No text from a state to a match is shorter, in bytes.
    pub(crate) fn estimate(&self, state: CharState) -> u32 {
        let State { term, buffer, .. } = self.states[state as usize];
        if self.captures { self.with_captured(term, buffer) } else { self.calculus.arena.info(term).min_len }
    }

    /// The same of a term; what is captured so far counts once more for each backreference to it. Without that, a search
    /// for a shortest text would lengthen the capture in every way before it came to compare it.
    fn with_captured(&self, term: ExprId, buffer: u32) -> u32 {
        let arena = &self.calculus.arena;
        if let Expr::Union(ids) | Expr::Ordered(ids) = arena.get(term) {
            return ids.iter().map(|&id| self.with_captured(id, buffer)).min().unwrap_or(0);
        }
        let captures = &self.calculus.captures;
        let (mut sum, mut rest) = (0u32, term);
        let mut captured: Vec<(u32, u32, u32)> = Vec::new();
        while rest != EMPTY {
            let (head, tail) = arena.split(rest);
            let more = match *arena.get(head) {
                Expr::Close { group, start } if start != UNBOUND => {
                    let text = captures.read(buffer, start);
                    let bytes: usize = text.iter().map(|&c| char::from_u32(c).map_or(1, char::len_utf8)).sum();
                    captured.push((group, sum + text.len() as u32, sum + bytes as u32));
                    0
                }
                Expr::Backref { reference, content: UNBOUND } => {
                    let group = captures.group(reference);
                    let text = captured.iter().rev().find(|&&(closed, _, _)| closed == group);
                    // Characters that differ in case only may differ in bytes.
                    text.map_or(0, |&(_, chars, bytes)| if captures.is_exact(reference) { bytes } else { chars })
                }
                _ => arena.reads(head),
            };
            sum = sum.saturating_add(more);
            rest = tail;
        }
        sum.max(arena.info(term).min_len)
    }
}
