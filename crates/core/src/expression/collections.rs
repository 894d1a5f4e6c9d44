//! Unordered members and counted items: what they are made of, and what has been seen of them.
//!
//! `Expr::Members { spec, seen }` is what is left of a collection of members, its close included: any of the declared keys
//! that were not written yet, members of other classes, or the close, where all that is required has been seen. `seen` is
//! interned, and holds only what can matter: declared keys and guarded classes as bits, and a number of members where
//! their number counts, capped. Members of other classes leave it as it is, so maps stay in one state.
//! `Expr::Keys` is the rest of a declared key, and of its collection: a range of the sorted table of keys.
//! `Expr::Items { spec, seen }` is the same for items in a row, with counters.
//!
//! A collection is an item only if it can be closed from there, so it is alive by construction. Without guards that takes
//! a count; with guards a search for members to add, charged to the fuel: forced members first, then the choices that a
//! broken guard leaves.

use crate::expression::node::{ExprId, MANY, NOTHING};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// A clause over what was seen: if all of these were, one of those has to be.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Bits of `Seen`.
    pub all: Vec<u32>,
    /// Bits of `Seen`.
    pub any: Vec<u32>,
}

/// What a collection of members is made of.
#[derive(Debug, Clone)]
pub struct MembersSpec {
    /// The sorted keys, as a table of the arena.
    pub table: u32,
    /// By key in the order of the table: what follows it; [`NOTHING`]: it cannot be written.
    pub follows: Vec<ExprId>,
    /// By key: whether it has to be written.
    pub required: Vec<bool>,
    /// By key: its place among the declared ones.
    pub places: Vec<u32>,
    /// Other members: key, what follows it, and the bit that it sets, if a guard asks for it.
    pub others: Vec<(ExprId, ExprId, Option<u32>)>,
    /// Before the first member, between members, behind the last one.
    pub first: ExprId,
    /// See `first`.
    pub between: ExprId,
    /// See `first`.
    pub close: ExprId,
    /// The fewest and the most members.
    pub min: u32,
    /// [`MANY`]: no bound.
    pub max: u32,
    /// Whether declared keys come in their order, and others behind them.
    pub ordered: bool,
    /// Clauses that have to hold at the close.
    pub guards: Vec<Guard>,
    /// By key: whether a guard asks for it.
    pub guarded: Vec<bool>,
}

/// What a row of counted items is made of.
#[derive(Debug, Clone)]
pub struct ItemsSpec {
    /// Before the first item, between items, behind the last one.
    pub first: ExprId,
    /// See `first`.
    pub between: ExprId,
    /// See `first`.
    pub close: ExprId,
    /// The fewest and the most items.
    pub min: u32,
    /// [`MANY`]: no bound.
    pub max: u32,
    /// By counter: the least and the most that it has to count.
    pub counters: Vec<(u32, u32)>,
    /// By place, the last for all later ones: the ways to write an item, and the counters that each adds to.
    pub groups: Vec<Vec<(Vec<u32>, ExprId)>>,
}

/// What has been written of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seen {
    /// Keys in the order of the table, then guarded classes; of items: the counters' values.
    pub bits: Box<[u64]>,
    /// Members or items, capped where more make no difference.
    pub count: u32,
    /// Of ordered members: the first place that may still come.
    pub next_place: u32,
    /// Whether there is a member or an item.
    pub begun: bool,
    /// Of a truncated stack: which keys of a range may come is all that is known, and nothing of what follows the member.
    pub opaque: bool,
}

impl Seen {
    /// Whether a bit is set.
    pub fn has(&self, bit: u32) -> bool {
        self.bits.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    fn set(&mut self, bit: u32) {
        if let Some(word) = self.bits.get_mut(bit as usize / 64) {
            *word |= 1 << (bit % 64);
        }
    }
}

/// All collections of a constraint.
#[derive(Debug, Clone, Default)]
pub struct Collections {
    /// By number.
    pub members: Vec<MembersSpec>,
    /// By number.
    pub items: Vec<ItemsSpec>,
    /// What has been seen, by number.
    pub seen: Vec<Seen>,
    numbers: FxHashMap<Seen, u32>,
    /// By collection and what has been seen: whether it can be closed.
    pub can_end: FxHashMap<(bool, u32, u32), bool>,
    memory: usize,
}

impl Collections {
    /// The number of what has been seen.
    pub fn number(&mut self, seen: Seen) -> u32 {
        if let Some(&number) = self.numbers.get(&seen) {
            return number;
        }
        let number = self.seen.len() as u32;
        self.memory += 2 * (seen.bits.len() * 8 + size_of::<Seen>()) + 24;
        self.seen.push(seen.clone());
        self.numbers.insert(seen, number);
        number
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory + self.can_end.len() * 24
    }

