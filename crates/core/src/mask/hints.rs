//! Optional hints of an automaton about its states, which let a mask be made without stepping every token.

use crate::automaton::{Automaton, StateId};
use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::gallop::run_length;
use std::ops::Range;
use std::sync::Arc;

/// An automaton with hints. Every method has a default that claims nothing: hints only make masks faster, and never
/// change them.
pub trait MaskHints: Automaton {
    /// Called before all other methods: whether the vocabulary has tokens for numbers of several digits, so that
    /// classes of digits have many tokens.
    fn expect_numbers(&mut self, _has_numbers: bool) {}

    /// Whether the state after one more byte is alive. An override answers without interning that state.
    fn lives(&mut self, state: StateId, byte: u8) -> Result<bool> {
        Ok(self.step(state, byte)? != StateId::DEAD)
    }

    /// Whether many pairs of states agree after most bytes, so that it is worth searching for such neighbours.
    fn may_meet(&self) -> bool {
        true
    }

    /// Whether every text of whole characters that begins with `byte` leads from both states to the same state, and an
    /// incomplete character is alive after both or neither.
    fn meet_after(&mut self, one: StateId, other: StateId, byte: u8) -> Result<bool> {
        Ok(self.step(one, byte)? == self.step(other, byte)?)
    }

    /// A superset of the bytes that occur in texts of the language: for each byte `b`, bit `b % 64`.
    fn all_bytes(&mut self) -> u64 {
        u64::MAX
    }

    /// The bytes after which the state is alive (bit `b % 64` of word `b / 64`), if that is cheaper than stepping over
    /// all 256 of them.
    fn live_bytes(&mut self, _state: StateId) -> Result<Option<[u64; 4]>> {
        Ok(None)
    }

    /// A lower bound, in bytes, on the distance from `state` to acceptance. O(1).
    fn least_length(&self, _state: StateId) -> u64 {
        0
    }

    /// The character loop at `state`, if it has a useful one.
    fn char_loop(&mut self, _state: StateId) -> Result<Option<CharLoop>> {
        Ok(None)
    }

    /// The ending of the unbounded loop at `state`: after one or more of its characters the text may end with these
    /// pieces, with characters of the loop between each two of them.
    fn loop_ending(&mut self, _state: StateId) -> Result<Option<Vec<Vec<u8>>>> {
        Ok(None)
    }

    /// A text that leads to a match after any number of characters of the loop at `state` within its reach.
    fn loop_exit(&mut self, _state: StateId) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Whether all texts of the class of the loop at `state` lead back to `state`.
    fn is_self_loop(&mut self, _state: StateId) -> Result<bool> {
        Ok(false)
    }

    /// The forced literal at `state`: the bytes that every continuation begins with.
    fn literal(&mut self, _state: StateId) -> Option<Literal> {
        None
    }

    /// The table of words of which one comes next, if there are many.
    fn words(&mut self, _state: StateId) -> Result<Option<Words>> {
        Ok(None)
    }

    /// Saturates repetition counters: the representatives of `state` and of all states whose counters differ from its
    /// own only above the bound that a token can reach; these states share masks. `None`: there are no useful ones.
    /// `bounds` is the same in all calls.
    fn saturate(&mut self, _state: StateId, _bounds: &TokenBounds<'_>) -> Result<Option<Representatives>> {
        Ok(None)
    }

    /// An under-approximation of `state` that many states share: a state with fewer texts, by smaller repetition
    /// counters.
    fn fewer(&mut self, _state: StateId, _bounds: &TokenBounds<'_>) -> Result<Option<StateId>> {
        Ok(None)
    }

    /// A truncated state: one with the same mask, if its mask can be made, that drops the deep part of the stack, which
    /// tokens rarely reach. The smaller `attempt`, from 0 on, the more states share it. `Ok(None)`: none, but a further
    /// attempt may find one; `Err`: there are no more. Making the mask may fail with
    /// [`Error::Opaque`](crate::error::Error::Opaque).
    fn truncated(&mut self, _state: StateId, _attempt: usize) -> Result<std::result::Result<Option<StateId>, ()>> {
        Ok(Err(()))
    }

    /// Reports whether the mask of a truncated state could be made.
    fn note_truncated(&mut self, _state: StateId, _attempt: usize, _succeeded: bool) {}
}

