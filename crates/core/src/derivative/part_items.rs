//! Parts of an expression that are languages of their own and have to know their own past.
//!
//! In continuation form a lookaround, an anchor, a backreference speaks of all of the text that is left. A part whose
//! conditions must not see what surrounds it (a pattern in a sequence, an intersection or a complement that stands before
//! something) keeps to itself: it is an item `Part(s)`, where `s` is the number of a [`Situation`] of the part alone, and
//! `D_m(Part(s) K) = Part(δ(s, m)) K ∪ (D_m(K) if s may end)`.
//!
//! A part is an item only if something of it can still match, so what it stands in is alive by construction, and no search
//! for life goes through the stack of tails. A part that needs no past is dissolved into plain items, so that two patterns
//! in a row have the masks of the joined pattern.
//!
//! Costs: one derivative and one search for life a situation and minterm, remembered. With which minterms a part begins is
//! told by its term, perhaps too many ([`flag::LOOSE`]): to know it exactly would take a derivative by each of them.

use crate::derivative::alive::{Graph, is_alive};
use crate::derivative::calculus::Calculus;
use crate::derivative::parts::Part;
use crate::derivative::situation::{Life, Situation};
use crate::error::Result;
use crate::expression::info::{PartFacts, flag};
use crate::expression::minterms::Minterm;
use crate::expression::node::{Expr, ExprId, NOTHING};

/// A step that goes by character is kept under the character and this bit.
const CHARACTER: u32 = 1 << 31;

impl Graph for Calculus {
    fn calculus(&mut self) -> &mut Calculus {
        self
    }

    fn situation_of(&self, at: u32) -> Situation {
        self.parts.known[at as usize].situation
    }

    fn number(&mut self, situation: Situation) -> u32 {
        if situation.term == NOTHING {
            return 0;
        }
        if let Some(&number) = self.parts.numbers.get(&situation) {
            return number;
        }
        let number = self.parts.known.len() as u32;
        let term = situation.term;
        let plain = self.arena.is(term, flag::PLAIN);
        let life = if plain || self.surely_alive(term) { Life::Alive } else { Life::Unknown };
        let ends = plain.then(|| self.arena.is(term, flag::SKIPS));
        self.parts.known.push(Part { situation, life, ends });
        self.parts.numbers.insert(situation, number);
        self.arena.parts.push(PartFacts { term, ..PartFacts::default() });
        number
    }

    fn life(&self, at: u32) -> Life {
        self.parts.known[at as usize].life
    }

    fn set_life(&mut self, at: u32, life: Life) {
        self.parts.known[at as usize].life = life;
    }

    fn ends(&mut self, at: u32) -> Result<bool> {
        let Part { situation, ends, .. } = self.parts.known[at as usize];
        if let Some(ends) = ends {
            return Ok(ends);
        }
        let ends = self.apart(|this| this.may_end(situation))?;
        self.parts.known[at as usize].ends = Some(ends);
        Ok(ends)
    }

    fn next(&mut self, at: u32, m: Minterm, c: u32) -> Result<u32> {
        let situation = self.parts.known[at as usize].situation;
        let by_character = self.goes_by_character(situation.term);
        let key = (at, if by_character { c | CHARACTER } else { m.into() });
        if let Some(&known) = self.parts.steps.get(&key) {
            return Ok(known);
        }
        let next = self.apart(|this| this.step(situation, m, c))?;
        let next = self.number(next);
        self.parts.steps.insert(key, next);
        Ok(next)
    }
}

impl Calculus {
    /// The item of a part: its term, if that needs no past; [`NOTHING`], if nothing can match.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::error::Error::Limit), if the search for life needs more than there is.
    pub fn part(&mut self, situation: Situation) -> Result<ExprId> {
        let number = self.number(situation);
        self.part_by_number(number, true)
    }

    /// The item of a part that refers to rules which are not known yet: whether it is alive is not asked.
    pub fn unproven_part(&mut self, situation: Situation) -> Result<ExprId> {
        let number = self.number(situation);
        self.part_by_number(number, false)
    }

    /// The item of a part of which everything is known already.
    pub(crate) fn known_part(&mut self, situation: Situation, life: Life, ends: Option<bool>) -> ExprId {
        let number = self.number(situation);
        let part = &mut self.parts.known[number as usize];
        (part.life, part.ends) = (life, ends.or(part.ends));
        self.part_item(number)
    }

    /// What is known of a part.
    pub(crate) fn about_part(&self, number: u32) -> (Situation, Life, Option<bool>) {
        let Part { situation, life, ends } = self.parts.known[number as usize];
        (situation, life, ends)
    }

    /// Whether something of a part can match, for all that is known.
    pub(crate) fn is_proven(&self, number: u32) -> bool {
        self.parts.known[number as usize].life == Life::Alive
    }

    fn part_by_number(&mut self, number: u32, proven: bool) -> Result<ExprId> {
        let term = self.parts.known[number as usize].situation.term;
        if term == NOTHING || self.arena.is(term, flag::PLAIN) {
            return Ok(term);
        }
        // A part that is nothing but a part.
        if let Expr::Part(_) = self.arena.get(term) {
            return Ok(term);
        }
        if proven {
            if !self.apart(|this| is_alive(this, number))? {
                return Ok(NOTHING);
            }
            self.ends(number)?;
        }
        Ok(self.part_item(number))
    }

    fn part_item(&mut self, number: u32) -> ExprId {
        let Part { situation, life, ends } = self.parts.known[number as usize];
        let by_character = self.goes_by_character(situation.term);
        let facts = PartFacts { term: situation.term, alive: life == Life::Alive, ends, by_character };
        self.arena.parts[number as usize] = facts;
        self.arena.intern(Expr::Part(number))
    }

    /// Whether where a part's term leads depends on the character, not only on its minterm.
    fn goes_by_character(&self, term: ExprId) -> bool {
        self.captures_texts && self.arena.is(term, flag::FRONT_TEXT | flag::FRONT_CAPTURE | flag::CAPTURING)
    }

    /// What is left of a part after the character that is being read.
    pub(crate) fn derive_part_of_its_own(&mut self, number: u32, m: Minterm) -> Result<ExprId> {
        let c = self.context.character;
        self.deeper(|this| {
            let next = this.next(number, m, c)?;
            if next == 0 { Ok(NOTHING) } else { this.part_by_number(next, true) }
        })
    }

    /// Whether a part may end where it is.
    pub(crate) fn part_may_end(&mut self, number: u32) -> Result<bool> {
        self.deeper(|this| this.ends(number))
    }

    /// Works with another past than the one of the state that is being left.
    fn apart<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = std::mem::take(&mut self.context);
        let result = work(self);
        self.context = outer;
        result
    }
}
