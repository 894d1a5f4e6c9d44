//! Captured texts that are left open, or begin later: terms that stand for many others, of more texts or of fewer.

use crate::derivative::calculus::Calculus;
use crate::derivative::rewrite::{Change, Rewriting};
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::{ALL, Bits};
use crate::expression::node::{EMPTY, Expr, ExprId, MANY, NOTHING, UNBOUND};
use crate::syntax::ast::CaseMapping;
use rustc_hash::{FxHashMap, FxHashSet};

impl Calculus {
    /// Remembers of which minterms a group's text can be.
    pub(crate) fn note_letters(&mut self, group: u32, body: ExprId) {
        let mut bits = self.captures.letters.remove(&group).unwrap_or_default();
        self.anywhere(body, self.partition.bits(ALL), &mut bits);
        self.captures.letters.insert(group, bits);
    }

    /// What a term becomes if texts are compared by minterm, and those that are still to be captured may be any of the
    /// group's characters: all that it matches, and perhaps more. `None` where more inside would be less outside.
    pub(crate) fn loosened(&mut self, id: ExprId) -> Result<Option<ExprId>> {
        self.rewrite(id, &mut Loosening::default())
    }

    /// A term whose groups begin so much earlier in the buffer.
    pub(crate) fn started_later(&mut self, id: ExprId, by: u32) -> Result<ExprId> {
        Ok(self.rewrite(id, &mut Moving { by, done: FxHashMap::default() })?.unwrap_or(id))
    }

    /// Where in the buffer the first group begins that a term captures.
    pub(crate) fn first_start(&mut self, term: ExprId) -> u32 {
        if let Some(&known) = self.first_starts.get(&term) {
            return known;
        }
        let mut least = u32::MAX;
        let mut stack = vec![term];
        let mut seen = FxHashSet::default();
        while let Some(id) = stack.pop() {
            if !self.arena.is(id, flag::CAPTURING) || !seen.insert(id) {
                continue;
            }
            let known = stack.len();
            match self.arena.get(id) {
                Expr::Close { start, .. } => least = least.min(*start),
                other => {
                    other.children(&mut stack);
                    if stack.len() == known {
                        // Nothing is known of it.
                        least = 0;
                    }
                }
            }
        }
        let least = if least == u32::MAX { 0 } else { least };
        self.first_starts.insert(term, least);
        least
    }

    /// One character of the minterms.
    fn one_of(&mut self, bits: &Bits) -> ExprId {
        let set = self.partition.set(bits);
        let Some(class) = self.partition.class(&set) else { return NOTHING };
        self.arena.learn(&self.partition);
        self.arena.class(class)
    }

    /// One character that is compared as equal to `c`, or another of its minterm.
    fn one_like(&mut self, reference: u32, c: u32) -> ExprId {
        let mut bits = Bits::default();
        bits.add(self.partition.minterm(c));
        if let Some(class) = self.captures.class(reference, c) {
            class.ranges().iter().flat_map(|r| r.0..=r.1).for_each(|c| bits.add(self.partition.minterm(c)));
        }
        self.one_of(&bits)
    }

    /// Any text of at least so many characters that a group's text can be of, compared as the reference tells.
    pub(super) fn any_text(&mut self, reference: u32, least: u32) -> ExprId {
        let (group, case) = self.captures.references[reference as usize].clone();
        let mut bits = self.captures.letters.get(&group).unwrap_or_else(|| self.partition.bits(ALL)).clone();
        if let CaseMapping::Sets(sets) = case {
            let own = bits.clone();
            for (_, class) in sets.iter().filter(|(c, _)| own.has(self.partition.minterm(*c))) {
                class.ranges().iter().flat_map(|r| r.0..=r.1).for_each(|c| bits.add(self.partition.minterm(c)));
            }
        }
        let one = self.one_of(&bits);
        self.arena.repeat(one, least, MANY, false)
    }

    /// A term that has no text that `term` has not, once the texts that are being captured are left open; and whether
    /// something was left out of it. `None`: there is none of use.
    ///
    /// A text that is left open is compared too generously, so only what must not match may ask for it. An alternative in
    /// which something else does is left out.
    pub(crate) fn lowered(&mut self, term: ExprId) -> Option<(ExprId, bool)> {
        let lowered = self.lowered_part(term, false)?;
        Some((lowered, lowered != term)).filter(|_| lowered != NOTHING)
    }

