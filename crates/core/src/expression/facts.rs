//! What is known of an expression without looking further: lengths, whether it can be empty, what it may ask for.

use crate::expression::arena::{Arena, Expr, ExprId, MANY, START_BIT, UNBOUND};
use crate::expression::minterms::Bits;

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
}

use flag::*;

/// Nothing is known of how it begins.
pub const ANY_FIRST: u64 = u64::MAX;

/// What is known of no text at all.
const NO_TEXT: Info = Info { min_len: u32::MAX, flags: PLAIN, reads: u16::MAX, trackers: 0, first: 0, front: 0 };

/// The most that a length is told apart from none, which `u32::MAX` stands for.
const LONGEST: u32 = u32::MAX - 1;

pub(super) fn sum(a: u32, b: u32) -> u32 {
    if a == u32::MAX || b == u32::MAX { u32::MAX } else { a.saturating_add(b).min(LONGEST) }
}

pub(super) fn product(length: u32, times: u32) -> u32 {
    match (length, times) {
        (_, 0) => 0,
        (u32::MAX, _) => u32::MAX,
        _ => length.saturating_mul(times).min(LONGEST),
    }
}

/// As far as it fits.
fn short(length: u32) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

impl Arena {
    /// So many characters at least it reads itself, what it looks ahead to not counted.
    pub(crate) fn reads(&self, id: ExprId) -> u32 {
        let info = self.info(id);
        if info.flags & PLAIN != 0 { info.min_len } else { info.reads.into() }
    }

    /// What is known of a part with a past of its own: only what does not depend on what surrounds it.
    fn inspect_part(&self, part: &PartFacts) -> Info {
        let of_term = self.info(part.term);
        let mut flags = LOOSE | of_term.flags & RULES;
        if part.by_character {
            flags |= GROUPS | FRONT_TEXT;
        } else if part.alive && part.ends.is_some() {
            flags |= PLAIN;
        }
        let (min_len, ends) = match part.ends {
            Some(true) => (0, SKIPS | MAY_SKIP),
            Some(false) => (of_term.min_len.max(1), 0),
            None => (of_term.min_len, MAY_SKIP),
        };
        Info { min_len, flags: flags | ends, reads: short(min_len), first: of_term.first, ..Info::default() }
    }

