//! Fills a mask within a budget: the tokens after which the distance to a match is at most a limit.
//!
//! Tokens are grouped by their target states. The bounds decide most targets; for the others a search runs, the nearest
//! first, as long as the work of the call lasts. A token is allowed if a path to a match within the budget is known
//! after it; a refused token was proved to have none, or the search was cut off and no known path fits.

use super::distance::{Distances, Ground, WORK};
use super::spelled::Spelled;
use crate::automaton::StateId;
use crate::bits::members;
use crate::bits::set;
use crate::error::{Error, Result};
use crate::mask::token_liveness::FAR;
use crate::mask::trie_walk::{step_bytes, walk_all};
use rustc_hash::FxHashMap;

/// The work that is reserved for decisions by known paths, after the searches of a call.
const RESERVE: u64 = WORK / 4;
/// The share of the remaining work for one search.
const SHARE: u64 = 4;

/// The tokens that may follow a state, grouped by their target states.
#[derive(Default)]
struct Groups {
    targets: Vec<StateId>,
    /// Tokens, with the index of their target.
    tokens: Vec<(u32, u32)>,
    /// Whether these are all tokens that may follow.
    are_all: bool,
}

/// Tokens that are decided without a walk.
pub(crate) struct Together {
    /// The tokens of the group; only those that are also in `allowed` may follow.
    pub(crate) tokens: Vec<u32>,
    /// All tokens that may follow.
    pub(crate) allowed: Vec<u32>,
    pub(crate) how: Decided,
}

/// The way to decide a group of tokens together.
pub(crate) enum Decided {
    /// The tokens are texts of a loop, each with a target of its own: decided by the ending of the loop, see
    /// [`MaskHints::loop_ending`](crate::mask::hints::MaskHints::loop_ending).
    ByEnding(Vec<Vec<u8>>),
    /// The tokens lead back to the state: decided by its own distance.
    ByItself,
    /// An upper bound on the distance after each of the tokens.
    Within(u32),
}

impl Together {
    fn set_all(&self, row: &mut [u32]) {
        let all = self.tokens.iter().zip(&self.allowed).map(|(one, allowed)| one & allowed);
        row.iter_mut().zip(all).for_each(|(to, all)| *to |= all);
    }
}

/// Whether a target is near enough.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    Yes,
    No,
    /// The bounds do not decide it; its lower bound.
    Perhaps(u32),
}

