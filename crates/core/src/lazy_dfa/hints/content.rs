//! Character loops by content: of a state that may go on in several ways at once, one of them an unbounded repetition of a
//! wide class.
//!
//! Any text of the class keeps that way, and so the state, alive for ever. What else can follow is told by structure: the
//! characters with which each way can leave the class. A way is followed along its items, through rules and alternatives,
//! up to one that has to leave the class; where something is met of which that cannot be told, there is no such loop.

use crate::derivative::calculus::Calculus;
use crate::expression::info::flag;
use crate::expression::minterms::{Bits, Minterm};
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, MANY};

/// Rules and alternatives inside one another that are looked into.
const MOST_DEPTH: u32 = 12;
/// Items that are looked at for one state.
const MOST_ITEMS: u32 = 2_000;

/// A class that keeps a state alive for ever, and the characters that may leave it.
pub struct Content {
    /// The class.
    pub class: Bits,
    /// The exits.
    pub exits: Bits,
}

impl Calculus {
    /// The loop of a plain term; `is_wide` tells which classes are worth one.
    pub(crate) fn content_loop(&self, term: ExprId, is_wide: &dyn Fn(&Bits) -> bool) -> Option<Content> {
        let members = match self.arena.get(term) {
            Expr::Union(ids) if term != ANYTHING => ids.to_vec(),
            _ => vec![term],
        };
        let class = members.iter().find_map(|&member| self.repeated(member, is_wide, 0))?;
        let mut leaving = Leaving { calculus: self, class: &class, exits: Bits::default(), left: MOST_ITEMS };
        for &member in &members {
            leaving.follow(member, 0)?;
        }
        let exits = leaving.exits;
        Some(Content { class, exits })
    }

    /// A class with an unbounded repetition of which a sequence can begin.
    fn repeated(&self, sequence: ExprId, is_wide: &dyn Fn(&Bits) -> bool, depth: u32) -> Option<Bits> {
        if depth > MOST_DEPTH {
            return None;
        }
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            let found = match *self.arena.get(head) {
                Expr::Repeat { body, max: MANY, .. } => match *self.arena.get(body) {
                    Expr::Class(class) => Some(self.partition.bits(class).clone()),
                    Expr::Union(ref ids) if body != ANYTHING => ids.iter().find_map(|&id| match *self.arena.get(id) {
                        Expr::Class(class) => Some(self.partition.bits(class).clone()).filter(|bits| is_wide(bits)),
                        _ => None,
                    }),
                    _ => self.repeated(body, is_wide, depth + 1),
                },
                Expr::Repeat { body, .. } => self.repeated(body, is_wide, depth + 1),
                // One character of a class, and then any number of another: what both have.
                Expr::Class(one) => {
                    let (next, _) = self.arena.split(tail);
                    match *self.arena.get(next) {
                        Expr::Repeat { body, max: MANY, .. } => match *self.arena.get(body) {
                            Expr::Class(class) => Some(self.partition.bits(class).both(self.partition.bits(one))),
                            _ => None,
                        },
                        _ => None,
                    }
                }
                Expr::Union(ref ids) if head != ANYTHING => {
                    ids.iter().find_map(|&id| self.repeated(id, is_wide, depth + 1))
                }
                Expr::Rule(rule) => self.repeated(self.arena.rules[rule as usize].body, is_wide, depth + 1),
                Expr::Part(number) => self.repeated_part(self.arena.parts[number as usize].term, is_wide, depth),
                _ => None,
            };
            if let Some(found) = found.filter(|bits| is_wide(bits)) {
                return Some(found);
            }
            if tail == EMPTY || !self.arena.is(head, flag::SKIPS) {
                return None;
            }
            rest = tail;
        }
    }

    /// The same of a language of its own that has only finitely many texts taken out.
    fn repeated_part(&self, term: ExprId, is_wide: &dyn Fn(&Bits) -> bool, depth: u32) -> Option<Bits> {
        let mut found = None;
        for &part in self.factors(term)? {
            match *self.arena.get(part) {
                Expr::Not(inner) if self.is_finite(inner) => {}
                _ if found.is_none() && self.arena.is(part, flag::PLAIN) => {
                    found = Some(self.repeated(part, is_wide, depth + 1)?);
                }
                _ => return None,
            }
        }
        found
    }

    fn factors(&self, term: ExprId) -> Option<&[ExprId]> {
        match self.arena.get(term) {
            Expr::Inter(parts) => Some(parts),
            _ => None,
        }
    }

    /// Whether it has finitely many texts. `false`: it may have more.
    fn is_finite(&self, id: ExprId) -> bool {
        match *self.arena.get(id) {
            Expr::Empty | Expr::Nothing | Expr::Class(_) | Expr::Str { .. } | Expr::Literals { .. } => true,
            Expr::Concat(head, tail) => self.is_finite(head) && self.is_finite(tail),
            Expr::Union(ref ids) if id != ANYTHING => ids.iter().all(|&id| self.is_finite(id)),
            _ => false,
        }
    }
}

