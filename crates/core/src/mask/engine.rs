//! What one constraint knows: its automaton, the masks made so far, the states in use. One thread at a time.

use super::budget::distance::{Distances, Ground, WORK};
use super::budget::fill::{Decided, Together};
use super::budget::spelled::Spelled;
use super::cache::{Mask, MaskCache};
use super::class_masks::{FastPaths, Maker, Plans, set_duplicates};
use super::neighbour::{MOST_NODES, Neighbour, Recent};
use super::slots::{Slot, Slots};
use super::token_liveness::Liveness;
use super::trie_walk::{Fuel, Path, step_bytes, walk_all, walk_specials};
use crate::automaton::{StateId, step_symbol};
use crate::bits::{is_set, members, set, unset};
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mask::hints::{MaskHints, TokenBounds};
use crate::symbols;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::occurrences::Occurrences;
use crate::vocabulary::slices::{COUNTED, Slices};
use crate::vocabulary::trie::MAX_DEPTH;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex};

/// How many bytes are stepped over with one filling of fuel.
pub(crate) const CHUNK: usize = 256;

/// A mask that is looked for in more places of the tree is compared with others first.
const MOST_PLACES: usize = 8_000;

/// The most tokens that are decided one by one where the lower and the upper bound of a state do not agree on them.
const MOST_BETWEEN: u32 = 2_000;

/// What came of stepping over some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Alive: some sequence of tokens leads to a match.
    To(StateId),
    /// Dead by the byte at this index; the state before it.
    FailedAt(usize, StateId),
    /// Alive by bytes, but no sequence of tokens leads to a match.
    NotSpelled(StateId),
}

pub(crate) struct Engine {
    automaton: Box<dyn MaskHints>,
    vocabulary: Arc<Vocabulary>,
    limits: Limits,
    masks: MaskCache,
    plans: Plans,
    recent: Recent,
    /// Whether distances are asked for on behalf of another state.
    asks: bool,
    fast: FastPaths,
    liveness: Liveness,
    distances: Distances,
    /// Whether nothing can be written after an accepting state.
    ends: FxHashMap<StateId, bool>,
    /// By two states that others lie between: the tokens that may follow the one and not the other; `None`: they are many.
    between: FxHashMap<(StateId, StateId), Option<Arc<[u32]>>>,
    slots: Slots,
    /// Grows when states are renumbered.
    generation: u64,
    path: Box<Path>,
    fuel: Fuel,
    scratch: Vec<u32>,
}

impl Engine {
    pub(crate) fn new(
        mut automaton: Box<dyn MaskHints>,
        vocabulary: Arc<Vocabulary>,
        limits: &Limits,
        closed: Arc<Mutex<Vec<Slot>>>,
    ) -> Self {
        automaton.expect_numbers(vocabulary.has_numbers());
        Engine {
            automaton,
            vocabulary,
            limits: *limits,
            masks: MaskCache::default(),
            plans: Plans::default(),
            recent: Recent::default(),
            asks: false,
            fast: FastPaths::default(),
            liveness: Liveness::default(),
            distances: Distances::default(),
            ends: FxHashMap::default(),
            between: FxHashMap::default(),
            slots: Slots::new(closed),
            generation: 0,
            path: Box::new([StateId::DEAD; MAX_DEPTH + 2]),
            fuel: Fuel { left: limits.fuel, allowed: limits.fuel },
            scratch: Vec::new(),
        }
    }

    pub(crate) fn can_start(&mut self) -> Result<bool> {
        self.attempt(|engine| engine.is_live(engine.automaton.start()))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.automaton.memory_bytes() + self.own_bytes() + self.masks.bytes()
    }

    fn own_bytes(&self) -> usize {
        self.liveness.bytes()
            + self.distances.bytes()
            + self.ends.capacity() * 6
            + self.slots.bytes()
            + self.between.values().flatten().map(|tokens| tokens.len() * 4 + 64).sum::<usize>()
    }

