//! Collections of members, rows of items and tables.

use crate::error::Result;
use crate::expression::collections::{Guard, ItemsSpec, MembersSpec};
use crate::expression::minterms::ClassId;
use crate::expression::node::{ExprId, MANY, NOTHING};
use crate::expression::transition_table::TransitionTable;
use crate::syntax::ast::{Items, Members, Table};
use crate::translate::translator::Translator;
use std::sync::Arc;

impl Translator<'_> {
    pub(super) fn table(&mut self, table: &Arc<Table>) -> Result<ExprId> {
        if let Some(&number) = self.tables.get(&Arc::as_ptr(table)) {
            return Ok(self.calculus.arena.table_state(number, 0));
        }
        self.calculus.spend((table.states.len() * (table.classes.len() + 1)) as u64)?;
        let classes: Vec<Option<ClassId>> = table.classes.iter().map(|class| self.class_id(class)).collect();
        let made = TransitionTable::new(&self.calculus.partition, &classes, &table.states);
        let arena = &mut self.calculus.arena;
        let number = arena.automata.len() as u32;
        arena.automata.push(made);
        self.tables.insert(Arc::as_ptr(table), number);
        Ok(arena.table_state(number, 0))
    }

    /// A collection of members. Members that cannot be written are none.
    pub(super) fn members(&mut self, members: &Members) -> Result<ExprId> {
        let (first, between) = (self.language(&members.first)?, self.language(&members.between)?);
        let close = self.language(&members.close)?;
        let mut keys = Vec::with_capacity(members.keys.len());
        for (place, member) in (0u32..).zip(&members.keys) {
            let characters = member.key.iter().flat_map(|key| key.iter());
            let key = characters.map(|&c| self.char_class(c)).collect::<Option<Vec<_>>>();
            let key = key.filter(|_| member.key.is_some());
            let follow = if key.is_some() { self.language(&member.follow)? } else { NOTHING };
            if follow == NOTHING && member.required {
                return Ok(NOTHING);
            }
            // One that cannot be written keeps its number, for the guards.
            keys.push((key.unwrap_or_default(), place, follow, member.required));
        }
        let mut writable: Vec<usize> = (0..keys.len()).filter(|&index| keys[index].2 != NOTHING).collect();
        writable.sort_by(|&a, &b| keys[a].0.cmp(&keys[b].0));
        self.calculus.spend(keys.iter().map(|key| key.0.len() as u64 + 1).sum())?;
        let arena = &mut self.calculus.arena;
        let mut table = Vec::with_capacity(writable.len());
        for &index in &writable {
            table.push((arena.pool.len() as u32, keys[index].0.len() as u32));
            arena.pool.extend(&keys[index].0);
        }
        let number = arena.tables.len() as u32;
        arena.tables.push(table.into_boxed_slice());
        // The bits of what was seen: keys in the order of the table, guarded classes behind them.
        let mut bits: Vec<Option<u32>> = vec![None; keys.len() + members.others.len()];
        for (bit, &index) in (0u32..).zip(&writable) {
            bits[index] = Some(bit);
        }
        let mut others = Vec::new();
        let mut next = writable.len() as u32;
        for (index, (key, follow)) in members.others.iter().enumerate() {
            let (key, follow) = (self.language(key)?, self.language(follow)?);
            if key == NOTHING || follow == NOTHING {
                continue;
            }
            let member = (keys.len() + index) as u32;
            let guarded = members.guards.iter().any(|guard| guard.0.contains(&member) || guard.1.contains(&member));
            if guarded {
                bits[member as usize] = Some(next);
                next += 1;
            }
            others.push((key, follow, bits[member as usize]));
        }
        let mut guards = Vec::with_capacity(members.guards.len());
        for (all, any) in &members.guards {
            let bit = |member: &u32| bits[*member as usize];
            // What cannot be written is never seen.
            if let Some(all) = all.iter().map(bit).collect::<Option<Vec<_>>>() {
                guards.push(Guard { all, any: any.iter().filter_map(bit).collect() });
            }
        }
        let guarded = |bit: u32| guards.iter().any(|guard| guard.all.contains(&bit) || guard.any.contains(&bit));
        let spec = MembersSpec {
            table: number,
            follows: writable.iter().map(|&index| keys[index].2).collect(),
            required: writable.iter().map(|&index| keys[index].3).collect(),
            places: writable.iter().map(|&index| keys[index].1).collect(),
            guarded: (0..writable.len() as u32).map(guarded).collect(),
            others,
            first,
            between,
            close,
            min: members.min,
            max: members.max.unwrap_or(MANY),
            ordered: members.ordered,
            guards,
        }
        .trimmed();
        if close == NOTHING {
            return Ok(NOTHING);
        }
        let seen = spec.unseen();
        let collections = &mut self.calculus.arena.collections;
        let number = collections.members.len() as u32;
        collections.members.push(spec);
        self.calculus.members(number, seen)
    }

    pub(super) fn items(&mut self, items: &Items) -> Result<ExprId> {
        let (first, between) = (self.language(&items.first)?, self.language(&items.between)?);
        let close = self.language(&items.close)?;
        let mut groups = Vec::with_capacity(items.groups.len());
        for group in &items.groups {
            let mut ways = Vec::with_capacity(group.len());
            for (counters, item) in group {
                ways.push((counters.clone(), self.language(item)?));
            }
            groups.push(ways);
        }
        if close == NOTHING {
            return Ok(NOTHING);
        }
        let counters = items.counters.iter().map(|counter| (counter.0, counter.1.unwrap_or(MANY))).collect();
        let (min, max) = (items.min, items.max.unwrap_or(MANY));
        let spec = ItemsSpec { first, between, close, min, max, counters, groups }.trimmed();
        let seen = spec.unseen();
        let collections = &mut self.calculus.arena.collections;
        let number = collections.items.len() as u32;
        collections.items.push(spec);
        self.calculus.items(number, seen)
    }
}