    fn lowered_part(&mut self, id: ExprId, negated: bool) -> Option<ExprId> {
        if !self.arena.is(id, flag::CAPTURING) {
            return Some(id);
        }
        match self.arena.get(id).clone() {
            Expr::Union(ids) => {
                let mut parts = Vec::with_capacity(ids.len());
                for &id in &ids {
                    match self.lowered_part(id, negated) {
                        Some(part) => parts.push(part),
                        None if negated => return None,
                        None => {}
                    }
                }
                Some(self.any(parts))
            }
            Expr::Inter(ids) => {
                let parts: Option<Vec<ExprId>> = ids.iter().map(|&id| self.lowered_part(id, negated)).collect();
                parts.map(|parts| self.arena.inter(parts))
            }
            Expr::Not(inner) => self.lowered_part(inner, !negated).map(|inner| self.arena.not(inner)),
            _ => self.may_be_left_open(id, negated).then_some(id),
        }
    }

    /// Whether all that asks for the texts that a sequence captures stands where it must not match; the sequence itself
    /// stands there if `negated`.
    fn may_be_left_open(&self, sequence: ExprId, negated: bool) -> bool {
        let mut rest = sequence;
        while rest != EMPTY {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Close { group, start } if start != UNBOUND && !self.all_ask(tail, group, !negated) => {
                    return false;
                }
                Expr::Close { .. } => {}
                _ if self.arena.is(head, flag::CAPTURING) => return false,
                _ => {}
            }
            rest = tail;
        }
        true
    }

    /// Whether whatever asks for a group's text in a sequence is `negated`, or whether none of it is.
    fn all_ask(&self, sequence: ExprId, group: u32, negated: bool) -> bool {
        if !self.asks(sequence, group, &mut FxHashMap::default()) {
            return true;
        }
        let mut rest = sequence;
        while rest != EMPTY {
            let (head, tail) = self.arena.split(rest);
            let agrees = match *self.arena.get(head) {
                Expr::Union(ref ids) | Expr::Inter(ref ids) => ids.iter().all(|&id| self.all_ask(id, group, negated)),
                Expr::Not(body) | Expr::Ahead { negated: true, body } => self.all_ask(body, group, !negated),
                Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { negated: false, body } => {
                    self.all_ask(body, group, negated)
                }
                Expr::Cond { yes, no, .. } => self.all_ask(yes, group, negated) && self.all_ask(no, group, negated),
                Expr::Backref { reference, .. } => self.captures.group(reference) != group || !negated,
                // Of ways in an order, more may mean less.
                _ => !self.asks(head, group, &mut FxHashMap::default()),
            };
            if !agrees {
                return false;
            }
            rest = tail;
        }
        true
    }
}

/// Makes texts that are still to be captured any text.
#[derive(Default)]
struct Loosening {
    done: FxHashMap<ExprId, ExprId>,
}

impl Rewriting for Loosening {
    const FLAG: u32 = flag::GROUPS;

    fn item(&mut self, calculus: &mut Calculus, item: &Expr) -> Result<Change> {
        Ok(match *item {
            Expr::Open(_) | Expr::Close { .. } => Change::To(EMPTY),
            Expr::Backref { reference, .. } => Change::To(calculus.any_text(reference, 0)),
            Expr::Text { reference, content, left } => {
                calculus.spend(u64::from(left))?;
                let text = calculus.captures.text(content);
                let characters = text[text.len() - left as usize..].to_vec();
                let ones: Vec<ExprId> = characters.into_iter().map(|c| calculus.one_like(reference, c)).collect();
                Change::To(ones.into_iter().rev().fold(EMPTY, |tail, one| calculus.arena.concat(one, tail)))
            }
            Expr::Cond { yes, no, .. } => match (calculus.rewrite(yes, self)?, calculus.rewrite(no, self)?) {
                (Some(yes), Some(no)) => Change::To(calculus.arena.union([yes, no], &mut calculus.partition)),
                _ => Change::Impossible,
            },
            Expr::Union(_) | Expr::Ordered(_) | Expr::Inter(_) | Expr::Repeat { .. } | Expr::Mark { .. } => {
                Change::Parts
            }
            Expr::Ahead { negated: false, .. } => Change::Parts,
            // Negated lookaheads, complements, the order of ways in an atomic group.
            _ => Change::Impossible,
        })
    }

    fn done(&mut self) -> &mut FxHashMap<ExprId, ExprId> {
        &mut self.done
    }
}

/// Takes from the places where groups begin.
struct Moving {
    by: u32,
    done: FxHashMap<ExprId, ExprId>,
}

impl Rewriting for Moving {
    const FLAG: u32 = flag::CAPTURING;

    fn item(&mut self, calculus: &mut Calculus, item: &Expr) -> Result<Change> {
        Ok(match *item {
            Expr::Close { group, start } if start != UNBOUND => {
                Change::To(calculus.arena.intern(Expr::Close { group, start: start - self.by }))
            }
            _ => Change::Parts,
        })
    }

    fn done(&mut self) -> &mut FxHashMap<ExprId, ExprId> {
        &mut self.done
    }
}
