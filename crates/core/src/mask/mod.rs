//! Automaton × vocabulary → masks: for each state, the tokens that some continuation follows.

pub(crate) mod bits;
pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod class_masks;
pub(crate) mod engine;
pub(crate) mod static_bound;
pub(crate) mod target_walk;
pub(crate) mod token_liveness;
pub(crate) mod trie_walk;
pub(crate) mod words;

pub use engine::FastPaths;
pub(crate) use engine::{CHUNK, Engine, Slot, Step};

use crate::automaton::{Automaton, StateId};
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::lazy_dfa;
use crate::limits::Limits;
use crate::syntax::ast::{Node, Pattern, Tree};
use crate::vocabulary::Vocabulary;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A constraint over a vocabulary. Immutable to its users: what it learns while it is used is behind a mutex.
pub struct CompiledConstraint {
    vocabulary: Arc<Vocabulary>,
    engine: Mutex<Engine>,
    closed: Arc<Mutex<Vec<Slot>>>,
    longest_way: Option<u32>,
}

impl CompiledConstraint {
    /// The constraint of a parsed pattern.
    ///
    /// # Errors
    /// Those of [`lazy_dfa::compile`] and of [`CompiledConstraint::new`].
    pub fn compile(pattern: &Pattern, vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<Self>> {
        let compiled = lazy_dfa::compile(pattern, vocabulary.alphabet(), limits)?;
        if compiled.start() == StateId::DEAD {
            // Which of the two it is, decides what a person does about it.
            let any = lazy_dfa::compile(pattern, &CodePoints::scalars(), limits)?;
            if any.start() != StateId::DEAD {
                return Err(unspelled("texts match, but each has a character that no token of this vocabulary spells"));
            }
        }
        let longest_way = static_bound::longest_way(&pattern.root, &vocabulary);
        Self::build(Box::new(compiled), vocabulary, limits, longest_way)
    }

    /// The constraint of a tree of parts.
    ///
    /// # Errors
    /// Those of [`lazy_dfa::compile_tree`] and of [`CompiledConstraint::new`].
    pub fn of_tree(tree: &Tree, vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<Self>> {
        let compiled = lazy_dfa::compile_tree(tree, vocabulary.alphabet(), limits)?;
        if compiled.start() == StateId::DEAD {
            // Which of the two it is, decides what a person does about it.
            let any = lazy_dfa::compile_tree(tree, &CodePoints::scalars(), limits)?;
            if any.start() != StateId::DEAD {
                return Err(unspelled("texts match, but each has a character that no token of this vocabulary spells"));
            }
        }
        let longest_way = static_bound::longest_way(&tree.root, &vocabulary);
        Self::build(Box::new(compiled), vocabulary, limits, longest_way)
    }

    /// The constraint that allows exactly `texts`, each given in code points.
    ///
    /// # Errors
    /// As [`CompiledConstraint::compile`].
    pub fn choice(texts: &[Vec<u32>], vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<Self>> {
        // A lone surrogate is no character of any text: what contains one can never be written.
        let written = |text: &Vec<u32>| text.iter().map(|&c| char::from_u32(c).map(Node::Char)).collect::<Option<_>>();
        let root =
            Node::Alternation(texts.iter().map(|text| written(text).map_or(Node::Nothing, Node::Sequence)).collect());
        Self::compile(&Pattern { root, groups: 0 }, vocabulary, limits)
    }

    /// The constraint of `automaton`, which was made over the vocabulary's alphabet.
    ///
    /// # Errors
    /// [`Error::Unsatisfiable`] if no sequence of tokens spells a text of the language; [`Error::Limit`].
    pub fn new(automaton: Box<dyn Automaton>, vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<Self>> {
        Self::build(automaton, vocabulary, limits, None)
    }

    fn build(
        automaton: Box<dyn Automaton>,
        vocabulary: Arc<Vocabulary>,
        limits: &Limits,
        longest_way: Option<u32>,
    ) -> Result<Arc<Self>> {
        if automaton.start() == StateId::DEAD {
            return Err(Error::Unsatisfiable {
                message: "no text matches: every way through the constraint contradicts itself".to_owned(),
            });
        }
        let closed = Arc::default();
        let mut engine = Engine::new(automaton, Arc::clone(&vocabulary), limits, Arc::clone(&closed));
        if !engine.can_start()? {
            return Err(unspelled("texts match, but no sequence of this vocabulary's tokens spells any of them"));
        }
        Ok(Arc::new(CompiledConstraint { vocabulary, engine: Mutex::new(engine), closed, longest_way }))
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// No text that can still match is more tokens than this away from a match; `None`: nothing is known.
    pub fn longest_way(&self) -> Option<u32> {
        self.longest_way
    }

    /// Chooses how masks are made; for tests and measurements.
    pub fn set_fast_paths(&self, fast: FastPaths) {
        self.engine().set_fast_paths(fast);
    }

    /// The bytes that the automaton and the cached masks hold now.
    pub fn memory_bytes(&self) -> usize {
        self.engine().memory_bytes()
    }

    /// The engine, when it is free. A panic inside it leaves caches that are as good as before, so poison is no matter.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place back, without ever waiting for the engine: whoever drops a matcher may hold other locks.
    pub(crate) fn close(&self, slot: Slot) {
        match self.engine_if_free() {
            Some(mut engine) => engine.close(slot),
            None => self.closed.lock().unwrap_or_else(PoisonError::into_inner).push(slot),
        }
    }

    /// The engine, if nobody else works with it.
    pub(crate) fn engine_if_free(&self) -> Option<MutexGuard<'_, Engine>> {
        match self.engine.try_lock() {
            Ok(engine) => Some(engine),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

fn unspelled(what: &str) -> Error {
    Error::Unsatisfiable {
        message: format!("{what}: allow a text that its tokens can write, or take another tokenizer"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