/// Representatives: states with saturated repetition counters that stand for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Representatives {
    /// An over-approximation: every text that is alive after, or accepted by, a represented state is also alive after,
    /// or accepted by, this one.
    pub high: StateId,
    /// An under-approximation, the other way round. `None`: tokens within the bounds do not distinguish the states from
    /// `high`: the same tokens keep both alive, and both accept or neither does.
    pub low: Option<StateId>,
}

/// A character loop: a class of characters that keep a state alive.
///
/// It makes two claims about texts that continue the state, counted in characters:
/// 1. every text of at most `reach` characters, all of `class`, is alive (a text cut inside its last character, too,
///    if that can still become a character of `class` and the count including it is at most `reach`);
/// 2. a text whose characters up to some index below `reach` are of `class` and whose next one is neither of `class`
///    nor of `exits` is dead.
///
/// Nothing is claimed about other texts: they have to be stepped. If `beyond_is_dead`, a text of more than `reach`
/// characters of `class` alone is dead, and so is one that leaves `class` after more than `reach` characters.
#[derive(Debug, Clone)]
pub struct CharLoop {
    /// Its sets of characters.
    pub sets: Arc<CharLoopSets>,
    /// The number of characters for which a text may stay inside; `u32::MAX`: without end.
    pub reach: u32,
    /// Whether more than `reach` characters of `class` are dead.
    pub beyond_is_dead: bool,
}

/// The sets of characters of a [`CharLoop`], shared by all states that have the same.
#[derive(Debug)]
pub struct CharLoopSets {
    /// The characters that stay inside.
    pub class: Arc<CodePoints>,
    /// A superset of the characters that leave and keep the text alive. Disjoint from `class`.
    pub exits: Arc<CodePoints>,
}

/// Bounds on what a token can contain; every substring of a token within the bounds is within them.
pub struct TokenBounds<'a> {
    /// The maximal number of characters.
    pub characters: u32,
    /// The largest number of runs of an ASCII character (`aa_a` has two runs of `a`).
    pub runs: &'a dyn Fn(u8) -> u32,
}

/// The bytes that every continuation of a state begins with.
#[derive(Debug, Clone, Copy)]
pub struct Literal {
    bytes: [u8; Literal::MOST_BYTES],
    len: u8,
    /// Whether the text ends after them.
    pub is_last: bool,
}

impl Literal {
    /// The longest literal; few tokens are longer.
    pub const MOST_BYTES: usize = 23;

    /// A literal without bytes yet.
    pub fn new(is_last: bool) -> Self {
        Literal { bytes: [0; Self::MOST_BYTES], len: 0, is_last }
    }

    /// Appends a character; returns whether there was room for it.
    pub fn push(&mut self, character: char) -> bool {
        let room = &mut self.bytes[usize::from(self.len)..];
        if character.len_utf8() > room.len() {
            return false;
        }
        self.len += character.encode_utf8(room).len() as u8;
        true
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The rest of one of these words comes next; every prefix of them is alive.
#[derive(Debug, Clone)]
pub struct Words {
    /// All words of the alternation.
    pub table: Arc<WordTable>,
    /// The words that are still possible.
    pub range: Range<usize>,
    /// The number of their bytes that have been read.
    pub depth: usize,
    /// Whether the text ends after a word.
    pub are_last: bool,
}

/// Words sorted by their bytes, each once.
#[derive(Debug, Default)]
pub struct WordTable {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl WordTable {
    /// Appends a word, which sorts after all before it; returns whether there was room for it.
    pub fn push(&mut self, word: &[u8]) -> bool {
        let Ok(end) = u32::try_from(self.bytes.len() + word.len()) else { return false };
        self.bytes.extend_from_slice(word);
        self.ends.push(end);
        true
    }

    /// The bytes of a word.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// The number of words at the start of `words` that have the same byte at `depth` as the first one.
    pub fn run(&self, words: Range<usize>, depth: usize) -> usize {
        let byte = self.get(words.start)[depth];
        run_length(words.len(), |index| self.get(words.start + index)[depth] == byte)
    }

    /// Its memory, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_long_as_the_words_agree() {
        for count in 1..40 {
            for same in 1..=count {
                let mut words = WordTable::default();
                for index in 0..count {
                    words.push(&[b'x', if index < same { b'a' } else { b'b' }, index as u8]);
                }
                assert_eq!(words.run(0..count, 1), same);
                assert_eq!(words.run(0..count, 0), count);
                assert_eq!(words.run(same - 1..count, 1), 1);
            }
        }
    }
}
