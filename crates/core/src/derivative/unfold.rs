//! What rules, collections of members and rows of items stand for: one step of each, when a derivative asks for it.
//!
//! Unfolding a collection makes a union of its ways: its close, the keys that may still come, other members. It is done
//! once an item; keys are told apart character by character in their sorted table, so that a collection of 200 keys has no
//! union of 200. Costs: one pass over the keys for each unfolding and for each character of a key.

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::Result;
use crate::expression::collections::{MembersSpec, Seen};
use crate::expression::info::flag;
use crate::expression::minterms::{Bits, Minterm};
use crate::expression::node::{EMPTY, Expr, ExprId, NOTHING};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

impl Calculus {
    /// What a rule, a collection of members or a row of items stands for; anything else stands for itself.
    pub fn unfold(&mut self, id: ExprId) -> Result<ExprId> {
        if let Expr::Rule(rule) = *self.arena.get(id) {
            return Ok(self.arena.rules[rule as usize].body);
        }
        if let Some(&known) = self.unfolded.get(&id) {
            return Ok(known);
        }
        self.spend(STEP)?;
        let made = match *self.arena.get(id) {
            Expr::Members { spec, seen } => self.unfold_members(spec, seen)?,
            Expr::Items { spec, seen } => self.unfold_items(spec, seen)?,
            Expr::Top { spec, begun, closes, letters } => {
                let whole = self.spec(spec);
                let (before, close) = (if begun { whole.between } else { whole.first }, whole.close);
                let mut members = NOTHING;
                if let Some(letters) = letters {
                    let opaque = self.arena.intern(Expr::Opaque);
                    let letter = self.arena.class(letters);
                    let member = self.arena.concat(letter, opaque);
                    members = self.arena.concat(before, member);
                }
                if closes { self.or(members, close) } else { members }
            }
            _ => return Ok(id),
        };
        self.unfolded.insert(id, made);
        Ok(made)
    }

    pub(super) fn seen(&self, seen: u32) -> Seen {
        self.arena.collections.seen[seen as usize].clone()
    }

    pub(super) fn spec(&self, spec: u32) -> &MembersSpec {
        &self.arena.collections.members[spec as usize]
    }

    /// What is left of a collection of which something has been seen; [`NOTHING`], if it cannot be closed.
    pub fn members(&mut self, spec: u32, seen: Seen) -> Result<ExprId> {
        if seen.opaque {
            return Ok(self.arena.intern(Expr::Opaque));
        }
        let number = self.arena.collections.number(seen);
        let key = (true, spec, number);
        let can_end = match self.arena.collections.can_end.get(&key) {
            Some(&known) => known,
            None => {
                let mut work = 0;
                let can_end = self.spec(spec).can_end(&self.arena.collections.seen[number as usize], &mut work);
                self.spend(work)?;
                self.arena.collections.can_end.insert(key, can_end);
                can_end
            }
        };
        Ok(if can_end { self.arena.intern(Expr::Members { spec, seen: number }) } else { NOTHING })
    }

    fn unfold_members(&mut self, spec: u32, seen: u32) -> Result<ExprId> {
        let written = self.seen(seen);
        let mut others = Vec::new();
        for (key, follow, bit) in self.spec(spec).others.clone() {
            let after = self.spec(spec).after_other(&written, bit);
            let rest = self.members(spec, after)?;
            let rest = self.arena.concat(follow, rest);
            others.push(self.arena.concat(key, rest));
        }
        let keys = self.spec(spec).follows.len() as u32;
        let mut members = vec![self.keys((spec, seen), (0, keys), 0)?];
        members.append(&mut others);
        let members = self.any(members);
        let whole = self.spec(spec);
        let (before, close) = (if written.begun { whole.between } else { whole.first }, whole.close);
        let closes = whole.can_close(&written);
        let members = self.arena.concat(before, members);
        Ok(if closes { self.or(members, close) } else { members })
    }

