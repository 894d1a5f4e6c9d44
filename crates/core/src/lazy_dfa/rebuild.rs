//! Starting over with the states in use: their expressions are copied into a fresh arena, and all others are dropped.

use crate::automaton::StateId;
use crate::derivative::alive::Graph;
use crate::derivative::calculus::Calculus;
use crate::derivative::captures::Captures;
use crate::derivative::situation::Life;
use crate::derivative::situation::Situation;
use crate::expression::fuzzy_items::FuzzyState;
use crate::expression::node::{Expr, ExprId, NOTHING, UNBOUND};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD, State};
use rustc_hash::{FxHashMap, FxHashSet};

/// The fresh calculus and what has been copied.
struct Copier {
    fresh: Calculus,
    ids: FxHashMap<ExprId, ExprId>,
}

impl Copier {
    /// A fresh calculus with the same classes, strings and groups.
    pub fn new(old: &Calculus) -> Self {
        let captures: Captures = old.captures.blank();
        let mut fresh = Calculus::new(old.partition.clone(), captures);
        fresh.holds_after.clone_from(&old.holds_after);
        fresh.captures_texts = old.captures_texts;
        fresh.arena.pool.clone_from(&old.arena.pool);
        fresh.arena.tables.clone_from(&old.arena.tables);
        fresh.arena.automata.clone_from(&old.arena.automata);
        let constants = (0..=crate::expression::node::ALL_CHARACTERS).map(|id| (id, id)).collect();
        fresh.arena.collections = old.arena.collections.blank();
        fresh.arena.fuzzy = old.arena.fuzzy.blank();
        let mut copier = Copier { fresh, ids: constants };
        copier.collections(old);
        copier.rules(old);
        copier
    }

    /// The collections, inner ones first, so that each is there when it is needed.
    fn collections(&mut self, old: &Calculus) {
        self.fresh.arena.rules.clone_from(&old.arena.rules);
        for rule in &mut self.fresh.arena.rules {
            rule.body = NOTHING;
        }
        for (is_members, number) in old.arena.collections.in_order() {
            if is_members {
                let spec = old.arena.collections.members[number].map(|id| self.expr(old, id));
                self.fresh.arena.collections.members[number] = spec;
            } else {
                let spec = old.arena.collections.items[number].map(|id| self.expr(old, id));
                self.fresh.arena.collections.items[number] = spec;
            }
        }
    }

    /// The rules, and what is known of them.
    fn rules(&mut self, old: &Calculus) {
        if old.arena.rules.is_empty() {
            return;
        }
        self.fresh.arena.rules.clone_from(&old.arena.rules);
        self.fresh.arena.unsettled = true;
        for rule in &mut self.fresh.arena.rules {
            rule.body = NOTHING;
        }
        for (number, rule) in old.arena.rules.iter().enumerate() {
            let body = self.expr(old, rule.body);
            self.fresh.arena.rules[number].body = body;
        }
        self.fresh.arena.settle();
        self.fresh.arena.unsettled = false;
    }

    /// The copy of a situation.
    fn situation(&mut self, old: &Calculus, situation: Situation) -> Situation {
        let term = self.expr(old, situation.term);
        let trackers = old.tracker_sets.get(situation.trackers);
        let trackers: Vec<_> = trackers.iter().map(|&(number, term)| (number, self.expr(old, term))).collect();
        let buffer = self.buffer(old, situation.buffer);
        self.fresh.situation(term, situation.before, &trackers, buffer)
    }

    /// The copy of a buffer.
    pub fn buffer(&mut self, old: &Calculus, buffer: u32) -> u32 {
        let characters = old.captures.read(buffer, 0);
        characters.into_iter().fold(0, |buffer, c| self.fresh.captures.push(buffer, c))
    }

