//! The seam: what everything above needs to know of an automaton, whatever it is made of.
//!
//! Nothing above this trait may know that an automaton is finite, or that it comes from a regular expression.

use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::gallop::run_length;
use std::ops::Range;
use std::sync::Arc;

/// A state, interned: two texts that have the same continuations may, but need not, have the same id.
/// Ids are valid until the next [`Automaton::retain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId(pub u32);

impl StateId {
    /// No continuation of the text is in the language. Exactly: a state is `DEAD` if and only if that is so.
    pub const DEAD: StateId = StateId(0);
}

/// What is known of the texts that keep a state alive, so that a mask need not walk them one by one.
///
/// It makes two claims about texts from the state on, in characters:
/// 1. every text of at most `reach` characters, all of `class`, is alive (a text cut inside its last character, too,
///    if that can still become a character of `class` and the count including it is at most `reach`);
/// 2. a text whose characters up to some index below `reach` are of `class` and whose next one is neither of `class`
///    nor of `exits` is dead.
///
/// Nothing is claimed about other texts: they have to be stepped. If `beyond_is_dead`, a text of more than `reach`
/// characters of `class` alone is dead, and so is one that leaves `class` after more than `reach` characters.
#[derive(Debug, Clone)]
pub struct Closure {
    /// Its sets of characters.
    pub sets: Arc<ClosureSets>,
    /// For so many characters a text may stay inside; `u32::MAX`: for ever.
    pub reach: u32,
    /// Whether more than `reach` characters of `class` are dead.
    pub beyond_is_dead: bool,
}

/// The sets of characters of a [`Closure`]; those of many states are the same, and then in one place, as a rule.
#[derive(Debug)]
pub struct ClosureSets {
    /// The characters that stay inside.
    pub class: Arc<CodePoints>,
    /// The characters that may leave alive. Disjoint from `class`.
    pub exits: Arc<CodePoints>,
}

/// Which texts are short: with a text, all parts of it are.
pub struct Short<'a> {
    /// They have at most so many characters.
    pub characters: u32,
    /// Of a character of ASCII, they have at most so many runs (`aa_a` has two of `a`).
    pub runs: &'a dyn Fn(u8) -> u32,
}

/// Words in the order of their bytes, each once.
#[derive(Debug, Default)]
pub struct WordTable {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

impl WordTable {
    /// The bytes of a word.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// How many of `words` have the byte of the first of them at `depth`; they stand together.
    pub fn run(&self, words: Range<usize>, depth: usize) -> usize {
        let byte = self.get(words.start)[depth];
        run_length(words.len(), |index| self.get(words.start + index)[depth] == byte)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }
}

/// After a state comes the rest of one of these words; any beginning of them is alive.
#[derive(Debug, Clone)]
pub struct Words {
    /// All words of the alternation.
    pub table: Arc<WordTable>,
    /// Those that can still be meant.
    pub range: Range<usize>,
    /// How many bytes of them have been read.
    pub depth: usize,
    /// Whether nothing comes after a word.
    pub are_last: bool,
}

/// The bytes that follow a state, and nothing else does.
#[derive(Debug, Clone, Copy)]
pub struct Literal {
    pub(crate) bytes: [u8; MOST_BYTES],
    pub(crate) len: u8,
    /// Whether nothing comes after them.
    pub is_last: bool,
}

/// More of a literal is not looked at in one go; few tokens are longer.
pub(crate) const MOST_BYTES: usize = 23;

impl Literal {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A lazily built deterministic automaton over bytes (the UTF-8 of texts of Unicode scalar values).
///
/// Methods take `&mut self` because states and transitions are made as they are asked for. On an error the automaton
/// is as usable as before. Work is charged to the fuel that [`Automaton::refuel`] sets.
pub trait Automaton: Send {
    /// The state of the empty text; `DEAD` if the language is empty.
    fn start(&self) -> StateId;

    /// The state after one more byte.
    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId>;

    /// Whether the state after one more byte is alive.
    fn lives(&mut self, state: StateId, byte: u8) -> Result<bool> {
        Ok(self.step(state, byte)? != StateId::DEAD)
    }

    /// The bytes that texts of the language have anywhere, and perhaps more: for each byte `b`, bit `b % 64`.
    fn all_bytes(&mut self) -> u64 {
        u64::MAX
    }

    /// Whether the text of this state is in the language.
    fn is_accepting(&mut self, state: StateId) -> bool;

    /// So many bytes at least lead from a state to a match; takes no work.
    fn least_length(&self, _state: StateId) -> u64 {
        0
    }

    /// A shortest text, in bytes, that leads from `state` to an accepting one. `state` is not `DEAD`.
    fn shortest_completion(&mut self, state: StateId) -> Result<Vec<u8>>;

    /// The characters with which some continuation goes on, for people to read; in the middle of a character, those of
    /// the kinds that it may still become.
    fn next_characters(&mut self, state: StateId) -> Result<CodePoints>;

    /// The bytes after which the state is alive, one bit each (bit `b % 64` of word `b / 64`), where that is cheaper than
    /// stepping over all of them. Other bytes are dead.
    fn next_bytes(&mut self, _state: StateId) -> Result<Option<[u64; 4]>> {
        Ok(None)
    }

    /// What is known without walking; `None`: nothing.
    fn closure(&mut self, _state: StateId) -> Result<Option<Closure>> {
        Ok(None)
    }

    /// The text with which alone every text goes on from this state, as far as that is known; `None`: too little is.
    fn literal(&mut self, _state: StateId) -> Option<Literal> {
        None
    }

    /// The words with one of which the text goes on, if they are many and known.
    fn words(&mut self, _state: StateId) -> Result<Option<Words>> {
        Ok(None)
    }

    /// A state that `short` texts cannot tell from this one: the same of them are alive after both, and the same are in the
    /// language. Of others, none is alive after `state` that is dead after the other. States that differ only in how far
    /// away an end is can share a mask by it. `short` is the same in all calls.
    fn coarse(&mut self, state: StateId, _short: &Short<'_>) -> Result<StateId> {
        Ok(state)
    }

    /// A key that is equal for two states of any automata only if they have the same language, where that is cheap.
    fn fingerprint(&mut self, _state: StateId) -> Option<u128> {
        None
    }

    /// Sets the work that may be done until the next call, in units of [`crate::limits::Limits::fuel`].
    fn refuel(&mut self, fuel: u64);

    /// The bytes that states, transitions and expressions hold.
    fn memory_bytes(&self) -> usize;

    /// Forgets everything except `roots` and the start state; returns the new ids of `roots`, in order.
    /// All other ids become invalid. It is what is done where limits are reached, so no limit may stop it.
    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId>;
}
