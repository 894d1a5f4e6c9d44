//! Whether a state is alive: see `alive.rs`.

use crate::derivative::alive::{Graph, is_alive};
use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::situation::Life;
use crate::derivative::situation::Situation;
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::Minterm;
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD, State};

/// What finding out of a state that stands for many whether it is alive may take: one part of so many of the fuel.
const SHARE: u64 = 64;

/// A state that has no text that another has not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lower {
    pub(crate) state: CharState,
    /// Whether alternatives were left out of it.
    pub(crate) is_partial: bool,
}

impl Graph for CharDfa {
    fn calculus(&mut self) -> &mut Calculus {
        &mut self.calculus
    }

    fn situation_of(&self, at: CharState) -> Situation {
        let State { term, before, trackers, buffer, .. } = self.states[at as usize];
        Situation { term, before, trackers, buffer }
    }

    fn number(&mut self, situation: Situation) -> CharState {
        self.intern(situation)
    }

    fn life(&self, at: CharState) -> Life {
        self.states[at as usize].life
    }

    fn set_life(&mut self, at: CharState, life: Life) {
        self.states[at as usize].life = life;
    }

    fn is_alive_by_another(&mut self, at: CharState) -> Result<bool> {
        let Some(Lower { state: lower, .. }) = self.lower_state(at)? else { return Ok(false) };
        if lower == at || lower == DEAD || !self.alive_by_share(lower)? {
            return Ok(false);
        }
        self.ways.like(at, lower);
        Ok(true)
    }

    fn set_way(&mut self, at: CharState, character: u32, next: CharState) {
        self.ways.step(at, character, next);
    }

    fn ends(&mut self, at: CharState) -> Result<bool> {
        self.accepting(at)
    }

    fn next(&mut self, at: CharState, m: Minterm, c: u32) -> Result<CharState> {
        self.go(at, m, c)
    }
}

impl CharDfa {
    /// Whether some text leads from the state to an accepting one.
    pub(crate) fn alive(&mut self, state: CharState) -> Result<bool> {
        is_alive(self, state)
    }

    /// A state with texts left open that stands for many, and has no text that `state` has not; `state` itself where nothing
    /// is being captured; `None`: there is none.
    pub(crate) fn lower_state(&mut self, state: CharState) -> Result<Option<Lower>> {
        let State { term, before, trackers, buffer, .. } = self.states[state as usize];
        if buffer == 0 || self.calculus.captures.is_opaque(buffer) {
            return Ok(Some(Lower { state, is_partial: false }));
        }
        let known = match self.lower_terms.get(&term) {
            Some(&known) => known,
            None => {
                self.calculus.spend(STEP)?;
                let lowered = self.calculus.lowered(term);
                self.lower_terms.insert(term, lowered);
                lowered
            }
        };
        let Some((lowered, is_partial)) = known else { return Ok(None) };
        let trackers = self.calculus.tracker_sets.get(trackers).to_vec();
        let captures = self.calculus.arena.is(lowered, flag::CAPTURING);
        let length = self.calculus.captures.buffer_len(buffer);
        let open = if captures { self.calculus.captures.opaque(length) } else { 0 };
        let situation = self.calculus.situation(lowered, before, &trackers, open);
        let state = self.intern(situation);
        self.check_memory()?;
        Ok(Some(Lower { state, is_partial }))
    }

    /// Whether a state is known to be alive with a share of the fuel.
    fn alive_by_share(&mut self, state: CharState) -> Result<bool> {
        if self.undecided.contains(&state) {
            return Ok(false);
        }
        let fuel = self.calculus.fuel;
        let share = (fuel / SHARE).max(STEP).min(fuel);
        self.calculus.fuel = share;
        let alive = self.alive(state);
        self.calculus.fuel = fuel - (share - self.calculus.fuel.min(share));
        match alive {
            Err(Error::Limit { limit: "fuel", .. }) => {
                self.undecided.insert(state);
                Ok(false)
            }
            alive => alive,
        }
    }

    /// No text from a state to a match is shorter, in bytes.
    pub(crate) fn estimate(&self, state: CharState) -> u32 {
        let State { term, buffer, .. } = self.states[state as usize];
        self.calculus.least_length(term, buffer)
    }
}
