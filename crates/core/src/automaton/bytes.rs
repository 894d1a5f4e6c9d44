//! The bytes that may come next, all at once.

use super::info::flag;
use super::partition::Bits;
use super::regex::{CharState, DEAD, RegexAutomaton};
use crate::error::Result;

impl RegexAutomaton {
    /// The bytes with which the characters begin that keep a state alive.
    pub(super) fn live_bytes(&mut self, state: CharState) -> Result<[u64; 4]> {
        let mut live = self.begins(state);
        let plain = self.calculus.arena.is(self.states[state as usize].term, flag::PLAIN);
        // What is plain is alive after each of its first characters; elsewhere they are those that may be.
        if !plain {
            let mut proven = Bits::default();
            for (m, c) in self.candidates(state) {
                if live.has(m) && !proven.has(m) && self.walk(state, m, c)? != DEAD {
                    proven.add(m);
                }
            }
            live = proven;
        }
        let partition = &self.calculus.partition;
        let mut bytes = [0; 4];
        let ascii = live.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
        (bytes[0], bytes[1]) = (ascii as u64, (ascii >> 64) as u64);
        let lead_bytes = self.decoder.lead_bytes(partition);
        let leads = live.iter().fold(0, |leads, m| leads | lead_bytes[usize::from(m)]);
        bytes[3] = leads << 2;
        Ok(bytes)
    }
}
