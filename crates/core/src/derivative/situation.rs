//! Where a text is in an expression: the term that is left, and as much of the past as the term can still ask for.
//!
//! The past is what derivatives ask the [`Context`](super::calculus::Context) for: which sets the character before is in,
//! the trackers of lookbehinds, the text that open groups captured. Only what the term can still reach is kept, so that
//! situations meet again however long the text is. They are the states of the automaton, and of each part of an
//! expression that has a past of its own (`parts.rs`).

use crate::expression::node::{ExprId, NOTHING};
use rustc_hash::FxHashMap;

/// A term with its past. The one of no text has the term [`NOTHING`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Situation {
    /// What is left.
    pub term: ExprId,
    /// The sets of `Before` that hold, and the start of the text; see [`Context`](super::calculus::Context).
    pub before: u64,
    /// The number of a set of trackers; 0 is the empty one.
    pub trackers: u32,
    /// The text that open groups captured, as an id of [`Captures`](super::captures::Captures).
    pub buffer: u32,
}

impl Situation {
    /// No text is left.
    pub const DEAD: Situation = Situation { term: NOTHING, before: 0, trackers: 0, buffer: 0 };
}

/// Sets of trackers, as (number, term), interned.
#[derive(Debug, Clone)]
pub struct TrackerSets {
    sets: Vec<Box<[(u8, ExprId)]>>,
    ids: FxHashMap<Box<[(u8, ExprId)]>, u32>,
    memory: usize,
}

impl Default for TrackerSets {
    fn default() -> Self {
        TrackerSets { sets: vec![Box::new([])], ids: FxHashMap::default(), memory: 0 }
    }
}

impl TrackerSets {
    /// The members of a set.
    pub fn get(&self, set: u32) -> &[(u8, ExprId)] {
        &self.sets[set as usize]
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    pub(super) fn intern(&mut self, set: Box<[(u8, ExprId)]>) -> u32 {
        if let Some(&id) = self.ids.get(&set) {
            return id;
        }
        let id = self.sets.len() as u32;
        self.memory += 2 * set.len() * 8 + 64;
        self.sets.push(set.clone());
        self.ids.insert(set, id);
        id
    }
}

/// What is known of whether anything can still match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Nothing.
    Unknown,
    /// Something can.
    Alive,
    /// Nothing can.
    Dead,
}
