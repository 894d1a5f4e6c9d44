//! The distance to a match, in tokens: lower and upper bounds, and a bounded search between them.
//!
//! `T(s)` is 0 in accepting states, else one more than the least `T` of the states that a token leads to. It lies
//! between two bounds: the lower bound is the least number of missing bytes divided by the length of the longest token;
//! the upper bound is the fewest tokens that spell a completion. If only one text completes, they are equal. A
//! breadth-first search by tokens over distinct states decides between them, and its results are cached: a state from
//! which it found no match is at least as far away as the search was allowed to go on from it.
//!
//! This module is independent of the kind of automaton: it only asks for successors, a completion and a lower bound on
//! the missing bytes. A completion is always known, so there is always an upper bound. A search stops when the work or
//! memory of the call is used up; the upper bounds alone then decide, and each of them has a known completion. So a
//! budget is never exceeded, no call fails because an exact distance is unknown, and no call takes long.

use super::spelled::Spelled;
use crate::automaton::{StateId, step_symbol};
use crate::error::{Error, Result};
use crate::mask::hints::MaskHints;
use crate::mask::token_liveness::FAR;
use crate::mask::trie_walk::{Fuel, Path, step_bytes, walk_all};
use crate::symbols;
use crate::vocabulary::Vocabulary;
use rustc_hash::{FxHashMap, FxHashSet};

/// The units of fuel for all the searches and walks of one call: some tens of milliseconds.
pub(crate) const WORK: u64 = 1_500_000;
/// The share of it for one search for a distance.
const WORK_OF_SEARCH: u64 = WORK / 4;
/// The share of it for a short completion of the state in question.
const WORK_OF_COMPLETION: u64 = WORK / 8;
/// The same for a target, a state that a token leads to: there are many of them.
const WORK_OF_TARGET: u64 = 2_000;
/// The same for all targets together.
const WORK_OF_TARGETS: u64 = WORK / 4;
/// The number of states along one completion that get their bounds from it.
const MOST_ALONG: usize = 4096;

/// `at_least <= T(s) <= at_most`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) at_least: u32,
    pub(crate) at_most: u32,
}

/// The cached distances.
#[derive(Default)]
pub(crate) struct Distances {
    pub(crate) bounds: FxHashMap<StateId, Bounds>,
    /// The distinct states that a token leads to.
    targets: FxHashMap<StateId, Box<[StateId]>>,
    /// An upper bound on the distances after any allowed token.
    pub(crate) farthest: FxHashMap<StateId, u32>,
    pub(crate) spelled: Spelled,
    held: usize,
    /// The remaining work for short completions in this call.
    completing: u64,
    /// Whether the work of this call is used up.
    pub(crate) exhausted: bool,
}

/// The automaton, vocabulary and resources of a query for distances.
pub(crate) struct Ground<'a> {
    pub(crate) automaton: &'a mut dyn MaskHints,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) path: &'a mut Path,
    pub(crate) fuel: &'a mut Fuel,
    /// The memory that the automaton and the distances may grow to in a search.
    pub(crate) memory: usize,
}

/// The result of a search.
enum Found {
    Exactly(u32),
    /// More than the limit.
    Further,
    /// Its share of work or memory was used up.
    Unknown,
}

impl Distances {
    pub(crate) fn clear(&mut self) {
        *self = Distances::default();
    }

