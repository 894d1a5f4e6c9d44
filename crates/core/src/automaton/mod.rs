//! The trait `Automaton`: all that masks, budgets and matchers need to know of a language.
//!
//! No code above this trait may assume that an automaton is finite, or that it comes from a regular expression.

use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::symbols;

/// An interned state: two texts with the same continuations may have the same id, but need not.
/// Ids are valid until the next [`Automaton::retain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

impl StateId {
    /// The dead state: a state is `DEAD` if and only if no continuation of its text is in the language.
    pub const DEAD: StateId = StateId(0);
}

/// A text that leads from a state to a match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: Vec<u8>,
    /// Whether it is a shortest one, in bytes.
    pub is_shortest: bool,
    /// Whether it is the only one.
    pub is_only: bool,
}

/// A lazily built deterministic automaton over bytes (the UTF-8 of texts of Unicode scalar values).
///
/// Methods take `&mut self` because states and transitions are built on demand. After an error the automaton can still
/// be used. Work is charged to the fuel that [`Automaton::refuel`] sets.
pub trait Automaton: Send {
    /// The state of the empty text; `DEAD` if the language is empty.
    fn start(&self) -> StateId;

    /// The state after one more byte.
    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId>;

    /// The state after a special token, which no text spells.
    fn step_special(&mut self, _state: StateId, _id: u32) -> Result<StateId> {
        Ok(StateId::DEAD)
    }

    /// All special tokens that occur in the language, ascending.
    fn specials(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Whether the text of this state is in the language.
    fn is_accepting(&mut self, state: StateId) -> bool;

    /// A completion: a text that leads from `state`, which is not `DEAD`, to an accepting state. A shortest one, in
    /// bytes, if about `work` units of fuel are enough to find it, else a known one. It never fails for lack of work
    /// or memory. A special token in it is encoded as described in [`symbols`](crate::symbols).
    fn shortest_completion(&mut self, state: StateId, work: u64) -> Result<Completion>;

    /// The characters with which some continuation begins, for messages; in the middle of a character, those that it
    /// may still become.
    fn next_characters(&mut self, state: StateId) -> Result<CodePoints>;

    /// Sets the work that may be done until the next call, in units of [`crate::limits::Limits::fuel`].
    fn refuel(&mut self, fuel: u64);

    /// The memory of states, transitions and expressions, in bytes.
    fn memory_bytes(&self) -> usize;

    /// Drops all states except `roots` and the start state; returns the new ids of `roots`, in order. All other ids
    /// become invalid. It is called when a limit is reached, so no limit may stop it.
    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId>;
}

/// The state after the first symbol of `bytes`, a byte or a special token, and the length of the symbol in bytes.
///
/// # Errors
/// Those of [`Automaton::step`].
pub fn step_symbol<A: Automaton + ?Sized>(automaton: &mut A, state: StateId, bytes: &[u8]) -> Result<(StateId, usize)> {
    match symbols::decode(bytes) {
        Some(id) => Ok((automaton.step_special(state, id)?, symbols::LENGTH)),
        None => Ok((automaton.step(state, bytes[0])?, 1)),
    }
}
