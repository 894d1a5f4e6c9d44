//! Whether anything can still match, decided exactly, for any graph of situations.
//!
//! A situation that is not alive by construction is searched for a way to one that may end, the most promising first;
//! the way that is found marks all of itself alive, a search that ends without one proves all that it saw dead. So every
//! situation is decided at most once. What groups capture makes the situations infinite in number, and a search for a way
//! that is not there would not end; so after some of them it is asked whether one is there with the captured texts left
//! open, which takes situations of their own, finite in number and as many as the pattern without its groups has.
//! (Stanford & Veanes, CAV 2023, bound such searches better; measured on the benchmarks' patterns, searches end within a
//! few states.)

use crate::codepoints::MAX;
use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::situation::{Life, Situation};
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::Minterm;
use crate::expression::node::{EMPTY, Expr, ExprId, NOTHING, UNBOUND};
use crate::symbols::SPECIAL;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Situations that a search goes through before it is asked whether it can end at all.
const PATIENCE: u32 = 64;

/// Situations by number, and where they lead. Number 0 is the dead one.
pub trait Graph {
    /// The means to derive.
    fn calculus(&mut self) -> &mut Calculus;
    /// A situation by its number.
    fn situation_of(&self, at: u32) -> Situation;
    /// The number of a situation.
    fn number(&mut self, situation: Situation) -> u32;
    /// What is known of it.
    fn life(&self, at: u32) -> Life;
    /// Takes note of what became known.
    fn set_life(&mut self, at: u32, life: Life);
    /// Whether it is alive because another situation is, of fewer texts, that stands for many and that is known.
    fn is_alive_by_another(&mut self, _at: u32) -> Result<bool> {
        Ok(false)
    }
    /// Takes note that a way to an end leads from `at` over a character to `next`, of which one is known.
    fn set_way(&mut self, _at: u32, _character: u32, _next: u32) {}
    /// Whether the text may end there.
    fn ends(&mut self, at: u32) -> Result<bool>;
    /// Where a character leads, whether anything can match there or not.
    fn next(&mut self, at: u32, m: Minterm, c: u32) -> Result<u32>;
}

/// Whether some text leads from a situation to one that may end.
pub fn is_alive(graph: &mut impl Graph, start: u32) -> Result<bool> {
    match graph.life(start) {
        Life::Alive => return Ok(true),
        Life::Dead => return Ok(false),
        Life::Unknown => {}
    }
    if graph.is_alive_by_another(start)? {
        graph.set_life(start, Life::Alive);
        return Ok(true);
    }
    let mut parents: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
    let mut queue = BinaryHeap::new();
    let promise = |graph: &mut _, at| promise(graph, at);
    parents.insert(start, (start, 0));
    queue.push((Reverse(promise(graph, start)), 0u32, start));
    let mut terms: FxHashSet<ExprId> = FxHashSet::default();
    let mut found = None;
    let (mut order, mut popped) = (0u32, 0u32);
    while let Some((Reverse(promised), _, at)) = queue.pop() {
        if graph.life(at) == Life::Alive || graph.ends(at)? {
            found = Some(at);
            break;
        }
        if graph.life(at) == Life::Dead {
            continue;
        }
        let situation = graph.situation_of(at);
        let calculus = graph.calculus();
        calculus.spend(STEP)?;
        popped += 1;
        if popped == PATIENCE && is_surely_dead(graph, start)? {
            break;
        }
        let captures = graph.calculus().captures_texts;
        for (m, c) in graph.calculus().candidates(situation, (0, MAX)) {
            let next = graph.next(at, m, c)?;
            if next != 0 && !parents.contains_key(&next) {
                parents.insert(next, (at, c));
                order += 1;
                // Captures make the situations infinite in number: there the way so far counts, too, and situations that
                // differ only in what was captured wait until the first of them has failed.
                let mut so_far = 0;
                if captures {
                    let here = promise(graph, at);
                    so_far = promised - here.min(promised) + 1;
                    if !terms.insert(graph.situation_of(next).term) {
                        so_far += 64;
                    }
                }
                queue.push((Reverse(promise(graph, next).saturating_add(so_far)), order, next));
            }
        }
    }
    match found {
        Some(mut at) => loop {
            graph.set_life(at, Life::Alive);
            let (parent, character) = parents[&at];
            if parent == at {
                return Ok(true);
            }
            graph.set_way(parent, character, at);
            at = parent;
        },
        None => {
            parents.keys().for_each(|&seen| graph.set_life(seen, Life::Dead));
            Ok(false)
        }
    }
}

/// How far from its end a situation seems: each condition that is still open counts.
fn promise(graph: &mut impl Graph, at: u32) -> u32 {
    let Situation { term, buffer, .. } = graph.situation_of(at);
    let calculus = graph.calculus();
    match calculus.arena.get(term) {
        Expr::Inter(parts) => parts.iter().fold(0, |sum: u32, &p| sum.saturating_add(calculus.arena.info(p).min_len)),
        _ => calculus.least_length(term, buffer),
    }
}

/// Whether nothing matches even if captured texts could be any texts: of such situations there are only so many.
fn is_surely_dead(graph: &mut impl Graph, at: u32) -> Result<bool> {
    let Situation { term, before, trackers, .. } = graph.situation_of(at);
    let calculus = graph.calculus();
    if !calculus.arena.is(term, flag::GROUPS) {
        return Ok(false);
    }
    let Some(loose) = calculus.loosened(term)? else { return Ok(false) };
    let trackers = calculus.tracker_sets.get(trackers).to_vec();
    let loose = calculus.situation(loose, before, &trackers, 0);
    let loose = graph.number(loose);
    Ok(loose == 0 || !is_alive(graph, loose)?)
}

