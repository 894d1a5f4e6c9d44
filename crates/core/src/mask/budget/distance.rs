//! How many tokens a match is away.
//!
//! `T(s)` is 0 where the text matches, else one more than the least `T` of the states that a token leads to. Two bounds
//! decide most cases: from below, the bytes of a shortest completion over the length of the longest token; from above,
//! the fewest tokens that spell that completion; the states along it get theirs with the first. Only between them is there
//! a search: breadth first, by tokens, over distinct states. What is found out about a state is remembered.
//!
//! A search may be long where tokens lead to many states (captured texts, intersections). It ends where its share of the
//! call's work or memory does; then the bound from above stands, which always has a way behind it. So a budget is never
//! overrun, and no mask fails for want of an exact distance; all that is lost is some freedom in the last tokens.

use crate::automaton::StateId;
use crate::error::{Error, Result};
use crate::mask::bits::set;
use crate::mask::hints::MaskHints;
use crate::mask::token_liveness::{FAR, first_of_fewest, prefixes, tokens_to_end};
use crate::mask::trie_walk::{Fuel, Path, step_bytes, walk_all};
use crate::vocabulary::Vocabulary;
use rustc_hash::FxHashMap;

/// So many states along one shortest completion get their bounds with the first of them.
const MOST_ALONG: usize = 4096;

/// States that tokens may lead to from one state before it is given up to tell them apart: each costs a completion.
const MOST_GROUPS: usize = 8192;

/// `at_least <= T(s) <= at_most`.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    at_least: u32,
    at_most: u32,
}

/// The tokens that may follow a state, by the state that they lead to.
#[derive(Default)]
struct Groups {
    targets: Vec<StateId>,
    /// Tokens, with the place of their target.
    tokens: Vec<(u16, u32)>,
}

impl Groups {
    fn bytes(&self) -> usize {
        self.targets.capacity() * 4 + self.tokens.capacity() * 8 + 64
    }
}

/// What is known of distances.
#[derive(Default)]
pub(crate) struct Distances {
    bounds: FxHashMap<StateId, Bounds>,
    /// The distinct states that a token leads to.
    targets: FxHashMap<StateId, Box<[StateId]>>,
    /// The same with the tokens, for the states that a mask was asked of more than once.
    groups: FxHashMap<StateId, Groups>,
    /// No token leads to a state further from a match than this.
    farthest: FxHashMap<StateId, u32>,
    held: usize,
    /// Whether a search of this call has used up its share.
    exhausted: bool,
}

/// What a question about distances works on.
pub(crate) struct Ground<'a> {
    pub(crate) automaton: &'a mut dyn MaskHints,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) path: &'a mut Path,
    pub(crate) fuel: &'a mut Fuel,
    /// The bytes that automaton and distances may come to hold by searching.
    pub(crate) memory: usize,
}