    /// The copy of an expression.
    pub fn expr(&mut self, old: &Calculus, id: ExprId) -> ExprId {
        // Parts have smaller ids than the whole: what is needed, in ascending order, needs no recursion.
        let mut needed = Vec::new();
        let mut seen = FxHashSet::default();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if self.ids.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            needed.push(id);
            match old.arena.get(id) {
                Expr::Part(number) => {
                    let situation = old.about_part(*number).0;
                    stack.push(situation.term);
                    stack.extend(old.tracker_sets.get(situation.trackers).iter().map(|tracker| tracker.1));
                }
                other => old.arena.pieces(other, &mut stack),
            }
        }
        needed.sort_unstable();
        for id in needed {
            let copy = self.one(old, id);
            self.ids.insert(id, copy);
        }
        self.ids[&id]
    }

    fn one(&mut self, old: &Calculus, id: ExprId) -> ExprId {
        let at = |id: &ExprId| self.ids[id];
        let sorted = |ids: &[ExprId]| {
            let mut ids: Vec<ExprId> = ids.iter().map(at).collect();
            ids.sort_unstable();
            ids.into_boxed_slice()
        };
        let copy = match old.arena.get(id).clone() {
            Expr::Concat(a, b) => Expr::Concat(at(&a), at(&b)),
            Expr::Union(ids) => Expr::Union(sorted(&ids)),
            Expr::Inter(ids) => Expr::Inter(sorted(&ids)),
            Expr::Ordered(ids) => Expr::Ordered(ids.iter().map(at).collect()),
            Expr::Not(body) => Expr::Not(at(&body)),
            Expr::Repeat { body, min, max, lazy } => Expr::Repeat { body: at(&body), min, max, lazy },
            Expr::Mark { body, min, max, lazy, dead } => Expr::Mark { body: at(&body), min, max, lazy, dead },
            Expr::Ahead { negated, body } => Expr::Ahead { negated, body: at(&body) },
            Expr::Cond { groups, yes, no } => Expr::Cond { groups, yes: at(&yes), no: at(&no) },
            Expr::Atomic(threads) => Expr::Atomic(threads.iter().map(|t| (at(&t.0), at(&t.1))).collect()),
            Expr::Backref { reference, content } if content != UNBOUND => {
                let text = old.captures.text(content).to_vec();
                Expr::Backref { reference, content: self.fresh.captures.content(text) }
            }
            Expr::Text { reference, content, left } => {
                let text = old.captures.text(content).to_vec();
                Expr::Text { reference, content: self.fresh.captures.content(text), left }
            }
            Expr::Part(number) => {
                let (situation, life, ends) = old.about_part(number);
                let situation = self.situation(old, situation);
                return self.fresh.known_part(situation, life, ends);
            }
            Expr::Members { spec, seen } => Expr::Members { spec, seen: self.seen(old, seen) },
            Expr::Keys { spec, seen, lo, hi, depth } => Expr::Keys { spec, seen: self.seen(old, seen), lo, hi, depth },
            Expr::Items { spec, seen } => Expr::Items { spec, seen: self.seen(old, seen) },
            Expr::Fuzzy(state) => {
                let FuzzyState { spec, mut ways, ends, least, first } = old.arena.fuzzy.states[state as usize].clone();
                ways.iter_mut().for_each(|way| way.0 = at(&way.0));
                ways.sort_unstable();
                Expr::Fuzzy(self.fresh.arena.fuzzy.keep(FuzzyState { spec, ways, ends, least, first }))
            }
            other => other,
        };
        self.fresh.arena.intern(copy)
    }

    fn seen(&mut self, old: &Calculus, seen: u32) -> u32 {
        self.fresh.arena.collections.number(old.arena.collections.seen[seen as usize].clone())
    }

    /// The fresh calculus.
    pub fn finish(self) -> Calculus {
        self.fresh
    }
}

impl RegexAutomaton {
    /// Starts over with the start state and `roots` alone. What is known of them goes along, so that nothing can fail.
    pub(crate) fn rebuild(&mut self, roots: &[StateId]) -> Vec<StateId> {
        let mut copy = Copier::new(&self.chars.calculus);
        let parts: Vec<_> = roots.iter().map(|&root| self.middles.parts(root)).collect();
        let mut wanted: Vec<CharState> = vec![self.start];
        wanted.extend(parts.iter().map(|p| p.0));
        let mut kept = Vec::new();
        for &at in &wanted {
            let State { life, accepting, .. } = self.chars.states[at as usize];
            let situation = copy.situation(&self.chars.calculus, Graph::situation_of(&self.chars, at));
            // It is alive because a way is known, which the structure may not show.
            let way = if life == Life::Alive { self.chars.known_way(at).ok().flatten() } else { None };
            kept.push((situation, life, accepting, way));
        }
        let mut fresh = CharDfa::new(copy.finish(), self.chars.captures, self.chars.limits);
        (fresh.calculus.fuel, fresh.calculus.fuel_limit) = (self.chars.calculus.fuel, self.chars.calculus.fuel_limit);
        self.chars = fresh;
        self.middles.clear();
        self.char_loops.clear();
        self.saturated.clear();
        self.truncated.clear();
        self.note_memory();
        let mut new = Vec::with_capacity(kept.len());
        for (situation, life, accepting, way) in kept {
            let id = self.chars.intern(situation);
            if id != DEAD {
                self.chars.states[id as usize].life = life;
                self.chars.states[id as usize].accepting = accepting;
                if let Some(way) = way {
                    self.chars.ways.keep(id, &way);
                }
            }
            new.push(id);
        }
        self.start = new[0];
        let mut ids = Vec::with_capacity(roots.len());
        for (&at, (_, middle)) in new[1..].iter().zip(parts) {
            ids.push(match middle {
                None => StateId(at),
                Some((node, bytes)) if at != DEAD => self.middles.enter_alive(&mut self.chars, at, node, bytes),
                Some(_) => StateId::DEAD,
            });
        }
        ids
    }
}