impl Calculus {
    /// Characters that stand for all within a range: one of each minterm and, where captured ones are compared, these too.
    pub fn candidates(&self, situation: Situation, (lo, hi): (u32, u32)) -> Vec<(Minterm, u32)> {
        let compared = self.compared_in(situation);
        let partition = &self.partition;
        let own = compared.iter().filter(|c| (lo..=hi).contains(*c)).map(|&c| (partition.minterm(c), c));
        let others =
            (1..partition.len() as Minterm).filter_map(|m| Some((m, partition.other(m, &compared, (lo, hi))?)));
        let specials = partition.specials().iter().filter(|_| (lo, hi) == (0, MAX)).map(|&(id, m)| (m, SPECIAL + id));
        own.filter(|&(m, _)| m != 0).chain(others).chain(specials).collect()
    }

    /// The characters that a situation may compare the next one with, sorted.
    pub fn compared_in(&self, situation: Situation) -> Vec<u32> {
        let Situation { term, buffer, .. } = situation;
        if self.may_compare(term) { self.compared(term, buffer) } else { Vec::new() }
    }

    /// Whether a term may compare the next character with a captured one: where it leads then goes by character.
    pub fn may_compare(&self, term: ExprId) -> bool {
        self.captures_texts && self.arena.is(term, flag::FRONT_TEXT | flag::FRONT_CAPTURE)
    }

    /// Whether the structure shows that something matches: no conditions but on groups that are closed by then.
    pub fn surely_alive(&self, term: ExprId) -> bool {
        if !self.captures_texts && !self.arena.is(term, flag::GROUPS | flag::FUZZY) {
            return false;
        }
        let mut budget = 400;
        self.surely(term, EMPTY, &mut Vec::new(), &mut budget)
    }

    /// Whether a sequence followed by another surely matches something; `closed`: the groups that are set by then.
    fn surely(&self, sequence: ExprId, behind: ExprId, closed: &mut Vec<u32>, budget: &mut u32) -> bool {
        let arena = &self.arena;
        let (mut rest, mut behind) = (sequence, behind);
        loop {
            if rest == EMPTY {
                if behind == EMPTY {
                    return true;
                }
                (rest, behind) = (behind, EMPTY);
            }
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            let (head, tail) = arena.split(rest);
            match *arena.get(head) {
                _ if arena.is(head, flag::PLAIN) && head != NOTHING => {}
                Expr::Repeat { min: 0, .. } | Expr::Open(_) => {}
                Expr::Repeat { body, .. } => {
                    // One iteration that matches can be repeated; what it closes stays closed.
                    if !self.surely(body, EMPTY, closed, budget) {
                        return false;
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) => {
                    if behind != EMPTY {
                        return false;
                    }
                    return ids.iter().any(|&id| self.surely(id, tail, &mut closed.clone(), budget));
                }
                Expr::Text { .. } => {}
                Expr::Fuzzy(state) if arena.is_writable(state) => {}
                Expr::Rule(rule) => {
                    if !self.surely(arena.rules[rule as usize].body, EMPTY, closed, budget) {
                        return false;
                    }
                }
                Expr::Part(number) if self.is_proven(number) => {}
                Expr::Close { group, .. } => closed.push(group),
                Expr::Backref { reference, content } => {
                    if content == UNBOUND && !closed.contains(&self.captures.group(reference)) {
                        return false;
                    }
                }
                _ => return false,
            }
            rest = tail;
        }
    }

    /// No text of a term with a buffer is shorter, in bytes. What is captured so far counts once more for each
    /// backreference to it: without that, a search for a shortest text would lengthen the capture in every way before it
    /// came to compare it.
    pub fn least_length(&self, term: ExprId, buffer: u32) -> u32 {
        let arena = &self.arena;
        if !self.captures_texts {
            return arena.info(term).min_len;
        }
        if let Expr::Union(ids) | Expr::Ordered(ids) = arena.get(term) {
            return ids.iter().map(|&id| self.least_length(id, buffer)).min().unwrap_or(0);
        }
        let captures = &self.captures;
        let (mut sum, mut rest) = (0u32, term);
        let mut captured: Vec<(u32, u32, u32)> = Vec::new();
        while rest != EMPTY {
            let (head, tail) = arena.split(rest);
            let more = match *arena.get(head) {
                Expr::Close { group, start } if start != UNBOUND => {
                    let text = captures.read(buffer, start);
                    let bytes: usize = text.iter().map(|&c| char::from_u32(c).map_or(1, char::len_utf8)).sum();
                    captured.push((group, sum + text.len() as u32, sum + bytes as u32));
                    0
                }
                Expr::Backref { reference, content: UNBOUND } => {
                    let group = captures.group(reference);
                    let text = captured.iter().rev().find(|&&(closed, _, _)| closed == group);
                    // Characters that differ in case only may differ in bytes.
                    text.map_or(0, |&(_, chars, bytes)| if captures.is_exact(reference) { bytes } else { chars })
                }
                _ => arena.reads(head),
            };
            sum = sum.saturating_add(more);
            rest = tail;
        }
        sum.max(arena.info(term).min_len)
    }
}
