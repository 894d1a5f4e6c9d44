//! Neighbours: a mask derived from that of another state. If a first byte leads from both to the same state, the tokens
//! that begin with it are allowed after both or after neither, and lead to the same states.
//!
//! It pays in a text with an end marker. After `<` of `</think>` a new state expects `/`, and after `</` it expects
//! `t`; every other byte leads back to the free text, as it does from the state of the free text itself. Only the
//! tokens that begin with that one byte have to be walked.
//!
//! PERF: the mask after `</` takes 0.1 ms in place of 3.6 on 131,072 tokens.

use crate::automaton::StateId;
use crate::error::{Error, Result};
use crate::mask::hints::MaskHints;
use crate::vocabulary::Vocabulary;

/// The most nodes below the first bytes after which two states differ; with more, a full walk is as cheap.
pub(crate) const MOST_NODES: usize = 12_000;
/// The most states that are kept, and compared with a new one.
const MOST_RECENT: usize = 4;
/// First bytes of many tokens. In a marker they lead back to the state of the free text, which is a candidate.
const COMMON: [u8; 2] = [b' ', b'a'];

/// A state that agrees with another after most first bytes.
pub(crate) struct Neighbour {
    pub(crate) of: StateId,
    /// The first bytes after which the two differ, ascending; tokens begin with each of them.
    pub(crate) differs: Vec<u8>,
}

/// States with expensive masks: candidates for neighbours.
#[derive(Default)]
pub(crate) struct Recent {
    states: Vec<StateId>,
}

impl Recent {
    pub(crate) fn clear(&mut self) {
        self.states.clear();
    }

    /// Adds a state, and drops the oldest one.
    pub(crate) fn push(&mut self, state: StateId) {
        if self.states.contains(&state) {
            return;
        }
        if self.states.len() == MOST_RECENT {
            self.states.remove(0);
        }
        self.states.push(state);
    }

    /// A neighbour of `state`, if one is known: a state that differs from it only after first bytes with at most `most`
    /// nodes below them.
    pub(crate) fn neighbour(
        &self,
        automaton: &mut dyn MaskHints,
        vocabulary: &Vocabulary,
        state: StateId,
        most: usize,
    ) -> Result<Option<Neighbour>> {
        if !automaton.may_meet() {
            return Ok(None);
        }
        let mut candidates = Vec::new();
        for byte in COMMON {
            match automaton.step(state, byte) {
                Ok(next) => candidates.push(next),
                Err(Error::Opaque) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        candidates.extend(self.states.iter().rev());
        for (index, &of) in candidates.iter().enumerate() {
            if of == StateId::DEAD || of == state || candidates[..index].contains(&of) {
                continue;
            }
            match differing(automaton, vocabulary, (state, of), most) {
                Ok(Some(differs)) => return Ok(Some(Neighbour { of, differs })),
                // A truncated state cannot be compared beyond the part of its stack that it keeps.
                Ok(None) | Err(Error::Opaque) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// The first bytes after which two states differ, if their subtrees are small.
fn differing(
    automaton: &mut dyn MaskHints,
    vocabulary: &Vocabulary,
    (state, of): (StateId, StateId),
    most: usize,
) -> Result<Option<Vec<u8>>> {
    let all = [u64::MAX; 4];
    let one = automaton.live_bytes(state)?.unwrap_or(all);
    let other = automaton.live_bytes(of)?.unwrap_or(all);
    let is_live = |byte: u8| (one[usize::from(byte / 64)] | other[usize::from(byte / 64)]) >> (byte % 64) & 1 == 1;
    let (mut differs, mut below) = (Vec::new(), 0);
    // The largest subtrees first, so that too large a difference is found early.
    for &byte in vocabulary.trie().first_bytes_by_size().iter().filter(|&&byte| is_live(byte)) {
        if !automaton.meet_after(state, of, byte)? {
            below += vocabulary.trie().size_below(byte).unwrap_or(0);
            if below > most {
                return Ok(None);
            }
            differs.push(byte);
        }
    }
    differs.sort_unstable();
    Ok(Some(differs))
}
