//! Masks from character classes, without a walk over the whole trie: character loops, slices of the vocabulary, exits.
//!
//! Where the automaton knows that a class of characters keeps a state alive ([`CharLoop`]), the tokens that consist of
//! that class are copied from the vocabulary's slices; tokens that can leave the class are found by the places of the
//! exit bytes in the trie, and stepped. A mask relies only on the claims of the loop: all other tokens are stepped.

use super::trie_walk::{Fuel, Path, step_bytes};
use crate::automaton::StateId;
use crate::bits::{is_set, members, set, unset};
use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::mask::hints::{CharLoop, CharLoopSets, MaskHints};
use crate::vocabulary::Vocabulary;
use crate::vocabulary::occurrences::Occurrences;
use crate::vocabulary::slices::{ClassSlice, Slices};
use crate::vocabulary::trie::NO_TOKEN;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::Arc;

/// With more exits from a class than this, a walk is as cheap.
const MOST_EXITS: usize = 30_000;
/// With more tokens than this that are longer than a loop's reach, a walk is as cheap.
const MOST_LONGER: usize = 4_000;
/// A class of at most this many characters in ASCII, and in all, has its texts in few subtrees of the trie.
const FEW_IN_ASCII: usize = 12;
const FEW_CHARACTERS: usize = 1_024;
/// The most character loops that are remembered for one constraint.
const MOST_PLANS: usize = 64;

/// Whether masks are made by the fast paths. All give the same masks; tests compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FastPaths {
    /// Where they are estimated to be faster.
    #[default]
    WherePaying,
    /// Never: every mask is a walk.
    Never,
    /// Wherever they are possible.
    Always,
}

/// A character loop as masks.
struct Plan {
    known: Arc<Known>,
    reach: u32,
    beyond_is_dead: bool,
}

impl Plan {
    /// Whether a token of `characters` characters of the class is alive; `None` if the loop does not claim it.
    fn decides(&self, characters: u32) -> Option<bool> {
        (characters <= self.reach || self.beyond_is_dead).then_some(characters <= self.reach)
    }
}

/// The places where tokens may leave a class.
#[derive(Default)]
struct Exits {
    /// The exits in ASCII.
    bytes: Box<[u8]>,
    /// Tokens with an exit beyond ASCII, or with an incomplete character that may become one.
    tokens: Box<[u32]>,
}

/// The slice of a loop's class, and its exits in the vocabulary.
struct Known {
    slice: Arc<ClassSlice>,
    /// The number of places in the tree where tokens may leave the class.
    places: usize,
    exits: Exits,
    /// The subtrees of a class of few characters: all tokens that leave the class are in these.
    roots: Option<Box<[Range<usize>]>>,
}

/// The character loops met so far, by the address of their classes, which they keep alive.
#[derive(Default)]
pub(crate) struct Plans {
    /// `None`: the class has so many exits that a walk is as cheap.
    by_address: FxHashMap<usize, (Arc<CharLoopSets>, Option<Arc<Known>>)>,
}

/// Makes masks, from the automaton and the indexes of the vocabulary.
pub(crate) struct Maker<'a> {
    pub(crate) automaton: &'a mut dyn MaskHints,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) slices: &'a Slices,
    pub(crate) occurrences: &'a Occurrences,
    pub(crate) plans: &'a mut Plans,
    pub(crate) path: &'a mut Path,
    pub(crate) fuel: &'a mut Fuel,
    /// Whether fast paths are taken even where they are not faster; for tests.
    pub(crate) always: bool,
}

impl Plans {
    pub(crate) fn clear(&mut self) {
        self.by_address.clear();
    }
}

