//! Expressions, hash-consed: equal expressions have equal ids, and a node's parts have smaller ids than the node.
//!
//! Two kinds share the arena. *Items* stand in sequences. *Terms* describe all of the remaining text: Boolean
//! combinations of sequences that run to its end. A lookahead becomes an intersection only when it is reached, so an
//! intersection is never followed by anything (see `derive.rs`).
//!
//! Normal forms keep the number of states small: sequences nest to the right; unions are flat, sorted, without
//! duplicates, their classes merged and `x{0,j}T`, `x{0,k}T` joined; `Σ*` absorbs a union and vanishes from an
//! intersection; `(x{a,b}){c,d}` with `a ≤ 1` is `x{ac,bd}`.

use crate::expression::collections::Collections;
use crate::expression::fuzzy_items::FuzzyItems;
use crate::expression::info::{ANY_FIRST, Info, PartFacts, flag::*};
use crate::expression::minterms::{Bits, ClassId, Minterm, Partition};
use crate::expression::node::{ALL_CHARACTERS, ANYTHING, DONE, EMPTY, Expr, ExprId, MANY, NOTHING};
use crate::expression::transition_table::TransitionTable;
use crate::expression::unions::Room;
use crate::gallop::run_length;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};

/// The initial capacity for nodes: about as many as a pattern of a line or two has.
const EXPECTED: usize = 192;

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it stands for.
    pub body: ExprId,
    /// The minterms with which it begins, and perhaps more; exactly those where it is plain and not loose.
    pub first: Bits,
}

impl Rule {
    /// A rule of which nothing is known yet.
    pub fn unknown() -> Self {
        Rule { body: NOTHING, first: Bits::default() }
    }
}

/// All expressions of one automaton.
#[derive(Debug, Clone)]
pub struct Arena {
    pub(crate) nodes: Vec<Expr>,
    pub(crate) infos: Vec<Info>,
    pub(crate) ids: HashTable<ExprId>,
    /// The classes of all `Str`.
    pub pool: Vec<ClassId>,
    /// The tables of `Literals`: strings sorted, without duplicates, as ranges of `pool`.
    pub tables: Vec<Box<[(u32, u32)]>>,
    /// The automata of `Table`.
    pub automata: Vec<TransitionTable>,
    /// Collections of members and rows of items.
    pub collections: Collections,
    /// Items that may be matched with errors.
    pub fuzzy: FuzzyItems,
    /// What rules stand for, by number.
    pub rules: Vec<Rule>,
    /// Whether special tokens are told apart: then any number of characters is not all that a text can hold.
    has_specials: bool,
    /// Whether rules are being translated, so that what is known of them is not true yet.
    pub unsettled: bool,
    /// What is known of parts, by number.
    pub(crate) parts: Vec<PartFacts>,
    /// By class: its minterms in a word.
    folded: Vec<u64>,
    memory: usize,
    class_only: FxHashMap<ClassId, ExprId>,
    /// Room for [`Arena::union`].
    pub(crate) room: Room,
    /// The fuel for the unions and intersections that were made since any was spent: as much as their making takes,
    /// measured on random nested repetitions, of which 20,000,000 units take 0.15 to 0.45 s.
    pub(crate) work: u64,
}

fn hash(expr: &Expr) -> u64 {
    let mut hasher = FxHasher::default();
    expr.hash(&mut hasher);
    hasher.finish()
}

impl Arena {
    /// An arena that holds the four constants.
    pub fn new(partition: &Partition) -> Self {
        let mut arena = Arena {
            nodes: Vec::with_capacity(EXPECTED),
            infos: Vec::with_capacity(EXPECTED),
            ids: HashTable::with_capacity(EXPECTED),
            pool: Vec::new(),
            tables: Vec::new(),
            automata: Vec::new(),
            collections: Collections::default(),
            fuzzy: FuzzyItems::default(),
            rules: Vec::new(),
            has_specials: !partition.specials().is_empty(),
            unsettled: false,
            parts: vec![PartFacts::default()],
            folded: Vec::new(),
            memory: 0,
            class_only: FxHashMap::default(),
            room: Room::default(),
            work: 0,
        };
        arena.learn(partition);
        assert_eq!(arena.intern(Expr::Nothing), NOTHING);
        assert_eq!(arena.intern(Expr::Empty), EMPTY);
        // Its body would be the class of all characters, `Class(0)`, which need not be interned for it.
        let anything = arena.intern(Expr::Ordered(Box::new([])));
        arena.infos[anything as usize] = Info { flags: SKIPS | MAY_SKIP | PLAIN, first: ANY_FIRST, ..Info::default() };
        assert_eq!(anything, ANYTHING);
        assert_eq!(arena.intern(Expr::Done), DONE);
        assert_eq!(arena.class(crate::expression::minterms::ALL), ALL_CHARACTERS);
        arena
    }

