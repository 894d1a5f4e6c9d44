//! Derivatives of items that may be matched with errors.
//!
//! `regex` compares a fuzzy item class by class, and makes an error only where the text does not agree: at a character of
//! the class it goes on, at any other it may take it for one of the class (substitution), pass over it (insertion) or pass
//! over the class (deletion), whichever costs allow. Behind the last class it may pass over any character. So
//!
//! ```text
//! D_m(C t, spent) = (t, spent)                                                                    if m ∈ C
//!                   (t, spent + s) ∪ (C t, spent + i) ∪ D_m(t, spent + d)                         if not
//! D_m(ε, spent)   = (ε, spent + i) ∪ what follows the item derives by m
//! ```
//!
//! over the positions `C t` of the item's pattern (its linear form: Antimirov 1996), so a state is the set of ways to have
//! read the text: a Levenshtein automaton, made state by state. Whether an item may be passed over depends on the next
//! character: `(?:a){d<=1}a` does not match `a`, in `regex` neither. Errors where the text agrees were left out of the
//! formula for that reason; where all characters may be wrong and nothing follows, they would add no text.
//!
//! An expansion when the pattern is translated was considered: a pattern of n characters with k errors has up to
//! (n + 1)(k + 1) positions by kind of error, and every nested repetition of it as many again. Made on demand, the states
//! of a text are as many as its characters. Measured on Tekken's 131,072 tokens, over 20 to 25 masks of a text: `{e<=1}` on
//! 19 characters, first mask 0.5 ms and 44 µs in the mean; `{e<=5}` on them, 10 ms and 0.8 ms.

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::Result;
use crate::expression::fuzzy_items::{FuzzyState, Way, undominated};
use crate::expression::minterms::{Bits, Minterm};
use crate::expression::node::{ALL_CHARACTERS, ANYTHING, EMPTY, Expr, ExprId, MANY, NOTHING};
use rustc_hash::FxHashSet;

impl Calculus {
    /// An item of a pattern that may be matched with the errors that `spec` allows.
    pub fn fuzzy(&mut self, spec: u32, pattern: ExprId) -> Result<ExprId> {
        let none = Default::default();
        let ways = self.positions(pattern)?.iter().map(|&position| (position, none)).collect();
        self.fuzzy_state(spec, ways)
    }

    /// The item that these ways are left of; [`NOTHING`], if there are none.
    pub(crate) fn fuzzy_state(&mut self, spec: u32, ways: Vec<Way>) -> Result<ExprId> {
        self.spend(STEP + ways.len() as u64)?;
        let ways = undominated(ways);
        if ways.is_empty() {
            return Ok(NOTHING);
        }
        if let Some(&known) = self.arena.fuzzy.numbers.get(&(spec, ways.clone())) {
            return Ok(self.arena.intern(Expr::Fuzzy(known)));
        }
        let mut first = Bits::default();
        self.first_of_ways(spec, &ways, &mut first)?;
        let ends = self.deletes_to_end(spec, &ways)?;
        let rules = &self.arena.fuzzy.specs[spec as usize];
        let least = |way: &Way| self.arena.info(way.0).min_len.saturating_sub(rules.deletions_left(&way.1));
        let least = ways.iter().map(least).min().unwrap_or(0);
        let state = FuzzyState { spec, ways, ends, least, first: first.folded() };
        let number = self.arena.fuzzy.keep(state);
        Ok(self.arena.intern(Expr::Fuzzy(number)))
    }

    /// What is left of an item after a character, and whether what follows the item may read the character instead.
    pub(crate) fn derive_fuzzy(&mut self, state: u32, m: Minterm) -> Result<(ExprId, bool)> {
        if let Some(&known) = self.arena.fuzzy.steps.get(&(state, m)) {
            return Ok(known);
        }
        let FuzzyState { spec, ways, .. } = self.arena.fuzzy.states[state as usize].clone();
        let rules = self.arena.fuzzy.specs[spec as usize].clone();
        let may_be_wrong = self.partition.has(rules.allowed, m);
        let mut passes = false;
        let mut next: Vec<Way> = Vec::new();
        let mut stack = ways.into_vec();
        let mut seen: FxHashSet<Way> = stack.iter().copied().collect();
        while let Some((position, spent)) = stack.pop() {
            self.spend(STEP / 2)?;
            let inserted = if may_be_wrong { rules.plus(&spent, &rules.insertion) } else { None };
            next.extend(inserted.filter(|_| position == EMPTY).map(|spent| (EMPTY, spent)));
            if position == EMPTY {
                passes = true;
                continue;
            }
            let (head, tail) = self.arena.split(position);
            let Expr::Class(class) = *self.arena.get(head) else { continue };
            if self.partition.has(class, m) {
                next.extend(self.positions(tail)?.iter().map(|&position| (position, spent)));
                continue;
            }
            next.extend(inserted.map(|spent| (position, spent)));
            let substituted = if may_be_wrong { rules.plus(&spent, &rules.substitution) } else { None };
            let deleted = rules.plus(&spent, &rules.deletion);
            if substituted.is_none() && deleted.is_none() {
                continue;
            }
            for &position in &self.positions(tail)? {
                next.extend(substituted.map(|spent| (position, spent)));
                stack.extend(deleted.map(|spent| (position, spent)).filter(|&way| seen.insert(way)));
            }
        }
        let left = self.fuzzy_state(spec, next)?;
        self.arena.fuzzy.steps.insert((state, m), (left, passes));
        Ok((left, passes))
    }