/// Replaces the error of a reached limit by `Ok(None)`.
fn within_limits<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Limit { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

impl Distances {
    /// Whether the distance after every token that may follow `state` is known to be at most `limit`.
    pub(crate) fn all_within(&self, state: StateId, limit: u32) -> bool {
        self.farthest(state).is_some_and(|farthest| farthest <= limit)
    }

    /// An upper bound on the distances after any token that may follow `state`, if one is known.
    pub(crate) fn farthest(&self, state: StateId) -> Option<u32> {
        self.farthest.get(&state).copied()
    }

    /// Sets the bits of the tokens after which at most `limit` more lead to a match.
    pub(crate) fn fill_within(
        &mut self,
        ground: &mut Ground<'_>,
        state: StateId,
        limit: u32,
        together: Option<&Together>,
        row: &mut [u32],
    ) -> Result<()> {
        // The known completion of `state` gives upper bounds to the states along it.
        within_limits(self.anchor(ground, state))?;
        let mut groups = match together {
            Some(together) => Self::find_others(ground, state, together)?,
            None => Self::find_groups(ground, state)?,
        };
        let itself = groups.targets.len();
        if together.is_some_and(|together| matches!(together.how, Decided::ByItself)) {
            groups.targets.push(state);
        }
        let mut near = Vec::with_capacity(groups.targets.len());
        let mut open = Vec::new();
        let mut farthest = if groups.are_all { 0 } else { FAR };
        if let Some(together) = together {
            farthest = farthest.max(match &together.how {
                Decided::ByEnding(pieces) => self.fill_looping(ground, together, pieces, limit, row)?,
                Decided::ByItself => 0,
                Decided::Within(farthest) => {
                    together.set_all(row);
                    *farthest
                }
            });
        }
        for (place, &target) in groups.targets.iter().enumerate() {
            let one = self.near(ground, target, limit)?;
            if let Near::Perhaps(at_least) = one {
                open.push((at_least, place));
            }
            farthest = farthest.max(self.bounds.get(&target).map_or(FAR, |bounds| bounds.at_most));
            near.push(one);
        }
        open.sort_unstable();
        for (_, place) in open {
            let share = ground.fuel.left / SHARE;
            if self.is_found_within(ground, groups.targets[place], limit, share)? {
                near[place] = Near::Yes;
            }
            if self.exhausted {
                break;
            }
        }
        if farthest != FAR {
            self.farthest.insert(state, farthest);
        }
        if let Some(together) = together.filter(|_| near.get(itself) == Some(&Near::Yes)) {
            together.set_all(row);
        }
        for &(place, token) in &groups.tokens {
            if near[place as usize] == Near::Yes {
                set(row, token);
            }
        }
        if !groups.are_all || row.iter().all(|&word| word == 0) {
            self.replenish(ground);
            if let Some(Some((first, _))) = within_limits(self.first_token(ground, state, limit.saturating_add(1)))? {
                set(row, first);
            }
        }
        Ok(())
    }

    /// Sets the bits of the tokens of a loop after which a known path has at most `limit` more tokens. Returns an upper
    /// bound for all of them.
    fn fill_looping(
        &mut self,
        ground: &mut Ground<'_>,
        together: &Together,
        pieces: &[Vec<u8>],
        limit: u32,
        row: &mut [u32],
    ) -> Result<u32> {
        let mut most = pieces.len() as u32 - 1;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            most = most.saturating_add(self.spelled.count(ground.vocabulary, piece, ground.fuel)?);
        }
        if most <= limit {
            together.set_all(row);
            return Ok(most);
        }
        // Few texts fit at the very end of a budget: often the first piece of the ending is too long already.
        if pieces.first().is_some_and(|first| Spelled::least_after(ground.vocabulary, first) > limit) {
            return Ok(FAR);
        }
        let fixed: usize = pieces.iter().map(Vec::len).sum();
        let longest = ground.vocabulary.longest_token().max(1);
        let mut text = Vec::new();
        let mut all = vec![0; together.tokens.len()];
        together.set_all(&mut all);
        for token in members(&all) {
            let read = ground.vocabulary.bytes_of(token);
            // A shorter path may exist, but none is known.
            if (fixed + read.len() * (pieces.len() - 1)).div_ceil(longest) > limit as usize {
                continue;
            }
            text.clear();
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    text.extend_from_slice(read);
                }
                text.extend_from_slice(piece);
            }
            match within_limits(self.spelled.count(ground.vocabulary, &text, ground.fuel))? {
                Some(count) if count <= limit => set(row, token),
                Some(_) => {}
                None => break,
            }
        }
        Ok(FAR)
    }

    /// The tokens that are not decided in a group.
    fn find_others(ground: &mut Ground<'_>, state: StateId, together: &Together) -> Result<Groups> {
        let mut groups = Groups { are_all: true, ..Groups::default() };
        let mut places: FxHashMap<StateId, u32> = FxHashMap::default();
        let others = together.tokens.iter().zip(&together.allowed).map(|(one, allowed)| allowed & !one);
        for token in members(&others.collect::<Vec<u32>>()).filter(|&token| !ground.vocabulary.is_eos(token)) {
            let stepped = match ground.vocabulary.bytes_of(token) {
                [] => ground.automaton.step_special(state, token),
                bytes => step_bytes(ground.automaton, state, bytes).map(|stepped| stepped.0),
            };
            let Some(target) = within_limits(stepped)? else {
                groups.are_all = false;
                ground.automaton.refuel(RESERVE.min(ground.fuel.allowed));
                break;
            };
            let place = *places.entry(target).or_insert_with(|| {
                groups.targets.push(target);
                (groups.targets.len() - 1) as u32
            });
            groups.tokens.push((place, token));
        }
        Ok(groups)
    }

    fn replenish(&mut self, ground: &mut Ground<'_>) {
        ground.automaton.refuel(RESERVE.min(ground.fuel.allowed));
        ground.fuel.left = ground.fuel.left.max(RESERVE.min(ground.fuel.allowed));
    }

    fn near(&mut self, ground: &mut Ground<'_>, target: StateId, limit: u32) -> Result<Near> {
        if self.is_further(ground, target, limit) {
            return Ok(Near::No);
        }
        let mut bounds = within_limits(self.bounds(ground, target))?;
        if bounds.is_none() && !self.exhausted {
            // The remaining tokens are decided by known paths, without a search.
            self.exhausted = true;
            self.replenish(ground);
            bounds = within_limits(self.bounds(ground, target))?;
        }
        Ok(match bounds {
            Some(bounds) if bounds.at_most <= limit => Near::Yes,
            Some(bounds) if bounds.at_least <= limit => Near::Perhaps(bounds.at_least),
            _ => Near::No,
        })
    }

    /// The tokens that may follow `state`, as many as the work of the call can find.
    fn find_groups(ground: &mut Ground<'_>, state: StateId) -> Result<Groups> {
        let mut groups = Groups::default();
        let mut places: FxHashMap<StateId, u32> = FxHashMap::default();
        let mut last = (StateId::DEAD, 0);
        let found = walk_all(ground.automaton, ground.vocabulary, state, ground.path, ground.fuel, |token, target| {
            if last.0 != target {
                let place = *places.entry(target).or_insert_with(|| {
                    groups.targets.push(target);
                    (groups.targets.len() - 1) as u32
                });
                last = (target, place);
            }
            groups.tokens.push((last.1, token));
            Ok(())
        });
        groups.are_all = within_limits(found)?.is_some();
        if !groups.are_all {
            ground.automaton.refuel(RESERVE.min(ground.fuel.allowed));
        }
        Ok(groups)
    }
}