    /// Takes note of the classes that are new. Expressions are made of classes that are known.
    #[inline]
    pub fn learn(&mut self, partition: &Partition) {
        while self.folded.len() < partition.count() {
            self.folded.push(partition.bits(self.folded.len() as ClassId).folded());
        }
    }

    /// The minterms of a class in a word.
    #[inline]
    pub(crate) fn folded(&self, class: ClassId) -> u64 {
        self.folded.get(class as usize).copied().unwrap_or(ANY_FIRST)
    }

    /// Whether a text of `id` may begin with the minterm whose bit is `bit`. `false` is certain.
    #[inline]
    pub fn may_begin(&self, id: ExprId, bit: u64) -> bool {
        self.infos[id as usize].first & bit != 0
    }

    /// The node.
    #[inline]
    pub fn get(&self, id: ExprId) -> &Expr {
        &self.nodes[id as usize]
    }

    /// What is known of it.
    #[inline]
    pub fn info(&self, id: ExprId) -> &Info {
        &self.infos[id as usize]
    }

    /// Whether `first` holds exactly the minterms with which a text of it begins, and each leads to what is alive.
    #[inline]
    pub fn is_exact(&self, id: ExprId) -> bool {
        self.infos[id as usize].flags & (PLAIN | LOOSE) == PLAIN
    }

    /// Whether a flag is set.
    #[inline]
    pub fn is(&self, id: ExprId, flag: u32) -> bool {
        self.infos[id as usize].flags & flag != 0
    }

    /// Adds the expressions that a node is made of, those of parts and collections included.
    pub fn pieces(&self, expr: &Expr, into: &mut Vec<ExprId>) {
        match *expr {
            Expr::Part(number) => into.push(self.parts[number as usize].term),
            Expr::Members { spec, .. } | Expr::Keys { spec, .. } | Expr::Top { spec, .. } => {
                into.extend(self.collections.members[spec as usize].pieces());
            }
            Expr::Items { spec, .. } => into.extend(self.collections.items[spec as usize].pieces()),
            Expr::Fuzzy(state) => into.extend(self.fuzzy.states[state as usize].ways.iter().map(|way| way.0)),
            _ => expr.children(into),
        }
    }

    /// Whether the pattern of a fuzzy item can be written as it is, without an error.
    pub fn is_writable(&self, state: u32) -> bool {
        self.fuzzy.specs[self.fuzzy.states[state as usize].spec as usize].is_writable
    }

