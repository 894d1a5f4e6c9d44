//! The cheapest text of a plain term, in bytes.
//!
//! A term is taken apart: each item takes its own cheapest way, whatever surrounds it. What a tail costs is remembered by
//! the tail, so a stack of tails costs nothing twice, however deep it is. The costs of rules are the least fixpoint of
//! those of their bodies, found in ascending order (Knuth 1977, a generalisation of Dijkstra's algorithm): a rule is
//! settled from rules that are settled before it. A part with a past of its own is searched, the most promising situation
//! first (A*).

use crate::codepoints::MAX;
use crate::derivative::alive::Graph;
use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::situation::Life;
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::ClassId;
use crate::expression::node::{ANYTHING, EMPTY, Expr, ExprId};
use crate::symbols::{push, width};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// No text is known.
pub(super) const NONE: u64 = u64::MAX;

/// What is known of the cheapest texts.
#[derive(Debug, Clone, Default)]
pub struct Cheapest {
    /// By expression, bytes.
    costs: FxHashMap<ExprId, u64>,
    /// By rule, bytes; empty until they are asked for.
    rules: Vec<u64>,
    /// By part, the text.
    parts: FxHashMap<u32, Arc<[u8]>>,
    memory: usize,
}

impl Cheapest {
    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.costs.len() * 17 + self.rules.len() * 8 + self.memory
    }
}

/// What is left to be written.
enum Job {
    Write(ExprId),
    /// What was written from a place on, so often again.
    Again {
        from: usize,
        times: u32,
    },
}

impl Cheapest {
    /// The bytes of the cheapest text of a plain term.
    pub fn cost(&mut self, calculus: &mut Calculus, term: ExprId) -> Result<u64> {
        self.find_costs_of_rules(calculus, term)?;
        self.cost_so_far(calculus, term)
    }

