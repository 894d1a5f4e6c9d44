//! A mask made from that of another state. Where a first byte leads from both to the same state, the tokens that begin with
//! it are allowed after both or after neither, and lead to the same states.
//!
//! It pays in a text with an end marker. After `<` of `</think>` a new state waits for `/`, and after `</` for
//! `t`; every other byte leads back to where the text goes on, as it does from the state of the text itself. Only the tokens
//! that begin with that one byte have to be looked at.
//!
//! PERF: the mask after `</` takes 0.1 ms in place of 3.6 on 131,072 tokens.

use crate::automaton::StateId;
use crate::error::{Error, Result};
use crate::mask::hints::MaskHints;
use crate::vocabulary::Vocabulary;

/// The most nodes that the tree may have below the first bytes after which two states differ; beyond, walking is as cheap.
pub(crate) const MOST_NODES: usize = 12_000;
/// The most states that are remembered, and compared with a new one.
const MOST_RECENT: usize = 4;
/// First bytes of many tokens. In the middle of a marker they lead back to the state of the text, which is a candidate.
const COMMON: [u8; 2] = [b' ', b'a'];

/// A state that another is like.
pub(crate) struct Neighbour {
    pub(crate) of: StateId,
    /// The first bytes after which the two differ, ascending; tokens begin with each of them.
    pub(crate) differs: Vec<u8>,
}

/// States whose masks took long to make: others may be like them.
#[derive(Default)]
pub(crate) struct Recent {
    states: Vec<StateId>,
}

impl Recent {
    pub(crate) fn clear(&mut self) {
        self.states.clear();
    }

    /// Remembers a state, and forgets the one that was remembered first.
    pub(crate) fn push(&mut self, state: StateId) {
        if self.states.contains(&state) {
            return;
        }
        if self.states.len() == MOST_RECENT {
            self.states.remove(0);
        }
        self.states.push(state);
    }

    /// A state that `state` is like, if one is known: one that differs from it after first bytes with at most `most` nodes of
    /// the tree below them.
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
                // What a truncated state has forgotten tells nothing.
                Ok(None) | Err(Error::Opaque) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// The first bytes after which two states differ, if little is below them in the tree.
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
    // The largest first: where they differ too much, that shows at once.
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
