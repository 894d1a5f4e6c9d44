//! Queries within a token budget: distances, masks, and the groups of tokens that are decided together.

use super::distance::{Distances, Ground, WORK};
use super::fill::{Decided, Together};
use crate::automaton::StateId;
use crate::bits::{is_set, unset};
use crate::error::{Error, Result};
use crate::mask::class_masks::FastPaths;
use crate::mask::engine::Engine;
use crate::mask::hints::TokenBounds;
use crate::mask::neighbour::MOST_NODES;
use crate::mask::slots::Slot;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::occurrences::Occurrences;
use crate::vocabulary::slices::{COUNTED, Slices};
use std::sync::Arc;

impl Engine {
    /// The least number of tokens after which the text matches, if that is at most `limit`.
    pub(crate) fn tokens_to_match(&mut self, slot: Slot, limit: u32) -> Result<Option<u32>> {
        self.measured(|distances, ground, state| distances.tokens_to_match(ground, state, limit), slot)
    }

    /// Whether at most `limit` tokens are enough to reach a match.
    pub(crate) fn is_within(&mut self, slot: Slot, limit: u32) -> Result<bool> {
        self.measured(|distances, ground, state| distances.is_within(ground, state, limit), slot)
    }

    /// Writes the mask of the tokens after which a match needs at most `tokens_left - 1` more.
    pub(crate) fn fill_within(&mut self, slot: Slot, out: &mut [u32], tokens_left: u32) -> Result<()> {
        if let Some(limit) = tokens_left.checked_sub(1) {
            if self.distances.all_within(self.state(slot), limit) {
                return self.fill(slot, out);
            }
            let together = self.together(slot, limit, out)?;
            self.measured(
                |distances, ground, state| {
                    out.fill(0);
                    distances.fill_within(ground, state, limit, together.as_ref(), out)
                },
                slot,
            )?;
        } else {
            out.fill(0);
        }
        let state = self.state(slot);
        self.complete(state, out);
        Ok(())
    }