/// With which characters ways leave a class.
struct Leaving<'a> {
    calculus: &'a Calculus,
    class: &'a Bits,
    exits: Bits,
    left: u32,
}

impl Leaving<'_> {
    /// Adds the characters of a set that are outside; whether all are.
    fn outside(&mut self, bits: impl Iterator<Item = Minterm>) -> bool {
        let mut all = true;
        for m in bits {
            if self.class.has(m) { all = false } else { self.exits.add(m) }
        }
        all
    }

    /// Adds the exits of a sequence; whether each of its texts has to leave. `None`: not known.
    fn follow(&mut self, sequence: ExprId, depth: u32) -> Option<bool> {
        let calculus = self.calculus;
        let arena = &calculus.arena;
        if depth > MOST_DEPTH {
            return None;
        }
        let mut rest = sequence;
        while rest != EMPTY {
            self.left = self.left.checked_sub(1)?;
            let mut first = Bits::default();
            calculus.first(rest, &Bits::default(), &mut first);
            if !first.iter().any(|m| self.class.has(m)) {
                self.exits.extend(&first);
                // What may be empty goes on behind the rule that it is part of.
                return Some(!arena.is(rest, flag::MAY_SKIP));
            }
            let (head, tail) = arena.split(rest);
            let has_to = match *arena.get(head) {
                Expr::Class(one) => self.outside(calculus.partition.bits(one).iter()),
                Expr::Str { at, len } => self.string(at, len),
                Expr::Literals { table, lo, hi, depth } => {
                    let mut all = !arena.is(head, flag::SKIPS);
                    for &(at, len) in &arena.tables[table as usize][lo as usize..hi as usize] {
                        all &= self.string(at + depth, len - depth);
                    }
                    all
                }
                Expr::Keys { spec, lo, hi, depth, .. } => {
                    let table = arena.collections.members[spec as usize].table;
                    for &(at, len) in &arena.tables[table as usize][lo as usize..hi as usize] {
                        if !self.string(at + depth, len - depth) {
                            return None;
                        }
                    }
                    true
                }
                Expr::Rule(rule) => self.follow(arena.rules[rule as usize].body, depth + 1)?,
                Expr::Union(ref ids) if head != ANYTHING => {
                    let mut all = true;
                    for &id in ids {
                        all &= self.follow(id, depth + 1)?;
                    }
                    all
                }
                Expr::Repeat { body, min, .. } => self.follow(body, depth + 1)? && min > 0,
                Expr::Part(number) => {
                    let factors = calculus.factors(arena.parts[number as usize].term)?;
                    let positive = factors.iter().find(|&&part| arena.is(part, flag::PLAIN))?;
                    self.follow(*positive, depth + 1)?
                }
                _ => return None,
            };
            if has_to {
                return Some(true);
            }
            rest = tail;
        }
        Some(false)
    }

    /// Adds the exits of a string: its first character outside, and those that may stand in its place.
    fn string(&mut self, at: u32, len: u32) -> bool {
        let calculus = self.calculus;
        let classes = &calculus.arena.pool[at as usize..(at + len) as usize];
        classes.iter().any(|&class| self.outside(calculus.partition.bits(class).iter()))
    }
}
