//! States in the middle of a character: a character state, a node of the UTF-8 decoder, and, where characters count, the
//! bytes so far, the first the lowest.

use crate::automaton::StateId;
use crate::cut_characters::may_become;
use crate::error::Result;
use crate::expression::minterms::{BEYOND, Minterm};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::lazy_dfa::utf8::{Decoder, written};
use rustc_hash::FxHashMap;

/// Ids from here on are in the middle of a character.
pub(crate) const MIDDLE: u32 = 1 << 31;

/// The states in the middle of a character, and the decoder whose nodes they name.
#[derive(Debug, Clone, Default)]
pub(crate) struct MidChars {
    pub(crate) decoder: Decoder,
    places: Vec<(CharState, u32, u32)>,
    ids: FxHashMap<(CharState, u32, u32), u32>,
}

impl MidChars {
    /// The place that an id from [`MIDDLE`] on stands for.
    pub(crate) fn place(&self, state: StateId) -> (CharState, u32, u32) {
        self.places[(state.0 & !MIDDLE) as usize]
    }

    /// The character state, and, in the middle of a character, the decoder's node and the bytes so far.
    pub(crate) fn parts(&self, state: StateId) -> (CharState, Option<(u32, u32)>) {
        if state.0 & MIDDLE == 0 {
            return (state.0, None);
        }
        let (at, node, bytes) = self.place(state);
        (at, Some((node, bytes)))
    }

    /// Forgets all states.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.ids.clear();
    }

    pub(crate) fn enter(&mut self, dfa: &mut CharDfa, state: CharState, node: u32, bytes: u32) -> Result<StateId> {
        let key = (state, node, if dfa.captures { bytes } else { 0 });
        if let Some(&id) = self.ids.get(&key) {
            return Ok(StateId(id));
        }
        let term = dfa.states[state as usize].term;
        let first = dfa.calculus.arena.info(term).first;
        let mut alive = false;
        if dfa.calculus.arena.is_exact(term) && first & BEYOND == 0 {
            alive = first & self.decoder.reach_folded(node) != 0;
        } else {
            for (m, c) in self.inside_character(dfa, state, node, bytes) {
                if dfa.walk(state, m, c)? != DEAD {
                    alive = true;
                    break;
                }
            }
        }
        let id = if alive {
            self.enter_alive(dfa, state, node, bytes)
        } else {
            self.ids.insert(key, DEAD);
            dfa.extra_memory += 48;
            StateId::DEAD
        };
        dfa.check_memory()?;
        Ok(id)
    }

    /// A place in the middle of a character that is known to be alive.
    pub(crate) fn enter_alive(&mut self, dfa: &mut CharDfa, state: CharState, node: u32, bytes: u32) -> StateId {
        let key = (state, node, if dfa.captures { bytes } else { 0 });
        let (middles, extra_memory) = (&mut self.places, &mut dfa.extra_memory);
        StateId(*self.ids.entry(key).or_insert_with(|| {
            middles.push((state, node, bytes));
            *extra_memory += 48;
            MIDDLE | (middles.len() - 1) as u32
        }))
    }

    /// Characters that stand for all that one in the middle may still become.
    pub(crate) fn inside_character(
        &self,
        dfa: &CharDfa,
        state: CharState,
        node: u32,
        bytes: u32,
    ) -> Vec<(Minterm, u32)> {
        if dfa.captures {
            return dfa.candidates_within(state, may_become(&bytes.to_le_bytes()[..written(bytes) as usize]));
        }
        let mut reach: Vec<Minterm> = self.decoder.reach(node).collect();
        reach.sort_unstable();
        reach.dedup();
        reach.into_iter().map(|m| (m, dfa.calculus.partition.representative(m))).collect()
    }
}
