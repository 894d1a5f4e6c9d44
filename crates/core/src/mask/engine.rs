//! The mutable part of a constraint: its automaton, cached masks, distances, and the states in use. One thread at a
//! time.

use super::budget::distance::{Distances, WORK};
use super::budget::spelled::Spelled;
use super::cache::MaskCache;
use super::class_masks::{FastPaths, Plans};
use super::neighbour::Recent;
use super::slots::{Slot, Slots};
use super::token_liveness::Liveness;
use super::trie_walk::{Fuel, Path, walk_specials};
use crate::automaton::{StateId, step_symbol};
use crate::bits::unset;
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mask::hints::MaskHints;
use crate::symbols;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::trie::MAX_DEPTH;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex};

/// One part in so many of the memory is little.
const LITTLE: usize = 16;

/// The number of bytes that are stepped over between two refuels.
pub(crate) const CHUNK: usize = 256;

/// The result of stepping over some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Alive: some sequence of tokens leads to a match.
    To(StateId),
    /// The byte at this index leads to the dead state; the state before it.
    FailedAt(usize, StateId),
    /// Alive by bytes, but no sequence of tokens leads to a match.
    NotSpelled(StateId),
}

pub(crate) struct Engine {
    pub(super) automaton: Box<dyn MaskHints>,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) limits: Limits,
    pub(super) masks: MaskCache,
    pub(super) plans: Plans,
    pub(super) recent: Recent,
    /// Whether distances are being computed for another state (no recursion beyond that).
    pub(super) asks: bool,
    pub(super) fast: FastPaths,
    pub(super) liveness: Liveness,
    pub(super) distances: Distances,
    /// For accepting states: whether no token can follow.
    pub(super) ends: FxHashMap<StateId, bool>,
    /// For two states that bound others from below and above: the tokens in only one of their masks; `None`: they are
    /// many.
    pub(super) between: FxHashMap<(StateId, StateId), Option<Arc<[u32]>>>,
    pub(super) slots: Slots,
    /// Incremented when states are renumbered.
    pub(super) generation: u64,
    pub(super) path: Box<Path>,
    pub(super) fuel: Fuel,
    pub(super) scratch: Vec<u32>,
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

    pub(super) fn own_bytes(&self) -> usize {
        self.liveness.bytes()
            + self.distances.bytes()
            + self.ends.capacity() * 6
            + self.slots.bytes()
            + self.between.values().flatten().map(|tokens| tokens.len() * 4 + 64).sum::<usize>()
    }

    /// The number of times that states were renumbered. State ids of an earlier generation are invalid.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// A new slot, at the start state if no state is given.
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

    /// Does `work` with full fuel. If memory runs out, all states that no matcher needs are dropped, and `work` is
    /// tried once more; it has to look its states up again, because they may have been renumbered. Where little was held
    /// before, `work` itself takes all the memory, and a second time would end in the same way.
    pub(crate) fn attempt<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        self.refuel(self.limits.fuel);
        let held = self.automaton.memory_bytes();
        match work(self) {
            Err(Error::Limit { limit: "memory_bytes", .. }) if held > self.automaton.memory_bytes() / LITTLE => {
                self.reclaim();
                self.refuel(self.limits.fuel);
                work(self)
            }
            done => done,
        }
    }

    pub(super) fn refuel(&mut self, fuel: u64) {
        self.fuel.left = fuel;
        self.automaton.refuel(fuel);
    }

    /// Drops all states except those of matchers.
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
        // Masks depend on these results: a token that a mask allowed must stay allowed.
        for (old, new) in roots.iter().zip(&renumbered) {
            if let Some(&known) = bounds.get(old) {
                self.distances.bounds.insert(*new, known);
            }
        }
    }

    pub(crate) fn is_accepting(&mut self, state: StateId) -> bool {
        self.automaton.is_accepting(state)
    }

    pub(super) fn is_live(&mut self, state: StateId) -> Result<bool> {
        if self.vocabulary.is_regular() {
            return Ok(true);
        }
        self.liveness.is_live(&mut *self.automaton, &self.vocabulary, state, &mut self.path, &mut self.fuel)
    }

    /// The result of stepping over `bytes` from `state`.
    pub(crate) fn step(&mut self, state: StateId, bytes: &[u8]) -> Result<Step> {
        match self.step_bytes(state, bytes)? {
            Ok(last) => Ok(if self.is_live(last)? { Step::To(last) } else { Step::NotSpelled(last) }),
            Err((index, last)) => Ok(Step::FailedAt(index, last)),
        }
    }

    /// The state after `bytes`; or the index of the byte that leads to the dead state, with the state before it.
    pub(super) fn step_bytes(
        &mut self,
        state: StateId,
        bytes: &[u8],
    ) -> Result<std::result::Result<StateId, (usize, StateId)>> {
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

    /// The result of stepping over any number of `bytes` from `from`: the states in between may be dropped from memory.
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
            // Do not split an encoded special token.
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

    /// Whether no token can follow the text of the slot, which matches.
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

    /// Whether a special token occurs in the language.
    pub(crate) fn has_special(&self, id: u32) -> bool {
        self.automaton.specials().binary_search(&id).is_ok()
    }

    pub(crate) fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        self.automaton.next_characters(state)
    }

    /// A spelling of a text in the fewest tokens, special tokens included.
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

    /// A shortest text that tokens can spell from `state`, which is live, to a match.
    pub(crate) fn shortest_completion(&mut self, state: StateId) -> Result<Vec<u8>> {
        let Engine { automaton, vocabulary, path, fuel, liveness, .. } = self;
        if vocabulary.is_regular() {
            return Ok(automaton.shortest_completion(state, WORK)?.text);
        }
        let found = liveness.shortest_completion(&mut **automaton, vocabulary, state, path, fuel)?;
        found.ok_or_else(|| Error::Unsatisfiable { message: "no sequence of tokens leads to a match".to_owned() })
    }
}
