//! What is known of rules, which may refer to one another: fixpoints over expressions.
//!
//! A reference `Rule(r)` is unfolded only when it is derived; until then it is as good as what is known of its body:
//! lengths, whether it can be empty, with which minterms it begins. While rules are translated nothing is known of those
//! that come later, and `Rule(r)` passes for no text. Afterwards [`Arena::settle`] works out the facts of all expressions
//! that have to do with rules, from the least upwards, until nothing changes. A rule without a text, however long, is
//! *unproductive*: the shortest length stays infinite.
//!
//! Unfolding ends because no rule can begin with itself: [`Arena::unfolding_order`] finds those that could.

use crate::expression::arena::Arena;
use crate::expression::info::flag;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId, NOTHING};
use rustc_hash::{FxHashMap, FxHashSet};

impl Arena {
    /// Works out what is known of all expressions that refer to rules. Returns the work that it took.
    pub fn settle(&mut self) -> u64 {
        // Who has to be looked at again when something becomes known of an expression.
        let count = self.len();
        let mut parents: Vec<Vec<ExprId>> = vec![Vec::new(); count];
        let mut queue = Vec::new();
        for id in 0..count as ExprId {
            if !self.is(id, flag::RULES) {
                continue;
            }
            let mut children = Vec::new();
            match self.get(id) {
                Expr::Rule(rule) => children.push(self.rules[*rule as usize].body),
                other => self.pieces(other, &mut children),
            }
            children.into_iter().for_each(|child| parents[child as usize].push(id));
            queue.push(id);
        }
        queue.reverse();
        let mut waiting = vec![false; count];
        queue.iter().for_each(|&id| waiting[id as usize] = true);
        let mut work = count as u64;
        while let Some(id) = queue.pop() {
            waiting[id as usize] = false;
            work += 1;
            let known = self.inspect(self.get(id));
            if self.infos[id as usize] == known {
                continue;
            }
            self.infos[id as usize] = known;
            for &parent in &parents[id as usize] {
                if !std::mem::replace(&mut waiting[parent as usize], true) {
                    queue.push(parent);
                }
            }
        }
        work
    }

    /// The rules that have no text, and the work that it took to find them.
    ///
    /// Without collections the shortest length tells. A collection may ask for members or items of which none can be
    /// written though each alone could: there rules are found productive one after the other, until no more are.
    pub fn unproductive(&self) -> (Vec<u32>, u64) {
        let mut productive: Vec<bool> =
            self.rules.iter().map(|rule| self.info(rule.body).min_len != u32::MAX).collect();
        let mut work = productive.len() as u64;
        if !self.collections.members.is_empty() || !self.collections.items.is_empty() {
            let possible = std::mem::replace(&mut productive, vec![false; self.rules.len()]);
            loop {
                let mut found = Vec::new();
                let mut known = FxHashMap::default();
                for (number, rule) in self.rules.iter().enumerate().filter(|&(number, _)| possible[number]) {
                    if !productive[number] && self.has_text(rule.body, &productive, &mut known) {
                        found.push(number);
                    }
                }
                work += known.len() as u64;
                if found.is_empty() {
                    break;
                }
                found.into_iter().for_each(|number| productive[number] = true);
            }
        }
        let numbers = (0u32..).zip(&productive).filter(|(_, productive)| !**productive).map(|(number, _)| number);
        (numbers.collect(), work)
    }

