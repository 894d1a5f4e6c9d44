//! Masks, from an automaton and a vocabulary: for each state, the tokens after which a match can still be reached.

pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod class_masks;
pub(crate) mod engine;
pub mod hints;
mod making;
pub(crate) mod neighbour;
mod slots;
pub(crate) mod target_walk;
pub(crate) mod token_liveness;
pub(crate) mod trie_walk;
pub(crate) mod word_merge;

pub use class_masks::FastPaths;
pub(crate) use engine::{CHUNK, Engine, Step};
pub(crate) use slots::Slot;

use crate::automaton::StateId;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::mask::hints::MaskHints;
use crate::vocabulary::Vocabulary;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Finds the spans of the marked parts of a text.
pub trait FindMarks: Send {
    /// The number of the mark, start and end in bytes, in the order in which the parts begin.
    ///
    /// # Errors
    /// [`Error::Limit`].
    fn marks(&mut self, text: &[u8]) -> Result<Vec<(u32, usize, usize)>>;
}

/// A constraint over a vocabulary. Immutable to its users: states and caches are behind a mutex.
pub struct CompiledConstraint {
    vocabulary: Arc<Vocabulary>,
    engine: Mutex<Engine>,
    closed: Arc<Mutex<Vec<Slot>>>,
    longest_way: Option<u32>,
    /// Finds the marked parts of a text, if the constraint has any.
    marker: Option<Mutex<Box<dyn FindMarks>>>,
}

impl CompiledConstraint {
    /// The same constraint with a finder of its marked parts; it must not be shared yet.
    pub(crate) fn with_marker(mut self: Arc<Self>, marker: Option<Box<dyn FindMarks>>) -> Arc<Self> {
        if let Some(this) = Arc::get_mut(&mut self) {
            this.marker = marker.map(Mutex::new);
        }
        self
    }

    /// The spans of the marked parts of a text, in the order of their starts: the number of the mark, start and end in
    /// bytes. From left to right, each part takes the longest text with which the whole still matches. In an incomplete
    /// text, only complete parts have spans.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn marks(&self, text: &[u8]) -> Result<Vec<(u32, usize, usize)>> {
        let Some(marker) = &self.marker else { return Ok(Vec::new()) };
        marker.lock().unwrap_or_else(PoisonError::into_inner).marks(text)
    }

    /// The constraint of `automaton`, which was made over the vocabulary's alphabet.
    ///
    /// `longest_way`: an upper bound on the number of tokens needed to reach a match from any live state, if one is
    /// known.
    ///
    /// # Errors
    /// [`Error::Unsatisfiable`] if no sequence of tokens spells a text of the language, or if the vocabulary lacks a
    /// special token of the language; [`Error::Limit`].
    pub fn new(
        automaton: Box<dyn MaskHints>,
        vocabulary: Arc<Vocabulary>,
        limits: &Limits,
        longest_way: Option<u32>,
    ) -> Result<Arc<Self>> {
        if automaton.start() == StateId::DEAD {
            return Err(Error::Unsatisfiable {
                message: "no text matches: every way through the constraint contradicts itself".to_owned(),
            });
        }
        for id in automaton.specials() {
            check_special(id, &vocabulary)?;
        }
        let closed = Arc::default();
        let mut engine = Engine::new(automaton, Arc::clone(&vocabulary), limits, Arc::clone(&closed));
        if !engine.can_start()? {
            return Err(unspelled("texts match, but no sequence of this vocabulary's tokens spells any of them"));
        }
        Ok(Arc::new(CompiledConstraint { vocabulary, engine: Mutex::new(engine), closed, longest_way, marker: None }))
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// An upper bound on the number of tokens needed to reach a match from any live state, if one is known.
    pub fn longest_way(&self) -> Option<u32> {
        self.longest_way
    }

    /// Chooses how masks are made; for tests and measurements.
    pub fn set_fast_paths(&self, fast: FastPaths) {
        self.engine().set_fast_paths(fast);
    }

    /// The memory of the automaton and the cached masks, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.engine().memory_bytes()
    }

    /// The engine; waits until it is free. A panic leaves its caches consistent, so a poisoned mutex is used as usual.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a slot without waiting for the engine: the thread that drops a matcher may hold other locks.
    pub(crate) fn close(&self, slot: Slot) {
        match self.engine_if_free() {
            Some(mut engine) => engine.close(slot),
            None => self.closed.lock().unwrap_or_else(PoisonError::into_inner).push(slot),
        }
    }

    /// The engine, if no other thread uses it.
    pub(crate) fn engine_if_free(&self) -> Option<MutexGuard<'_, Engine>> {
        match self.engine.try_lock() {
            Ok(engine) => Some(engine),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// Refuses a special token that the vocabulary lacks, or that it has as text: masks could not distinguish the two.
fn check_special(id: u32, vocabulary: &Vocabulary) -> Result<()> {
    let count = vocabulary.len();
    let fault = match vocabulary.token_bytes(id) {
        _ if id as usize >= count => format!("is not in the vocabulary, whose ids are 0 to {}", count - 1),
        Some(bytes) if !bytes.is_empty() => format!("is text in the vocabulary: {:?}", String::from_utf8_lossy(bytes)),
        _ => return Ok(()),
    };
    Err(Error::Unsatisfiable { message: format!("the special token {id} {fault}: name a special token that it has") })
}

pub(crate) fn unspelled(what: &str) -> Error {
    Error::Unsatisfiable {
        message: format!("{what}: allow a text that its tokens can write, or take another tokenizer"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
