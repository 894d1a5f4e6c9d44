//! Liveness by tokens, for irregular vocabularies: the states from which some sequence of tokens leads to a match.
//!
//! If tokens can spell only some texts, a state that is live by bytes may be dead by tokens. A search over states steps
//! by tokens; its results are cached for ever, because states never change.

use super::trie_walk::{Fuel, Path, walk_all};
use crate::automaton::StateId;
use crate::error::Result;
use crate::mask::hints::MaskHints;
use crate::symbols;
use crate::vocabulary::Vocabulary;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The work for guessing a completion that tokens may spell.
const WORK_OF_GUESS: u64 = 20_000;

/// The liveness of states, as far as known: `true`: some sequence of tokens, perhaps the empty one, leads to a match.
#[derive(Default)]
pub(crate) struct Liveness {
    known: FxHashMap<StateId, bool>,
}

impl Liveness {
    pub(crate) fn clear(&mut self) {
        self.known = FxHashMap::default();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.known.capacity() * 10
    }

    fn known(
        &mut self,
        automaton: &mut dyn MaskHints,
        vocabulary: &Vocabulary,
        state: StateId,
        fuel: &mut Fuel,
    ) -> Result<Option<bool>> {
        if let Some(&live) = self.known.get(&state) {
            return Ok(Some(live));
        }
        let live = automaton.is_accepting(state)
            || is_spelled(vocabulary, &automaton.shortest_completion(state, WORK_OF_GUESS)?.text, fuel)?;
        if live {
            self.known.insert(state, true);
        }
        Ok(live.then_some(true))
    }

    /// Whether some sequence of tokens leads from `state` (not `DEAD`) to a match.
    pub(crate) fn is_live(
        &mut self,
        automaton: &mut dyn MaskHints,
        vocabulary: &Vocabulary,
        state: StateId,
        path: &mut Path,
        fuel: &mut Fuel,
    ) -> Result<bool> {
        if let Some(live) = self.known(automaton, vocabulary, state, fuel)? {
            return Ok(live);
        }
        // Breadth first; `reached[i].1` is the index of the state from which state `i` was reached.
        let mut reached = vec![(state, usize::MAX)];
        let mut index_of = FxHashMap::from_iter([(state, 0)]);
        let mut next = 0;
        while next < reached.len() {
            let from = reached[next].0;
            let mut targets = Vec::new();
            walk_all(automaton, vocabulary, from, path, fuel, |_, target| {
                index_of.entry(target).or_insert_with(|| {
                    targets.push(target);
                    reached.len() + targets.len() - 1
                });
                Ok(())
            })?;
            for target in targets {
                reached.push((target, next));
                // A dead state is not followed: its walk finds only dead states.
                if self.known(automaton, vocabulary, target, fuel)? == Some(true) {
                    let mut at = next;
                    while at != usize::MAX {
                        self.known.insert(reached[at].0, true);
                        at = reached[at].1;
                    }
                    return Ok(true);
                }
            }
            next += 1;
        }
        self.known.extend(reached.iter().map(|&(state, _)| (state, false)));
        Ok(false)
    }

    /// A shortest text, in bytes and special tokens, that tokens can spell from `state` to a match; `None` if there is
    /// none.
    pub(crate) fn shortest_completion(
        &mut self,
        automaton: &mut dyn MaskHints,
        vocabulary: &Vocabulary,
        state: StateId,
        path: &mut Path,
        fuel: &mut Fuel,
    ) -> Result<Option<Vec<u8>>> {
        let shortest = automaton.shortest_completion(state, WORK_OF_GUESS)?.text;
        if is_spelled(vocabulary, &shortest, fuel)? {
            return Ok(Some(shortest));
        }
        // Dijkstra over states, by bytes.
        let mut best: FxHashMap<StateId, (usize, StateId, u32)> = FxHashMap::from_iter([(state, (0, state, u32::MAX))]);
        let mut queue = BinaryHeap::from([Reverse((0, state))]);
        while let Some(Reverse((length, from))) = queue.pop() {
            if best[&from].0 < length {
                continue;
            }
            if automaton.is_accepting(from) {
                let mut tokens = Vec::new();
                let mut at = from;
                while best[&at].2 != u32::MAX {
                    tokens.push(best[&at].2);
                    at = best[&at].1;
                }
                let mut text = Vec::with_capacity(length);
                for &id in tokens.iter().rev() {
                    match vocabulary.bytes_of(id) {
                        [] => text.extend(symbols::encode(id)),
                        bytes => text.extend_from_slice(bytes),
                    }
                }
                return Ok(Some(text));
            }
            walk_all(automaton, vocabulary, from, path, fuel, |token, target| {
                // A special token has no bytes, and counts as one byte.
                let length = length + vocabulary.bytes_of(token).len().max(1);
                let known = best.entry(target).or_insert((usize::MAX, from, token));
                if length < known.0 {
                    *known = (length, from, token);
                    queue.push(Reverse((length, target)));
                }
                Ok(())
            })?;
        }
        Ok(None)
    }
}

/// Infinity: more tokens than any text has.
pub(crate) const FAR: u32 = u32::MAX;

/// Whether tokens spell `text`.
fn is_spelled(vocabulary: &Vocabulary, text: &[u8], fuel: &mut Fuel) -> Result<bool> {
    Ok(tokens_to_end(vocabulary, text, |_| None, fuel)?[0] != FAR)
}

/// For each place in `text`, its end included, the least number of tokens that spell the rest, [`FAR`] if none do; or
/// the `known` number of the place.
pub(crate) fn tokens_to_end(
    vocabulary: &Vocabulary,
    text: &[u8],
    known: impl Fn(usize) -> Option<u32>,
    fuel: &mut Fuel,
) -> Result<Vec<u32>> {
    let mut counts = vec![FAR; text.len() + 1];
    counts[text.len()] = known(text.len()).unwrap_or(0);
    for place in (0..text.len()).rev() {
        let mut steps = 1;
        counts[place] = known(place).unwrap_or_else(|| {
            let ends = prefixes(vocabulary, &text[place..]).inspect(|&(length, _)| steps = length as u64 + 1);
            ends.map(|(length, _)| counts[place + length]).min().unwrap_or(FAR).saturating_add(1)
        });
        fuel.spend(steps)?;
    }
    Ok(counts)
}

/// The tokens that are prefixes of `text`, with their lengths.
pub(crate) fn prefixes<'a>(vocabulary: &'a Vocabulary, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
    // An encoded special token is one token, and none of its bytes is text.
    let special = symbols::decode(text).map(|id| (symbols::LENGTH, id));
    let text = if special.is_some() { &[] } else { text };
    let long = vocabulary.trie().long().iter().map(move |&token| (vocabulary.bytes_of(token).len(), token));
    let long = long.filter(move |&(_, token)| text.starts_with(vocabulary.bytes_of(token)));
    vocabulary.trie().prefixes(text).chain(long).chain(special)
}