    /// How many expressions there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory
            + self.pool.len() * 4
            + self.folded.len() * 8
            + self.parts.len() * size_of::<PartFacts>()
            + self.rules.len() * size_of::<Rule>()
            + self.automata.iter().map(TransitionTable::memory_bytes).sum::<usize>()
            + self.collections.memory_bytes()
            + self.fuzzy.memory_bytes()
            + self.room.memory_bytes()
    }

    pub(crate) fn push(&mut self, expr: Expr, hashed: u64) -> ExprId {
        let id = self.nodes.len() as ExprId;
        self.memory += size_of::<Expr>() + size_of::<Info>() + 6;
        self.memory += match &expr {
            Expr::Union(v) | Expr::Ordered(v) | Expr::Inter(v) => 4 * v.len(),
            Expr::Atomic(v) => 8 * v.len(),
            _ => 0,
        };
        let info = self.inspect(&expr);
        self.nodes.push(expr);
        self.infos.push(info);
        let nodes = &self.nodes;
        self.ids.insert_unique(hashed, id, |&i| hash(&nodes[i as usize]));
        id
    }

    /// The id of a node as it is; use the constructors below, which keep the normal forms.
    pub fn intern(&mut self, expr: Expr) -> ExprId {
        let nodes = &self.nodes;
        let hashed = hash(&expr);
        match self.ids.find(hashed, |&i| nodes[i as usize] == expr) {
            Some(&id) => id,
            None => self.push(expr, hashed),
        }
    }

    /// One character of a class.
    pub fn class(&mut self, class: ClassId) -> ExprId {
        if let Some(&id) = self.class_only.get(&class) {
            return id;
        }
        let id = self.intern(Expr::Class(class));
        self.class_only.insert(class, id);
        id
    }

    /// `len` classes of the pool from `at` on.
    pub fn string(&mut self, at: u32, len: u32) -> ExprId {
        match len {
            0 => EMPTY,
            1 => self.class(self.pool[at as usize]),
            _ => self.intern(Expr::Str { at, len }),
        }
    }

    /// Strings of a table from an element on.
    pub fn literals(&mut self, table: u32, lo: u32, hi: u32, depth: u32) -> ExprId {
        if lo == hi {
            return NOTHING;
        }
        if hi - lo == 1 {
            let (at, len) = self.tables[table as usize][lo as usize];
            return self.string(at + depth, len - depth);
        }
        self.intern(Expr::Literals { table, lo, hi, depth })
    }

    /// Head and tail of a sequence; of anything else, itself and the empty text.
    #[inline]
    pub fn split(&self, id: ExprId) -> (ExprId, ExprId) {
        match self.nodes[id as usize] {
            Expr::Concat(head, tail) => (head, tail),
            _ => (id, EMPTY),
        }
    }

    /// Whether `a` says that the text ends there, perhaps behind a newline, and `b` that it goes on.
    ///
    /// Where `$` stands in a rule, a stack in which it must hold before the end is none: else the search for a way out of
    /// it would not end.
    fn is_behind_end(&self, a: ExprId, b: ExprId) -> bool {
        let asks = match self.nodes[a as usize] {
            Expr::Ahead { negated: false, body } if !self.rules.is_empty() => body,
            Expr::End => a,
            _ => return false,
        };
        let (head, tail) = self.split(asks);
        let most = match (&self.nodes[head as usize], &self.nodes[tail as usize]) {
            (Expr::End, _) => 0,
            (Expr::Repeat { max: 1, .. }, Expr::End) => 1,
            _ => return false,
        };
        self.infos[b as usize].min_len > most
    }

    /// `a` followed by `b`.
    pub fn concat(&mut self, a: ExprId, b: ExprId) -> ExprId {
        if a == NOTHING || b == NOTHING {
            return NOTHING;
        }
        if a == EMPTY {
            return b;
        }
        if b == EMPTY {
            return a;
        }
        if !self.unsettled && self.is_behind_end(a, b) {
            return NOTHING;
        }
        if let Expr::Concat(..) = self.nodes[a as usize] {
            let mut heads = Vec::new();
            let mut rest = a;
            while let Expr::Concat(head, tail) = self.nodes[rest as usize] {
                heads.push(head);
                rest = tail;
            }
            heads.push(rest);
            return heads.into_iter().rev().fold(b, |tail, head| self.concat(head, tail));
        }
        if let Expr::Repeat { body, min, max, lazy: false } = self.nodes[a as usize]
            && !self.is(body, GROUPS)
        {
            let (next, rest) = self.split(b);
            if let Expr::Repeat { body: other, min: m, max: n, lazy: false } = self.nodes[next as usize]
                && other == body
                && let Some(joined) = self.joined((min, max), (m, n))
            {
                let joined = self.repeat(body, joined.0, joined.1, false);
                return self.concat(joined, rest);
            }
        }
        if a == ANYTHING && self.split(b).0 == ANYTHING {
            return b;
        }
        self.intern(Expr::Concat(a, b))
    }

    fn joined(&self, a: (u32, u32), b: (u32, u32)) -> Option<(u32, u32)> {
        let min = a.0.checked_add(b.0).filter(|&n| n != MANY)?;
        let max = if a.1 == MANY || b.1 == MANY { MANY } else { a.1.checked_add(b.1).filter(|&n| n != MANY)? };
        Some((min, max))
    }

    /// `body{min,max}`.
    pub fn repeat(&mut self, body: ExprId, min: u32, max: u32, lazy: bool) -> ExprId {
        if max == 0 || body == EMPTY {
            return EMPTY;
        }
        if body == NOTHING {
            return if min == 0 { EMPTY } else { NOTHING };
        }
        if min == 1 && max == 1 {
            return body;
        }
        if self.is(body, STANDS) && !self.is(body, GROUPS) {
            // What reads nothing holds once or not at all, and need not hold where it may be left out.
            return if min == 0 { EMPTY } else { body };
        }
        if body == ANYTHING && !lazy {
            return ANYTHING;
        }
        if body == ALL_CHARACTERS && min == 0 && max == MANY && !lazy && !self.has_specials {
            return ANYTHING;
        }
        // An iteration that may be empty can stand for any missing one.
        let min = if self.is(body, SKIPS) && !lazy && !self.is(body, GROUPS) { 0 } else { min };
        if let Expr::Repeat { body: inner, min: a, max: b, lazy: false } = self.nodes[body as usize]
            && a <= 1
            && !lazy
            && !self.is(body, GROUPS)
        {
            // `x{a,b}` repeated c to d times gives every count from ac to bd; with c = 0 also 0.
            let bounds = (
                a.checked_mul(min),
                if b == MANY || max == MANY { Some(MANY) } else { b.checked_mul(max).filter(|&n| n != MANY) },
            );
            if let (Some(least), Some(most)) = bounds {
                return self.repeat(inner, least, most, false);
            }
        }
        self.intern(Expr::Repeat { body, min, max, lazy })
    }

    /// A reference to a rule; `asks`: the rule asks for what surrounds it, so it is not plain.
    ///
    /// While rules are translated, nothing else is known of those that come later: they pass for no text.
    pub fn rule(&mut self, rule: u32, asks: bool) -> ExprId {
        let id = self.intern(Expr::Rule(rule));
        if asks {
            self.infos[id as usize].flags &= !PLAIN;
        }
        id
    }

    /// All of them; terms.
    pub fn inter(&mut self, ids: impl IntoIterator<Item = ExprId>) -> ExprId {
        let mut flat: Vec<ExprId> = Vec::new();
        for id in ids {
            match &self.nodes[id as usize] {
                Expr::Nothing => return NOTHING,
                Expr::Inter(members) => flat.extend(members),
                _ if id == ANYTHING => {}
                _ => flat.push(id),
            }
        }
        self.work += flat.len() as u64 * 2;
        flat.sort_unstable();
        flat.dedup();
        if self.unsettled && flat.iter().any(|&id| self.is(id, RULES)) {
            // What follows asks for what is not known of rules yet.
            return self.intern(Expr::Inter(flat.into_boxed_slice()));
        }
        // ε decides: every other member either matches the empty text here or does not.
        if flat.first() == Some(&EMPTY) && flat.len() > 1 {
            if flat.iter().any(|&id| self.info(id).min_len > 0) {
                return NOTHING;
            }
            flat.retain(|&id| !self.is(id, SKIPS) || id == EMPTY);
        }
        if flat.iter().any(|&id| matches!(self.nodes[id as usize], Expr::Not(x) if flat.binary_search(&x).is_ok())) {
            return NOTHING;
        }
        // x ∩ (x ∪ y) = x
        if flat.len() > 1 {
            let members = flat.clone();
            flat.retain(|&id| match &self.nodes[id as usize] {
                Expr::Union(parts) => {
                    self.work += parts.len() as u64;
                    !parts.iter().any(|p| members.binary_search(p).is_ok())
                }
                _ => true,
            });
        }
        match flat[..] {
            [] => ANYTHING,
            [only] => only,
            _ => self.intern(Expr::Inter(flat.into_boxed_slice())),
        }
    }

    /// Every other text; a term.
    pub fn not(&mut self, id: ExprId) -> ExprId {
        match self.nodes[id as usize] {
            Expr::Nothing => ANYTHING,
            Expr::Not(inner) => inner,
            _ if id == ANYTHING => NOTHING,
            _ => self.intern(Expr::Not(id)),
        }
    }

    /// Tried in this order.
    pub fn ordered(&mut self, ids: Vec<ExprId>) -> ExprId {
        // PERF: to look through a list for each of them takes 0.1 s for 50,000 words in an atomic group.
        let mut seen = FxHashSet::with_capacity_and_hasher(ids.len(), FxBuildHasher);
        let flat: Vec<ExprId> = ids.into_iter().filter(|&id| id != NOTHING && seen.insert(id)).collect();
        match flat[..] {
            [] => NOTHING,
            [only] => only,
            _ => self.intern(Expr::Ordered(flat.into_boxed_slice())),
        }
    }

    /// How many strings, from the first one on, have `class` at `depth`. They are sorted.
    pub fn run(&self, strings: &[(u32, u32)], depth: u32, class: ClassId) -> usize {
        run_length(strings.len(), |index| self.pool[(strings[index].0 + depth) as usize] == class)
    }

    /// The sub-range of a table's strings whose element `depth` holds the minterm.
    pub fn descend(
        &self,
        partition: &Partition,
        (table, lo, hi, depth): (u32, u32, u32, u32),
        m: Minterm,
    ) -> (u32, u32) {
        let strings = &self.tables[table as usize][lo as usize..hi as usize];
        // They share their first `depth` elements and differ, so that one may end here, the first.
        let skip = usize::from(strings.first().is_some_and(|s| s.1 <= depth));
        let element = |s: &(u32, u32)| self.pool[(s.0 + depth) as usize];
        let rest = &strings[skip..];
        // PERF: elements are classes of one minterm, sorted, so that two searches find those of `m`; asking each class in
        // turn made the first mask of 5,000 words take 1.5 ms.
        let Some(class) = partition.literal(m) else { return (lo, lo) };
        let from = rest.partition_point(|s| element(s) < class);
        let count = self.run(&rest[from..], depth, class);
        let start = lo + (skip + from) as u32;
        (start, start + count as u32)
    }
}
