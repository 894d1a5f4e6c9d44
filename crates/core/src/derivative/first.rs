//! With which minterms a term begins, and which it has anywhere.

use crate::derivative::calculus::Calculus;
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::{ALL, Bits};
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, UNBOUND};

impl Calculus {
    /// The minterms of a buffer's characters.
    pub(crate) fn captured(&self, buffer: u32) -> Bits {
        let mut captured = Bits::default();
        for c in self.captures.read(buffer, 0) {
            captured.add(self.partition.minterm(c));
        }
        captured
    }

    /// The minterms with which a sequence can begin, and perhaps more; `captured`: those of which a text can be that
    /// a group captures before.
    pub(crate) fn first(&self, sequence: ExprId, captured: &Bits, into: &mut Bits) {
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Class(class) => into.extend(self.partition.bits(class)),
                Expr::Str { at, .. } => into.extend(self.partition.bits(self.arena.pool[at as usize])),
                Expr::Literals { table, lo, hi, depth } => {
                    let mut strings = &self.arena.tables[table as usize][lo as usize..hi as usize];
                    // One may end here, the first; the others are sorted by their next element.
                    if strings.first().is_some_and(|s| s.1 <= depth) {
                        strings = &strings[1..];
                    }
                    while let Some(&(at, _)) = strings.first() {
                        let class = self.arena.pool[(at + depth) as usize];
                        into.extend(self.partition.bits(class));
                        strings = &strings[self.arena.run(strings, depth, class)..];
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    ids.iter().for_each(|&id| self.first(id, captured, into));
                }
                Expr::Repeat { body, .. } => self.first(body, captured, into),
                Expr::Members { .. } | Expr::Keys { .. } | Expr::Items { .. } | Expr::Top { .. } => {
                    self.first_of_collection(head, into)
                }
                Expr::Table { table, state } => self.arena.automata[table as usize].first(state, into),
                Expr::Fuzzy(state) => self.first_of_fuzzy(state, into),
                Expr::Rule(rule) => into.extend(&self.arena.rules[rule as usize].first),
                Expr::Part(number) => {
                    let situation = self.about_part(number).0;
                    self.first(situation.term, &self.captured(situation.buffer), into);
                }
                Expr::Inter(ref ids) => {
                    let mut all: Option<Bits> = None;
                    for &id in ids {
                        let mut one = Bits::default();
                        self.first(id, captured, &mut one);
                        all = Some(all.map_or_else(|| one.clone(), |all| all.both(&one)));
                    }
                    into.extend(&all.unwrap_or_default());
                }
                Expr::Cond { yes, no, .. } => [yes, no].into_iter().for_each(|id| self.first(id, captured, into)),
                Expr::Empty | Expr::Nothing | Expr::Done | Expr::End | Expr::Open(_) | Expr::Close { .. } => {}
                Expr::Before { .. } | Expr::Start { .. } | Expr::Next { .. } => {}
                Expr::Ahead { .. } | Expr::Behind { .. } => {}
                Expr::Backref { reference, content: UNBOUND } if self.captures.is_exact(reference) => {
                    into.extend(captured);
                }
                // Every text, a captured one, a race of ways, a Boolean term: anything.
                _ => into.extend(self.partition.bits(ALL)),
            }
            if tail == EMPTY || !self.arena.is(head, flag::MAY_SKIP) {
                return;
            }
            rest = tail;
        }
    }

    /// Works out with which minterms the rules begin.
    ///
    /// # Errors
    /// [`Error::LeftRecursion`], if a rule can begin with itself.
    pub(crate) fn find_first_letters(&mut self) -> Result<()> {
        let order = self.arena.unfolding_order().map_err(|rules| Error::LeftRecursion { rules })?;
        for rule in order {
            self.spend(1)?;
            let mut first = Bits::default();
            self.first(self.arena.rules[rule as usize].body, &Bits::default(), &mut first);
            self.arena.rules[rule as usize].first = first;
        }
        Ok(())
    }

    /// The minterms that a sequence has anywhere, and perhaps more.
    pub(crate) fn all_minterms(&mut self, sequence: ExprId, captured: &Bits) -> Bits {
        let mut all = Bits::default();
        if self.arena.is(sequence, flag::GROUPS) {
            self.anywhere(sequence, captured, &mut all);
            return all;
        }
        if let Some(known) = self.anywhere.get(&sequence) {
            return known.clone();
        }
        self.anywhere(sequence, captured, &mut all);
        self.anywhere.insert(sequence, all.clone());
        all
    }

    pub(super) fn anywhere(&self, sequence: ExprId, captured: &Bits, into: &mut Bits) {
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Str { at, len } => {
                    let classes = &self.arena.pool[at as usize..(at + len) as usize];
                    classes.iter().for_each(|&class| into.extend(self.partition.bits(class)));
                }
                Expr::Literals { table, lo, hi, depth } => {
                    for &(at, len) in &self.arena.tables[table as usize][lo as usize..hi as usize] {
                        let classes = &self.arena.pool[(at + depth) as usize..(at + len) as usize];
                        classes.iter().for_each(|&class| into.extend(self.partition.bits(class)));
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    ids.iter().for_each(|&id| self.anywhere(id, captured, into));
                }
                Expr::Inter(ref ids) => ids.iter().for_each(|&id| self.anywhere(id, captured, into)),
                Expr::Repeat { body, .. } | Expr::Mark { body, .. } => self.anywhere(body, captured, into),
                Expr::Cond { yes, no, .. } => [yes, no].into_iter().for_each(|id| self.anywhere(id, captured, into)),
                Expr::Atomic(ref threads) => threads.iter().for_each(|thread| self.anywhere(thread.1, captured, into)),
                Expr::Table { table, .. } => self.arena.automata[table as usize].anywhere(into),
                Expr::Rule(_)
                | Expr::Fuzzy(_)
                | Expr::Part(_)
                | Expr::Members { .. }
                | Expr::Keys { .. }
                | Expr::Items { .. }
                | Expr::Top { .. }
                | Expr::Opaque => into.extend(self.partition.bits(ALL)),
                // One character, none, or what `first` takes for anything.
                _ => self.first(head, captured, into),
            }
            if tail == EMPTY {
                return;
            }
            rest = tail;
        }
    }
}