    /// Those of a range of keys that may come, from an element on.
    fn keys(&mut self, (spec, seen): (u32, u32), (lo, hi): (u32, u32), depth: u32) -> Result<ExprId> {
        let written = self.seen(seen);
        let mut work = 0;
        let allowed = self.spec(spec).allowed(&written, lo..hi, &mut work);
        self.spend(work)?;
        let (Some(&first), Some(&last)) = (allowed.first(), allowed.last()) else { return Ok(NOTHING) };
        let (at, len) = self.arena.tables[self.spec(spec).table as usize][first as usize];
        if first != last && len > depth {
            return Ok(self.arena.intern(Expr::Keys { spec, seen, lo: first, hi: last + 1, depth }));
        }
        // One key alone, or one that ends here, which is the first of those that begin as it does.
        let follow = self.spec(spec).follows[first as usize];
        let after = self.spec(spec).after_key(&written, first);
        let rest = self.members(spec, after)?;
        let rest = self.arena.concat(follow, rest);
        let key = self.arena.string(at + depth, len - depth);
        let one = self.arena.concat(key, rest);
        if first == last {
            return Ok(one);
        }
        let longer = self.keys((spec, seen), (first + 1, hi), depth)?;
        Ok(self.or(one, longer))
    }

    /// The rest of a key of which is known which keys of its range may come, and nothing of what follows the member.
    pub(crate) fn opaque_keys(&mut self, keys: ExprId) -> Result<ExprId> {
        let Expr::Keys { spec, seen, lo, hi, depth } = *self.arena.get(keys) else { return Ok(keys) };
        let written = self.seen(seen);
        let mut work = 0;
        let allowed = self.spec(spec).allowed(&written, lo..hi, &mut work);
        self.spend(work)?;
        let only = self.spec(spec).only(&allowed);
        let number = self.arena.collections.number(only);
        self.keys((spec, number), (lo, hi), depth)
    }

    /// The derivative of the rest of a key.
    pub(crate) fn derive_keys(&mut self, keys: ExprId, m: Minterm) -> Result<ExprId> {
        let Expr::Keys { spec, seen, lo, hi, depth } = *self.arena.get(keys) else { return Ok(NOTHING) };
        let table = self.spec(spec).table;
        let (from, to) = self.arena.descend(&self.partition, (table, lo, hi, depth), m);
        if from == to { Ok(NOTHING) } else { self.keys((spec, seen), (from, to), depth + 1) }
    }

    /// What is left of a row of items of which something has been seen; [`NOTHING`], if it cannot be closed.
    pub fn items(&mut self, spec: u32, seen: Seen) -> Result<ExprId> {
        let number = self.arena.collections.number(seen);
        Ok(if self.row_can_end(spec, number)? {
            self.arena.intern(Expr::Items { spec, seen: number })
        } else {
            NOTHING
        })
    }

    fn row_can_end(&mut self, spec: u32, start: u32) -> Result<bool> {
        if let Some(&known) = self.arena.collections.can_end.get(&(false, spec, start)) {
            return Ok(known);
        }
        // The states on the way, so that those of one that can end can, too.
        let mut parents: FxHashMap<u32, u32> = FxHashMap::default();
        parents.insert(start, start);
        let mut queue = BinaryHeap::new();
        let wanted = |this: &Self, seen: u32| {
            this.arena.collections.items[spec as usize].wanted(&this.arena.collections.seen[seen as usize])
        };
        queue.push((Reverse(wanted(self, start)), start));
        let mut found = None;
        while let Some((_, at)) = queue.pop() {
            self.spend(STEP)?;
            let known = self.arena.collections.can_end.get(&(false, spec, at)).copied();
            let items = &self.arena.collections.items[spec as usize];
            let seen = self.arena.collections.seen[at as usize].clone();
            if known == Some(true) || items.can_close(&seen) {
                found = Some(at);
                break;
            }
            if known == Some(false) {
                continue;
            }
            let next: Vec<Seen> = items.ways(&seen).iter().filter_map(|way| items.after(&seen, &way.0)).collect();
            for seen in next {
                let number = self.arena.collections.number(seen);
                if let std::collections::hash_map::Entry::Vacant(entry) = parents.entry(number) {
                    entry.insert(at);
                    queue.push((Reverse(wanted(self, number)), number));
                }
            }
        }
        let known = &mut self.arena.collections.can_end;
        match found {
            Some(mut at) => loop {
                known.insert((false, spec, at), true);
                if at == start {
                    return Ok(true);
                }
                at = parents[&at];
            },
            None => {
                known.extend(parents.keys().map(|&at| ((false, spec, at), false)));
                Ok(false)
            }
        }
    }

