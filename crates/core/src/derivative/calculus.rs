//! The expressions of one automaton with all that derivatives of them need: classes, captured texts, what was derived before,
//! and the work that is left.

use crate::derivative::captures::Captures;
use crate::derivative::parts::Parts;
use crate::derivative::situation::TrackerSets;
use crate::error::{Error, Result};
use crate::expression::arena::Arena;
use crate::expression::minterms::{Bits, Minterm, Partition};
use crate::expression::node::{ANYTHING, Expr, ExprId, MANY, NOTHING};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// What a derivative may ask of the state that is being left.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Bit i: the character before is in set i. Bit 63: this is the start of the text.
    pub before: u64,
    /// The trackers of the lookbehinds, by number.
    pub trackers: Vec<ExprId>,
    /// The text that open groups have captured, as an id of [`Captures`].
    pub buffer: u32,
    /// The character that is being read, one of the minterm; only a captured text asks for it.
    pub character: u32,
}

/// Expressions, classes and the means to derive.
#[derive(Debug, Clone)]
pub struct Calculus {
    /// The expressions.
    pub arena: Arena,
    /// The classes.
    pub partition: Partition,
    /// Groups and what they captured.
    pub captures: Captures,
    /// The state that is being left.
    pub context: Context,
    /// The trackers of lookbehinds that states have.
    pub tracker_sets: TrackerSets,
    /// By minterm: which sets of `Before` hold after it.
    pub holds_after: Vec<u64>,
    /// Languages of their own inside the expression.
    pub parts: Parts,
    /// What collections stand for.
    pub unfolded: FxHashMap<ExprId, ExprId>,
    /// Whether texts of groups are asked for, so that characters have to be known, not only their minterms.
    pub captures_texts: bool,
    /// Work left.
    pub fuel: u64,
    /// The fuel of the last refuelling, for the message.
    pub fuel_limit: u64,
    pub(super) memo: Memo,
    /// Work that was done where nothing could be paid; it is, with the next.
    pub(crate) unpaid: Cell<u64>,
    /// By term: where the first group begins that it captures.
    pub(crate) first_starts: FxHashMap<ExprId, u32>,
    /// By sequence, the minterms that it has anywhere.
    pub(crate) anywhere: FxHashMap<ExprId, Bits>,
    pub(super) depth: u32,
}

/// The derivatives of expressions that ask for nothing but a character: by expression, a row of one for each minterm.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    rows: Vec<u32>,
    pub(super) derived: Vec<ExprId>,
}

impl Memo {
    /// The place of a derivative; its row is made if there is none.
    pub(super) fn place(&mut self, id: ExprId, m: Minterm, minterms: usize) -> usize {
        let index = id as usize;
        if self.rows.len() <= index {
            self.rows.resize(index + 1 + index / 2, UNKNOWN);
        }
        if self.rows[index] == UNKNOWN {
            self.rows[index] = (self.derived.len() / minterms) as u32;
            self.derived.resize(self.derived.len() + minterms, UNKNOWN);
        }
        self.rows[index] as usize * minterms + usize::from(m)
    }

    fn memory_bytes(&self) -> usize {
        (self.rows.len() + self.derived.len()) * 4
    }
}

/// What is not in a [`Memo`] yet.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// What one element of a sequence costs: about as much time as so many nodes of a vocabulary's trie.
pub(crate) const STEP: u64 = 16;

/// The initial capacity for rows and for derivatives.
const EXPECTED: usize = 512;

/// The most heads of a union that are compared with one another.
const MOST_GROUPS: usize = 16;

/// Recursion into lookarounds and atomic groups; each level takes less than 1 KiB of stack.
const MOST_DEPTH: u32 = 700;

