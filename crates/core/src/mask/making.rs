//! Makes the mask of a state: from a representative's mask, from a neighbour's, or from character classes
//! (`class_masks`).

use super::cache::Mask;
use super::class_masks::{FastPaths, Maker, set_duplicates};
use super::engine::Engine;
use super::neighbour::{MOST_NODES, Neighbour};
use super::slots::Slot;
use super::trie_walk::{step_bytes, walk_all, walk_specials};
use crate::automaton::StateId;
use crate::bits::{members, set, unset};
use crate::error::{Error, Result};
use crate::mask::hints::TokenBounds;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::occurrences::Occurrences;
use crate::vocabulary::slices::{COUNTED, Slices};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Before a mask with more nodes than this is made, neighbours are searched for.
const MOST_PLACES: usize = 8_000;

/// The most tokens that are stepped one by one because the lower and the upper representative of a state differ on
/// them.
const MOST_BETWEEN: u32 = 2_000;

impl Engine {
    /// Copies the mask of the slot's state if it is cached.
    #[inline]
    pub(crate) fn fill_ready(&mut self, slot: Slot, out: &mut [u32]) -> bool {
        let state = self.state(slot);
        let (row, rest) = out.split_at_mut(self.vocabulary.mask_words());
        if !self.masks.write(state, row, self.vocabulary.eos_token_ids()) {
            return false;
        }
        rest.fill(0);
        true
    }

    /// Writes the mask of the slot's state; `out` has at least as many words as a mask, and further words are cleared.
    pub(crate) fn fill(&mut self, slot: Slot, out: &mut [u32]) -> Result<()> {
        if self.fill_ready(slot, out) {
            return Ok(());
        }
        let vocabulary = Arc::clone(&self.vocabulary);
        let (row, rest) = out.split_at_mut(vocabulary.mask_words());
        rest.fill(0);
        self.attempt(|engine| engine.make_mask(engine.state(slot), row, &vocabulary))
    }

    fn make_mask(&mut self, state: StateId, row: &mut [u32], vocabulary: &Vocabulary) -> Result<()> {
        let Some((slices, occurrences)) = self.fast_ways(vocabulary) else {
            return self.make_own(state, row, vocabulary);
        };
        let runs = |byte| vocabulary.runs(occurrences, byte);
        let bounds = TokenBounds { characters: COUNTED as u32, runs: &runs };
        let Some(representatives) = self.automaton.saturate(state, &bounds)? else {
            if let Some(shared) = self.make_shared(state, row, vocabulary)? {
                let budget = self.mask_budget();
                self.masks.insert(state, Mask::Like { of: shared, without: Box::default() }, budget);
                return Ok(());
            }
            return self.make_own(state, row, vocabulary);
        };
        // PERF: tokens of up to COUNTED characters do not distinguish `state` from its representative, and few tokens
        // are longer: in a form with strings of up to 120 characters the median cold step takes 3 µs instead of 14.
        let without = match representatives.low {
            None => {
                self.write_shared(representatives.high, row, vocabulary)?;
                let without = self.maker(vocabulary, slices, occurrences).too_long(state, row)?;
                self.fuel.spend(slices.longer().len() as u64)?;
                without
            }
            Some(low) => {
                let Some(between) = self.between(low, representatives.high, row, vocabulary)? else {
                    return self.make_own(state, row, vocabulary);
                };
                self.write_shared(representatives.high, row, vocabulary)?;
                let mut without = Vec::new();
                for &token in between.iter() {
                    let is_allowed = if vocabulary.is_eos(token) {
                        self.automaton.is_accepting(state)
                    } else if self.has_special(token) {
                        self.automaton.step_special(state, token)? != StateId::DEAD
                    } else {
                        let (end, steps) = step_bytes(&mut *self.automaton, state, vocabulary.bytes_of(token))?;
                        self.fuel.spend(steps as u64)?;
                        end != StateId::DEAD
                    };
                    if !is_allowed {
                        without.push(token);
                    }
                }
                without
            }
        };
        without.iter().for_each(|&token| unset(row, token));
        let budget = self.mask_budget();
        self.masks.insert(state, Mask::Like { of: representatives.high, without: without.into() }, budget);
        Ok(())
    }