impl Maker<'_> {
    /// Writes the tokens that may follow `state`. If the mask is a copy of a slice, the slice is returned.
    pub(crate) fn fill(&mut self, state: StateId, row: &mut [u32]) -> Result<Option<Arc<ClassSlice>>> {
        self.path[0] = state;
        let plan = self.plan(state, 0)?;
        let mut steps = 0;
        if let Some(plan) = &plan {
            row.copy_from_slice(&plan.known.slice.whole);
            steps += self.keep_within(plan, (state, 0), None, row)?;
            steps += self.step_each(state, plan.known.exits.tokens.iter().copied(), row)?;
            steps += self.leave_by(state, plan, row)?;
        } else {
            row.fill(0);
            let live = self.automaton.live_bytes(state)?.unwrap_or([u64::MAX; 4]);
            for (word, mut bits) in live.into_iter().enumerate() {
                while bits != 0 {
                    steps += self.first_byte(state, (word * 64) as u8 + bits.trailing_zeros() as u8, row)?;
                    bits &= bits - 1;
                }
            }
        }
        self.fuel.spend(steps)?;
        steps += self.step_each(state, self.vocabulary.trie().long().iter().copied(), row)?;
        self.fuel.spend(steps)?;
        let copied = plan.filter(|plan| {
            let Exits { bytes, tokens } = &plan.known.exits;
            bytes.is_empty() && tokens.is_empty() && self.slices.longer_than(plan.reach) == 0
        });
        Ok(copied.map(|plan| Arc::clone(&plan.known.slice)))
    }

    /// The tokens of more than [`COUNTED`](crate::vocabulary::slices::COUNTED) characters in `row` that may not follow
    /// `state`.
    pub(crate) fn too_long(&mut self, state: StateId, row: &[u32]) -> Result<Vec<u32>> {
        let mut dead = Vec::new();
        let mut here = None;
        let mut after: Vec<(u8, StateId, Option<Plan>)> = Vec::new();
        for &(characters, token) in self.slices.longer().iter().filter(|&&(_, token)| is_set(row, token)) {
            if here.is_none() {
                here = Some(self.plan(state, 0)?);
            }
            if let Some(Some(plan)) = &here
                && is_set(&plan.known.slice.whole, token)
                && let Some(alive) = plan.decides(characters)
            {
                if !alive {
                    dead.push(token);
                }
                continue;
            }
            let (&first, rest) = self.vocabulary.bytes_of(token).split_first().unwrap_or((&0, &[]));
            let index = match after.iter().position(|known| known.0 == first) {
                Some(index) => index,
                None => {
                    let next = self.automaton.step(state, first)?;
                    let plan = if first < 0x80 && next != StateId::DEAD { self.plan(next, 1)? } else { None };
                    after.push((first, next, plan));
                    after.len() - 1
                }
            };
            let (_, next, plan) = &after[index];
            let decided = plan.as_ref().and_then(|plan| {
                let tail = self.vocabulary.tail(self.slices, &plan.known.slice);
                if is_set(tail, token) { plan.decides(characters - 1) } else { None }
            });
            let alive = match decided {
                Some(alive) => alive,
                None => {
                    let (end, stepped) = step_bytes(self.automaton, *next, rest)?;
                    self.fuel.spend(stepped as u64)?;
                    end != StateId::DEAD
                }
            };
            if !alive {
                dead.push(token);
            }
        }
        Ok(dead)
    }

    /// The tokens that leave a loop by an exit in ASCII.
    fn leave_by(&mut self, state: StateId, plan: &Plan, row: &mut [u32]) -> Result<u64> {
        let mut steps = 0;
        for &byte in &plan.known.exits.bytes {
            steps += self.first_byte(state, byte, row)?;
            let all = 0..self.vocabulary.trie().nodes().len();
            for range in plan.known.roots.as_deref().unwrap_or(std::slice::from_ref(&all)) {
                steps += 1 + self.leave(state, plan, byte, range.clone(), false, row)?;
            }
        }
        Ok(steps)
    }

    /// The non-leaf subtrees of a class of few characters; `None`: it has many.
    ///
    /// PERF: before `[0-9]{3}-`, a mask of a vocabulary with all numbers of three digits takes 6 µs in place of 20.
    fn roots(&self, class: &CodePoints) -> Option<Box<[Range<usize>]>> {
        let size = |&(lo, hi): &(u32, u32)| (hi - lo + 1) as usize;
        let in_ascii = |&&(lo, _): &&(u32, u32)| lo < 0x80;
        if class.ranges().iter().take_while(in_ascii).map(size).sum::<usize>() > FEW_IN_ASCII
            || class.ranges().iter().map(size).sum::<usize>() > FEW_CHARACTERS
        {
            return None;
        }
        let trie = self.vocabulary.trie();
        let mut roots = Vec::new();
        for character in class.ranges().iter().flat_map(|&(lo, hi)| lo..=hi).filter_map(char::from_u32) {
            let mut bytes = [0; 4];
            let mut bytes = character.encode_utf8(&mut bytes).bytes();
            let first = bytes.next().and_then(|byte| trie.root_child(byte));
            let Some(node) = bytes.fold(first, |node, byte| trie.child(node?, byte)) else { continue };
            let range = node..node + trie.nodes()[node].size();
            if range.len() > 1 {
                roots.push(range);
            }
        }
        Some(roots.into())
    }

    /// The exits from a class and their number; `None` if they are too many.
    fn exits(&self, sets: &CharLoopSets, roots: Option<&[Range<usize>]>) -> Option<(Exits, usize)> {
        let ranges = sets.exits.ranges().iter().take_while(|&&(lo, _)| lo < 0x80);
        let bytes: Box<[u8]> = ranges.flat_map(|&(lo, hi)| lo..=hi.min(0x7F)).map(|c| c as u8).collect();
        let places: usize = match roots {
            Some(roots) => roots.iter().map(ExactSizeIterator::len).sum(),
            None => bytes.iter().map(|&byte| self.occurrences.of(byte).len()).sum(),
        };
        if places > MOST_EXITS && !self.always {
            return None;
        }
        let most = if self.always { usize::MAX } else { MOST_LONGER };
        let tokens = self.slices.with_any(&sets.exits, most)?;
        Some((Exits { bytes, tokens: tokens.into() }, places))
    }

    /// An estimate of the number of nodes that the mask of a state takes.
    pub(crate) fn places(&mut self, state: StateId) -> Result<usize> {
        if let Some(plan) = self.plan(state, 0)? {
            return Ok(plan.known.places);
        }
        let trie = self.vocabulary.trie();
        let Some(live) = self.automaton.live_bytes(state)? else { return Ok(trie.nodes().len()) };
        let is_live = |byte: &u8| live[usize::from(byte / 64)] >> (byte % 64) & 1 == 1;
        Ok((0..=u8::MAX).filter(is_live).filter_map(|byte| trie.size_below(byte)).sum())
    }

    /// Turns the mask of a neighbour, in `row`, into that of `state`, which differs from it after some first bytes.
    pub(crate) fn mend(&mut self, state: StateId, differs: &[u8], row: &mut [u32]) -> Result<u64> {
        self.path[0] = state;
        let trie = self.vocabulary.trie();
        let mut steps = 0;
        for &byte in differs {
            self.unset_below(byte, row);
            steps += self.first_byte(state, byte, row)?;
        }
        steps += self.step_each(state, trie.long().iter().copied(), row)?;
        self.fuel.spend(steps)?;
        Ok(steps)
    }

    /// Removes the tokens of the tree that begin with `byte`.
    pub(crate) fn unset_below(&self, byte: u8, row: &mut [u32]) {
        if let Some(begins) = self.slices.begins(byte) {
            row.iter_mut().zip(begins).for_each(|(to, begins)| *to &= !begins);
            return;
        }
        let trie = self.vocabulary.trie();
        let Some(from) = trie.root_child(byte) else { return };
        let nodes = &trie.nodes()[from..from + trie.nodes()[from].size()];
        let tokens = nodes.iter().map(|node| node.token()).filter(|&token| token != NO_TOKEN);
        tokens.for_each(|token| unset(row, token));
    }

    /// The character loop of a state, if using it is cheaper than walking. `before`: characters already in the token.
    fn plan(&mut self, state: StateId, before: u32) -> Result<Option<Plan>> {
        let Some(found) = self.automaton.char_loop(state)? else { return Ok(None) };
        let CharLoop { sets, reach, beyond_is_dead } = found;
        let address = Arc::as_ptr(&sets) as usize;
        let known = match self.plans.by_address.get(&address) {
            Some((_, known)) => known.clone(),
            None => {
                let roots = self.roots(&sets.class);
                let exits = self.exits(&sets, roots.as_deref());
                let slice = || self.vocabulary.class(self.slices, &sets.class);
                let known = exits.map(|(exits, places)| Arc::new(Known { slice: slice(), places, exits, roots }));
                if self.plans.by_address.len() >= MOST_PLANS {
                    self.plans.clear();
                }
                self.plans.by_address.insert(address, (sets, known.clone()));
                known
            }
        };
        let Some(known) = known else { return Ok(None) };
        let cheap = beyond_is_dead || self.slices.longer_than(reach.saturating_add(before)) <= MOST_LONGER;
        Ok((cheap || self.always).then_some(Plan { known, reach, beyond_is_dead }))
    }

    /// Corrects those tokens of the plan's class in `row`, among the ones in `begins`, that have more characters than
    /// the loop's reach. `before`: characters before the plan's state.
    fn keep_within(
        &mut self,
        plan: &Plan,
        (state, before): (StateId, u32),
        begins: Option<&[u32]>,
        row: &mut [u32],
    ) -> Result<u64> {
        let reach = plan.reach.saturating_add(before);
        if self.slices.longer_than(reach) == 0 {
            return Ok(0);
        }
        let (within, longer) = self.slices.at_most(reach);
        let begun = |token: &u32| begins.is_none_or(|begins| is_set(begins, *token));
        let beyond: Vec<u32> = match within {
            Some(within) if plan.beyond_is_dead && begins.is_none() => {
                row.iter_mut().zip(within).for_each(|(to, within)| *to &= within);
                return Ok(0);
            }
            Some(within) => {
                let text = self.slices.text().iter().zip(within);
                let words: Vec<u32> = match begins {
                    Some(begins) => text.zip(begins).map(|((text, within), begins)| text & !within & begins).collect(),
                    None => text.map(|(text, within)| text & !within).collect(),
                };
                if plan.beyond_is_dead {
                    row.iter_mut().zip(&words).for_each(|(to, beyond)| *to &= !beyond);
                    return Ok(0);
                }
                members(&words).collect()
            }
            None => longer.iter().filter(|&&(count, _)| count > reach).map(|&(_, token)| token).filter(begun).collect(),
        };
        if plan.beyond_is_dead {
            beyond.into_iter().for_each(|token| unset(row, token));
            return Ok(0);
        }
        // The loop claims nothing beyond `reach` characters of the class.
        self.step_each(state, beyond.into_iter(), row)
    }

    /// Decides tokens one by one.
    fn step_each(&mut self, state: StateId, tokens: impl Iterator<Item = u32>, row: &mut [u32]) -> Result<u64> {
        let mut steps = 0;
        for token in tokens {
            let (end, stepped) = step_bytes(self.automaton, state, self.vocabulary.bytes_of(token))?;
            steps += stepped as u64 + 1;
            if end == StateId::DEAD { unset(row, token) } else { set(row, token) }
        }
        Ok(steps)
    }

    /// The tokens that begin with `byte`.
    fn first_byte(&mut self, state: StateId, byte: u8, row: &mut [u32]) -> Result<u64> {
        let Some(node) = self.vocabulary.trie().root_child(byte) else { return Ok(0) };
        if !self.automaton.lives(state, byte)? {
            return Ok(1);
        }
        let here = self.vocabulary.trie().nodes()[node];
        if here.token() != NO_TOKEN {
            set(row, here.token());
        }
        if !self.vocabulary.trie().may_go_on(node, self.automaton.all_bytes()) {
            return Ok(1);
        }
        let next = self.automaton.step(state, byte)?;
        self.path[1] = next;
        let below = node + 1..node + here.size();
        if let Some(begins) = self.slices.begins(byte)
            && let Some(plan) = self.plan(next, 1)?
            && plan.known.roots.is_none()
        {
            let tail = self.vocabulary.tail(self.slices, &plan.known.slice);
            row.iter_mut().zip(tail).zip(begins).for_each(|((to, tail), begins)| *to |= tail & begins);
            let mut steps = self.keep_within(&plan, (state, 1), Some(begins), row)?;
            let tokens = plan.known.exits.tokens.iter().copied().filter(|&token| is_set(begins, token));
            steps += self.step_each(state, tokens, row)?;
            for &exit in &plan.known.exits.bytes {
                steps += self.leave(state, &plan, exit, below.clone(), true, row)?;
            }
            return Ok(steps);
        }
        if let Some(literal) = self.automaton.literal(next) {
            return self.walk_literal((next, &literal), 1, below, row);
        }
        match self.automaton.words(next)? {
            Some(words) => self.walk_words((next, &words), 1, below, row),
            None => self.second_bytes(next, byte, below, row),
        }
    }

    /// The tokens in `range`, the subtree of the first byte `first`; `next` is the state after it.
    fn second_bytes(
        &mut self,
        next: StateId,
        first: u8,
        range: std::ops::Range<usize>,
        row: &mut [u32],
    ) -> Result<u64> {
        let trie = self.vocabulary.trie();
        let (Some(second), Some(live)) = (trie.second(first), self.automaton.live_bytes(next)?) else {
            return self.walk(range, row);
        };
        let mut steps = 0;
        for (word, mut bits) in live.into_iter().enumerate() {
            while bits != 0 {
                let node = second[word * 64 + bits.trailing_zeros() as usize] as usize;
                bits &= bits - 1;
                if let Some(here) = trie.nodes().get(node) {
                    steps += self.walk(node..node + here.size(), row)?;
                }
            }
        }
        Ok(steps)
    }

    /// The tokens in `range` with an exit `byte` after one byte at least, all bytes before it of the plan's class
    /// (except the first if `after_first`): each such node is reached by stepping, and its subtree is walked.
    fn leave(
        &mut self,
        state: StateId,
        plan: &Plan,
        byte: u8,
        range: std::ops::Range<usize>,
        after_first: bool,
        row: &mut [u32],
    ) -> Result<u64> {
        let all = self.occurrences.of(byte);
        let from = all.partition_point(|place| (place.node as usize) < range.start);
        let to = from + all[from..].partition_point(|place| (place.node as usize) < range.end);
        let nodes = self.vocabulary.trie().nodes();
        let foreign = plan.known.slice.foreign;
        let mut steps = 0;
        let mut walked_to = 0;
        // `path` holds the states along the first `known` bytes of `along`.
        let mut along: &[u8] = &[];
        let mut known = 0;
        for place in &all[from..to] {
            if place.between & foreign != 0 || (!after_first && place.first & foreign != 0) {
                continue;
            }
            let index = place.node as usize;
            let depth = nodes[index].depth();
            if depth < 2 || index < walked_to {
                continue;
            }
            let bytes = &self.vocabulary.bytes_of(place.token)[..depth];
            let shared = along[..known].iter().zip(bytes).take_while(|(a, b)| a == b).count();
            self.path[0] = state;
            known = shared;
            along = bytes;
            while known < depth {
                steps += 1;
                let next = self.automaton.step(self.path[known], bytes[known])?;
                if next == StateId::DEAD {
                    break;
                }
                known += 1;
                self.path[known] = next;
            }
            if known < depth {
                continue;
            }
            let node = nodes[index];
            if node.token() != NO_TOKEN {
                set(row, node.token());
            }
            walked_to = index + node.size();
            steps += 1 + self.walk(index + 1..walked_to, row)?;
        }
        Ok(steps)
    }
}

/// Only one of several tokens with the same bytes is in the tree: the bits of the others are copied from it.
pub(crate) fn set_duplicates(vocabulary: &Vocabulary, row: &mut [u32]) {
    for &(token, same) in vocabulary.trie().duplicates() {
        if is_set(row, token) {
            set(row, same);
        }
    }
}
