//! Items that may be matched with errors, the fuzzy items of `regex`: what they are made of, and how far they have come.
//!
//! `Expr::Fuzzy(state)` is what is left of such an item: the set of *ways* to have read the text so far, each a position in
//! the item's pattern and what errors have cost. A position is the empty text or a sequence that begins with a class. Of
//! two ways at one position, one that has spent no more of anything can become all that the other can, which is dropped.
//! How a state goes on: `derivative/edits.rs`.

use crate::expression::minterms::{ClassId, Minterm};
use crate::expression::node::{EMPTY, ExprId};
use rustc_hash::FxHashMap;

/// The limits that an item can have: on substitutions, insertions, deletions, all of them, and on their costs together.
pub const LIMITS: usize = 5;

/// What errors have cost, by limit.
pub type Spent = [u32; LIMITS];

/// A position and what errors have cost on the way there.
pub type Way = (ExprId, Spent);

/// What an item allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuzzySpec {
    /// By limit: the most. A limit to which nothing adds is none.
    pub most: Spent,
    /// What a substitution, an insertion and a deletion add to each limit.
    pub substitution: Spent,
    /// See `substitution`.
    pub insertion: Spent,
    /// See `substitution`.
    pub deletion: Spent,
    /// The characters that may be substituted and inserted.
    pub allowed: ClassId,
    /// Whether every class of the pattern has a character that can be written: then the pattern itself, without errors,
    /// can always be.
    pub is_writable: bool,
}

impl FuzzySpec {
    /// What is spent after one more error; `None`: too much.
    pub fn plus(&self, spent: &Spent, cost: &Spent) -> Option<Spent> {
        let mut sum = *spent;
        for index in 0..LIMITS {
            sum[index] = sum[index].saturating_add(cost[index]);
            if sum[index] > self.most[index] {
                return None;
            }
        }
        Some(sum)
    }

    /// How many characters may still be deleted.
    pub fn deletions_left(&self, spent: &Spent) -> u32 {
        let of_limit = |index: usize| (self.most[index] - spent[index]).checked_div(self.deletion[index]);
        (0..LIMITS).filter_map(of_limit).min().unwrap_or(u32::MAX)
    }
}

/// How far an item has come.
#[derive(Debug, Clone)]
pub struct FuzzyState {
    /// Which item.
    pub spec: u32,
    /// The ways, sorted.
    pub ways: Box<[Way]>,
    /// Whether the item may end here if the text ends.
    pub ends: bool,
    /// No text of it has fewer characters.
    pub least: u32,
    /// The minterms with which it can begin, in a word.
    pub first: u64,
}

impl FuzzyState {
    /// Whether the item may end here, whatever follows.
    pub fn passes(&self) -> bool {
        self.ways.first().is_some_and(|way| way.0 == EMPTY)
    }
}

/// The fuzzy items of an automaton.
#[derive(Debug, Clone, Default)]
pub struct FuzzyItems {
    /// What they allow, by number.
    pub specs: Vec<FuzzySpec>,
    /// How far they have come, by number.
    pub states: Vec<FuzzyState>,
    pub(crate) numbers: FxHashMap<(u32, Box<[Way]>), u32>,
    /// By state and minterm: what is left behind the character, and whether what follows the item may read it instead.
    pub(crate) steps: FxHashMap<(u32, Minterm), (ExprId, bool)>,
    /// By expression: the positions at which it can begin.
    pub(crate) positions: FxHashMap<ExprId, Box<[ExprId]>>,
    memory: usize,
}

impl FuzzyItems {
    /// The same items, none of which has begun.
    pub fn blank(&self) -> FuzzyItems {
        FuzzyItems { specs: self.specs.clone(), ..FuzzyItems::default() }
    }

    /// The number of what an item allows.
    pub fn spec(&mut self, spec: FuzzySpec) -> u32 {
        let known = self.specs.iter().position(|other| *other == spec);
        known.unwrap_or_else(|| {
            self.specs.push(spec);
            self.specs.len() - 1
        }) as u32
    }

    /// Keeps a state, which is new.
    pub(crate) fn keep(&mut self, state: FuzzyState) -> u32 {
        let number = self.states.len() as u32;
        self.memory += 2 * state.ways.len() * size_of::<Way>() + size_of::<FuzzyState>() + 32;
        self.numbers.insert((state.spec, state.ways.clone()), number);
        self.states.push(state);
        number
    }

    /// Keeps the positions at which an expression can begin.
    pub(crate) fn keep_positions(&mut self, id: ExprId, positions: Vec<ExprId>) {
        self.memory += positions.len() * 4 + 40;
        self.positions.insert(id, positions.into_boxed_slice());
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory + self.steps.len() * 24
    }
}

/// Sorts ways, without those that have spent as much as another at the same position, and more.
pub(crate) fn undominated(mut ways: Vec<Way>) -> Box<[Way]> {
    ways.sort_unstable();
    ways.dedup();
    let mut kept: Vec<Way> = Vec::with_capacity(ways.len());
    let mut from = 0;
    for way in ways {
        if kept.get(from).is_none_or(|first| first.0 != way.0) {
            from = kept.len();
        }
        // Sorted, what has spent less of everything stands before.
        let is_dominated =
            kept[from..].iter().any(|other| other.1.iter().zip(&way.1).all(|(other, spent)| other <= spent));
        if !is_dominated {
            kept.push(way);
        }
    }
    kept.into_boxed_slice()
}
