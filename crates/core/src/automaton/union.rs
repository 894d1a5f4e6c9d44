//! The normal form of unions: flat, sorted, without duplicates, their classes one class, `x{0,j}T` and `x{0,k}T` one
//! repetition.

use super::expr::{ANYTHING, Arena, EMPTY, Expr, ExprId, NOTHING, hash};
use super::info::flag::*;
use super::partition::{ClassId, Partition};

/// In a union of so few it costs more to join exact counts than to keep them apart.
const SMALL_UNION: usize = 16;

impl Arena {
    /// Any of them. `partition` merges their classes.
    pub fn union(&mut self, ids: impl IntoIterator<Item = ExprId>, partition: &mut Partition) -> ExprId {
        let mut flat = std::mem::take(&mut self.flat);
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
        self.work += flat.len() as u64 / 2;
        let made = self.union_of(&mut flat, flags, partition);
        self.flat = flat;
        made
    }

    /// The union of what is no union itself; `flags`: what any of them has.
    fn union_of(&mut self, flat: &mut Vec<ExprId>, flags: u16, partition: &mut Partition) -> ExprId {
        if flat.len() > 1 {
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
            self.join_repetitions(flat);
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

    /// `x{a,b}T | x{c,d}T` is one repetition where the counts overlap or touch. `flat` is sorted, and stays so.
    ///
    /// In a small union exact counts stay as they are, if they are next to no range.
    fn join_repetitions(&mut self, flat: &mut Vec<ExprId>) {
        // PERF: joining these in small unions makes the cold steps of `(a|b)*a(a|b){12}` 11 % longer.
        let mut found = std::mem::take(&mut self.repetitions);
        found.clear();
        if flat.len() <= SMALL_UNION {
            found.extend(flat.iter().filter(|&&id| self.is(id, RANGE)).filter_map(|&id| self.repetition(id)));
            let ranges = found.len();
            for &id in flat.iter().filter(|&&id| ranges > 0 && !self.is(id, RANGE)) {
                let tail = self.split(id).1;
                if found[..ranges].iter().any(|range| range.1 == tail)
                    && let Some(exact) = self.repetition(id)
                    && found[..ranges].iter().any(|range| (range.0, range.1) == (exact.0, tail))
                {
                    found.push(exact);
                }
            }
        } else {
            found.extend(flat.iter().filter_map(|&id| self.repetition(id)));
        }
        if found.is_empty() {
            self.repetitions = found;
            return;
        }
        // `T` itself is `x{0,0}T`, and `xT` is `x{1,1}T`.
        let has = |id: ExprId| flat.binary_search(&id).is_ok();
        let (mut last, mut index) = ((NOTHING, NOTHING), 0);
        let repetitions = found.len();
        while index < repetitions {
            let (body, tail, ..) = found[index];
            index += 1;
            if (body, tail) == std::mem::replace(&mut last, (body, tail)) {
                continue;
            }
            if has(tail) {
                found.push((body, tail, 0, 0, tail));
            }
            if tail == EMPTY {
                if has(body) {
                    found.push((body, tail, 1, 1, body));
                }
            } else if let Some(one) = self.find(&Expr::Concat(body, tail))
                && has(one)
            {
                found.push((body, tail, 1, 1, one));
            }
        }
        if found.len() > 1 {
            self.work += found.len() as u64 * u64::from(found.len().ilog2() + 1) / 8;
            found.sort_unstable();
            found.dedup();
            let (mut joined, mut gone) = (Vec::new(), Vec::new());
            let mut from = 0;
            while from < found.len() {
                let (body, tail, min, mut max, _) = found[from];
                let mut to = from + 1;
                while to < found.len()
                    && found[to].0 == body
                    && found[to].1 == tail
                    && found[to].2 <= max.saturating_add(1)
                {
                    max = max.max(found[to].3);
                    to += 1;
                }
                if to - from > 1 {
                    let repeat = self.repeat(body, min, max, false);
                    joined.push(self.concat(repeat, tail));
                    gone.extend(found[from..to].iter().map(|member| member.4));
                }
                from = to;
            }
            if !joined.is_empty() {
                gone.sort_unstable();
                flat.retain(|id| gone.binary_search(id).is_err());
                flat.append(&mut joined);
                flat.sort_unstable();
                flat.dedup();
            }
        }
        self.repetitions = found;
    }

    /// What is repeated at the head of a sequence, what follows, the counts, and the sequence.
    fn repetition(&self, id: ExprId) -> Option<(ExprId, ExprId, u32, u32, ExprId)> {
        let (head, tail) = self.split(id);
        match self.nodes[head as usize] {
            Expr::Repeat { body, min, max, lazy: false } if !self.is(body, GROUPS) => Some((body, tail, min, max, id)),
            _ => None,
        }
    }

    fn find(&self, expr: &Expr) -> Option<ExprId> {
        self.ids.find(hash(expr), |&i| self.nodes[i as usize] == *expr).copied()
    }
}
