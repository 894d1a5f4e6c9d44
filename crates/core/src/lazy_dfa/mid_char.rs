//! States in the middle of a character: a character state, a node of the UTF-8 decoder, and, where characters count, the
//! bytes so far, the first the lowest.

use crate::automaton::StateId;
use crate::error::Result;
use crate::expression::minterms::{BEYOND, Minterm};
use crate::lazy_dfa::dfa::{MIDDLE, RegexAutomaton};
use crate::lazy_dfa::states::{CharState, DEAD};

impl RegexAutomaton {
    pub(crate) fn middle(&mut self, state: CharState, node: u32, bytes: u32) -> Result<StateId> {
        let key = (state, node, if self.captures { bytes } else { 0 });
        if let Some(&id) = self.middle_ids.get(&key) {
            return Ok(StateId(id));
        }
        let term = self.states[state as usize].term;
        let first = self.calculus.arena.info(term).first;
        let mut alive = false;
        if self.calculus.arena.is_exact(term) && first & BEYOND == 0 {
            alive = first & self.decoder.reach_folded(node) != 0;
        } else {
            for (m, c) in self.inside_character(state, node, bytes) {
                if self.walk(state, m, c)? != DEAD {
                    alive = true;
                    break;
                }
            }
        }
        let id = if alive {
            self.living_middle(state, node, bytes)
        } else {
            self.middle_ids.insert(key, DEAD);
            self.extra_memory += 48;
            StateId::DEAD
        };
        self.check_memory()?;
        Ok(id)
    }

    /// A place in the middle of a character that is known to be alive.
    pub(crate) fn living_middle(&mut self, state: CharState, node: u32, bytes: u32) -> StateId {
        let key = (state, node, if self.captures { bytes } else { 0 });
        let (middles, extra_memory) = (&mut self.middles, &mut self.extra_memory);
        StateId(*self.middle_ids.entry(key).or_insert_with(|| {
            middles.push((state, node, bytes));
            *extra_memory += 48;
            MIDDLE | (middles.len() - 1) as u32
        }))
    }

    /// Characters that stand for all that one in the middle may still become.
    pub(crate) fn inside_character(&self, state: CharState, node: u32, bytes: u32) -> Vec<(Minterm, u32)> {
        if self.captures {
            return self.candidates_within(state, block(bytes));
        }
        let mut reach: Vec<Minterm> = self.decoder.reach(node).collect();
        reach.sort_unstable();
        reach.dedup();
        reach.into_iter().map(|m| (m, self.calculus.partition.representative(m))).collect()
    }
}

/// One more byte of a character: the first stands lowest.
pub(crate) fn append(bytes: u32, byte: u8) -> u32 {
    bytes | u32::from(byte) << (8 * written(bytes))
}

/// How many bytes there are.
pub(crate) fn written(bytes: u32) -> u32 {
    4 - bytes.leading_zeros() / 8
}

/// The first and the last character that begin with some bytes.
fn block(bytes: u32) -> (u32, u32) {
    let [first, rest @ ..] = bytes.to_le_bytes();
    // What fewer bytes can encode, more bytes must not.
    let (mut bits, mut left, least) = match first {
        0xC0..=0xDF => (u32::from(first & 0x1F), 1, 0x80),
        0xE0..=0xEF => (u32::from(first & 0x0F), 2, 0x800),
        _ => (u32::from(first & 0x07), 3, 0x1_0000),
    };
    for byte in rest.into_iter().take_while(|&b| b != 0) {
        bits = bits << 6 | u32::from(byte & 0x3F);
        left -= 1;
    }
    ((bits << (6 * left)).max(least), ((bits + 1) << (6 * left)) - 1)
}

/// The character that some bytes encode.
pub(crate) fn character(bytes: u32) -> u32 {
    let bytes = bytes.to_le_bytes();
    let len = bytes.iter().position(|&b| b == 0).unwrap_or(4);
    std::str::from_utf8(&bytes[..len]).ok().and_then(|s| s.chars().next()).map_or(0, u32::from)
}