    /// What the collections are made of, for an arena that starts over: what has been seen is forgotten.
    pub fn blank(&self) -> Collections {
        Collections { members: self.members.clone(), items: self.items.clone(), ..Collections::default() }
    }

    /// The collections, inner ones before those that they are part of: (is it one of members, number).
    pub fn in_order(&self) -> Vec<(bool, usize)> {
        let newest = |ids: Vec<ExprId>| ids.into_iter().max().unwrap_or(0);
        let members = self.members.iter().enumerate().map(|(number, spec)| (newest(spec.pieces()), true, number));
        let items = self.items.iter().enumerate().map(|(number, spec)| (newest(spec.pieces()), false, number));
        let mut order: Vec<(ExprId, bool, usize)> = members.chain(items).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, is_members, number)| (is_members, number)).collect()
    }
}

impl MembersSpec {
    /// All expressions that it is made of.
    pub fn pieces(&self) -> Vec<ExprId> {
        let others = self.others.iter().flat_map(|other| [other.0, other.1]);
        [self.first, self.between, self.close].into_iter().chain(self.follows.iter().copied()).chain(others).collect()
    }

    /// Takes out what cannot be written: other members, and all but one if nothing can stand between two.
    pub fn trimmed(mut self) -> MembersSpec {
        self.others.retain(|other| other.0 != NOTHING && other.1 != NOTHING);
        self.max = most(self.max, self.first, self.between);
        self
    }

    /// The same collection made of other expressions.
    pub fn map(&self, mut map: impl FnMut(ExprId) -> ExprId) -> MembersSpec {
        let mut spec = self.clone();
        [&mut spec.first, &mut spec.between, &mut spec.close].into_iter().for_each(|id| *id = map(*id));
        spec.follows.iter_mut().for_each(|id| *id = map(*id));
        spec.others.iter_mut().flat_map(|other| [&mut other.0, &mut other.1]).for_each(|id| *id = map(*id));
        spec
    }

    /// Nothing has been written.
    pub fn unseen(&self) -> Seen {
        let guarded = self.others.iter().filter(|other| other.2.is_some()).count();
        Seen { bits: vec![0; (self.follows.len() + guarded).div_ceil(64)].into(), ..Seen::default() }
    }

    fn counted(&self, seen: &mut Seen) {
        seen.begun = true;
        if self.max != MANY {
            seen.count += 1;
        } else {
            seen.count = (seen.count + 1).min(self.min);
        }
    }

    /// Of what has been seen, only that these keys may come.
    pub fn only(&self, keys: &[u32]) -> Seen {
        let mut seen = Seen { opaque: true, begun: true, ..self.unseen() };
        seen.bits.iter_mut().for_each(|word| *word = u64::MAX);
        keys.iter().for_each(|&key| seen.bits[key as usize / 64] &= !(1 << (key % 64)));
        seen
    }

    /// After a declared key.
    pub fn after_key(&self, seen: &Seen, key: u32) -> Seen {
        let mut seen = seen.clone();
        if seen.opaque {
            return seen;
        }
        self.counted(&mut seen);
        seen.set(key);
        if self.ordered {
            let place = self.places[key as usize];
            seen.next_place = seen.next_place.max(place + 1);
            // Which of those before it were written matters no more, unless a guard asks.
            for other in 0..self.follows.len() as u32 {
                if self.places[other as usize] < place && !self.matters(other) {
                    seen.set(other);
                }
            }
        }
        seen
    }

    /// After another member.
    pub fn after_other(&self, seen: &Seen, bit: Option<u32>) -> Seen {
        let mut seen = seen.clone();
        self.counted(&mut seen);
        if let Some(bit) = bit {
            seen.set(bit);
        }
        if self.ordered {
            seen.next_place = u32::MAX;
            for key in (0..self.follows.len() as u32).filter(|&key| !self.matters(key)) {
                seen.set(key);
            }
        }
        seen
    }

    /// Whether it matters of a key that can no longer come that it was not written.
    fn matters(&self, key: u32) -> bool {
        self.guarded[key as usize] || self.required[key as usize]
    }