    fn unfold_items(&mut self, spec: u32, seen: u32) -> Result<ExprId> {
        let written = self.seen(seen);
        let items = &self.arena.collections.items[spec as usize];
        let (before, close) = (if written.begun { items.between } else { items.first }, items.close);
        let closes = items.can_close(&written);
        let next: Vec<(ExprId, Seen)> =
            items.ways(&written).iter().filter_map(|way| Some((way.1, items.after(&written, &way.0)?))).collect();
        let mut ways = Vec::with_capacity(next.len());
        for (item, seen) in next {
            let rest = self.items(spec, seen)?;
            ways.push(self.arena.concat(item, rest));
        }
        let ways = self.any(ways);
        let ways = self.arena.concat(before, ways);
        Ok(if closes { self.or(ways, close) } else { ways })
    }

    /// The minterms with which a collection, or the rest of a key, begins, and perhaps more.
    pub(crate) fn first_of_collection(&self, id: ExprId, into: &mut Bits) {
        let none = Bits::default();
        match *self.arena.get(id) {
            Expr::Members { spec, seen } => {
                let (spec, seen) = (self.spec(spec), &self.arena.collections.seen[seen as usize]);
                if spec.can_close(seen) {
                    self.first(spec.close, &none, into);
                }
                let before = if seen.begun { spec.between } else { spec.first };
                let keys = spec.allowed(seen, 0..spec.follows.len() as u32, &mut 0);
                if keys.is_empty() && spec.others.is_empty() {
                    return;
                }
                self.first(before, &none, into);
                if self.arena.is(before, flag::MAY_SKIP) {
                    self.first_of_keys(spec, &keys, 0, into);
                    spec.others.iter().for_each(|other| self.first(other.0, &none, into));
                }
            }
            Expr::Top { spec, begun, closes, letters } => {
                let spec = self.spec(spec);
                if closes {
                    self.first(spec.close, &none, into);
                }
                if let Some(letters) = letters {
                    let before = if begun { spec.between } else { spec.first };
                    self.first(before, &none, into);
                    if self.arena.is(before, flag::MAY_SKIP) {
                        into.extend(self.partition.bits(letters));
                    }
                }
            }
            Expr::Keys { spec, seen, lo, hi, depth } => {
                let (spec, seen) = (self.spec(spec), &self.arena.collections.seen[seen as usize]);
                let keys = spec.allowed(seen, lo..hi, &mut 0);
                self.first_of_keys(spec, &keys, depth, into);
            }
            Expr::Items { spec, seen } => {
                let spec = &self.arena.collections.items[spec as usize];
                let seen = &self.arena.collections.seen[seen as usize];
                if spec.can_close(seen) {
                    self.first(spec.close, &none, into);
                }
                let before = if seen.begun { spec.between } else { spec.first };
                if before != EMPTY {
                    self.first(before, &none, into);
                }
                if self.arena.is(before, flag::MAY_SKIP) {
                    spec.ways(seen).iter().for_each(|way| self.first(way.1, &none, into));
                }
            }
            _ => {}
        }
    }

    pub(crate) fn first_of_keys(&self, spec: &MembersSpec, keys: &[u32], depth: u32, into: &mut Bits) {
        let strings = &self.arena.tables[spec.table as usize];
        let mut last = None;
        for &key in keys {
            let (at, len) = strings[key as usize];
            if len == depth {
                self.first(spec.follows[key as usize], &Bits::default(), into);
                continue;
            }
            let class = self.arena.pool[(at + depth) as usize];
            if last != Some(class) {
                into.extend(self.partition.bits(class));
                last = Some(class);
            }
        }
    }
}