    /// Writes the mask of a representative, and caches it.
    pub(super) fn write_shared(&mut self, state: StateId, row: &mut [u32], vocabulary: &Vocabulary) -> Result<()> {
        if state == StateId::DEAD {
            row.fill(0);
            return Ok(());
        }
        if !self.masks.write(state, row, vocabulary.eos_token_ids())
            && self.make_shared(state, row, vocabulary)?.is_none()
        {
            self.make_own(state, row, vocabulary)?;
        }
        Ok(())
    }

    /// The tokens that may follow `high` and not `low`, if they are few. `row` is room for a mask.
    fn between(
        &mut self,
        low: StateId,
        high: StateId,
        row: &mut [u32],
        vocabulary: &Vocabulary,
    ) -> Result<Option<Arc<[u32]>>> {
        if let Some(known) = self.between.get(&(low, high)) {
            return Ok(known.clone());
        }
        self.write_shared(low, row, vocabulary)?;
        let below = row.to_vec();
        self.write_shared(high, row, vocabulary)?;
        let words: Vec<u32> = row.iter().zip(&below).map(|(high, low)| high & !low).collect();
        let count: u32 = words.iter().map(|word| word.count_ones()).sum();
        let few = (count <= MOST_BETWEEN).then(|| members(&words).collect());
        self.between.insert((low, high), few.clone());
        Ok(few)
    }

    /// Writes the mask of a truncated state, which lacks the deep part of this state's stack; returns that state.
    fn make_shared(&mut self, state: StateId, row: &mut [u32], vocabulary: &Vocabulary) -> Result<Option<StateId>> {
        let mut attempt = 0;
        while let Ok(found) = self.automaton.truncated(state, attempt)? {
            if let Some(truncated) = found {
                if self.masks.write(truncated, row, vocabulary.eos_token_ids()) {
                    return Ok(Some(truncated));
                }
                let made = self.make_own(truncated, row, vocabulary);
                self.automaton.note_truncated(truncated, attempt, made.is_ok());
                match made {
                    Ok(()) => return Ok(Some(truncated)),
                    Err(Error::Opaque) => {}
                    Err(error) => return Err(error),
                }
            }
            attempt += 1;
        }
        Ok(None)
    }

