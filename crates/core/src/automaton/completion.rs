//! The shortest text to a match.

use super::expr::{ANYTHING, EMPTY, Expr, ExprId, flag};
use super::partition::ClassId;
use super::regex::{CharState, DEAD, MIDDLE, RegexAutomaton};
use super::{Automaton, StateId};
use crate::error::Result;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bytes of the cheapest text, by expression.
type Costs = FxHashMap<ExprId, u64>;

impl RegexAutomaton {
    /// A shortest text, in bytes, from a state to an accepting one; of a plain term without stepping.
    pub(super) fn completion(&mut self, state: StateId) -> Result<Vec<u8>> {
        let mut best: FxHashMap<CharState, (u32, CharState, u32)> = FxHashMap::default();
        let mut queue = BinaryHeap::new();
        let mut order = 0u32;
        let (at, middle) = self.parts(state);
        let mut result = Vec::new();
        let from = if middle.is_some() {
            // Finish the character first, with the first continuation that lives.
            let (bytes, next) = self.finish_character(state)?;
            result = bytes;
            next
        } else {
            at
        };
        let term = self.states[from as usize].term;
        if self.calculus.arena.is(term, flag::PLAIN) {
            self.cheapest_text(term, &mut result)?;
            return Ok(result);
        }
        best.insert(from, (0, from, 0));
        queue.push((Reverse(self.estimate(from)), Reverse(order), from, 0u32));
        while let Some((_, _, at, cost)) = queue.pop() {
            if best[&at].0 < cost {
                continue;
            }
            if self.accepting(at)? {
                let mut characters = Vec::new();
                let mut back = at;
                while back != from {
                    let (_, parent, c) = best[&back];
                    characters.push(c);
                    back = parent;
                }
                for c in characters.into_iter().rev().filter_map(char::from_u32) {
                    result.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                return Ok(result);
            }
            self.calculus.spend(1)?;
            for (m, c) in self.candidates(at) {
                let next = self.walk(at, m, c)?;
                if next == DEAD {
                    continue;
                }
                let cost = cost + char::from_u32(c).map_or(1, char::len_utf8) as u32;
                if best.get(&next).is_none_or(|known| cost < known.0) {
                    best.insert(next, (cost, at, c));
                    order += 1;
                    queue.push((Reverse(cost.saturating_add(self.estimate(next))), Reverse(order), next, cost));
                }
            }
        }
        Ok(result)
    }

    /// Bytes that complete the character that is being written, alive, and the state after it.
    fn finish_character(&mut self, state: StateId) -> Result<(Vec<u8>, CharState)> {
        let mut bytes = Vec::new();
        let mut at = state;
        while at.0 & MIDDLE != 0 {
            let mut next = StateId::DEAD;
            for byte in 0x80..0xC0u8 {
                next = self.step(at, byte)?;
                if next != StateId::DEAD {
                    bytes.push(byte);
                    break;
                }
            }
            at = next;
        }
        Ok((bytes, at.0))
    }

    /// Appends the cheapest text of a plain term: its parts are independent, so each takes its own cheapest way.
    fn cheapest_text(&mut self, term: ExprId, out: &mut Vec<u8>) -> Result<()> {
        let mut costs = Costs::default();
        let mut rest = term;
        loop {
            self.calculus.spend(1)?;
            let (head, tail) = self.calculus.arena.split(rest);
            match self.calculus.arena.get(head).clone() {
                Expr::Class(class) => self.write(class, out),
                Expr::Str { at, len } => {
                    self.calculus.spend(u64::from(len))?;
                    for i in at..at + len {
                        self.write(self.calculus.arena.pool[i as usize], out);
                    }
                }
                Expr::Literals { table, lo, hi, depth } => {
                    let range = lo as usize..hi as usize;
                    let strings = &self.calculus.arena.tables[table as usize][range];
                    if let Some((at, len)) =
                        strings.iter().copied().min_by_key(|s| self.string_cost(s.0 + depth, s.1 - depth))
                    {
                        for i in at + depth..at + len {
                            self.write(self.calculus.arena.pool[i as usize], out);
                        }
                    }
                }
                Expr::Union(ids) | Expr::Ordered(ids) if head != ANYTHING => {
                    let mut best = None;
                    for &id in &ids {
                        let cost = self.cost(id, &mut costs)?;
                        if best.is_none_or(|(least, _)| cost < least) {
                            best = Some((cost, id));
                        }
                    }
                    if let Some((_, id)) = best {
                        self.cheapest_text(id, out)?;
                    }
                }
                Expr::Repeat { body, min, .. } if min > 0 => {
                    let from = out.len();
                    self.cheapest_text(body, out)?;
                    let one = out[from..].to_vec();
                    self.calculus.spend(u64::from(min - 1).saturating_mul(one.len() as u64 / 16 + 1))?;
                    for _ in 1..min {
                        out.extend_from_slice(&one);
                    }
                }
                _ => {}
            }
            if tail == EMPTY {
                return Ok(());
            }
            rest = tail;
        }
    }

    fn write(&self, class: ClassId, out: &mut Vec<u8>) {
        if let Some(c) = char::from_u32(self.calculus.partition.cheapest(class)) {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn class_cost(&self, class: ClassId) -> u64 {
        char::from_u32(self.calculus.partition.cheapest(class)).map_or(0, |c| c.len_utf8() as u64)
    }

    fn string_cost(&self, at: u32, len: u32) -> u64 {
        let classes = &self.calculus.arena.pool[at as usize..(at + len) as usize];
        classes.iter().map(|&class| self.class_cost(class)).sum()
    }

    /// The bytes of the cheapest text of a plain term.
    fn cost(&mut self, term: ExprId, costs: &mut Costs) -> Result<u64> {
        if let Some(&known) = costs.get(&term) {
            return Ok(known);
        }
        let mut sum = 0u64;
        let mut rest = term;
        loop {
            self.calculus.spend(1)?;
            let (head, tail) = self.calculus.arena.split(rest);
            let cost = match self.calculus.arena.get(head).clone() {
                Expr::Class(class) => self.class_cost(class),
                Expr::Str { at, len } => self.string_cost(at, len),
                Expr::Literals { table, lo, hi, depth } => {
                    let strings = self.calculus.arena.tables[table as usize][lo as usize..hi as usize].iter();
                    strings.map(|s| self.string_cost(s.0 + depth, s.1 - depth)).min().unwrap_or(0)
                }
                Expr::Union(ids) | Expr::Ordered(ids) if head != ANYTHING => {
                    let mut least = u64::MAX;
                    for &id in &ids {
                        least = least.min(self.cost(id, costs)?);
                    }
                    least
                }
                Expr::Repeat { body, min, .. } if min > 0 => self.cost(body, costs)?.saturating_mul(u64::from(min)),
                _ => 0,
            };
            sum = sum.saturating_add(cost);
            if tail == EMPTY {
                break;
            }
            rest = tail;
        }
        costs.insert(term, sum);
        Ok(sum)
    }
}