    /// Whether a term has a text made of productive rules only.
    fn has_text(&self, id: ExprId, productive: &[bool], known: &mut FxHashMap<ExprId, bool>) -> bool {
        if !self.is(id, flag::RULES) {
            return self.info(id).min_len != u32::MAX;
        }
        if let Some(&known) = known.get(&id) {
            return known;
        }
        let (mut rest, mut has) = (id, true);
        while has && rest != EMPTY {
            let (head, tail) = self.split(rest);
            let mut one = |id: ExprId| self.has_text(id, productive, known);
            has = match *self.get(head) {
                Expr::Rule(rule) => productive[rule as usize],
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => ids.iter().any(|&id| one(id)),
                Expr::Repeat { body, min, .. } => min == 0 || one(body),
                Expr::Members { spec, seen } => {
                    let spec = &self.collections.members[spec as usize];
                    let spec = spec.map(|id| if one(id) { id } else { NOTHING }).trimmed();
                    spec.close != NOTHING && spec.can_end(&self.collections.seen[seen as usize], &mut 0)
                }
                Expr::Items { spec, seen } => {
                    let spec = &self.collections.items[spec as usize];
                    let spec = spec.map(|id| if one(id) { id } else { NOTHING }).trimmed();
                    spec.can_end(&self.collections.seen[seen as usize])
                }
                _ => self.info(head).min_len != u32::MAX,
            };
            rest = tail;
        }
        known.insert(id, has);
        has
    }

    /// The rules with which a term can begin before it has read a character.
    fn left_corners(&self, id: ExprId) -> Vec<u32> {
        let (mut found, mut seen, mut stack) = (Vec::new(), FxHashSet::default(), vec![id]);
        while let Some(at) = stack.pop() {
            if at == EMPTY || !self.is(at, flag::RULES) || !seen.insert(at) {
                continue;
            }
            let (head, tail) = self.split(at);
            match *self.get(head) {
                Expr::Rule(rule) => found.push(rule),
                Expr::Part(number) => stack.push(self.parts[number as usize].term),
                Expr::Members { spec, seen } => {
                    let spec = &self.collections.members[spec as usize];
                    let begun = self.collections.seen[seen as usize].begun;
                    let before = if begun { spec.between } else { spec.first };
                    stack.extend([before, spec.close]);
                    if self.is(before, flag::MAY_SKIP) {
                        for &(key, follow, _) in &spec.others {
                            stack.push(key);
                            if self.is(key, flag::MAY_SKIP) {
                                stack.push(follow);
                            }
                        }
                        let strings = &self.tables[spec.table as usize];
                        let empty = strings.iter().zip(&spec.follows).filter(|(string, _)| string.1 == 0);
                        stack.extend(empty.map(|(_, follow)| *follow));
                    }
                }
                Expr::Items { spec, seen } => {
                    let spec = &self.collections.items[spec as usize];
                    let seen = &self.collections.seen[seen as usize];
                    let before = if seen.begun { spec.between } else { spec.first };
                    stack.extend([before, spec.close]);
                    if self.is(before, flag::MAY_SKIP) {
                        stack.extend(spec.ways(seen).iter().map(|way| way.1));
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => stack.extend(ids),
                Expr::Concat(..) => {}
                ref other => other.children(&mut stack),
            }
            if self.is(head, flag::MAY_SKIP) {
                stack.push(tail);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The order in which the rules can be unfolded: each behind those that it can begin with.
    ///
    /// # Errors
    /// A rule that can begin with itself, and the way from it back to it.
    pub fn unfolding_order(&self) -> Result<Vec<u32>, Vec<u32>> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let corners: Vec<Vec<u32>> = self.rules.iter().map(|rule| self.left_corners(rule.body)).collect();
        let (mut order, mut marks) = (Vec::with_capacity(corners.len()), vec![Mark::New; corners.len()]);
        for root in 0..corners.len() as u32 {
            if marks[root as usize] != Mark::New {
                continue;
            }
            marks[root as usize] = Mark::Open;
            let mut path = vec![(root, 0)];
            while let Some((rule, next)) = path.last_mut() {
                let Some(&to) = corners[*rule as usize].get(*next) else {
                    marks[*rule as usize] = Mark::Done;
                    order.push(*rule);
                    path.pop();
                    continue;
                };
                *next += 1;
                match marks[to as usize] {
                    Mark::Done => {}
                    Mark::New => {
                        marks[to as usize] = Mark::Open;
                        path.push((to, 0));
                    }
                    Mark::Open => {
                        return Err(path.iter().map(|step| step.0).skip_while(|&rule| rule != to).collect());
                    }
                }
            }
        }
        Ok(order)
    }
}