/// What a search came to.
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

    /// Makes room: drops what only saves time. The bounds stay as long as they can, because masks were made by them.
    pub(crate) fn shrink(&mut self, most: usize) {
        if self.bytes() > most {
            self.targets = FxHashMap::default();
            self.groups = FxHashMap::default();
            self.farthest = FxHashMap::default();
            self.held = 0;
        }
        if self.bytes() > most {
            self.clear();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bounds.capacity() * 13 + self.farthest.capacity() * 9 + self.held
    }

    /// A new call: searches have their share of work again.
    pub(crate) fn begin(&mut self) {
        self.exhausted = false;
    }

    fn bounds(&mut self, ground: &mut Ground<'_>, state: StateId) -> Result<Bounds> {
        if let Some(&bounds) = self.bounds.get(&state) {
            return Ok(bounds);
        }
        let accepts = ground.automaton.is_accepting(state);
        let shortest = if accepts { Vec::new() } else { ground.automaton.shortest_completion(state)? };
        if shortest.is_empty() {
            let bounds = Bounds { at_least: 0, at_most: 0 };
            self.bounds.insert(state, bounds);
            return Ok(bounds);
        }
        self.bound_along(ground, state, &shortest)?;
        self.bounds(ground, state)
    }

    /// Finds the bounds of a state and of all states along its shortest completion: the rest of it is theirs.
    ///
    /// PERF: `.{9999}x` is known to need 181 tokens after 0.1 s; a completion for each of its states takes 1.8.
    fn bound_along(&mut self, ground: &mut Ground<'_>, state: StateId, shortest: &[u8]) -> Result<()> {
        let vocabulary = ground.vocabulary;
        let mut along: Vec<(StateId, Option<u32>)> = Vec::new();
        // No token that begins at a state that was not known ends beyond.
        let (mut at, mut end) = (state, 0);
        let mut text = shortest;
        while along.len() < shortest.len().min(MOST_ALONG) {
            let place = along.len();
            let known = self.bounds.get(&at).map(|bounds| bounds.at_most);
            if known.is_none() {
                let longest = prefixes(vocabulary, &shortest[place..]).map(|(length, _)| length).max();
                end = end.max(place + longest.unwrap_or(0));
            }
            along.push((at, known));
            if known.is_some() && place >= end {
                text = &shortest[..place];
                break;
            }
            if place > 0 && ground.automaton.memory_bytes() + self.bytes() > ground.memory {
                break;
            }
            at = ground.automaton.step(at, shortest[place])?;
        }
        let counts = tokens_to_end(vocabulary, text, |place| along.get(place)?.1, ground.fuel)?;
        let longest = vocabulary.longest_token().max(1);
        for (place, (state, known)) in along.into_iter().enumerate() {
            if known.is_none() {
                let at_least = u32::try_from((shortest.len() - place).div_ceil(longest)).unwrap_or(FAR - 1);
                self.bounds.insert(state, Bounds { at_least, at_most: counts[place] });
            }
        }
        Ok(())
    }

    /// Whether `T(state) > limit`, as far as it can be told without work.
    fn is_further(&self, ground: &Ground<'_>, state: StateId, limit: u32) -> bool {
        let longest = ground.vocabulary.longest_token().max(1) as u64;
        match self.bounds.get(&state) {
            Some(bounds) => bounds.at_least > limit,
            None => ground.automaton.least_length(state).div_ceil(longest) > u64::from(limit),
        }
    }

    /// Remembers that a way of `count` tokens leads from `state` to a match.
    fn lower_to(&mut self, state: StateId, count: u32) {
        if let Some(bounds) = self.bounds.get_mut(&state) {
            bounds.at_most = bounds.at_most.min(count);
        }
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

    /// Brings the tokens that may follow `state` into `groups`.
    fn find_groups(ground: &mut Ground<'_>, state: StateId) -> Result<Groups> {
        let mut groups = Groups::default();
        let mut places: FxHashMap<StateId, u16> = FxHashMap::default();
        let mut last = (StateId::DEAD, 0);
        let too_many = ground.fuel.spent();
        walk_all(ground.automaton, ground.vocabulary, state, ground.path, ground.fuel, |token, target| {
            if last.0 != target {
                let place = *places.entry(target).or_insert_with(|| {
                    groups.targets.push(target);
                    (groups.targets.len() - 1) as u16
                });
                last = (target, place);
                if groups.targets.len() > MOST_GROUPS {
                    return Err(too_many.clone());
                }
            }
            groups.tokens.push((last.1, token));
            Ok(())
        })?;
        Ok(groups)
    }

    /// `T(state)`, if it is at most `limit`: exactly, or, where a search has used up its share, a number that is enough.
    pub(crate) fn tokens_to_match(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
    ) -> Result<Option<u32>> {
        if self.is_further(ground, state, limit) {
            return Ok(None);
        }
        let known = self.bounds(ground, state)?;
        if known.at_least > limit {
            return Ok(None);
        }
        if known.at_least == known.at_most {
            return Ok(Some(known.at_most));
        }
        match self.search(ground, state, limit)? {
            Found::Exactly(count) => Ok(Some(count)),
            Found::Further => Ok(None),
            Found::Unknown if known.at_most <= limit => Ok(Some(known.at_most)),
            Found::Unknown => Err(ground.fuel.spent()),
        }
    }

    /// Whether `T(state) <= limit`, as far as is known.
    pub(crate) fn is_within(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<bool> {
        if self.is_further(ground, state, limit) {
            return Ok(false);
        }
        let known = self.bounds(ground, state)?;
        if known.at_most <= limit || known.at_least > limit {
            return Ok(known.at_most <= limit);
        }
        Ok(matches!(self.search(ground, state, limit)?, Found::Exactly(_)))
    }

    /// Looks for a way of at most `limit` tokens that is shorter than the one known; all ways of fewer are followed.
    fn search(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<Found> {
        if self.exhausted {
            return Ok(Found::Unknown);
        }
        let left = ground.fuel.left;
        ground.fuel.left = left / 2;
        let found = self.search_levels(ground, state, limit);
        ground.fuel.left = (left - left / 2).saturating_add(ground.fuel.left);
        match found {
            Err(Error::Limit { .. }) => {
                ground.automaton.refuel(ground.fuel.allowed);
                self.exhausted = true;
                Ok(Found::Unknown)
            }
            found => found,
        }
    }

    fn search_levels(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<Found> {
        let known = self.bounds(ground, state)?;
        let mut best = known.at_most.min(limit.saturating_add(1));
        let mut best_at = None;
        // `reached[i].1` is the index of the state from which state `i` was reached.
        let mut reached = vec![(state, usize::MAX)];
        let mut seen = FxHashMap::from_iter([(state, ())]);
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
                    // Others do not end on a shorter way than the best.
                    let nearer = best.saturating_sub(depth + 2);
                    if seen.insert(target, ()).is_none() && !self.is_further(ground, target, nearer) {
                        reached.push((target, index));
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
        if let Some(bounds) = self.bounds.get_mut(&state) {
            bounds.at_least = bounds.at_least.max(best.min(limit.saturating_add(1)));
        }
        if let Some(mut at) = best_at.filter(|_| is_within) {
            // The states along the way found: whoever goes it finds it again without a search.
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

    /// Whether every token that may follow `state` leaves at most `limit` tokens to a match, as far as is known.
    pub(crate) fn all_within(&self, state: StateId, limit: u32) -> bool {
        self.farthest.get(&state).is_some_and(|&farthest| farthest <= limit)
    }

    /// Sets the bits of the tokens after which at most `limit` more lead to a match. Where searches have used up their
    /// share, some of these may be left out, but never all.
    pub(crate) fn fill_within(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
        row: &mut [u32],
    ) -> Result<()> {
        if let Some(groups) = self.groups.remove(&state) {
            let filled = self.fill_groups(ground, state, &groups, limit, row);
            self.groups.insert(state, groups);
            return filled;
        }
        let groups = Self::find_groups(ground, state)?;
        let is_known = self.farthest.contains_key(&state);
        self.fill_groups(ground, state, &groups, limit, row)?;
        if is_known {
            self.held += groups.bytes();
            self.groups.insert(state, groups);
        }
        Ok(())
    }

    fn fill_groups(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        groups: &Groups,
        limit: u32,
        row: &mut [u32],
    ) -> Result<()> {
        let mut farthest = 0;
        let mut within = Vec::with_capacity(groups.targets.len());
        for &target in &groups.targets {
            within.push(self.is_within(ground, target, limit)?);
            farthest = farthest.max(self.bounds.get(&target).map_or(FAR, |bounds| bounds.at_most));
        }
        self.farthest.insert(state, farthest);
        if !within.contains(&true) && self.exhausted {
            return self.fill_first(ground, state, limit, row);
        }
        for &(place, token) in &groups.tokens {
            if within[usize::from(place)] {
                set(row, token);
            }
        }
        Ok(())
    }

    /// Whether a way of at most `limit` tokens from `state` is known without a search.
    pub(crate) fn is_surely_within(&mut self, ground: &mut Ground<'_>, state: StateId, limit: u32) -> Result<bool> {
        Ok(self.bounds(ground, state)?.at_most <= limit)
    }

    /// Sets the bit of the first token of the shortest completion, where nothing else is known to be near enough.
    pub(crate) fn fill_first(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
        row: &mut [u32],
    ) -> Result<()> {
        let shortest = ground.automaton.shortest_completion(state)?;
        let first = first_of_fewest(ground.vocabulary, &shortest, ground.fuel)?;
        if let Some((first, count)) = first.filter(|&(_, count)| u64::from(count) <= u64::from(limit) + 1) {
            set(row, first);
            let (target, _) = step_bytes(ground.automaton, state, ground.vocabulary.bytes_of(first))?;
            self.bounds(ground, target)?;
            self.lower_to(target, count - 1);
            return Ok(());
        }
        if ground.automaton.is_accepting(state) { Ok(()) } else { Err(ground.fuel.spent()) }
    }
}