    pub(super) fn fast_ways<'a>(&self, vocabulary: &'a Vocabulary) -> Option<(&'a Slices, &'a Occurrences)> {
        let ways = vocabulary.fast().filter(|_| vocabulary.is_regular() && self.fast != FastPaths::Never)?;
        Some((&ways.0, &ways.1))
    }

    pub(super) fn maker<'a>(
        &'a mut self,
        vocabulary: &'a Vocabulary,
        slices: &'a Slices,
        occurrences: &'a Occurrences,
    ) -> Maker<'a> {
        let Engine { automaton, path, fuel, plans, fast, .. } = self;
        let always = *fast == FastPaths::Always;
        Maker { automaton: &mut **automaton, vocabulary, slices, occurrences, plans, path, fuel, always }
    }

    fn make_own(&mut self, state: StateId, row: &mut [u32], vocabulary: &Vocabulary) -> Result<()> {
        let (mut copied, mut has_specials) = (None, false);
        match (vocabulary.is_regular(), self.fast_ways(vocabulary)) {
            (true, Some((slices, occurrences))) => {
                let neighbour = self.neighbour(state, (slices, occurrences), vocabulary)?;
                if let Some(neighbour) = neighbour {
                    self.write_shared(neighbour.of, row, vocabulary)?;
                    // Tokens that are not in the tree are set again below.
                    self.automaton.specials().into_iter().for_each(|token| unset(row, token));
                    vocabulary.eos_token_ids().iter().for_each(|&token| unset(row, token));
                    vocabulary.trie().duplicates().iter().for_each(|&(_, same)| unset(row, same));
                    self.maker(vocabulary, slices, occurrences).mend(state, &neighbour.differs, row)?;
                } else {
                    copied = self.maker(vocabulary, slices, occurrences).fill(state, row)?;
                }
                let Engine { automaton, fuel, .. } = self;
                walk_specials(&mut **automaton, state, fuel, |token, _| {
                    set(row, token);
                    has_specials = true;
                    Ok(())
                })?;
            }
            (true, None) => {
                row.fill(0);
                let Engine { automaton, path, fuel, .. } = self;
                walk_all(&mut **automaton, vocabulary, state, path, fuel, |token, _| {
                    set(row, token);
                    Ok(())
                })?;
            }
            (false, _) => {
                row.fill(0);
                let mut found = Vec::new();
                let Engine { automaton, path, fuel, liveness, .. } = self;
                walk_all(&mut **automaton, vocabulary, state, path, fuel, |token, target| {
                    found.push((target, token));
                    Ok(())
                })?;
                found.sort_unstable();
                for same in found.chunk_by(|a, b| a.0 == b.0) {
                    if liveness.is_live(&mut **automaton, vocabulary, same[0].0, path, fuel)? {
                        same.iter().for_each(|&(_, token)| set(row, token));
                    }
                }
            }
        }
        self.complete(state, row);
        let budget = self.mask_budget();
        let mask = match copied {
            Some(class) if !has_specials => Mask::Copied { class, accepting: self.automaton.is_accepting(state) },
            _ => Mask::keep(row),
        };
        self.masks.insert(state, mask, budget);
        Ok(())
    }

    /// A neighbour of a state with an expensive mask: a state that shares most of its mask.
    fn neighbour(
        &mut self,
        state: StateId,
        (slices, occurrences): (&Slices, &Occurrences),
        vocabulary: &Vocabulary,
    ) -> Result<Option<Neighbour>> {
        let always = self.fast == FastPaths::Always;
        let mut most = usize::MAX;
        if !always {
            let places = self.maker(vocabulary, slices, occurrences).places(state)?;
            if places <= MOST_PLACES {
                return Ok(None);
            }
            // The subtrees that are walked again have to be the smaller part.
            most = MOST_NODES.min(places / 2);
        }
        let found = self.recent.neighbour(&mut *self.automaton, vocabulary, state, most)?;
        let Some(found) = found else {
            self.recent.push(state);
            return Ok(None);
        };
        let of = found.of;
        // A neighbour whose own mask is expensive does not help, and may in turn be derived from this state.
        let is_at_hand =
            self.masks.has(of) || !always && self.maker(vocabulary, slices, occurrences).places(of)? <= MOST_PLACES;
        Ok(is_at_hand.then_some(found))
    }

    /// The memory for masks, in bytes; drops masks beyond it.
    fn mask_budget(&mut self) -> usize {
        let held = self.automaton.memory_bytes() + self.own_bytes();
        let budget = (self.limits.memory_bytes as usize).saturating_sub(held);
        self.masks.shrink(budget);
        budget
    }

    /// Sets whether fast paths are used; drops all cached masks.
    pub(crate) fn set_fast_paths(&mut self, fast: FastPaths) {
        self.fast = fast;
        self.automaton.expect_numbers(fast == FastPaths::Always || self.vocabulary.has_numbers());
        self.between = FxHashMap::default();
        self.masks.clear();
    }

    /// Adds the tokens that are not in the tree: the other ids of duplicates, and EOS where the text matches.
    pub(super) fn complete(&mut self, state: StateId, row: &mut [u32]) {
        set_duplicates(&self.vocabulary, row);
        if self.automaton.is_accepting(state) {
            self.vocabulary.eos_token_ids().iter().for_each(|&id| set(row, id));
        }
    }
}
