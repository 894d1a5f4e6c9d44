//! A cache that is bounded by what its values cost; the least recently used make way.

use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::Hash;

#[derive(Debug)]
struct Entry<V> {
    value: V,
    cost: usize,
    used: u64,
}

/// Values by key, each with its cost, as a rule in bytes.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    entries: FxHashMap<K, Entry<V>>,
    cost: usize,
    clock: u64,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Lru { entries: FxHashMap::default(), cost: 0, clock: 0 }
    }
}

impl<K: Eq + Hash, V> Lru<K, V> {
    /// A cache with room for some entries.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Lru { entries: FxHashMap::with_capacity_and_hasher(count, FxBuildHasher), cost: 0, clock: 0 }
    }

    /// The value of a key, which is then the most recently used.
    #[inline]
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(&entry.value)
    }

    /// Whether a key has a value. It is no use of it.
    pub(crate) fn holds(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// Keeps a value, if it fits into `budget` at all; others make way for it.
    pub(crate) fn insert(&mut self, key: K, value: V, cost: usize, budget: usize) {
        if cost > budget {
            return;
        }
        self.shrink(budget - cost);
        self.clock += 1;
        if let Some(old) = self.entries.insert(key, Entry { value, cost, used: self.clock }) {
            self.cost -= old.cost;
        }
        self.cost += cost;
    }

    /// Drops values until no more than `budget` is held: a quarter at a time, so that a drop costs little on average.
    pub(crate) fn shrink(&mut self, budget: usize) {
        while self.cost > budget {
            let mut ages: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
            let nth = ages.len() / 4;
            let (_, &mut limit, _) = ages.select_nth_unstable(nth);
            self.entries.retain(|_, entry| entry.used > limit);
            self.cost = self.entries.values().map(|entry| entry.cost).sum();
        }
    }

    /// Drops all values and the room they took.
    pub(crate) fn clear(&mut self) {
        self.entries = FxHashMap::default();
        self.cost = 0;
    }

    /// What all values cost.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_make_way_a_quarter_at_a_time() {
        let mut cache = Lru::default();
        (1..=8).for_each(|key| cache.insert(key, key * 10, 1, 8));
        assert_eq!(cache.get(&1), Some(&10));
        cache.insert(9, 90, 1, 8);
        let kept: Vec<i32> = (1..=9).filter(|key| cache.get(key).is_some()).collect();
        assert_eq!(kept, [1, 5, 6, 7, 8, 9]);
        assert_eq!(cache.cost(), 6);
    }

    #[test]
    fn a_value_that_is_put_in_again_counts_once_and_one_beyond_the_budget_is_not_kept() {
        let mut cache = Lru::default();
        cache.insert('a', 1, 5, 10);
        cache.insert('a', 2, 7, 10);
        assert_eq!((cache.cost(), cache.get(&'a')), (7, Some(&2)));
        cache.insert('b', 3, 11, 10);
        assert_eq!((cache.cost(), cache.get(&'b')), (7, None));
        cache.clear();
        assert_eq!((cache.cost(), cache.get(&'a')), (0, None));
    }
}
