//! The mask cache: finished masks by state, bounded in bytes; the least recently used are dropped first.

use crate::automaton::StateId;
use crate::bits::{set, unset};
use crate::lru::Lru;
use crate::vocabulary::slices::ClassSlice;
use std::sync::Arc;

/// The initial capacity, in masks.
const EXPECTED: usize = 48;
/// The bytes of an entry besides its words: the map's slot and the entry itself.
const OVERHEAD: usize = 64;

/// A mask, or a reference to the mask that it is a copy of.
pub(crate) enum Mask {
    /// The mask itself.
    Words(Box<[u32]>),
    /// The non-zero words, with their indexes.
    Few(Box<[(u32, u32)]>),
    /// The tokens of a class of characters, and EOS if `accepting`.
    Copied { class: Arc<ClassSlice>, accepting: bool },
    /// The mask of another state, without some tokens.
    Like { of: StateId, without: Box<[u32]> },
}

impl Mask {
    fn bytes(&self) -> usize {
        match self {
            Mask::Words(words) => words.len() * 4 + OVERHEAD,
            Mask::Few(words) => words.len() * 8 + OVERHEAD,
            Mask::Copied { .. } => OVERHEAD,
            Mask::Like { without, .. } => without.len() * 4 + OVERHEAD,
        }
    }

    /// A mask to keep. PERF: a sparse one is kept as a list: allocating 16 KiB for it takes longer than making it.
    pub(crate) fn keep(row: &[u32]) -> Self {
        // A mask of few tokens is mostly zero: compare large blocks as bytes.
        const BLOCK: usize = 256;
        let mut few = Vec::new();
        for (block, words) in row.chunks(BLOCK).enumerate() {
            if words == &[0; BLOCK][..words.len()] {
                continue;
            }
            for (part, words) in words.chunks(BLOCK / 16).enumerate() {
                if words.iter().fold(0, |any, word| any | word) == 0 {
                    continue;
                }
                let at = (block * BLOCK + part * (BLOCK / 16)) as u32;
                few.extend((at..).zip(words.iter().copied()).filter(|&(_, word)| word != 0));
                if few.len() > row.len() / 8 {
                    return Mask::Words(row.into());
                }
            }
        }
        Mask::Few(few.into())
    }

    /// Writes the mask to `row`, which has as many words.
    #[inline]
    fn write(&self, row: &mut [u32], eos_token_ids: &[u32]) {
        match self {
            Mask::Words(words) => row.copy_from_slice(words),
            Mask::Copied { class, accepting } => {
                row.copy_from_slice(&class.whole);
                if *accepting {
                    eos_token_ids.iter().for_each(|&id| set(row, id));
                }
            }
            Mask::Few(words) => {
                row.fill(0);
                words.iter().for_each(|&(at, word)| row[at as usize] = word);
            }
            // The cache writes the other mask, because it holds it.
            Mask::Like { without, .. } => without.iter().for_each(|&id| unset(row, id)),
        }
    }
}

/// Masks of states.
pub(crate) struct MaskCache(Lru<StateId, Mask>);

impl Default for MaskCache {
    fn default() -> Self {
        MaskCache(Lru::with_capacity(EXPECTED))
    }
}

impl MaskCache {
    /// Writes the mask of `state` if it is cached, and marks it as the most recently used.
    #[inline]
    pub(crate) fn write(&mut self, state: StateId, row: &mut [u32], eos_token_ids: &[u32]) -> bool {
        let of = match self.0.get(&state) {
            None => return false,
            Some(&Mask::Like { of, .. }) => of,
            Some(mask) => {
                mask.write(row, eos_token_ids);
                return true;
            }
        };
        let Some(other) = self.0.get(&of) else { return false };
        other.write(row, eos_token_ids);
        if let Some(mask) = self.0.get(&state) {
            mask.write(row, eos_token_ids);
        }
        true
    }

    /// Whether the mask of `state` is cached.
    pub(crate) fn has(&self, state: StateId) -> bool {
        self.0.holds(&state)
    }

    /// Keeps a mask if it fits into `budget` bytes; drops other masks for it.
    pub(crate) fn insert(&mut self, state: StateId, mask: Mask, budget: usize) {
        let bytes = mask.bytes();
        self.0.insert(state, mask, bytes, budget);
    }

    /// Drops masks until at most `budget` bytes are held.
    pub(crate) fn shrink(&mut self, budget: usize) {
        self.0.shrink(budget);
    }

    /// Drops all masks and frees their memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.cost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Mask {
        Mask::Words(words.into())
    }

    #[test]
    fn masks_are_kept_as_they_are() {
        for row in [vec![0; 100], vec![7; 100], (0..100).map(|i| u32::from(i == 33 || i == 99)).collect()] {
            let mut written = vec![1; 100];
            Mask::keep(&row).write(&mut written, &[]);
            assert_eq!(written, row);
        }
    }

    #[test]
    fn the_least_recently_used_masks_make_way() {
        let mut cache = MaskCache::default();
        let cost = 4 + OVERHEAD;
        for id in 1..=8 {
            cache.insert(StateId(id), words(&[id]), 8 * cost);
        }
        let mut row = [0];
        assert!(cache.write(StateId(1), &mut row, &[]) && row == [1]);
        cache.insert(StateId(9), words(&[9]), 8 * cost);
        assert!(cache.write(StateId(1), &mut row, &[]) && cache.write(StateId(9), &mut row, &[]));
        assert!(!cache.write(StateId(2), &mut row, &[]));
        assert!(cache.bytes() <= 8 * cost);
        cache.insert(StateId(10), words(&[0; 1000]), 8 * cost);
        assert!(!cache.write(StateId(10), &mut row, &[]), "a mask larger than the budget is not kept");
        cache.clear();
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_mask_like_another_is_gone_with_it() {
        let mut cache = MaskCache::default();
        let like = Mask::Like { of: StateId(1), without: [2].into() };
        cache.insert(StateId(1), words(&[0b1110]), 1000);
        cache.insert(StateId(2), like, 1000);
        let mut row = [0];
        assert!(cache.write(StateId(2), &mut row, &[]) && row == [0b1010]);
        assert!(cache.write(StateId(1), &mut row, &[]) && row == [0b1110]);
        cache.clear();
        cache.insert(StateId(2), Mask::Like { of: StateId(1), without: [2].into() }, 1000);
        assert!(!cache.write(StateId(2), &mut row, &[]));
    }
}
