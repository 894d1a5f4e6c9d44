//! The hints that the automaton gives of its states, so that masks need not step every token.

pub(crate) mod char_loop;
pub(crate) mod content;
pub(crate) mod live_bytes;
pub(crate) mod same_targets;
pub(crate) mod saturate_counts;
pub(crate) mod truncate;
pub(crate) mod words;

use crate::automaton::{Automaton, StateId};
use crate::error::Result;
use crate::lazy_dfa::dfa::{MIDDLE, RegexAutomaton};
use crate::lazy_dfa::states::{DEAD, State, UNKNOWN};
use crate::mask::hints::{CharLoop, Literal, MaskHints, Representatives, TokenBounds, Words};

impl MaskHints for RegexAutomaton {
    fn lives(&mut self, state: StateId, byte: u8) -> Result<bool> {
        if state.0 & MIDDLE == 0 && byte < 0x80 {
            let m = self.calculus.partition.ascii(byte);
            let slot = (state.0 as usize) << self.shift | usize::from(m);
            let State { term, sifted, .. } = self.states[state.0 as usize];
            // What is plain is alive after each of its first characters.
            if self.transitions[slot] == UNKNOWN && m != 0 && !self.captures && self.calculus.arena.is_exact(term) {
                if !sifted {
                    self.sift(state.0);
                }
                return Ok(self.transitions[slot] != DEAD);
            }
        }
        Ok(self.step(state, byte)? != StateId::DEAD)
    }

    fn may_meet(&self) -> bool {
        // Of captured texts each is a state of its own.
        !self.captures
    }

    fn meet_after(&mut self, one: StateId, other: StateId, byte: u8) -> Result<bool> {
        match (self.parts(one), self.parts(other)) {
            ((one, None), (other, None)) if self.may_meet() => self.meet_behind(one, other, byte),
            _ => Ok(self.step(one, byte)? == self.step(other, byte)?),
        }
    }

    fn all_bytes(&mut self) -> u64 {
        if let Some(known) = self.all_bytes {
            return known;
        }
        let bytes = self.bytes_anywhere(self.start);
        self.all_bytes = Some(bytes);
        bytes
    }

    fn live_bytes(&mut self, state: StateId) -> Result<Option<[u64; 4]>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.find_live_bytes(at).map(Some),
        }
    }

    fn least_length(&self, state: StateId) -> u64 {
        let (at, _) = self.parts(state);
        self.calculus.arena.info(self.states[at as usize].term).min_len.into()
    }

    fn char_loop(&mut self, state: StateId) -> Result<Option<CharLoop>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.find_char_loop(at),
        }
    }

    fn loop_ending(&mut self, state: StateId) -> Result<Option<Vec<Vec<u8>>>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.looping_way(at),
        }
    }

    fn loop_exit(&mut self, state: StateId) -> Result<Option<Vec<u8>>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.exit_of_loop(at),
        }
    }

    fn is_self_loop(&mut self, state: StateId) -> Result<bool> {
        match self.parts(state) {
            (_, Some(_)) => Ok(false),
            (at, None) => self.leads_back(at),
        }
    }

    fn fewer(&mut self, state: StateId, bounds: &TokenBounds<'_>) -> Result<Option<StateId>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.fewer_repetitions(at, bounds),
        }
    }

    fn literal(&mut self, state: StateId) -> Option<Literal> {
        if state.0 & MIDDLE != 0 || !self.states[state.0 as usize].begins_with_string {
            return None;
        }
        self.find_literal(state.0)
    }

    fn words(&mut self, state: StateId) -> Result<Option<Words>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => Ok(self.find_words(at)),
        }
    }

    fn saturate(&mut self, state: StateId, bounds: &TokenBounds<'_>) -> Result<Option<Representatives>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.saturate_counts(at, bounds),
        }
    }

    fn truncated(&mut self, state: StateId, attempt: usize) -> Result<std::result::Result<Option<StateId>, ()>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(Err(())),
            (at, None) => Ok(self.find_truncated(at, attempt)?.map(|found| found.map(StateId))),
        }
    }

    fn note_truncated(&mut self, state: StateId, attempt: usize, succeeded: bool) {
        self.note_truncated_state(state.0, attempt, succeeded);
    }
}