    /// Whether the collection may be closed.
    pub fn can_close(&self, seen: &Seen) -> bool {
        let missing = |key: usize| self.required[key] && !seen.has(key as u32);
        seen.count >= self.min && !(0..self.follows.len()).any(missing) && self.broken_guard(seen).is_none()
    }

    fn broken_guard(&self, seen: &Seen) -> Option<&Guard> {
        self.guards
            .iter()
            .find(|guard| guard.all.iter().all(|&bit| seen.has(bit)) && !guard.any.iter().any(|&bit| seen.has(bit)))
    }

    /// Whether a key may be written, as far as the order tells and what was written before.
    fn is_open(&self, seen: &Seen, key: u32) -> bool {
        let at = key as usize;
        !seen.has(key) && self.follows[at] != NOTHING && (!self.ordered || self.places[at] >= seen.next_place)
    }

    /// The keys that have to be written yet; `None`: one of them cannot be any more.
    fn missing(&self, seen: &Seen) -> Option<Vec<u32>> {
        let missing = (0..self.follows.len() as u32).filter(|&key| self.required[key as usize] && !seen.has(key));
        let missing: Vec<u32> = missing.collect();
        missing.iter().all(|&key| self.is_open(seen, key)).then_some(missing)
    }

    /// Whether the collection can be closed after some more members. Adds the work to `work`.
    pub fn can_end(&self, seen: &Seen, work: &mut u64) -> bool {
        *work += 1 + self.follows.len() as u64 / 8;
        let Some(missing) = self.missing(seen) else { return false };
        let room = if self.max == MANY { u64::from(MANY) } else { u64::from(self.max.saturating_sub(seen.count)) };
        if missing.len() as u64 > room || (self.max != MANY && seen.count > self.max) {
            return false;
        }
        if self.guards.is_empty() {
            let wanted = u64::from(self.min.saturating_sub(seen.count));
            let open = || (0..self.follows.len() as u32).filter(|&key| self.is_open(seen, key)).count() as u64;
            return wanted <= room && (wanted <= missing.len() as u64 || !self.others.is_empty() || wanted <= open());
        }
        let mut all = seen.clone();
        for &key in &missing {
            all = self.added(&all, key);
        }
        self.can_end_with_guards(&all, seen, work)
    }

    /// After a key that is written somewhere among those that are still to come: the order is kept by whoever writes.
    fn added(&self, seen: &Seen, key: u32) -> Seen {
        let mut seen = seen.clone();
        self.counted(&mut seen);
        seen.set(key);
        seen
    }

    fn can_end_with_guards(&self, seen: &Seen, start: &Seen, work: &mut u64) -> bool {
        *work += 1 + self.guards.len() as u64;
        if self.max != MANY && seen.count > self.max {
            return false;
        }
        let keys = self.follows.len() as u32;
        let open = |key: u32| key < keys && !seen.has(key) && self.is_open(start, key);
        let can_set = |bit: u32| open(bit) || self.others.iter().any(|other| other.2 == Some(bit) && bit >= keys);
        if let Some(guard) = self.broken_guard(seen) {
            let ways: Vec<u32> = guard.any.iter().copied().filter(|&bit| can_set(bit)).collect();
            return ways.iter().any(|&bit| self.can_end_with_guards(&self.added(seen, bit), start, work));
        }
        if seen.count >= self.min {
            return true;
        }
        if self.others.iter().any(|other| other.2.is_none()) {
            return self.max == MANY || self.min <= self.max;
        }
        let more = (0..keys).filter(|&key| open(key)).chain(self.others.iter().filter_map(|other| other.2));
        more.collect::<Vec<_>>()
            .into_iter()
            .any(|bit| *work < MOST_WORK && self.can_end_with_guards(&self.added(seen, bit), start, work))
    }

    /// Whether what may be written next is told by what was written before and the order alone.
    pub(crate) fn is_simple(&self) -> bool {
        self.guards.is_empty() && self.max == MANY && (self.min == 0 || !self.others.is_empty())
    }

