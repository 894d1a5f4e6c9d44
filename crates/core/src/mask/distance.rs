//! How many tokens a match is away.
//!
//! `T(s)` is 0 where the text matches, else one more than the least `T` of the states that a token leads to. Two bounds
//! decide most cases: from below, the bytes of a shortest completion over the length of the longest token; from above,
//! the fewest tokens that spell that completion. Only between them is there a search: breadth first, by tokens, over
//! distinct states. What is found out about a state is remembered.

use super::spelled::fewest_tokens;
use super::walk::{Fuel, Path, walk_all};
use crate::automaton::{Automaton, StateId};
use crate::error::Result;
use crate::vocabulary::Vocabulary;
use rustc_hash::{FxHashMap, FxHashSet};

/// More tokens than any text has.
const FAR: u32 = u32::MAX;

/// `at_least <= T(s) <= at_most`.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    at_least: u32,
    at_most: u32,
}

/// What is known of distances.
#[derive(Default)]
pub(super) struct Distances {
    bounds: FxHashMap<StateId, Bounds>,
    /// The distinct states that a token leads to.
    targets: FxHashMap<StateId, Box<[StateId]>>,
    target_bytes: usize,
}

/// What a question about distances works on.
pub(super) struct Ground<'a> {
    pub(super) automaton: &'a mut dyn Automaton,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) path: &'a mut Path,
    pub(super) fuel: &'a mut Fuel,
}

impl Distances {
    pub(super) fn clear(&mut self) {
        *self = Distances::default();
    }

    pub(super) fn bytes(&self) -> usize {
        self.bounds.capacity() * 13 + self.target_bytes
    }

    fn bounds(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Bounds> {
        if let Some(&bounds) = self.bounds.get(&state) {
            return Ok(bounds);
        }
        let bounds = if ground.automaton.is_accepting(state) {
            Bounds { at_least: 0, at_most: 0 }
        } else {
            let shortest = ground.automaton.shortest_completion(state)?;
            ground.fuel.spend(shortest.len() as u64 + 1)?;
            let longest = ground.vocabulary.longest_token().max(1);
            let at_least = u32::try_from(shortest.len().div_ceil(longest)).unwrap_or(FAR - 1).max(1);
            let at_most =
                fewest_tokens(ground.vocabulary, &shortest).map_or(FAR, |count| u32::try_from(count).unwrap_or(FAR));
            Bounds { at_least, at_most }
        };
        self.bounds.insert(state, bounds);
        Ok(bounds)
    }

    fn targets(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Box<[StateId]>> {
        if let Some(targets) = self.targets.get(&state) {
            return Ok(targets.clone());
        }
        let mut distinct = FxHashSet::default();
        walk_all(ground.automaton, ground.vocabulary, state, ground.path, ground.fuel, |_, target| {
            distinct.insert(target);
            Ok(())
        })?;
        let mut targets: Box<[StateId]> = distinct.into_iter().collect();
        targets.sort_unstable();
        self.target_bytes += targets.len() * 4 + 48;
        self.targets.insert(state, targets.clone());
        Ok(targets)
    }

    /// `T(state)`, exactly, if it is at most `limit`.
    pub(super) fn tokens_to_match(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
    ) -> Result<Option<u32>> {
        let known = self.bounds(ground, state)?;
        if known.at_least > limit {
            return Ok(None);
        }
        if known.at_least == known.at_most {
            return Ok(Some(known.at_most));
        }
        // A path of fewer than `best` tokens is looked for; every path of fewer than that is followed.
        let mut best = known.at_most.min(limit.saturating_add(1));
        let mut seen = FxHashSet::from_iter([state]);
        let mut level = vec![state];
        let mut depth = 0;
        while !level.is_empty() && depth + 1 < best {
            let mut below = Vec::new();
            for &from in &level {
                if self.bounds(ground, from)?.at_least.saturating_add(depth) >= best {
                    continue;
                }
                for &target in &self.targets(ground, from)? {
                    if seen.insert(target) {
                        best = best.min(self.bounds(ground, target)?.at_most.saturating_add(depth + 1));
                        below.push(target);
                    }
                }
            }
            level = below;
            depth += 1;
        }
        let found = best <= limit;
        let entry = self.bounds.entry(state).or_insert(known);
        entry.at_least = entry.at_least.max(best.min(limit.saturating_add(1)));
        if found {
            entry.at_most = best;
        }
        Ok(found.then_some(best))
    }

    /// Whether `T(state) <= limit`.
    pub(super) fn is_within(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<bool> {
        let known = self.bounds(ground, state)?;
        if known.at_most <= limit || known.at_least > limit {
            return Ok(known.at_most <= limit);
        }
        Ok(self.tokens_to_match(ground, state, limit)?.is_some())
    }
}