    /// The number of times that states were renumbered. A state id of an earlier generation means nothing.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// A new place, at the start of the text if no state is given.
    pub(crate) fn open(&mut self, state: Option<StateId>) -> Slot {
        let state = state.unwrap_or_else(|| self.automaton.start());
        self.slots.open(state)
    }

    pub(crate) fn close(&mut self, slot: Slot) {
        self.slots.close(slot);
    }

    #[inline]
    pub(crate) fn state(&self, slot: Slot) -> StateId {
        self.slots.state(slot)
    }

    pub(crate) fn set_state(&mut self, slot: Slot, state: StateId) {
        self.slots.set(slot, state);
    }

    pub(crate) fn start(&self) -> StateId {
        self.automaton.start()
    }

    /// Does `work` with fresh fuel. If memory runs out, everything that no matcher needs is dropped, and it is tried once
    /// more; `work` has to ask for its states again, since they may have new numbers.
    pub(crate) fn attempt<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        self.refuel(self.limits.fuel);
        match work(self) {
            Err(Error::Limit { limit: "memory_bytes", .. }) => {
                self.reclaim();
                self.refuel(self.limits.fuel);
                work(self)
            }
            done => done,
        }
    }

    fn refuel(&mut self, fuel: u64) {
        self.fuel.left = fuel;
        self.automaton.refuel(fuel);
    }

    /// Forgets everything but the states that matchers are in.
    pub(crate) fn reclaim(&mut self) {
        self.slots.close_waiting();
        self.masks.clear();
        self.plans.clear();
        self.recent.clear();
        self.liveness.clear();
        let bounds = std::mem::take(&mut self.distances).bounds;
        self.ends = FxHashMap::default();
        self.between = FxHashMap::default();
        let roots = self.slots.states();
        self.refuel(self.limits.fuel);
        let renumbered = self.automaton.retain(&roots);
        self.generation += 1;
        self.slots.renumber(&roots, &renumbered);
        // Masks were made by these: whoever was let in by them must not be turned away.
        for (old, new) in roots.iter().zip(&renumbered) {
            if let Some(&known) = bounds.get(old) {
                self.distances.bounds.insert(*new, known);
            }
        }
    }

    pub(crate) fn is_accepting(&mut self, state: StateId) -> bool {
        self.automaton.is_accepting(state)
    }

    fn is_live(&mut self, state: StateId) -> Result<bool> {
        if self.vocabulary.is_regular() {
            return Ok(true);
        }
        self.liveness.is_live(&mut *self.automaton, &self.vocabulary, state, &mut self.path, &mut self.fuel)
    }

    /// Where `bytes` lead from `state`.
    pub(crate) fn step(&mut self, state: StateId, bytes: &[u8]) -> Result<Step> {
        match self.step_bytes(state, bytes)? {
            Ok(last) => Ok(if self.is_live(last)? { Step::To(last) } else { Step::NotSpelled(last) }),
            Err((index, last)) => Ok(Step::FailedAt(index, last)),
        }
    }

    /// The state after `bytes`; or the index of the byte that is dead, with the state before it.
    fn step_bytes(&mut self, state: StateId, bytes: &[u8]) -> Result<std::result::Result<StateId, (usize, StateId)>> {
        let (mut last, mut index) = (state, 0);
        while index < bytes.len() {
            let (next, length) = step_symbol(&mut *self.automaton, last, &bytes[index..])?;
            if next == StateId::DEAD {
                return Ok(Err((index, last)));
            }
            (last, index) = (next, index + length);
        }
        Ok(Ok(last))
    }

    /// Where `bytes` lead from `from`, however many they are: what is passed through need not stay in memory.
    pub(crate) fn step_long(&mut self, from: StateId, bytes: &[u8]) -> Result<Step> {
        let here = self.open(Some(from));
        let step = self.step_chunks(here, bytes);
        self.close(here);
        step
    }

    fn step_chunks(&mut self, here: Slot, bytes: &[u8]) -> Result<Step> {
        let mut from = 0;
        while from < bytes.len() {
            let mut to = bytes.len().min(from + CHUNK);
            // A special token is not cut.
            let end = &bytes[to.saturating_sub(symbols::LENGTH - 1).max(from + 1)..to];
            if to < bytes.len()
                && let Some(back) = end.iter().rev().position(|&byte| byte == symbols::MARKER)
            {
                to -= back + 1;
            }
            match self.attempt(|engine| engine.step_bytes(engine.state(here), &bytes[from..to]))? {
                Ok(next) => self.set_state(here, next),
                Err((at, last)) => return Ok(Step::FailedAt(from + at, last)),
            }
            from = to;
        }
        let live = self.attempt(|engine| engine.is_live(engine.state(here)))?;
        Ok(if live { Step::To(self.state(here)) } else { Step::NotSpelled(self.state(here)) })
    }

    /// Copies the mask of the slot's state, if it is ready.
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

    /// Writes the mask of the slot's state; `out` has at least as many words as a mask, and what is beyond is cleared.
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
        // PERF: tokens of up to COUNTED characters cannot tell the two apart, and few are longer: in a form with strings of
        // up to 120 characters the median cold step takes 3 µs instead of 14.
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

    /// Writes the mask of a state that others share.
    fn write_shared(&mut self, state: StateId, row: &mut [u32], vocabulary: &Vocabulary) -> Result<()> {
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

    /// Writes the mask of a state that is like this one but for what lies deep in its stack; returns that state.
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

    fn fast_ways<'a>(&self, vocabulary: &'a Vocabulary) -> Option<(&'a Slices, &'a Occurrences)> {
        let ways = vocabulary.fast().filter(|_| vocabulary.is_regular() && self.fast != FastPaths::Never)?;
        Some((&ways.0, &ways.1))
    }

    fn maker<'a>(
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
                    // What is not in the tree is set anew.
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

    /// A state that has most of the mask of a state which would take long to make.
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
            // What is walked anew has to be the lesser part.
            most = MOST_NODES.min(places / 2);
        }
        let found = self.recent.neighbour(&mut *self.automaton, vocabulary, state, most)?;
        let Some(found) = found else {
            self.recent.push(state);
            return Ok(None);
        };
        let of = found.of;
        // Another that takes long itself is no help, and may be a neighbour of this one.
        let is_at_hand =
            self.masks.has(of) || !always && self.maker(vocabulary, slices, occurrences).places(of)? <= MOST_PLACES;
        Ok(is_at_hand.then_some(found))
    }

    /// The bytes that masks may take, which they are made to keep to.
    fn mask_budget(&mut self) -> usize {
        let held = self.automaton.memory_bytes() + self.own_bytes();
        let budget = (self.limits.memory_bytes as usize).saturating_sub(held);
        self.masks.shrink(budget);
        budget
    }

    /// Which ways masks are made in; drops those that are ready.
    pub(crate) fn set_fast_paths(&mut self, fast: FastPaths) {
        self.fast = fast;
        self.automaton.expect_numbers(fast == FastPaths::Always || self.vocabulary.has_numbers());
        self.between = FxHashMap::default();
        self.masks.clear();
    }

    /// Adds to a mask what is not in the tree: the other ids of duplicates, and EOS where the text matches.
    fn complete(&mut self, state: StateId, row: &mut [u32]) {
        set_duplicates(&self.vocabulary, row);
        if self.automaton.is_accepting(state) {
            self.vocabulary.eos_token_ids().iter().for_each(|&id| set(row, id));
        }
    }

    /// The least number of tokens after which the text matches, if that is at most `limit`.
    pub(crate) fn tokens_to_match(&mut self, slot: Slot, limit: u32) -> Result<Option<u32>> {
        self.measured(|distances, ground, state| distances.tokens_to_match(ground, state, limit), slot)
    }

    /// Whether at most `limit` tokens are enough to a match.
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

    /// Tokens of the state of `slot` that are decided together, if many are. `out` is room for a mask.
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
        // Limits are met by those who walk, too: they know what to do then.
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

    /// The tokens that lead where they lead from another state, from which none leads too far.
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

    /// The tokens that may follow a state of fewer texts, from which none leads too far: from a state of more, none can.
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
        // Asking may have renumbered the states.
        let fewer = self.attempt(|engine| {
            let fewer = engine.automaton.fewer(engine.state(slot), &bounds)?;
            fewer.map_or(Ok(None), |fewer| engine.write_shared(fewer, row, vocabulary).map(Some))
        })?;
        Ok(fewer.map(|()| (row.to_vec(), Decided::Within(farthest))))
    }

    /// What no token leads further than from `state`, if that is at most `limit`; where it is not known, it is found out if
    /// `ask`. `row` is room for a mask.
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

    /// What `question` says of the state of `slot`, within the work of one call. Distances may keep a quarter of the memory
    /// between calls, and a search may add as much.
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

    /// Whether nothing can be written after the text of the slot, which matches.
    pub(crate) fn is_finished(&mut self, slot: Slot) -> Result<bool> {
        let state = self.state(slot);
        if !self.automaton.is_accepting(state) {
            return Ok(false);
        }
        if let Some(&ends) = self.ends.get(&state) {
            return Ok(ends);
        }
        let ends = if self.vocabulary.is_regular() {
            self.attempt(|engine| {
                let state = engine.state(slot);
                Ok(engine.automaton.next_characters(state)?.is_empty() && engine.next_specials(state)?.is_empty())
            })?
        } else {
            let mut row = std::mem::take(&mut self.scratch);
            row.resize(self.vocabulary.mask_words(), 0);
            let filled = self.fill(slot, &mut row);
            self.vocabulary.eos_token_ids().iter().for_each(|&id| unset(&mut row, id));
            let ends = row.iter().all(|&word| word == 0);
            self.scratch = row;
            filled.map(|()| ends)?
        };
        let state = self.state(slot);
        self.ends.insert(state, ends);
        Ok(ends)
    }

    /// The special tokens that may follow.
    pub(crate) fn next_specials(&mut self, state: StateId) -> Result<Vec<u32>> {
        let mut next = Vec::new();
        walk_specials(&mut *self.automaton, state, &mut self.fuel, |id, _| {
            next.push(id);
            Ok(())
        })?;
        Ok(next)
    }

    /// Whether a special token is one of the language's.
    pub(crate) fn has_special(&self, id: u32) -> bool {
        self.automaton.specials().binary_search(&id).is_ok()
    }

    pub(crate) fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        self.automaton.next_characters(state)
    }

    /// The fewest tokens that spell a text, special tokens included.
    pub(crate) fn spelled(&mut self, text: &[u8]) -> Result<Vec<u32>> {
        let (mut tokens, mut at, mut spelled) = (Vec::new(), 0, Spelled::default());
        while at < text.len() {
            let Some((token, _)) = spelled.first(&self.vocabulary, &text[at..], &mut self.fuel)? else { break };
            tokens.push(token);
            at +=
                symbols::decode(&text[at..]).map_or_else(|| self.vocabulary.bytes_of(token).len(), |_| symbols::LENGTH);
        }
        Ok(tokens)
    }

    /// A shortest text that tokens spell and that leads from `state`, which is alive, to a match.
    pub(crate) fn shortest_completion(&mut self, state: StateId) -> Result<Vec<u8>> {
        let Engine { automaton, vocabulary, path, fuel, liveness, .. } = self;
        if vocabulary.is_regular() {
            return Ok(automaton.shortest_completion(state, WORK)?.text);
        }
        let found = liveness.shortest_completion(&mut **automaton, vocabulary, state, path, fuel)?;
        found.ok_or_else(|| Error::Unsatisfiable { message: "no sequence of tokens leads to a match".to_owned() })
    }
}
