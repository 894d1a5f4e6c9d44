//! The normal form of unions: flat, sorted, without duplicates, their classes one class, `x{0,j}T` and `x{0,k}T` one
//! repetition.
//!
//! Members are ids. A union of few is kept in form by looking through its list. One of many is put in order by a set of
//! bits, and what is joined is found by bits and by a table, so that the time is by the number of members alone: a
//! state of nested counts is a union of thousands, and so is each of its derivatives.

use crate::expression::arena::Arena;
use crate::expression::info::flag::*;
use crate::expression::minterms::{ClassId, Partition};
use crate::expression::node::{ANYTHING, Expr, ExprId, NOTHING};
use hashbrown::{HashTable, hash_table::Entry};
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// In a union of so few it costs more to join exact counts than to keep them apart.
const SMALL_UNION: usize = 16;

/// `body{min,max}tail`, which is `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Repetition {
    body: ExprId,
    tail: ExprId,
    min: u32,
    max: u32,
    id: ExprId,
}

/// Room for unions that are being made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    flat: Vec<ExprId>,
    members: Members,
    groups: Groups,
}

impl Room {
    /// The bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        let found = self.groups.found.capacity() * (size_of::<Repetition>() + 4) + self.groups.firsts.capacity() * 5;
        self.flat.capacity() * 4 + self.members.bits.capacity() * 8 + found
    }
}

impl Arena {
    /// Any of them. `partition` merges their classes.
    pub fn union(&mut self, ids: impl IntoIterator<Item = ExprId>, partition: &mut Partition) -> ExprId {
        let mut flat = std::mem::take(&mut self.room.flat);
        flat.clear();
        let mut flags = 0;
        for id in ids {
            match &self.nodes[id as usize] {
                Expr::Nothing => {}
                Expr::Union(members) => {
                    flat.extend(members);
                    flags |= members.iter().fold(0, |flags, &id| flags | self.infos[id as usize].flags);
                }
                _ => {
                    flat.push(id);
                    flags |= self.infos[id as usize].flags;
                }
            }
        }
        self.work += flat.len() as u64 * 2;
        let made = self.union_of(&mut flat, flags, partition);
        self.room.flat = flat;
        made
    }

    /// The union of what is no union itself; `flags`: what any of them has.
    fn union_of(&mut self, flat: &mut Vec<ExprId>, flags: u32, partition: &mut Partition) -> ExprId {
        if flat.len() > SMALL_UNION {
            self.room.members.order(flat);
        } else if flat.len() > 1 {
            flat.sort_unstable();
            flat.dedup();
        }
        if flat.iter().take(3).any(|&id| id == ANYTHING) {
            return ANYTHING;
        }
        if flat.len() > 1 {
            if flags & CLASS != 0 {
                self.join_classes(flat, partition);
            }
            if flat.len() > SMALL_UNION {
                self.join_repetitions_of_many(flat);
            } else if flags & RANGE != 0 {
                self.join_repetitions_of_few(flat);
            }
        }
        // `x | ¬x`
        if flags & COMPLEMENT != 0
            && flat.iter().any(|&id| matches!(self.nodes[id as usize], Expr::Not(x) if flat.binary_search(&x).is_ok()))
        {
            return ANYTHING;
        }
        match flat[..] {
            [] => NOTHING,
            [only] => only,
            _ => self.intern(Expr::Union(flat.as_slice().into())),
        }
    }

    /// All classes of a union become one. `flat` is sorted, and stays so.
    fn join_classes(&mut self, flat: &mut Vec<ExprId>, partition: &mut Partition) {
        let mut classes: Vec<ClassId> = Vec::new();
        for &id in flat.iter() {
            if let Expr::Class(class) = self.nodes[id as usize] {
                classes.push(class);
            }
        }
        if classes.len() < 2 {
            return;
        }
        flat.retain(|&id| !matches!(self.nodes[id as usize], Expr::Class(_)));
        let class = partition.union(classes);
        self.learn(partition);
        let merged = self.class(class);
        if let Err(place) = flat.binary_search(&merged) {
            flat.insert(place, merged);
        }
    }

