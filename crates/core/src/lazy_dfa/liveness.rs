//! Whether a state is alive: see `alive.rs`.

use crate::derivative::alive::{Graph, Life, is_alive};
use crate::derivative::derive::Calculus;
use crate::derivative::situation::Situation;
use crate::error::Result;
use crate::expression::minterms::Minterm;
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, State};

impl Graph for RegexAutomaton {
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

    fn ends(&mut self, at: CharState) -> Result<bool> {
        self.accepting(at)
    }

    fn next(&mut self, at: CharState, m: Minterm, c: u32) -> Result<CharState> {
        self.go(at, m, c)
    }
}

impl RegexAutomaton {
    /// Whether some text leads from the state to an accepting one.
    pub(crate) fn alive(&mut self, state: CharState) -> Result<bool> {
        is_alive(self, state)
    }

    /// No text from a state to a match is shorter, in bytes.
    pub(crate) fn estimate(&self, state: CharState) -> u32 {
        let State { term, buffer, .. } = self.states[state as usize];
        self.calculus.least_length(term, buffer)
    }
}