    /// Appends the cheapest text of a plain term.
    pub fn write_cheapest(&mut self, calculus: &mut Calculus, term: ExprId, out: &mut Vec<u8>) -> Result<()> {
        self.find_costs_of_rules(calculus, term)?;
        let mut jobs = vec![Job::Write(term)];
        while let Some(job) = jobs.pop() {
            calculus.spend(1)?;
            let term = match job {
                Job::Write(term) => term,
                Job::Again { from, times } => {
                    let one = out[from..].to_vec();
                    calculus.spend(u64::from(times).saturating_mul(one.len() as u64 / 16 + 1))?;
                    (0..times).for_each(|_| out.extend_from_slice(&one));
                    continue;
                }
            };
            let (head, tail) = calculus.arena.split(term);
            if tail != EMPTY {
                jobs.push(Job::Write(tail));
            }
            match *calculus.arena.get(head) {
                Expr::Class(class) => push(calculus.partition.cheapest(class), out),
                Expr::Str { at, len } => self.write_string(calculus, at, len, out)?,
                Expr::Literals { table, lo, hi, depth } => {
                    let strings = &calculus.arena.tables[table as usize][lo as usize..hi as usize];
                    let strings = strings.iter().map(|string| (string.0 + depth, string.1 - depth));
                    if let Some((at, len)) = strings.min_by_key(|&(at, len)| self.cost_of_string(calculus, at, len)) {
                        self.write_string(calculus, at, len, out)?;
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    let mut best = (NONE, EMPTY);
                    let ids = ids.clone();
                    for &id in &ids {
                        let cost = self.cost(calculus, id)?;
                        if cost < best.0 {
                            best = (cost, id);
                        }
                    }
                    jobs.push(Job::Write(best.1));
                }
                Expr::Repeat { body, min, .. } if min > 0 => {
                    if min > 1 {
                        jobs.push(Job::Again { from: out.len(), times: min - 1 });
                    }
                    jobs.push(Job::Write(body));
                }
                Expr::Table { table, state } => {
                    let text = calculus.arena.automata[table as usize].cheapest(state);
                    calculus.spend(text.len() as u64)?;
                    text.into_iter().for_each(|character| push(character, out));
                }
                Expr::Members { .. } | Expr::Keys { .. } | Expr::Items { .. } => {
                    let pieces = self.cheapest_close(calculus, head)?.map(|(_, pieces)| pieces).unwrap_or_default();
                    jobs.extend(pieces.into_iter().rev().map(Job::Write));
                }
                Expr::Rule(rule) => jobs.push(Job::Write(calculus.arena.rules[rule as usize].body)),
                Expr::Part(number) => {
                    let text = self.cheapest_of_part(calculus, number)?;
                    calculus.spend(text.len() as u64)?;
                    out.extend_from_slice(&text);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn write_string(&mut self, calculus: &mut Calculus, at: u32, len: u32, out: &mut Vec<u8>) -> Result<()> {
        calculus.spend(u64::from(len))?;
        for &class in &calculus.arena.pool[at as usize..(at + len) as usize] {
            push(calculus.partition.cheapest(class), out);
        }
        Ok(())
    }

    fn cost_of_class(&self, calculus: &Calculus, class: ClassId) -> u64 {
        width(calculus.partition.cheapest(class)).into()
    }

    fn cost_of_string(&self, calculus: &Calculus, at: u32, len: u32) -> u64 {
        let classes = &calculus.arena.pool[at as usize..(at + len) as usize];
        classes.iter().map(|&class| self.cost_of_class(calculus, class)).sum()
    }

    /// The same with the rules that are settled; [`NONE`], if that is not enough to tell.
    pub(super) fn cost_so_far(&mut self, calculus: &mut Calculus, term: ExprId) -> Result<u64> {
        let mut spine = Vec::new();
        let mut rest = term;
        let mut sum = loop {
            if let Some(&known) = self.costs.get(&rest) {
                break known;
            }
            calculus.spend(1)?;
            let (head, tail) = calculus.arena.split(rest);
            let cost = self.cost_of_item(calculus, head)?;
            if cost == NONE {
                return Ok(NONE);
            }
            spine.push((rest, cost));
            if tail == EMPTY {
                break 0;
            }
            rest = tail;
        };
        for (rest, cost) in spine.into_iter().rev() {
            sum = sum.saturating_add(cost).min(NONE - 1);
            self.costs.insert(rest, sum);
        }
        Ok(sum)
    }

    fn cost_of_item(&mut self, calculus: &mut Calculus, item: ExprId) -> Result<u64> {
        Ok(match *calculus.arena.get(item) {
            Expr::Class(class) => self.cost_of_class(calculus, class),
            Expr::Str { at, len } => self.cost_of_string(calculus, at, len),
            Expr::Literals { table, lo, hi, depth } => {
                let strings = calculus.arena.tables[table as usize][lo as usize..hi as usize].iter();
                strings.map(|s| self.cost_of_string(calculus, s.0 + depth, s.1 - depth)).min().unwrap_or(0)
            }
            Expr::Union(ref ids) | Expr::Ordered(ref ids) if item != ANYTHING => {
                let mut least = NONE;
                let ids = ids.clone();
                for &id in &ids {
                    least = least.min(self.cost_so_far(calculus, id)?);
                }
                least
            }
            Expr::Repeat { body, min, .. } if min > 0 => match self.cost_so_far(calculus, body)? {
                NONE => NONE,
                cost => cost.saturating_mul(u64::from(min)).min(NONE - 1),
            },
            Expr::Table { table, state } => calculus.arena.automata[table as usize].cost(state),
            Expr::Members { .. } | Expr::Keys { .. } | Expr::Items { .. } => {
                match self.cheapest_close(calculus, item)? {
                    Some((cost, _)) => cost,
                    None => NONE,
                }
            }
            Expr::Rule(rule) => self.rules[rule as usize],
            Expr::Part(number) => self.cheapest_of_part(calculus, number)?.len() as u64,
            _ => 0,
        })
    }

    /// Settles the costs of all rules, if the term refers to any and it was not done before.
    fn find_costs_of_rules(&mut self, calculus: &mut Calculus, term: ExprId) -> Result<()> {
        let count = calculus.arena.rules.len();
        if !calculus.arena.is(term, flag::RULES) || !self.rules.is_empty() {
            return Ok(());
        }
        self.rules = vec![NONE; count];
        let settled = self.settle_costs(calculus, count);
        // What was remembered of unions holds only if all rules are settled.
        self.costs.clear();
        if settled.is_err() {
            self.rules.clear();
        }
        settled
    }

    fn settle_costs(&mut self, calculus: &mut Calculus, count: usize) -> Result<()> {
        // By rule: those that refer to it.
        let mut users: Vec<Vec<u32>> = vec![Vec::new(); count];
        for user in 0..count as u32 {
            for rule in calculus.arena.rules_in(calculus.arena.rules[user as usize].body) {
                users[rule as usize].push(user);
            }
            calculus.spend(1)?;
        }
        let mut queue = BinaryHeap::new();
        for rule in 0..count as u32 {
            self.propose(calculus, rule, &mut queue)?;
        }
        while let Some(Reverse((cost, rule))) = queue.pop() {
            if self.rules[rule as usize] != NONE {
                continue;
            }
            self.rules[rule as usize] = cost;
            for user in std::mem::take(&mut users[rule as usize]) {
                if self.rules[user as usize] == NONE {
                    self.propose(calculus, user, &mut queue)?;
                }
            }
        }
        Ok(())
    }

    fn propose(
        &mut self,
        calculus: &mut Calculus,
        rule: u32,
        queue: &mut BinaryHeap<Reverse<(u64, u32)>>,
    ) -> Result<()> {
        // Unions may become cheaper while rules are being settled.
        self.costs.clear();
        let cost = self.cost_so_far(calculus, calculus.arena.rules[rule as usize].body)?;
        if cost != NONE {
            queue.push(Reverse((cost, rule)));
        }
        Ok(())
    }

    /// The cheapest text of a part from where it is.
    fn cheapest_of_part(&mut self, calculus: &mut Calculus, number: u32) -> Result<Arc<[u8]>> {
        if let Some(known) = self.parts.get(&number) {
            return Ok(Arc::clone(known));
        }
        let text: Arc<[u8]> = self.search_part(calculus, number)?.into();
        self.memory += text.len() + 64;
        self.parts.insert(number, Arc::clone(&text));
        Ok(text)
    }

    fn search_part(&mut self, calculus: &mut Calculus, number: u32) -> Result<Vec<u8>> {
        let mut best: FxHashMap<u32, (u64, u32, u32)> = FxHashMap::default();
        let mut queue = BinaryHeap::new();
        let mut order = 0u32;
        best.insert(number, (0, number, 0));
        queue.push((Reverse(0), Reverse(0), Reverse(order), number, 0));
        while let Some((_, _, _, at, cost)) = queue.pop() {
            if best[&at].0 < cost {
                continue;
            }
            let situation = calculus.situation_of(at);
            let plain = calculus.arena.is(situation.term, flag::PLAIN);
            if plain || calculus.ends(at)? {
                let mut characters = Vec::new();
                let mut back = at;
                while back != number {
                    let (_, parent, character) = best[&back];
                    characters.push(character);
                    back = parent;
                }
                let mut text = Vec::new();
                characters.into_iter().rev().for_each(|character| push(character, &mut text));
                if plain {
                    self.write_cheapest(calculus, situation.term, &mut text)?;
                }
                return Ok(text);
            }
            let candidates = calculus.candidates(situation, (0, MAX));
            calculus.spend(STEP / 2 * (candidates.len() as u64 + 1))?;
            for (m, c) in candidates {
                let next = calculus.next(at, m, c)?;
                if next == 0 || calculus.life(next) == Life::Dead {
                    continue;
                }
                let cost = cost + u64::from(width(c));
                if best.get(&next).is_none_or(|known| cost < known.0) {
                    best.insert(next, (cost, at, c));
                    let situation = calculus.situation_of(next);
                    let least = if calculus.arena.is(situation.term, flag::PLAIN) {
                        self.cost(calculus, situation.term)?
                    } else {
                        calculus.least_length(situation.term, situation.buffer).into()
                    };
                    order += 1;
                    queue.push((Reverse(cost.saturating_add(least)), Reverse(least), Reverse(order), next, cost));
                }
            }
        }
        Ok(Vec::new())
    }
}

impl crate::expression::arena::Arena {
    /// The rules that a term refers to.
    pub fn rules_in(&self, term: ExprId) -> Vec<u32> {
        let (mut found, mut seen, mut stack) = (Vec::new(), FxHashSet::default(), vec![term]);
        while let Some(at) = stack.pop() {
            if !self.is(at, flag::RULES) || !seen.insert(at) {
                continue;
            }
            match *self.get(at) {
                Expr::Rule(rule) => found.push(rule),
                ref other => self.pieces(other, &mut stack),
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