    /// Frees memory: drops caches that only save time. Bounds are kept as long as possible, because masks depend on
    /// them.
    pub(crate) fn shrink(&mut self, most: usize) {
        if self.bytes() > most {
            self.targets = FxHashMap::default();
            self.farthest = FxHashMap::default();
            self.held = 0;
        }
        if self.bytes() > most {
            self.clear();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bounds.capacity() * 13 + self.farthest.capacity() * 9 + self.held + self.spelled.bytes()
    }

    /// Starts a new call with its full share of work.
    pub(crate) fn begin(&mut self) {
        self.exhausted = false;
        self.completing = WORK_OF_TARGETS;
    }

    /// The bounds of a state in question, and of all states along its completion, whose rest is a completion of theirs.
    ///
    /// PERF: `.{9999}x` is known to need 181 tokens after 0.1 s; a completion for each of its states takes 1.8.
    pub(crate) fn anchor(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Bounds> {
        if let Some(&bounds) = self.bounds.get(&state) {
            return Ok(bounds);
        }
        if ground.automaton.is_accepting(state) {
            return self.bounds(ground, state);
        }
        let completion = ground.automaton.shortest_completion(state, WORK_OF_COMPLETION)?;
        let counts = self.spelled.counts(ground.vocabulary, &completion.text, ground.fuel)?.to_vec();
        let (mut at, mut place, mut missing) = (state, 0, symbols::cost(&completion.text) as u64);
        while let Some(&count) = counts.get(place).filter(|_| place < MOST_ALONG) {
            let left = if completion.is_shortest { missing } else { ground.automaton.least_length(at) };
            let at_least = if completion.is_only { count } else { least_tokens(ground.vocabulary, left).min(count) };
            let bounds = self.bounds.entry(at).or_insert(Bounds { at_least, at_most: count });
            bounds.at_most = bounds.at_most.min(count);
            let rest = &completion.text[place..];
            if rest.is_empty() {
                break;
            }
            if ground.automaton.memory_bytes() + self.bytes() > ground.memory {
                break;
            }
            match step_symbol(ground.automaton, at, rest) {
                Ok((next, length)) => (at, place, missing) = (next, place + length, missing.saturating_sub(1)),
                // States further along get their bounds when a text reaches them.
                Err(Error::Limit { .. }) => break,
                Err(other) => return Err(other),
            }
        }
        self.bounds(ground, state)
    }

    /// The bounds of a state that a token leads to.
    pub(crate) fn bounds(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Bounds> {
        if let Some(&bounds) = self.bounds.get(&state) {
            return Ok(bounds);
        }
        let bounds = if ground.automaton.is_accepting(state) {
            Bounds { at_least: 0, at_most: 0 }
        } else {
            let work = self.completing.min(WORK_OF_TARGET);
            let completion = ground.automaton.shortest_completion(state, work)?;
            if !completion.is_shortest {
                self.completing -= work;
            }
            let at_most = self.spelled.count(ground.vocabulary, &completion.text, ground.fuel)?;
            let length = symbols::cost(&completion.text) as u64;
            let left = if completion.is_shortest { length } else { ground.automaton.least_length(state) };
            let at_least = if completion.is_only { at_most } else { least_tokens(ground.vocabulary, left) };
            Bounds { at_least, at_most }
        };
        self.bounds.insert(state, bounds);
        Ok(bounds)
    }

    /// Whether the cached bounds prove `T(state) > limit`.
    pub(crate) fn is_further(&self, ground: &Ground<'_>, state: StateId, limit: u32) -> bool {
        match self.bounds.get(&state) {
            Some(bounds) => bounds.at_least > limit,
            None => {
                let length = ground.automaton.least_length(state);
                length > 0 && least_tokens(ground.vocabulary, length) > limit
            }
        }
    }

    /// Caches that a path of `count` tokens leads from `state` to a match.
    pub(crate) fn lower_to(&mut self, state: StateId, count: u32) {
        let bounds = self.bounds.entry(state).or_insert(Bounds { at_least: 0, at_most: count });
        bounds.at_most = bounds.at_most.min(count);
    }

    fn targets(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Box<[StateId]>> {
        if let Some(targets) = self.targets.get(&state) {
            return Ok(targets.clone());
        }
        let mut targets = Vec::new();
        walk_all(ground.automaton, ground.vocabulary, state, ground.path, ground.fuel, |_, target| {
            if targets.last() != Some(&target) {
                targets.push(target);
            }
            Ok(())
        })?;
        targets.sort_unstable();
        targets.dedup();
        let targets: Box<[StateId]> = targets.into();
        self.held += targets.len() * 4 + 48;
        self.targets.insert(state, targets.clone());
        Ok(targets)
    }

    /// `T(state)`, if it is at most `limit`: exact, or an upper bound if a search has used up its share.
    pub(crate) fn tokens_to_match(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
    ) -> Result<Option<u32>> {
        if self.is_further(ground, state, limit) {
            return Ok(None);
        }
        let known = self.anchor(ground, state)?;
        if known.at_least > limit {
            return Ok(None);
        }
        if known.at_least == known.at_most {
            return Ok(Some(known.at_most));
        }
        ground.automaton.refuel(WORK_OF_SEARCH.min(ground.fuel.allowed));
        Ok(match self.search(ground, state, limit, WORK_OF_SEARCH)? {
            Found::Exactly(count) => Some(count),
            Found::Further => None,
            Found::Unknown => Some(known.at_most).filter(|&count| count <= limit),
        })
    }

    /// Whether the cached bounds prove `T(state) <= limit`.
    pub(crate) fn is_within(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<bool> {
        if self.is_further(ground, state, limit) {
            return Ok(false);
        }
        let known = self.anchor(ground, state)?;
        if known.at_most <= limit || known.at_least > limit {
            return Ok(known.at_most <= limit);
        }
        ground.automaton.refuel(WORK_OF_SEARCH.min(ground.fuel.allowed));
        self.is_found_within(ground, state, limit, WORK_OF_SEARCH)
    }

    /// Whether a search with a share of the work finds a path of at most `limit` tokens.
    pub(crate) fn is_found_within(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
        work: u64,
    ) -> Result<bool> {
        Ok(matches!(self.search(ground, state, limit, work)?, Found::Exactly(_)))
    }

    /// Searches for a path of at most `limit` tokens that is shorter than the known one.
    fn search(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32, work: u64) -> Result<Found> {
        if self.exhausted {
            return Ok(Found::Unknown);
        }
        let left = ground.fuel.left;
        ground.fuel.left = left.min(work);
        let found = self.search_levels(ground, state, limit);
        ground.fuel.left = left - (left.min(work) - ground.fuel.left.min(work));
        match found {
            Err(Error::Limit { .. }) => {
                // If the automaton's own fuel or memory is used up, no other search of this call gets far.
                self.exhausted = left <= work || ground.fuel.left > left.saturating_sub(work);
                Ok(Found::Unknown)
            }
            found => found,
        }
    }

    fn search_levels(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<Found> {
        let known = self.bounds(ground, state)?;
        let mut best = known.at_most.min(limit.saturating_add(1));
        let mut best_at = None;
        // `reached[i].1` is the index of the state from which state `i` was reached, `.2` the tokens to it.
        let mut reached = vec![(state, usize::MAX, 0)];
        let mut seen = FxHashSet::from_iter([state]);
        let (mut depth, mut level) = (0, 0..1);
        while !level.is_empty() && depth + 1 < best {
            for index in level.clone() {
                let from = reached[index].0;
                if self.bounds(ground, from)?.at_least.saturating_add(depth) >= best {
                    continue;
                }
                if ground.automaton.memory_bytes() + self.bytes() > ground.memory {
                    self.exhausted = true;
                    return Ok(Found::Unknown);
                }
                for &target in &self.targets(ground, from)? {
                    // The other states cannot lead to a shorter path than the best one.
                    let nearer = best.saturating_sub(depth + 2);
                    if seen.insert(target) && !self.is_further(ground, target, nearer) {
                        reached.push((target, index, depth + 1));
                        let whole = self.bounds(ground, target)?.at_most.saturating_add(depth + 1);
                        if whole < best {
                            best = whole;
                            best_at = Some(reached.len() - 1);
                        }
                    }
                }
            }
            level = level.end..reached.len();
            depth += 1;
        }
        let is_within = best <= limit;
        // All shorter paths from each of these states were followed: a lower bound.
        let nearest = best.min(limit.saturating_add(1));
        for &(passed, _, depth) in &reached {
            if let Some(bounds) = self.bounds.get_mut(&passed) {
                bounds.at_least = bounds.at_least.max(nearest.saturating_sub(depth).min(bounds.at_most));
            }
        }
        if let Some(mut at) = best_at.filter(|_| is_within) {
            // Cache the bounds of the states along this path, so that following it needs no further search.
            let mut count = self.bounds(ground, reached[at].0)?.at_most;
            loop {
                self.lower_to(reached[at].0, count);
                if reached[at].1 == usize::MAX {
                    break;
                }
                at = reached[at].1;
                count = count.saturating_add(1);
            }
        }
        Ok(if is_within { Found::Exactly(best) } else { Found::Further })
    }

    /// The first token of the known completion, and the state that it leads to, if the completion has at most `most`
    /// tokens.
    pub(crate) fn first_token(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        most: u32,
    ) -> Result<Option<(u32, StateId)>> {
        let completion = ground.automaton.shortest_completion(state, 0)?;
        let first = self.spelled.first(ground.vocabulary, &completion.text, ground.fuel)?;
        let Some((first, count)) = first.filter(|&(_, count)| count <= most) else { return Ok(None) };
        let target = match symbols::decode(&completion.text) {
            Some(id) => ground.automaton.step_special(state, id)?,
            None => step_bytes(ground.automaton, state, ground.vocabulary.bytes_of(first))?.0,
        };
        if target == StateId::DEAD {
            return Ok(None);
        }
        self.lower_to(target, count - 1);
        Ok(Some((first, target)))
    }
}

/// A lower bound on the number of tokens that spell `bytes`, of which there is at least one.
fn least_tokens(vocabulary: &Vocabulary, bytes: u64) -> u32 {
    let tokens = bytes.div_ceil(vocabulary.longest_token().max(1) as u64).max(1);
    u32::try_from(tokens).unwrap_or(FAR - 1)
}
