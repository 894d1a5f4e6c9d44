//! The seam: what everything above needs to know of an automaton, whatever it is made of.
//!
//! Nothing above this trait may know that an automaton is finite, or that it comes from a regular expression.

use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::symbols;

/// A state, interned: two texts that have the same continuations may, but need not, have the same id.
/// Ids are valid until the next [`Automaton::retain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

impl StateId {
    /// The dead state: no continuation of the text is in the language. A state is `DEAD` if and only if that is so.
    pub const DEAD: StateId = StateId(0);
}

/// A text that leads from a state to a match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The text.
    pub text: Vec<u8>,
    /// Whether no other is shorter, in bytes.
    pub is_shortest: bool,
    /// Whether there is no other.
    pub is_only: bool,
}

/// A lazily built deterministic automaton over bytes (the UTF-8 of texts of Unicode scalar values).
///
/// Methods take `&mut self` because states and transitions are made when they are asked for. After an error the
/// automaton is as usable as before. Work is charged to the fuel that [`Automaton::refuel`] sets.
pub trait Automaton: Send {
    /// The state of the empty text; `DEAD` if the language is empty.
    fn start(&self) -> StateId;

    /// The state after one more byte.
    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId>;

    /// The state after a special token, which no text spells.
    fn step_special(&mut self, _state: StateId, _id: u32) -> Result<StateId> {
        Ok(StateId::DEAD)
    }

    /// The special tokens that the language has anywhere, ascending.
    fn specials(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Whether the text of this state is in the language.
    fn is_accepting(&mut self, state: StateId) -> bool;

    /// A way from `state`, which is not `DEAD`, to an accepting one: a shortest, in bytes, where about `work` units of fuel
    /// are enough to find it, else one that is known. It never fails for want of work or memory.
    /// A special token in it stands as [`symbols`](crate::symbols) tells.
    fn shortest_completion(&mut self, state: StateId, work: u64) -> Result<Completion>;

    /// The characters with which some continuation begins, for people to read; in the middle of a character, those of
    /// the kinds that it may still become.
    fn next_characters(&mut self, state: StateId) -> Result<CodePoints>;

    /// Sets the work that may be done until the next call, in units of [`crate::limits::Limits::fuel`].
    fn refuel(&mut self, fuel: u64);

    /// The bytes that states, transitions and expressions hold.
    fn memory_bytes(&self) -> usize;

    /// Forgets everything except `roots` and the start state; returns the new ids of `roots`, in order. All other ids
    /// become invalid. It is called where a limit is reached, so no limit may stop it.
    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId>;
}

/// The state after the first symbol of `bytes`, a byte or a special token, and the length of that in bytes.
///
/// # Errors
/// Those of [`Automaton::step`].
pub fn step_symbol<A: Automaton + ?Sized>(automaton: &mut A, state: StateId, bytes: &[u8]) -> Result<(StateId, usize)> {
    match symbols::decode(bytes) {
        Some(id) => Ok((automaton.step_special(state, id)?, symbols::LENGTH)),
        None => Ok((automaton.step(state, bytes[0])?, 1)),
    }
}
