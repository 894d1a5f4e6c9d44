//! The mask of the tokens after which a match is near enough.
//!
//! The states that tokens lead to are told apart, each is decided by its bounds, and what these leave open is searched, the
//! nearest first, as long as the work of the call lasts. A token is allowed if a way within the budget is known to go on from
//! it; a token that is left out was shown to have none, or could not be decided by a search and has no known way that fits.

use super::distance::{Distances, Ground, WORK};
use super::spelled::Spelled;
use crate::automaton::StateId;
use crate::bits::members;
use crate::bits::set;
use crate::error::{Error, Result};
use crate::mask::token_liveness::FAR;
use crate::mask::trie_walk::{step_bytes, walk_all};
use rustc_hash::FxHashMap;

/// What is kept for deciding by known ways alone when the work of a call is used up.
const RESERVE: u64 = WORK / 4;
/// The part of the work that is left that one search may take.
const SHARE: u64 = 4;

/// The tokens that may follow a state, by the state that they lead to.
#[derive(Default)]
struct Groups {
    targets: Vec<StateId>,
    /// Tokens, with the place of their target.
    tokens: Vec<(u32, u32)>,
    /// Whether there are no others.
    are_all: bool,
}

/// Tokens that are decided without a walk.
pub(crate) struct Together {
    /// These tokens, as far as they may follow.
    pub(crate) tokens: Vec<u32>,
    /// All that may follow.
    pub(crate) allowed: Vec<u32>,
    pub(crate) how: Decided,
}

/// How tokens are decided together.
pub(crate) enum Decided {
    /// They are texts of a loop, each of which is a state of its own: by how the text may end after them, see
    /// [`MaskHints::loop_ending`](crate::mask::hints::MaskHints::loop_ending).
    ByEnding(Vec<Vec<u8>>),
    /// They lead back to the state: by its own distance.
    ByItself,
    /// None of them leaves more tokens to a match than these.
    Within(u32),
}

impl Together {
    fn set_all(&self, row: &mut [u32]) {
        let all = self.tokens.iter().zip(&self.allowed).map(|(one, allowed)| one & allowed);
        row.iter_mut().zip(all).for_each(|(to, all)| *to |= all);
    }
}

/// What is known of a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    Yes,
    No,
    /// The bounds leave it open; the lower one.
    Perhaps(u32),
}

/// `Ok(None)` in place of an error that says that a limit was reached.
fn within_limits<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(Error::Limit { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

impl Distances {
    /// Whether every token that may follow `state` leaves at most `limit` tokens to a match, as far as is known.
    pub(crate) fn all_within(&self, state: StateId, limit: u32) -> bool {
        self.farthest(state).is_some_and(|farthest| farthest <= limit)
    }

    /// No token leads from `state` to one further from a match than this, as far as is known.
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
        // The rest of the way that is known here is known of the states along it.
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

    /// Sets the bits of the tokens of a loop after which a known way has at most `limit` more. Returns an upper bound for all.
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
        // Few texts fit at the very end of a budget: often what comes first is too long already.
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
            // Another way may be shorter, but none is known.
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

    /// The tokens that are not decided together with others.
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
            // What is left is decided by ways that take no search.
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

    /// The tokens that may follow `state`, as many as the work of the call is enough to find.
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