    /// `x{a,b}T | x{c,d}T` is one repetition where the counts overlap or touch; `T` itself is `x{0,0}T`, and `xT` is
    /// `x{1,1}T`. `flat` is sorted, and stays so.
    ///
    /// Exact counts stay as they are, if they are next to no range.
    fn join_repetitions_of_few(&mut self, flat: &mut Vec<ExprId>) {
        // PERF: joining exact counts too makes the cold steps of `(a|b)*a(a|b){12}` 11 % longer.
        let mut found = std::mem::take(&mut self.room.groups.found);
        found.clear();
        found.extend(flat.iter().filter(|&&id| self.is(id, RANGE)).filter_map(|&id| self.repetition(id)));
        let ranges = found.len();
        for &id in flat.iter().filter(|&&id| !self.is(id, RANGE)) {
            let tail = self.split(id).1;
            if found[..ranges].iter().any(|range| range.tail == tail)
                && let Some(exact) = self.repetition(id)
                && found[..ranges].iter().any(|range| (range.body, range.tail) == (exact.body, tail))
            {
                found.push(exact);
            }
        }
        for index in 0..found.len() {
            let Repetition { body, tail, .. } = found[index];
            if found[..index].iter().any(|before| (before.body, before.tail) == (body, tail)) {
                continue;
            }
            for &id in flat.iter() {
                if id == tail {
                    found.push(Repetition { body, tail, min: 0, max: 0, id });
                }
                if self.split(id) == (body, tail) {
                    found.push(Repetition { body, tail, min: 1, max: 1, id });
                }
            }
        }
        found.sort_unstable();
        let (mut joined, mut gone) = (Vec::new(), Vec::new());
        for group in found.chunk_by(|one, next| (one.body, one.tail) == (next.body, next.tail)) {
            self.join(group, &mut joined, &mut gone);
        }
        if !gone.is_empty() {
            flat.retain(|id| !gone.contains(id));
            flat.append(&mut joined);
            flat.sort_unstable();
            flat.dedup();
        }
        self.room.groups.found = found;
    }

    /// The same, exact counts too.
    ///
    /// PERF: without sorting. 31 masks of the hostile nested counts take 0.28 s in place of 0.70.
    fn join_repetitions_of_many(&mut self, flat: &mut Vec<ExprId>) {
        let mut groups = std::mem::take(&mut self.room.groups);
        groups.clear();
        flat.iter().filter_map(|&id| self.repetition(id)).for_each(|repetition| groups.insert(repetition));
        if groups.found.is_empty() {
            self.room.groups = groups;
            return;
        }
        self.work += groups.found.len() as u64 * 2;
        let mut members = std::mem::take(&mut self.room.members);
        members.extend(flat);
        let (mut joined, mut gone) = (Vec::new(), Vec::new());
        for index in 0..groups.found.len() {
            let Repetition { body, tail, min, .. } = groups.found[index];
            match members.has(tail) {
                true if min == 0 => gone.push(tail),
                true => groups.insert(Repetition { body, tail, min: 0, max: 0, id: tail }),
                false => {}
            }
        }
        for &id in flat.iter() {
            let (body, tail) = self.split(id);
            match groups.first(body, tail) {
                Some(Repetition { min: ..=1, max: 1.., .. }) => gone.push(id),
                Some(_) => groups.insert(Repetition { body, tail, min: 1, max: 1, id }),
                None => {}
            }
        }
        let mut group = Vec::new();
        while groups.next(&mut group) {
            group.sort_unstable();
            group.dedup();
            self.join(&group, &mut joined, &mut gone);
        }
        for &id in &gone {
            members.take(id);
        }
        flat.retain(|&id| members.take(id));
        if !joined.is_empty() {
            flat.append(&mut joined);
            members.order(flat);
        }
        self.room.members = members;
        self.room.groups = groups;
    }

    /// Joins sorted repetitions with one body and tail; `gone`: what they were.
    fn join(&mut self, group: &[Repetition], joined: &mut Vec<ExprId>, gone: &mut Vec<ExprId>) {
        let mut from = 0;
        while from < group.len() {
            let Repetition { body, tail, min, mut max, .. } = group[from];
            let mut to = from + 1;
            while to < group.len() && group[to].min <= max.saturating_add(1) {
                max = max.max(group[to].max);
                to += 1;
            }
            if to - from > 1 {
                let repeat = self.repeat(body, min, max, false);
                joined.push(self.concat(repeat, tail));
                gone.extend(group[from..to].iter().map(|member| member.id));
            }
            from = to;
        }
    }

