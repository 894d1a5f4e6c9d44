//! The record of what is known of an expression without looking further.

use crate::expression::node::ExprId;

/// What is known of a node without looking further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Info {
    /// No shorter text matches, in characters (a lower bound).
    pub min_len: u32,
    /// See the constants of [`flag`].
    pub flags: u32,
    /// It reads no fewer characters itself (a lower bound); what it looks ahead to, and what is plain, is not counted.
    pub(crate) reads: u16,
    /// The numbers of lookbehinds that it mentions.
    pub trackers: u64,
    /// The minterms with which it can begin, and perhaps more, in a word (see [`folded`](crate::expression::minterms::folded)). Exactly
    /// those where it is plain and none are [`BEYOND`](crate::expression::minterms::BEYOND).
    pub first: u64,
    /// The sets of `Before` that it may ask for before it reads a character; bit 63: the start of the text.
    pub front: u64,
}

/// What is known of a part of an expression that has a past of its own; see `parts.rs`.
#[derive(Debug, Clone, Copy, Default)]
pub struct PartFacts {
    /// Its term.
    pub term: ExprId,
    /// Whether something can match, for all that is known.
    pub alive: bool,
    /// Whether it may end.
    pub ends: Option<bool>,
    /// Whether where it leads depends on the character, not only on its minterm.
    pub by_character: bool,
}

/// Flags of [`Info`].
pub mod flag {
    /// Matches the empty text at every position.
    pub const SKIPS: u32 = 1;
    /// May match the empty text at some position.
    pub const MAY_SKIP: u32 = 2;
    /// Only classes, strings, sequences, unions and repetitions: not empty by construction.
    pub const PLAIN: u32 = 4;
    /// Has a `Mark` at its top level.
    pub const MARKED: u32 = 8;
    /// Has a `Done`.
    pub const ENDS_NOW: u32 = 16;
    /// Has a group that is being captured.
    pub const CAPTURING: u32 = 32;
    /// Has anything of groups: `Open`, `Close`, `Backref`, `Cond`.
    pub const GROUPS: u32 = 64;
    /// May ask for the captured text before it reads a character.
    pub const FRONT_CAPTURE: u32 = 128;
    /// Has an intersection or a complement at its top.
    pub const BOOLEAN: u32 = 256;
    /// Reads no character.
    pub const STANDS: u32 = 512;
    /// May compare the next character with a captured one.
    pub const FRONT_TEXT: u32 = 1024;
    /// Has a repetition that counts beyond one.
    pub const COUNTS: u32 = 2048;
    /// Is a class.
    pub const CLASS: u32 = 4096;
    /// Is a complement.
    pub const COMPLEMENT: u32 = 8192;
    /// Begins with a repetition without groups that counts between two numbers.
    pub const RANGE: u32 = 16384;
    /// Its `first` may hold minterms with which nothing begins, though it is plain.
    pub const LOOSE: u32 = 1 << 15;
    /// Has a reference to a rule.
    pub const RULES: u32 = 1 << 16;
    /// The opaque tail may come first.
    pub const FRONT_OPAQUE: u32 = 1 << 17;
    /// Has an item that may be matched with errors.
    pub const FUZZY: u32 = 1 << 18;
}

/// Nothing is known of how it begins.
pub const ANY_FIRST: u64 = u64::MAX;

/// The most that a length is told apart from none, which `u32::MAX` stands for.
const LONGEST: u32 = u32::MAX - 1;

pub(crate) fn sum(a: u32, b: u32) -> u32 {
    if a == u32::MAX || b == u32::MAX { u32::MAX } else { a.saturating_add(b).min(LONGEST) }
}

pub(crate) fn product(length: u32, times: u32) -> u32 {
    match (length, times) {
        (_, 0) => 0,
        (u32::MAX, _) => u32::MAX,
        _ => length.saturating_mul(times).min(LONGEST),
    }
}