    /// The group of tokens of the state of `slot` that are decided together, if it is large. `out` is scratch space for
    /// a mask.
    fn together(&mut self, slot: Slot, limit: u32, out: &mut [u32]) -> Result<Option<Together>> {
        let vocabulary = Arc::clone(&self.vocabulary);
        let Some((slices, occurrences)) = self.fast_ways(&vocabulary) else { return Ok(None) };
        let words = vocabulary.mask_words();
        let found = self.attempt(|engine| engine.looping(engine.state(slot), limit, slices, &vocabulary));
        let row = &mut out[..words];
        let found = match found {
            Ok(None) => self.like_neighbour(slot, limit, row, (slices, occurrences), &vocabulary),
            found => found,
        };
        let found = match found {
            Ok(None) => self.like_fewer(slot, limit, row, occurrences, &vocabulary),
            found => found,
        };
        // The walk will reach this limit too, and handles it.
        let found = match found {
            Ok(found) => found,
            Err(Error::Limit { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some((tokens, how)) = found else { return Ok(None) };
        if self.fill(slot, out).is_err() {
            return Ok(None);
        }
        Ok(Some(Together { tokens, allowed: out[..words].to_vec(), how }))
    }

    /// The tokens of a loop.
    fn looping(
        &mut self,
        state: StateId,
        limit: u32,
        slices: &Slices,
        vocabulary: &Vocabulary,
    ) -> Result<Option<(Vec<u32>, Decided)>> {
        let mut how = self.automaton.loop_ending(state)?.map(Decided::ByEnding);
        if how.is_none() && self.automaton.is_self_loop(state)? {
            how = Some(Decided::ByItself);
        }
        if how.is_none()
            && let Some(exit) = self.automaton.loop_exit(state)?
        {
            let count = self.distances.spelled.count(vocabulary, &exit, &mut self.fuel)?;
            how = (count <= limit).then_some(Decided::Within(count));
        }
        let Some(how) = how else { return Ok(None) };
        let Some(found) = self.automaton.char_loop(state)? else { return Ok(None) };
        if found.reach != u32::MAX && matches!(how, Decided::ByEnding(_)) {
            return Ok(None);
        }
        let mut whole = vocabulary.class(slices, &found.sets.class).whole.to_vec();
        match slices.at_most(found.reach) {
            (Some(within), _) => whole.iter_mut().zip(within).for_each(|(whole, within)| *whole &= within),
            (None, longer) => {
                let longer = longer.iter().filter(|longer| longer.0 > found.reach);
                longer.for_each(|&(_, token)| unset(&mut whole, token));
            }
        }
        slices.cut().for_each(|token| unset(&mut whole, token));
        Ok(Some((whole, how)))
    }

    /// The tokens with the same targets as from a neighbour, if the targets of the neighbour are all near enough.
    fn like_neighbour(
        &mut self,
        slot: Slot,
        limit: u32,
        row: &mut [u32],
        (slices, occurrences): (&Slices, &Occurrences),
        vocabulary: &Vocabulary,
    ) -> Result<Option<(Vec<u32>, Decided)>> {
        let most = if self.fast == FastPaths::Always { usize::MAX } else { MOST_NODES };
        let found = self.attempt(|engine| {
            let state = engine.state(slot);
            let Engine { recent, automaton, .. } = engine;
            let Some(found) = recent.neighbour(&mut **automaton, vocabulary, state, most)? else { return Ok(None) };
            let is_cheap = automaton.is_self_loop(found.of)?;
            Ok(Some((found, is_cheap)))
        })?;
        let Some((neighbour, is_cheap)) = found else { return Ok(None) };
        let Some(farthest) = self.farthest_from(neighbour.of, is_cheap, limit, row)? else { return Ok(None) };
        let mut same = vec![u32::MAX; vocabulary.mask_words()];
        for &byte in &neighbour.differs {
            self.maker(vocabulary, slices, occurrences).unset_below(byte, &mut same);
        }
        let trie = vocabulary.trie();
        for &(token, twin) in trie.duplicates() {
            if !is_set(&same, token) {
                unset(&mut same, twin);
            }
        }
        let others = trie.long().iter().copied().chain(self.automaton.specials());
        others.for_each(|token| unset(&mut same, token));
        Ok(Some((same, Decided::Within(farthest))))
    }

    /// The tokens of an under-approximation of the state, if its targets are all near enough: with more texts, the
    /// distances can only be smaller.
    fn like_fewer(
        &mut self,
        slot: Slot,
        limit: u32,
        row: &mut [u32],
        occurrences: &Occurrences,
        vocabulary: &Vocabulary,
    ) -> Result<Option<(Vec<u32>, Decided)>> {
        let runs = |byte| vocabulary.runs(occurrences, byte);
        let bounds = TokenBounds { characters: COUNTED as u32, runs: &runs };
        let fewer = self.attempt(|engine| engine.automaton.fewer(engine.state(slot), &bounds))?;
        let Some(fewer) = fewer.filter(|&fewer| fewer != self.state(slot)) else { return Ok(None) };
        let Some(farthest) = self.farthest_from(fewer, true, limit, row)? else { return Ok(None) };
        // The query may have renumbered the states.
        let fewer = self.attempt(|engine| {
            let fewer = engine.automaton.fewer(engine.state(slot), &bounds)?;
            fewer.map_or(Ok(None), |fewer| engine.write_shared(fewer, row, vocabulary).map(Some))
        })?;
        Ok(fewer.map(|()| (row.to_vec(), Decided::Within(farthest))))
    }

    /// An upper bound on the distances after any token that may follow `state`, if it is at most `limit`; if it is
    /// unknown, `ask` computes it. `row` is scratch space for a mask.
    fn farthest_from(&mut self, state: StateId, ask: bool, limit: u32, row: &mut [u32]) -> Result<Option<u32>> {
        let mut farthest = self.distances.farthest(state);
        if farthest.is_none() && ask && !self.asks {
            let slot = self.open(Some(state));
            self.asks = true;
            let filled = self.fill_within(slot, row, limit.saturating_add(1));
            self.asks = false;
            farthest = self.distances.farthest(self.state(slot));
            self.close(slot);
            filled?;
        }
        Ok(farthest.filter(|&farthest| farthest <= limit))
    }

    /// The answer of `question` for the state of `slot`, within the work of one call. Distances may keep a quarter of
    /// the memory between calls, and a search may add as much.
    fn measured<T>(
        &mut self,
        mut question: impl FnMut(&mut Distances, &mut Ground<'_>, StateId) -> Result<T>,
        slot: Slot,
    ) -> Result<T> {
        let whole = self.limits.memory_bytes as usize;
        self.distances.shrink(whole / 4);
        if self.automaton.memory_bytes() + self.own_bytes() > whole / 4 * 3 {
            self.reclaim();
        }
        self.attempt(|engine| {
            let state = engine.state(slot);
            engine.refuel(engine.limits.fuel.min(WORK));
            let Engine { automaton, vocabulary, path, fuel, distances, .. } = engine;
            distances.begin();
            let memory = (automaton.memory_bytes() + whole / 4).clamp(whole / 2, whole / 8 * 7);
            let mut ground = Ground { automaton: &mut **automaton, vocabulary, path, fuel, memory };
            question(distances, &mut ground, state)
        })
    }
}