    /// What is repeated at the head of a sequence, what follows, and the counts.
    fn repetition(&self, id: ExprId) -> Option<Repetition> {
        let (head, tail) = self.split(id);
        match self.nodes[head as usize] {
            Expr::Repeat { body, min, max, lazy: false } if !self.is(body, GROUPS) => {
                Some(Repetition { body, tail, min, max, id })
            }
            _ => None,
        }
    }
}

/// A set of ids, a bit each.
#[derive(Debug, Clone, Default)]
struct Members {
    bits: Vec<u64>,
}

impl Members {
    fn extend(&mut self, ids: &[ExprId]) {
        for &id in ids {
            let word = id as usize / 64;
            if word >= self.bits.len() {
                self.bits.resize(word + 1 + word / 2, 0);
            }
            self.bits[word] |= 1 << (id % 64);
        }
    }

    fn has(&self, id: ExprId) -> bool {
        self.bits.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Takes one out; whether it was there.
    fn take(&mut self, id: ExprId) -> bool {
        let (word, bit) = (&mut self.bits[id as usize / 64], 1 << (id % 64));
        let had = *word & bit != 0;
        *word &= !bit;
        had
    }

    /// Sorts a list, and takes out duplicates; the set is empty before and after.
    fn order(&mut self, ids: &mut Vec<ExprId>) {
        let (Some(least), Some(most)) = (ids.iter().min(), ids.iter().max()) else { return };
        let words = *least as usize / 64..*most as usize / 64 + 1;
        if words.len() > ids.len() * SPARSE {
            ids.sort_unstable();
            ids.dedup();
            return;
        }
        self.extend(ids);
        ids.clear();
        for word in words {
            let mut bits = std::mem::take(&mut self.bits[word]);
            while bits != 0 {
                ids.push(word as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }
}

/// Where ids are so few among the words of a set, sorting them takes less time than looking through the words.
const SPARSE: usize = 8;

/// Repetitions by body and tail.
#[derive(Debug, Clone, Default)]
struct Groups {
    found: Vec<Repetition>,
    /// For each that was found, another of its group.
    others: Vec<u32>,
    /// The first of each group.
    firsts: HashTable<u32>,
    /// The firsts of the groups of more than one.
    several: Vec<u32>,
}

/// No other.
const LAST: u32 = u32::MAX;

fn hash(body: ExprId, tail: ExprId) -> u64 {
    FxBuildHasher.hash_one((body, tail))
}

impl Groups {
    fn clear(&mut self) {
        self.found.clear();
        self.others.clear();
        self.firsts.clear();
        self.several.clear();
    }

    fn insert(&mut self, repetition: Repetition) {
        let (found, index) = (&self.found, self.found.len() as u32);
        let Repetition { body, tail, .. } = repetition;
        let entry = self.firsts.entry(
            hash(body, tail),
            |&first| (found[first as usize].body, found[first as usize].tail) == (body, tail),
            |&first| hash(found[first as usize].body, found[first as usize].tail),
        );
        let other = match entry {
            Entry::Vacant(entry) => {
                entry.insert(index);
                LAST
            }
            Entry::Occupied(entry) => {
                let first = *entry.get();
                let other = std::mem::replace(&mut self.others[first as usize], index);
                if other == LAST {
                    self.several.push(first);
                }
                other
            }
        };
        self.found.push(repetition);
        self.others.push(other);
    }

    /// One of a group.
    fn first(&self, body: ExprId, tail: ExprId) -> Option<Repetition> {
        let is_same = |&first: &u32| {
            let Repetition { body: one, tail: other, .. } = self.found[first as usize];
            (one, other) == (body, tail)
        };
        self.firsts.find(hash(body, tail), is_same).map(|&first| self.found[first as usize])
    }

    /// Takes a group of more than one out.
    fn next(&mut self, group: &mut Vec<Repetition>) -> bool {
        group.clear();
        let mut at = self.several.pop().unwrap_or(LAST);
        while at != LAST {
            group.push(self.found[at as usize]);
            at = self.others[at as usize];
        }
        !group.is_empty()
    }
}