impl Calculus {
    /// The means to derive over a partition.
    pub fn new(partition: Partition, captures: Captures) -> Self {
        Calculus {
            arena: Arena::new(&partition),
            tracker_sets: TrackerSets::default(),
            holds_after: vec![0; partition.len()],
            parts: Parts::default(),
            unfolded: FxHashMap::default(),
            captures_texts: false,
            partition,
            captures,
            context: Context::default(),
            fuel: u64::MAX,
            fuel_limit: u64::MAX,
            memo: Memo { rows: Vec::with_capacity(EXPECTED), derived: Vec::with_capacity(EXPECTED) },
            unpaid: Cell::new(0),
            first_starts: FxHashMap::default(),
            anywhere: FxHashMap::default(),
            depth: 0,
        }
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes()
            + self.partition.memory_bytes()
            + self.captures.memory_bytes()
            + self.memo.memory_bytes()
            + self.tracker_sets.memory_bytes()
            + self.parts.memory_bytes()
            + self.first_starts.capacity() * 9
            + self.unfolded.len() * 16
            + self.anywhere.len() * (self.partition.len() / 8 + 64)
    }

    /// Pays for work, and for the unions that have been made.
    #[inline]
    pub fn spend(&mut self, units: u64) -> Result<()> {
        let units = units + std::mem::take(&mut self.arena.work) + self.unpaid.take();
        if self.fuel < units {
            self.fuel = 0;
            return Err(self.spent());
        }
        self.fuel -= units;
        Ok(())
    }

    /// The error that says that no fuel is left.
    pub(crate) fn spent(&self) -> Error {
        Error::Limit {
            limit: "fuel",
            allowed: self.fuel_limit,
            message: format!(
                "the pattern needs more than fuel={} units of work for one step: simplify it, or raise \
                 Limits(fuel=...)",
                self.fuel_limit
            ),
        }
    }

    pub(crate) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MOST_DEPTH {
            return Err(Error::Limit {
                limit: "nesting",
                allowed: MOST_DEPTH.into(),
                message: format!(
                    "lookarounds and atomic groups are nested more than {MOST_DEPTH} deep while matching: simplify \
                     the pattern (this depth is fixed; Limits(nesting=...) bounds only the pattern's own)"
                ),
            });
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// Any of two.
    pub fn or(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if self.arena.rules.is_empty() {
            self.arena.union([a, b], &mut self.partition)
        } else {
            self.factored(vec![a, b])
        }
    }

    pub(crate) fn any(&mut self, parts: Vec<ExprId>) -> ExprId {
        match parts[..] {
            [] => NOTHING,
            [only] => only,
            _ if self.arena.rules.is_empty() => self.arena.union(parts, &mut self.partition),
            _ => self.factored(parts),
        }
    }

    /// A union in which what begins with the same unbounded repetition is one sequence: `hT | hU` is `h(T|U)`.
    ///
    /// A name that may be followed by this or that is then one repetition and not a union, in whatever rules it stands.
    fn factored(&mut self, parts: Vec<ExprId>) -> ExprId {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match self.arena.get(part) {
                Expr::Union(ids) if part != ANYTHING => flat.extend(ids.iter().copied()),
                _ => flat.push(part),
            }
        }
        self.arena.work += 4 * flat.len() as u64;
        flat.sort_unstable();
        flat.dedup();
        // By head: the tails behind it.
        let mut groups: Vec<(ExprId, Vec<ExprId>)> = Vec::new();
        let mut ways = Vec::with_capacity(flat.len());
        for id in flat {
            let (head, tail) = self.arena.split(id);
            match self.arena.get(head) {
                Expr::Repeat { max: MANY, lazy: false, .. } if groups.len() < MOST_GROUPS => {
                    match groups.iter_mut().find(|group| group.0 == head) {
                        Some(group) => group.1.push(tail),
                        None => groups.push((head, vec![tail])),
                    }
                }
                _ => ways.push(id),
            }
        }
        for (head, tails) in groups {
            let tail = match tails[..] {
                [only] => only,
                _ => self.arena.union(tails, &mut self.partition),
            };
            ways.push(self.arena.concat(head, tail));
        }
        self.arena.union(ways, &mut self.partition)
    }
}
