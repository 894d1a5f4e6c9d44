//! What is known of an expression without looking further: lengths, whether it can be empty, what it may ask for.

use crate::expression::arena::Arena;
use crate::expression::info::flag::*;
use crate::expression::info::{ANY_FIRST, Info, PartFacts, product, sum};
use crate::expression::minterms::Bits;
use crate::expression::node::{Expr, ExprId, MANY, START_BIT, UNBOUND};

/// What is known of no text at all.
const NO_TEXT: Info = Info { min_len: u32::MAX, flags: PLAIN, reads: u16::MAX, trackers: 0, first: 0, front: 0 };

/// As far as it fits.
fn short(length: u32) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

impl Arena {
    /// A lower bound on the characters that it reads itself, without those that it looks ahead to.
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
                        | FUZZY
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
                info.flags |= (h.flags | t.flags) & (ENDS_NOW | CAPTURING | GROUPS | MARKED | COUNTS | FUZZY | RULES);
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
                        | body.flags & (GROUPS | CAPTURING | FRONT_CAPTURE | FRONT_TEXT | ENDS_NOW | FUZZY | RULES),
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
            // Whether it may be passed over depends on what follows, so it is not plain.
            Expr::Fuzzy(state) => {
                let state = &self.fuzzy.states[state as usize];
                let ends = if state.ends { MAY_SKIP } else { 0 };
                let passes = if state.passes() { SKIPS | MAY_SKIP } else { 0 };
                let (min_len, first) = (state.least, state.first);
                Info { min_len, reads: short(min_len), flags: FUZZY | ends | passes, first, ..Info::default() }
            }
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
