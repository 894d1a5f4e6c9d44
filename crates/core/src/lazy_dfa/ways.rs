//! The ways to a match that were found by searching.

use crate::lazy_dfa::states::CharState;
use rustc_hash::FxHashMap;

/// The first step of a shortest way from a state to a match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(super) character: u32,
    pub(super) next: CharState,
    /// The bytes of the whole way.
    pub(super) bytes: u32,
}

/// How a way goes on from a state.
#[derive(Debug, Clone)]
pub(super) enum Onward {
    /// By a character to a state whose way is known.
    Step { character: u32, next: CharState },
    /// By these bytes to a match.
    Text(Box<[u8]>),
    /// As from another state, which has no text that this one has not.
    Like(CharState),
}

/// The ways that were found by searching, by state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways {
    pub(super) onward: FxHashMap<CharState, Onward>,
    texts: usize,
    /// By state: the first steps of the shortest ways that are known.
    pub(super) nearest: FxHashMap<CharState, Way>,
}

impl Ways {
    /// Remembers that `character` leads from `state` to `next`, which is nearer to its end.
    pub(crate) fn step(&mut self, state: CharState, character: u32, next: CharState) {
        self.onward.entry(state).or_insert(Onward::Step { character, next });
    }

    /// Remembers that every text that leads from `other` to a match does so from `state`.
    pub(crate) fn like(&mut self, state: CharState, other: CharState) {
        self.onward.entry(state).or_insert(Onward::Like(other));
    }

    /// Remembers that `text` leads from `state` to a match.
    pub(crate) fn keep(&mut self, state: CharState, text: &[u8]) {
        self.texts += text.len();
        self.onward.insert(state, Onward::Text(text.into()));
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.onward.capacity() * (size_of::<(CharState, Onward)>() + 1)
            + self.texts
            + self.nearest.capacity() * (size_of::<Way>() + 5)
    }
}
