//! Many characters in one step, where the state after them is known without those between.
//!
//! After `k ≤ n` characters of `x{m,n}T` that are of the class `x`, or of the class of an alternative of `x`, and that begin
//! nothing else there nor `T`, the term is `x{m-k,n-k}T`; after `k` characters of a string, the rest of it. Taking
//! derivatives one by one comes to the same terms, by way of states that nobody needs.
//!
//! PERF: a cold step of `\w{1,64}( \w{1,64}){0,9}` takes 2.4 µs in place of 3.3.

use crate::error::Result;
use crate::expression::arena::{Expr, ExprId, MANY};
use crate::expression::facts::flag;
use crate::expression::minterms::{Minterm, folded};
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD};
use rustc_hash::FxHashMap;

/// A stride is over so many bytes at most.
const MOST_BYTES: usize = 16;

/// The strides made so far: by state and bytes, zeros behind them, and how many they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strides(FxHashMap<(CharState, u128, u8), (CharState, u8)>);

impl Strides {
    pub(crate) fn clear(&mut self) {
        self.0 = FxHashMap::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.capacity() * 56
    }
}

impl RegexAutomaton {
    /// See [`crate::automaton::Automaton::stride`].
    pub(crate) fn find_stride(&mut self, state: CharState, bytes: &[u8]) -> Result<Option<(CharState, usize)>> {
        if bytes.len() < 2 || state == DEAD || self.knows(state, bytes[0]) {
            return Ok(None);
        }
        let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
        let mut padded = [0; MOST_BYTES];
        padded[..bytes.len()].copy_from_slice(bytes);
        let key = (state, u128::from_le_bytes(padded), bytes.len() as u8);
        if let Some(&(next, length)) = self.strides.0.get(&key) {
            return Ok(Some((next, usize::from(length))));
        }
        let made = self.make_stride(state, bytes)?;
        if let Some((next, length)) = made {
            self.strides.0.insert(key, (next, length as u8));
        }
        Ok(made)
    }

    fn make_stride(&mut self, state: CharState, bytes: &[u8]) -> Result<Option<(CharState, usize)>> {
        let term = self.states[state as usize].term;
        if !self.calculus.arena.is(term, flag::PLAIN) {
            return Ok(None);
        }
        let (head, tail) = self.calculus.arena.split(term);
        let (taken, length, rest) = match *self.calculus.arena.get(head) {
            Expr::Repeat { body, min, max, lazy: false } => {
                let (taken, length) = self.inside(body, tail, max, bytes);
                let most = if max == MANY { MANY } else { max - taken };
                (taken, length, self.calculus.arena.repeat(body, min.saturating_sub(taken), most, false))
            }
            Expr::Str { at, len } => {
                let (taken, length) = self.along(at, len, bytes);
                (taken, length, self.calculus.arena.string(at + taken, len - taken))
            }
            Expr::Literals { table, lo, hi, depth } => self.down((table, lo, hi, depth), bytes),
            _ => return Ok(None),
        };
        if taken < 2 {
            return Ok(None);
        }
        self.calculus.spend(u64::from(taken))?;
        let after = self.calculus.arena.concat(rest, tail);
        let next = self.intern_bare(after);
        self.check_memory()?;
        Ok(Some((next, length)))
    }

    /// How many characters, and bytes, at the start of `bytes` are iterations of a repetition and can be nothing else.
    fn inside(&self, body: ExprId, tail: ExprId, max: u32, bytes: &[u8]) -> (u32, usize) {
        let arena = &self.calculus.arena;
        let mut other = arena.info(tail).first;
        let class = match arena.get(body) {
            Expr::Class(class) => Some(*class),
            Expr::Union(ids) => {
                let mut found = None;
                for &id in ids {
                    match arena.get(id) {
                        Expr::Class(class) => found = Some(*class),
                        _ => other |= arena.info(id).first,
                    }
                }
                found
            }
            _ => None,
        };
        let Some(class) = class else { return (0, 0) };
        let partition = &self.calculus.partition;
        let (mut taken, mut length) = (0, 0);
        for (m, size) in self.minterms(bytes) {
            if taken == max || folded(m) & other != 0 || !partition.has(class, m) {
                break;
            }
            (taken, length) = (taken + 1, length + size);
        }
        (taken, length)
    }

    /// The same for the characters of a string.
    fn along(&self, at: u32, len: u32, bytes: &[u8]) -> (u32, usize) {
        let classes = &self.calculus.arena.pool[at as usize..(at + len) as usize];
        let same = classes
            .iter()
            .zip(self.minterms(bytes))
            .take_while(|&(&class, (m, _))| self.calculus.partition.has(class, m));
        same.fold((0, 0), |(taken, length), (_, (_, size))| (taken + 1, length + size))
    }

    /// The same for the words of a table, until one of them ends; and what is left of them.
    fn down(&mut self, literals: (u32, u32, u32, u32), bytes: &[u8]) -> (u32, usize, ExprId) {
        let (table, mut lo, mut hi, mut depth) = literals;
        let (mut taken, mut length) = (0, 0);
        for (m, size) in self.minterms(bytes) {
            let arena = &self.calculus.arena;
            if arena.tables[table as usize][lo as usize].1 == depth {
                break;
            }
            let (from, to) = arena.descend(&self.calculus.partition, (table, lo, hi, depth), m);
            if from == to {
                break;
            }
            (lo, hi, depth) = (from, to, depth + 1);
            (taken, length) = (taken + 1, length + size);
        }
        (taken, length, self.calculus.arena.literals(table, lo, hi, depth))
    }

    /// The minterms of the characters of `bytes`, with their lengths in bytes, up to what is no whole character of the
    /// alphabet.
    fn minterms<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (Minterm, usize)> + 'a {
        let partition = &self.calculus.partition;
        let mut at = 0;
        std::iter::from_fn(move || {
            let &first = bytes.get(at)?;
            let (m, size) = if first < 0x80 {
                (partition.ascii(first), 1)
            } else {
                let size = match first {
                    0xC2..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    _ => 4,
                };
                let character = std::str::from_utf8(bytes.get(at..at + size)?).ok()?.chars().next()?;
                (partition.minterm(u32::from(character)), size)
            };
            at += size;
            (m != 0).then_some((m, size))
        })
    }
}
