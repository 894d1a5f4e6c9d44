//! The bytes that may come next, all at once.

use super::expr::flag;
use super::partition::{Bits, Minterm};
use super::regex::{CharState, DEAD, RegexAutomaton};
use crate::error::Result;

impl RegexAutomaton {
    /// The bytes with which the characters begin that keep a state alive.
    pub(super) fn live_bytes(&mut self, state: CharState) -> Result<[u64; 4]> {
        let mut live = Bits::default();
        let plain = self.calculus.arena.is(self.states[state as usize].term, flag::PLAIN);
        if !plain {
            self.prime(state)?;
        }
        self.calculus.first(self.states[state as usize].term, &mut live);
        // What is plain is alive after each of its first characters; elsewhere they are those that may be.
        if !plain {
            let mut proven = Bits::default();
            for m in live.iter().collect::<Vec<Minterm>>() {
                if self.walk_any(state, m)? != DEAD {
                    proven.add(m);
                }
            }
            live = proven;
        }
        let partition = &self.calculus.partition;
        let mut bytes = [0; 4];
        for byte in 0..0x80u8 {
            bytes[usize::from(byte / 64)] |= u64::from(live.has(partition.ascii(byte))) << (byte % 64);
        }
        let lead_bytes = self.decoder.lead_bytes(partition);
        let leads = live.iter().fold(0, |leads, m| leads | lead_bytes[usize::from(m)]);
        bytes[3] = leads << 2;
        Ok(bytes)
    }
}