    /// The minterms with which the ways of an item begin.
    fn first_of_ways(&mut self, spec: u32, ways: &[Way], into: &mut Bits) -> Result<()> {
        let rules = self.arena.fuzzy.specs[spec as usize].clone();
        let mut stack = ways.to_vec();
        let mut seen: FxHashSet<Way> = stack.iter().copied().collect();
        while let Some((position, spent)) = stack.pop() {
            self.spend(STEP / 4)?;
            if rules.plus(&spent, &rules.insertion).is_some() {
                into.extend(self.partition.bits(rules.allowed));
            }
            let (head, tail) = self.arena.split(position);
            let Expr::Class(class) = *self.arena.get(head) else { continue };
            into.extend(self.partition.bits(class));
            if rules.plus(&spent, &rules.substitution).is_some() {
                into.extend(self.partition.bits(rules.allowed));
            }
            if let Some(spent) = rules.plus(&spent, &rules.deletion) {
                let behind = self.positions(tail)?;
                stack.extend(behind.iter().map(|&position| (position, spent)).filter(|&way| seen.insert(way)));
            }
        }
        Ok(())
    }

    /// The minterms with which a state of an item begins, and perhaps more.
    pub(crate) fn first_of_fuzzy(&self, state: u32, into: &mut Bits) {
        let state = &self.arena.fuzzy.states[state as usize];
        for m in 1..self.partition.len() as Minterm {
            if state.first & crate::expression::minterms::folded(m) != 0 {
                into.add(m);
            }
        }
    }

    /// Whether some way comes to the end of its pattern by deletions alone.
    fn deletes_to_end(&mut self, spec: u32, ways: &[Way]) -> Result<bool> {
        let rules = self.arena.fuzzy.specs[spec as usize].clone();
        let mut stack = ways.to_vec();
        let mut seen: FxHashSet<Way> = stack.iter().copied().collect();
        while let Some((position, spent)) = stack.pop() {
            self.spend(STEP / 4)?;
            if position == EMPTY {
                return Ok(true);
            }
            if self.arena.info(position).min_len > rules.deletions_left(&spent) {
                continue;
            }
            let (_, tail) = self.arena.split(position);
            if let Some(spent) = rules.plus(&spent, &rules.deletion) {
                let behind = self.positions(tail)?;
                stack.extend(behind.iter().map(|&position| (position, spent)).filter(|&way| seen.insert(way)));
            }
        }
        Ok(false)
    }

    /// The positions at which a sequence can begin: what begins with a class, or the empty text.
    fn positions(&mut self, sequence: ExprId) -> Result<Vec<ExprId>> {
        if let Some(known) = self.arena.fuzzy.positions.get(&sequence) {
            return Ok(known.to_vec());
        }
        let mut found = Vec::new();
        let mut stack = vec![sequence];
        let mut seen: FxHashSet<ExprId> = FxHashSet::default();
        while let Some(at) = stack.pop() {
            if !seen.insert(at) {
                continue;
            }
            self.spend(STEP)?;
            let (head, tail) = self.arena.split(at);
            match *self.arena.get(head) {
                Expr::Empty => found.push(EMPTY),
                Expr::Class(_) => found.push(at),
                Expr::Str { at, len } => {
                    let first = self.arena.class(self.arena.pool[at as usize]);
                    let rest = self.arena.string(at + 1, len - 1);
                    let rest = self.arena.concat(rest, tail);
                    found.push(self.arena.concat(first, rest));
                }
                Expr::Concat(..) => stack.push(self.arena.concat(head, tail)),
                Expr::Ordered(_) if head == ANYTHING => {
                    found.push(self.arena.concat(ALL_CHARACTERS, at));
                    stack.push(tail);
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    for id in ids.clone() {
                        stack.push(self.arena.concat(id, tail));
                    }
                }
                Expr::Repeat { body, min, max, lazy } => {
                    if min == 0 {
                        stack.push(tail);
                    }
                    let most = if max == MANY { MANY } else { max - 1 };
                    let left = self.arena.repeat(body, min.saturating_sub(1), most, lazy);
                    let rest = self.arena.concat(left, tail);
                    stack.push(self.arena.concat(body, rest));
                }
                // `translate` puts nothing else into fuzzy items.
                _ => {}
            }
        }
        found.sort_unstable();
        found.dedup();
        self.arena.fuzzy.keep_positions(sequence, found.clone());
        Ok(found)
    }
}