    /// The keys of a range that may come next, ascending. Adds the work to `work`.
    pub fn allowed(&self, seen: &Seen, range: Range<u32>, work: &mut u64) -> Vec<u32> {
        if seen.opaque {
            *work += 1 + range.len() as u64 / 4;
            return range.filter(|&key| !seen.has(key)).collect();
        }
        let keys = 0..self.follows.len() as u32;
        *work += 1 + self.follows.len() as u64 / 4;
        let is_simple = self.is_simple();
        let mut last = u32::MAX;
        if self.ordered {
            // A required key must not be passed over.
            let required = keys.filter(|&key| self.required[key as usize] && !seen.has(key));
            last = required.map(|key| self.places[key as usize]).min().unwrap_or(u32::MAX);
        }
        range
            .filter(|&key| {
                self.is_open(seen, key)
                    && (!self.ordered || self.places[key as usize] <= last)
                    && (is_simple || self.can_end(&self.after_key(seen, key), work))
            })
            .collect()
    }
}

/// How many members or items there can be.
fn most(max: u32, first: ExprId, between: ExprId) -> u32 {
    match (first, between) {
        (NOTHING, _) => 0,
        (_, NOTHING) => max.min(1),
        _ => max,
    }
}

/// A search over guards gives up after so many steps, and the fuel is charged for them.
const MOST_WORK: u64 = 5_000_000;

impl ItemsSpec {
    /// All expressions that it is made of.
    pub fn pieces(&self) -> Vec<ExprId> {
        let items = self.groups.iter().flatten().map(|way| way.1);
        [self.first, self.between, self.close].into_iter().chain(items).collect()
    }

    /// Takes out what cannot be written: ways, and all items but one if nothing can stand between two.
    pub fn trimmed(mut self) -> ItemsSpec {
        self.groups.iter_mut().for_each(|ways| ways.retain(|way| way.1 != NOTHING));
        self.max = most(self.max, self.first, self.between);
        self
    }

    /// The same row made of other expressions.
    pub fn map(&self, mut map: impl FnMut(ExprId) -> ExprId) -> ItemsSpec {
        let mut spec = self.clone();
        [&mut spec.first, &mut spec.between, &mut spec.close].into_iter().for_each(|id| *id = map(*id));
        spec.groups.iter_mut().flatten().for_each(|way| way.1 = map(way.1));
        spec
    }

    /// Nothing has been written.
    pub fn unseen(&self) -> Seen {
        Seen { bits: vec![0; self.counters.len()].into(), ..Seen::default() }
    }

    /// The ways to write the next item.
    pub fn ways(&self, seen: &Seen) -> &[(Vec<u32>, ExprId)] {
        let place = (seen.count as usize).min(self.groups.len().saturating_sub(1));
        self.groups.get(place).map_or(&[], Vec::as_slice)
    }

    /// After an item; `None`: a counter, or the number of items, is above its maximum.
    pub fn after(&self, seen: &Seen, counters: &[u32]) -> Option<Seen> {
        let mut seen = seen.clone();
        seen.begun = true;
        if self.max != MANY && seen.count >= self.max {
            return None;
        }
        seen.count += 1;
        if self.max == MANY {
            seen.count = seen.count.min(self.min.max(self.groups.len() as u32));
        }
        for &counter in counters {
            let (min, max) = self.counters[counter as usize];
            let value = &mut seen.bits[counter as usize];
            *value += 1;
            match max {
                MANY => *value = (*value).min(min.into()),
                max if *value > u64::from(max) => return None,
                _ => {}
            }
        }
        Some(seen)
    }

    /// Whether the row may be closed.
    pub fn can_close(&self, seen: &Seen) -> bool {
        seen.count >= self.min
            && self.counters.iter().zip(&seen.bits).all(|(counter, &value)| value >= counter.0.into())
    }

    /// Whether the row can be closed after some more items, with the ways that can be written.
    pub fn can_end(&self, start: &Seen) -> bool {
        let mut known: FxHashSet<Seen> = FxHashSet::default();
        let mut stack = vec![start.clone()];
        while let Some(seen) = stack.pop() {
            if self.close != NOTHING && self.can_close(&seen) {
                return true;
            }
            for (counters, item) in self.ways(&seen) {
                if *item != NOTHING
                    && let Some(next) = self.after(&seen, counters)
                    && known.insert(next.clone())
                {
                    stack.push(next);
                }
            }
        }
        false
    }

    /// A lower bound on the number of items that have to follow.
    pub fn wanted(&self, seen: &Seen) -> u32 {
        let counters = self.counters.iter().zip(&seen.bits);
        let most = counters.map(|(counter, &value)| u64::from(counter.0).saturating_sub(value)).max().unwrap_or(0);
        self.min.saturating_sub(seen.count).max(most as u32)
    }
}