    /// What is known of a node whose parts are known.
    pub(crate) fn inspect(&self, expr: &Expr) -> Info {
        let zero = |front, flags| Info { flags: MAY_SKIP | STANDS | flags, front, ..Info::default() };
        let fold = |ids: &[ExprId], start: Info| {
            ids.iter().fold(start, |mut all, &id| {
                let one = self.info(id);
                all.min_len = all.min_len.min(one.min_len);
                all.reads = all.reads.min(short(self.reads(id)));
                all.flags |= one.flags
                    & (SKIPS
                        | MAY_SKIP
                        | ENDS_NOW
                        | CAPTURING
                        | GROUPS
                        | FRONT_CAPTURE
                        | FRONT_TEXT
                        | MARKED
                        | COUNTS
                        | LOOSE
                        | FRONT_OPAQUE
                        | RULES);
                all.flags &= one.flags | !(PLAIN | STANDS);
                all.trackers |= one.trackers;
                all.front |= one.front;
                all.first |= one.first;
                all
            })
        };
        match *expr {
            Expr::Nothing => Info { min_len: u32::MAX, flags: PLAIN, ..Info::default() },
            Expr::Empty => Info { flags: SKIPS | MAY_SKIP | PLAIN | STANDS, ..Info::default() },
            Expr::Done => Info { flags: ENDS_NOW, ..Info::default() },
            Expr::Class(class) => {
                Info { min_len: 1, flags: PLAIN | CLASS, first: self.folded(class), ..Info::default() }
            }
            Expr::Str { at, len } => {
                Info { min_len: len, flags: PLAIN, first: self.folded(self.pool[at as usize]), ..Info::default() }
            }
            Expr::Literals { table, lo, hi, depth } => {
                let strings = &self.tables[table as usize][lo as usize..hi as usize];
                let skips = strings.first().is_some_and(|s| s.1 == depth);
                // The exact minimum would be a scan of the range for each node; 0 or 1 bounds it.
                let min_len = match strings {
                    [only] => only.1 - depth,
                    _ => u32::from(!skips),
                };
                // Sorted by their next element, but for one that may end here.
                let (mut rest, mut first) = (&strings[usize::from(skips)..], 0);
                while let Some(&(at, _)) = rest.first() {
                    let class = self.pool[(at + depth) as usize];
                    first |= self.folded(class);
                    rest = &rest[self.run(rest, depth, class)..];
                }
                Info { min_len, flags: PLAIN | if skips { SKIPS | MAY_SKIP } else { 0 }, first, ..Info::default() }
            }
            Expr::Concat(head, tail) => {
                let (h, t) = (*self.info(head), *self.info(tail));
                let mut info = h;
                // What the head looks ahead to is also read by the tail.
                info.min_len = h.min_len.max(sum(self.reads(head), t.min_len));
                info.reads = short(self.reads(head).saturating_add(self.reads(tail)));
                info.flags = h.flags & t.flags & (SKIPS | MAY_SKIP | PLAIN | STANDS);
                info.flags |= (h.flags | t.flags) & (ENDS_NOW | CAPTURING | GROUPS | MARKED | COUNTS | RULES);
                info.flags |= h.flags & (FRONT_CAPTURE | FRONT_TEXT | RANGE | LOOSE | FRONT_OPAQUE);
                info.trackers |= t.trackers;
                if h.flags & MAY_SKIP != 0 {
                    info.front |= t.front;
                    info.first |= t.first;
                    info.flags |= t.flags & (FRONT_CAPTURE | FRONT_TEXT | LOOSE | FRONT_OPAQUE);
                }
                info
            }
            Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                fold(ids, Info { min_len: u32::MAX, reads: u16::MAX, flags: PLAIN | STANDS, ..Info::default() })
            }
            Expr::Inter(ref ids) => {
                let mut info = fold(ids, Info::default());
                info.min_len = ids.iter().map(|&id| self.info(id).min_len).max().unwrap_or(0);
                info.first = ids.iter().fold(ANY_FIRST, |all, &id| all & self.info(id).first);
                info.flags = info.flags & !(SKIPS | PLAIN | STANDS) | BOOLEAN | MAY_SKIP;
                info
            }
            Expr::Not(id) => {
                let mut info = *self.info(id);
                (info.min_len, info.reads) = (0, 0);
                info.first = ANY_FIRST;
                info.flags = info.flags & !(SKIPS | PLAIN | STANDS | CLASS | RANGE) | BOOLEAN | MAY_SKIP | COMPLEMENT;
                info
            }
            Expr::Repeat { body, min, max, lazy } => {
                let mut info = *self.info(body);
                let reads = self.reads(body);
                // The last iteration may look ahead as far as it likes.
                info.min_len = if min == 0 { 0 } else { sum(product(reads, min - 1), info.min_len) };
                info.reads = short(reads.saturating_mul(min));
                info.flags &= !(MARKED | CLASS | COMPLEMENT | RANGE);
                if min != max && !lazy && info.flags & GROUPS == 0 {
                    info.flags |= RANGE;
                }
                if min > 1 || (max > 1 && max != MANY) {
                    info.flags |= COUNTS;
                }
                if min == 0 {
                    info.flags |= SKIPS | MAY_SKIP;
                }
                info
            }
            Expr::Mark { body, .. } => {
                let mut info = *self.info(body);
                (info.min_len, info.reads) = (0, 0);
                info.first = ANY_FIRST;
                info.flags = info.flags & !(SKIPS | PLAIN | STANDS | CLASS | COMPLEMENT | RANGE) | MAY_SKIP | MARKED;
                info
            }
            Expr::Before { set, .. } => zero(1 << set, 0),
            Expr::Start { .. } => zero(START_BIT, 0),
            Expr::End => zero(0, 0),
            Expr::Next { negated, .. } => Info { min_len: u32::from(!negated), ..zero(0, 0) },
            Expr::Ahead { negated, body } => {
                let body = self.info(body);
                Info {
                    min_len: if negated { 0 } else { body.min_len },
                    trackers: body.trackers,
                    front: body.front,
                    first: 0,
                    flags: MAY_SKIP
                        | STANDS
                        | body.flags & (GROUPS | CAPTURING | FRONT_CAPTURE | FRONT_TEXT | ENDS_NOW | RULES),
                    reads: 0,
                }
            }
            // What a lookbehind may ask for now is not known here: everything.
            Expr::Behind { tracker, .. } => Info { trackers: 1 << tracker, ..zero(0, 0) },
            Expr::Open(_) => zero(0, GROUPS | FRONT_CAPTURE),
            Expr::Close { start, .. } => zero(0, GROUPS | if start == UNBOUND { 0 } else { CAPTURING | FRONT_CAPTURE }),
            Expr::Backref { content, .. } => {
                let text = if content == UNBOUND { 0 } else { FRONT_TEXT };
                Info { flags: MAY_SKIP | GROUPS | text, first: ANY_FIRST, ..Info::default() }
            }
            Expr::Text { left, .. } => {
                let reads = short(left);
                Info { min_len: left, reads, flags: GROUPS | FRONT_TEXT, first: ANY_FIRST, ..Info::default() }
            }
            Expr::Cond { yes, no, .. } => {
                let mut info =
                    fold(&[yes, no], Info { min_len: u32::MAX, reads: u16::MAX, flags: STANDS, ..Info::default() });
                info.flags = info.flags & !SKIPS | GROUPS;
                info
            }
            Expr::Atomic(ref threads) => {
                let mut info = Info { min_len: u32::MAX, reads: u16::MAX, first: ANY_FIRST, ..Info::default() };
                for &(condition, thread) in threads {
                    let (c, t) = (self.info(condition), self.info(thread));
                    info.min_len = info.min_len.min(t.min_len);
                    info.reads = info.reads.min(short(self.reads(thread)));
                    info.trackers |= c.trackers | t.trackers;
                    info.front |= c.front | t.front;
                    info.flags |= (c.flags | t.flags) & (GROUPS | CAPTURING | FRONT_CAPTURE | FRONT_TEXT | ENDS_NOW);
                    info.flags |= t.flags & MAY_SKIP;
                }
                info
            }
            Expr::Rule(rule) => {
                let mut info = self.rules.get(rule as usize).map_or(NO_TEXT, |rule| *self.info(rule.body));
                info.flags = info.flags & !(CLASS | COMPLEMENT | RANGE | COUNTS | STANDS | BOOLEAN) | RULES;
                info
            }
            Expr::Opaque => Info { flags: PLAIN | LOOSE | FRONT_OPAQUE, first: ANY_FIRST, ..Info::default() },
            Expr::Top { spec, begun, closes, letters } => {
                let spec = &self.collections.members[spec as usize];
                let (before, close) =
                    (*self.info(if begun { spec.between } else { spec.first }), *self.info(spec.close));
                let mut info = Info { min_len: 0, flags: PLAIN, ..Info::default() };
                if closes {
                    info.first |= close.first;
                    info.flags |= close.flags & (SKIPS | MAY_SKIP | LOOSE);
                }
                if let Some(letters) = letters {
                    info.first |= before.first;
                    info.flags |= before.flags & LOOSE;
                    if before.flags & MAY_SKIP != 0 {
                        info.first |= self.folded(letters);
                    }
                }
                info
            }
            Expr::Members { spec, seen } => self.inspect_members(spec, seen),
            Expr::Keys { spec, seen, lo, hi, depth } => self.inspect_keys(spec, seen, (lo, hi), depth),
            Expr::Items { spec, seen } => self.inspect_items(spec, seen),
            Expr::Table { table, state } => {
                let automaton = &self.automata[table as usize];
                let mut first = Bits::default();
                automaton.first(state, &mut first);
                let ends = if automaton.is_accepting(state) { SKIPS | MAY_SKIP } else { 0 };
                Info { min_len: automaton.least(state), flags: PLAIN | ends, first: first.folded(), ..Info::default() }
            }
            Expr::Part(number) => self.inspect_part(&self.parts[number as usize]),
        }
    }
}
