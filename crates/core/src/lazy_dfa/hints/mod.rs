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
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::hints::live_bytes::{bytes_anywhere, find_live_bytes};
use crate::lazy_dfa::hints::same_targets::{exit_of_loop, leads_back, meet_behind};
use crate::lazy_dfa::hints::words::find_literal;
use crate::lazy_dfa::mid_char::MIDDLE;
use crate::lazy_dfa::states::{DEAD, State, UNKNOWN};
use crate::mask::hints::{CharLoop, Literal, MaskHints, Representatives, TokenBounds, Words};

impl MaskHints for RegexAutomaton {
    fn expect_numbers(&mut self, has_numbers: bool) {
        self.char_loops.expect_numbers(has_numbers);
    }

    fn lives(&mut self, state: StateId, byte: u8) -> Result<bool> {
        if state.0 & MIDDLE == 0 && byte < 0x80 {
            let m = self.chars.calculus.partition.ascii(byte);
            let slot = (state.0 as usize) << self.chars.shift | usize::from(m);
            let State { term, sifted, .. } = self.chars.states[state.0 as usize];
            // What is plain is alive after each of its first characters.
            if self.chars.transitions[slot] == UNKNOWN
                && m != 0
                && !self.chars.captures
                && self.chars.calculus.arena.is_exact(term)
            {
                if !sifted {
                    self.chars.sift(state.0);
                }
                return Ok(self.chars.transitions[slot] != DEAD);
            }
        }
        Ok(self.step(state, byte)? != StateId::DEAD)
    }

    fn may_meet(&self) -> bool {
        // Of captured texts each is a state of its own.
        !self.chars.captures
    }

    fn meet_after(&mut self, one: StateId, other: StateId, byte: u8) -> Result<bool> {
        match (self.middles.parts(one), self.middles.parts(other)) {
            ((one, None), (other, None)) if self.may_meet() => {
                meet_behind(&mut self.chars, &mut self.middles.decoder, one, other, byte)
            }
            _ => Ok(self.step(one, byte)? == self.step(other, byte)?),
        }
    }

    fn all_bytes(&mut self) -> u64 {
        if let Some(known) = self.all_bytes {
            return known;
        }
        let bytes = bytes_anywhere(&mut self.chars, &mut self.middles.decoder, self.start);
        self.all_bytes = Some(bytes);
        bytes
    }

    fn live_bytes(&mut self, state: StateId) -> Result<Option<[u64; 4]>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => find_live_bytes(&mut self.chars, &mut self.middles.decoder, at).map(Some),
        }
    }

    fn least_length(&self, state: StateId) -> u64 {
        let (at, _) = self.middles.parts(state);
        self.chars.calculus.arena.info(self.chars.states[at as usize].term).min_len.into()
    }

    fn char_loop(&mut self, state: StateId) -> Result<Option<CharLoop>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => {
                let found = self.char_loops.find_char_loop(&mut self.chars, at);
                self.note_memory();
                found
            }
        }
    }

    fn loop_ending(&mut self, state: StateId) -> Result<Option<Vec<Vec<u8>>>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.chars.looping_way(at),
        }
    }

    fn loop_exit(&mut self, state: StateId) -> Result<Option<Vec<u8>>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => exit_of_loop(&mut self.chars, &mut self.char_loops, at),
        }
    }

    fn is_self_loop(&mut self, state: StateId) -> Result<bool> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(false),
            (at, None) => leads_back(&mut self.chars, &mut self.char_loops, at),
        }
    }

    fn fewer(&mut self, state: StateId, bounds: &TokenBounds<'_>) -> Result<Option<StateId>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.saturated.fewer_repetitions(&mut self.chars, at, bounds),
        }
    }

    fn literal(&mut self, state: StateId) -> Option<Literal> {
        if state.0 & MIDDLE != 0 || !self.chars.states[state.0 as usize].begins_with_string {
            return None;
        }
        find_literal(&self.chars, state.0)
    }

    fn words(&mut self, state: StateId) -> Result<Option<Words>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => {
                let found = self.words.find_words(&self.chars, at);
                self.note_memory();
                Ok(found)
            }
        }
    }

    fn saturate(&mut self, state: StateId, bounds: &TokenBounds<'_>) -> Result<Option<Representatives>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => {
                let found = self.saturated.saturate_counts(&mut self.chars, at, bounds);
                self.note_memory();
                found
            }
        }
    }

    fn truncated(&mut self, state: StateId, attempt: usize) -> Result<std::result::Result<Option<StateId>, ()>> {
        match self.middles.parts(state) {
            (_, Some(_)) => Ok(Err(())),
            (at, None) => {
                let found = self.truncated.find_truncated(&mut self.chars, at, attempt);
                self.note_memory();
                Ok(found?.map(|found| found.map(StateId)))
            }
        }
    }

    fn note_truncated(&mut self, state: StateId, attempt: usize, succeeded: bool) {
        self.truncated.note_truncated_state(state.0, attempt, succeeded);
    }
}
