//! The situations of the parts of an expression that are languages of their own; see `part_items.rs`.

use crate::derivative::situation::{Life, Situation};
use rustc_hash::FxHashMap;

/// The situations of all parts, by number; 0 is the dead one.
#[derive(Debug, Clone)]
pub struct Parts {
    pub(super) known: Vec<Part>,
    pub(super) numbers: FxHashMap<Situation, u32>,
    /// By number and minterm, or by number and character (with the highest bit set).
    pub(super) steps: FxHashMap<(u32, u32), u32>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) situation: Situation,
    pub(super) life: Life,
    pub(super) ends: Option<bool>,
}

impl Default for Parts {
    fn default() -> Self {
        let dead = Part { situation: Situation::DEAD, life: Life::Dead, ends: Some(false) };
        Parts { known: vec![dead], numbers: FxHashMap::default(), steps: FxHashMap::default() }
    }
}

impl Parts {
    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.known.len() * (size_of::<Part>() + size_of::<Situation>() + 8) + self.steps.len() * 16
    }
}
