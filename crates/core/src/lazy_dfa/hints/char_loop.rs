//! What is known of a state without walking: a class of characters that keep it alive, and for how long.
//!
//! *By structure*: `X{m,n}T` without conditions stays alive for n characters of X, and only the first characters of T
//! lead out; the same where X is being captured, if T matches something whatever the captured text turns out to be.
//! *By meaning*: characters that keep to a few states, all alive, keep the state alive for ever. *Counted*:
//! failing that, for as many characters as are looked at.
//!
//! A loop pays only if its class is wide.

use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::{ALL, Bits, Minterm, Partition, folded};
use crate::expression::node::{ANYTHING, Expr, ExprId, MANY};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::mask::hints::{CharLoop, CharLoopSets};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::sync::Arc;

/// The most states that a loop by meaning may go through.
const MOST_STATES: usize = 12;
/// The same with captured texts left open, which are counted up to some length.
const MOST_OPEN_STATES: usize = 160;
/// Kinds of characters that are tried for one.
const MOST_KINDS: usize = 24;
/// What looking for one may take: one part of so many of the fuel.
const SHARE_OF_OPEN_TEXTS: u64 = 32;
/// Characters that are looked at where no loop holds for ever.
const MOST_CHARACTERS: u32 = 16;
/// A class with so many ASCII letters, or so many other characters, is wide.
const WIDE_LETTERS: u32 = 13;
const WIDE_OTHERS: u64 = 500;

/// Whether a class has many characters.
fn has_many(partition: &Partition, bits: &Bits) -> bool {
    let others: u64 = bits.iter().map(|m| u64::from(partition.size(m))).sum();
    if others >= WIDE_OTHERS {
        return true;
    }
    let ascii = bits.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
    (ascii & LETTERS).count_ones() >= WIDE_LETTERS
}

/// The digits of ASCII, one bit each.
const DIGITS: u128 = 0x3FF << 48;
/// The letters of ASCII, one bit each.
const LETTERS: u128 = 0x07FF_FFFE_07FF_FFFE << 64;

/// The character loops found so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct CharLoops {
    /// By the places of its sets in memory, which are kept.
    sets: FxHashMap<[usize; 2], Arc<CharLoopSets>>,
    /// See [`crate::mask::hints::MaskHints::expect_numbers`].
    has_numbers: bool,
}

impl CharLoops {
    /// Forgets all that goes by expressions.
    pub(crate) fn clear(&mut self) {
        self.sets = FxHashMap::default();
    }

    pub(crate) fn expect_numbers(&mut self, has_numbers: bool) {
        self.has_numbers = has_numbers;
    }

    /// Whether so many tokens can be of a class that copying them is cheaper than walking. Digits are few characters, and many
    /// tokens where a vocabulary has numbers of several digits.
    fn is_wide(&self, partition: &Partition, bits: &Bits) -> bool {
        let ascii = || bits.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
        self.has_numbers && ascii() & DIGITS == DIGITS || has_many(partition, bits)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.sets.len() * 96
    }
}

impl CharLoops {
    /// The character loop of a state, worked out once.
    pub(crate) fn find_char_loop(&mut self, dfa: &mut CharDfa, state: CharState) -> Result<Option<CharLoop>> {
        if let Some(known) = &dfa.states[state as usize].char_loop {
            return Ok(known.clone());
        }
        let term = dfa.states[state as usize].term;
        let plain = dfa.calculus.arena.is(term, flag::PLAIN);
        let char_loop = if plain && !self.begins_widely(dfa, state) {
            None
        } else {
            match self.by_structure(dfa, term, dfa.states[state as usize].buffer) {
                Some(found) => found,
                None if plain && let Some(found) = self.by_content(dfa, term) => Some(found),
                None if !plain && !self.begins_widely(dfa, state) => None,
                None if dfa.calculus.arena.is(term, flag::GROUPS) => self.by_open_texts(dfa, state)?,
                None => self.by_meaning(dfa, state)?,
            }
        };
        dfa.states[state as usize].char_loop = Some(char_loop.clone());
        Ok(char_loop)
    }

    /// See `content.rs`. Only where there are rules or collections: a pattern's states are few, and by meaning more is found.
    fn by_content(&mut self, dfa: &mut CharDfa, term: ExprId) -> Option<CharLoop> {
        let arena = &dfa.calculus.arena;
        if arena.rules.is_empty() && arena.collections.members.is_empty() {
            return None;
        }
        let partition = &dfa.calculus.partition;
        let found = dfa.calculus.content_loop(term, &|bits| self.is_wide(partition, bits))?;
        if self.is_wide(partition, &found.exits) {
            // Too much is left to be walked.
            return None;
        }
        Some(self.loop_of(dfa, &found.class, MANY, &found.exits, false))
    }

    /// Whether a wide class of characters may come first.
    ///
    /// PERF: in most states none does, and looking at what they lead to made the cold steps of `(a|b)*a(a|b){12}` take
    /// 23 µs in place of 12.
    fn begins_widely(&mut self, dfa: &mut CharDfa, state: CharState) -> bool {
        let first = dfa.begins(state);
        self.is_wide(&dfa.calculus.partition, &first)
    }

    /// `Some(None)`: the structure tells that there is none worth having.
    fn by_structure(&mut self, dfa: &mut CharDfa, term: ExprId, buffer: u32) -> Option<Option<CharLoop>> {
        let (mut head, mut tail) = dfa.calculus.arena.split(term);
        while let Expr::Open(_) = dfa.calculus.arena.get(head) {
            (head, tail) = dfa.calculus.arena.split(tail);
        }
        if !dfa.calculus.arena.is(term, flag::PLAIN) && !dfa.calculus.surely_alive(tail) {
            return None;
        }
        let calculus = &mut dfa.calculus;
        let mut captured = calculus.captured(buffer);
        // What else an iteration can begin with, if it is not one character of the class.
        let mut others = Bits::default();
        let (bits, reach) = match *calculus.arena.get(head) {
            Expr::Ordered(_) if head == ANYTHING => (calculus.partition.bits(ALL).clone(), MANY),
            Expr::Repeat { body, max, .. } => match *calculus.arena.get(body) {
                Expr::Class(class) => (calculus.partition.bits(class).clone(), max),
                Expr::Union(ref ids) => {
                    let class = ids.iter().find_map(|&id| match *calculus.arena.get(id) {
                        Expr::Class(class) if self.is_wide(&calculus.partition, calculus.partition.bits(class)) => {
                            Some((id, class))
                        }
                        _ => None,
                    });
                    let (member, class) = class?;
                    let bits = calculus.partition.bits(class).clone();
                    ids.iter().filter(|&&id| id != member).for_each(|&id| calculus.first(id, &captured, &mut others));
                    if others.iter().any(|m| bits.has(m)) {
                        return None;
                    }
                    (bits, max)
                }
                _ => return None,
            },
            // Words keep to few of all texts.
            Expr::Literals { .. } => return Some(None),
            // One character, and then a class (`[a-z_][a-z0-9_]*`): what both have, stays inside.
            Expr::Class(one) => {
                let (next, behind) = calculus.arena.split(tail);
                let Expr::Repeat { body, max, .. } = *calculus.arena.get(next) else { return None };
                let Expr::Class(class) = *calculus.arena.get(body) else { return None };
                let (one, class) = (calculus.partition.bits(one), calculus.partition.bits(class));
                let mut both = Bits::default();
                for m in one.iter() {
                    if class.has(m) { both.add(m) } else { others.add(m) }
                }
                class.iter().filter(|&m| !both.has(m)).for_each(|m| others.add(m));
                tail = behind;
                (both, if max == MANY { MANY } else { max.saturating_add(1) })
            }
            _ => return None,
        };
        if !self.is_wide(&calculus.partition, &bits) {
            // What may be skipped may hide a wide class behind it (`\s*\w+`).
            if let Expr::Class(_) = calculus.arena.get(head) {
                return None;
            }
            let mut first = Bits::default();
            if calculus.arena.is(head, flag::MAY_SKIP) {
                calculus.first(tail, &captured, &mut first);
            }
            return if self.is_wide(&calculus.partition, &first) { None } else { Some(None) };
        }
        captured.extend(&bits);
        let mut first = Bits::default();
        calculus.first(tail, &captured, &mut first);
        let beyond_is_dead = !first.iter().any(|m| bits.has(m));
        if !beyond_is_dead && reach != MANY && reach <= MOST_CHARACTERS {
            // What follows may go on with the same characters: looking further may tell more.
            return None;
        }
        if !beyond_is_dead {
            // What follows may begin among characters of the class, and go on with any that it has.
            first.extend(&calculus.all_minterms(tail, &captured));
        }
        let mut exits = others.clone();
        first.iter().filter(|&m| !bits.has(m)).for_each(|m| exits.add(m));
        if has_many(&calculus.partition, &exits) {
            // Too much is left to be walked: what follows may be one class with this one.
            return None;
        }
        Some(Some(self.loop_of(dfa, &bits, reach, &exits, beyond_is_dead)))
    }

    fn loop_of(&mut self, dfa: &mut CharDfa, class: &Bits, reach: u32, exits: &Bits, beyond_is_dead: bool) -> CharLoop {
        let partition = &mut dfa.calculus.partition;
        let mut set = |bits: &Bits| if bits.is_empty() { Arc::default() } else { partition.set(bits) };
        let exits = set(exits);
        let class = partition.set(class);
        let key = [&class, &exits].map(|set| if set.is_empty() { 0 } else { Arc::as_ptr(set) as usize });
        let sets = self.sets.entry(key).or_insert_with(|| Arc::new(CharLoopSets { class, exits }));
        CharLoop { sets: Arc::clone(sets), reach, beyond_is_dead }
    }

    /// The minterms that keep the state alive, with where they lead.
    fn targets(&mut self, dfa: &mut CharDfa, state: CharState) -> Result<Vec<(Minterm, CharState)>> {
        let mut live = Vec::new();
        for m in 1..dfa.calculus.partition.len() as Minterm {
            let next = dfa.walk_any(state, m)?;
            if next != 0 {
                live.push((m, next));
            }
        }
        Ok(live)
    }

    /// Of a state whose term captures: characters that keep to a few states, all alive, once the captured texts are left open,
    /// keep it alive whatever they are.
    fn by_open_texts(&mut self, dfa: &mut CharDfa, state: CharState) -> Result<Option<CharLoop>> {
        let fuel = dfa.calculus.fuel;
        let share = fuel / SHARE_OF_OPEN_TEXTS;
        dfa.calculus.fuel = share;
        let found = self.look_at_open_texts(dfa, state);
        dfa.calculus.fuel = fuel - (share - dfa.calculus.fuel.min(share));
        match found {
            Err(Error::Limit { limit: "fuel", .. }) => Ok(None),
            found => found,
        }
    }

    fn look_at_open_texts(&mut self, dfa: &mut CharDfa, state: CharState) -> Result<Option<CharLoop>> {
        let Some(start) = dfa.lower_state(state)?.filter(|lower| !lower.is_partial) else { return Ok(None) };
        let mut live: Vec<Minterm> = Vec::new();
        for (m, c) in dfa.candidates(start.state) {
            if !live.contains(&m) && self.open_step(dfa, start.state, m, c)?.is_some() {
                live.push(m);
            }
        }
        if live.len() > MOST_KINDS {
            return Ok(None);
        }
        // Most tokens are of letters: what goes with these is best.
        let partition = &dfa.calculus.partition;
        live.sort_by_key(|&m| Reverse(((partition.ascii_bytes(m) & LETTERS).count_ones(), partition.size(m))));
        let mut class = Bits::default();
        let mut inside = vec![start.state];
        for m in live {
            let mut candidate = class.clone();
            candidate.add(m);
            if let Some(states) = self.kept_open(dfa, start.state, &candidate)? {
                (class, inside) = (candidate, states);
            }
        }
        if !self.is_wide(&dfa.calculus.partition, &class) {
            return Ok(None);
        }
        let mut exits = Bits::default();
        for at in inside {
            let first = dfa.calculus.arena.info(dfa.states[at as usize].term).first;
            let others = (1..dfa.calculus.partition.len() as Minterm).filter(|&m| first & folded(m) != 0);
            others.filter(|&m| !class.has(m)).for_each(|m| exits.add(m));
        }
        Ok(Some(self.loop_of(dfa, &class, MANY, &exits, false)))
    }

    /// The state after a character with captured texts left open, if it is alive.
    fn open_step(&mut self, dfa: &mut CharDfa, state: CharState, m: Minterm, c: u32) -> Result<Option<CharState>> {
        let next = dfa.go(state, m, c)?;
        if next == DEAD {
            return Ok(None);
        }
        let Some(lower) = dfa.lower_state(next)?.filter(|lower| !lower.is_partial) else { return Ok(None) };
        Ok(if dfa.alive(lower.state)? { Some(lower.state) } else { None })
    }

    fn kept_open(&mut self, dfa: &mut CharDfa, state: CharState, class: &Bits) -> Result<Option<Vec<CharState>>> {
        let mut states = vec![state];
        let mut next = 0;
        while next < states.len() {
            for (m, c) in dfa.candidates(states[next]) {
                if !class.has(m) {
                    continue;
                }
                let Some(target) = self.open_step(dfa, states[next], m, c)? else { return Ok(None) };
                if !states.contains(&target) {
                    if states.len() == MOST_OPEN_STATES {
                        return Ok(None);
                    }
                    states.push(target);
                }
            }
            next += 1;
        }
        Ok(Some(states))
    }

    fn by_meaning(&mut self, dfa: &mut CharDfa, state: CharState) -> Result<Option<CharLoop>> {
        let live = self.targets(dfa, state)?;
        let mut groups: Vec<(u64, CharState, Bits)> = Vec::new();
        for &(m, next) in &live {
            let size = u64::from(dfa.calculus.partition.size(m));
            match groups.iter_mut().find(|g| g.1 == next) {
                Some(group) => {
                    group.0 += size;
                    group.2.add(m);
                }
                None => {
                    let mut bits = Bits::default();
                    bits.add(m);
                    groups.push((size, next, bits));
                }
            }
        }
        groups.sort_by_key(|g| Reverse(g.0));
        let mut class = Bits::default();
        let mut inside = vec![state];
        for (_, _, bits) in groups.iter().take(6) {
            let mut candidate = class.clone();
            candidate.extend(bits);
            if let Some(states) = self.kept(dfa, state, &candidate)? {
                (class, inside) = (candidate, states);
            }
        }
        if self.is_wide(&dfa.calculus.partition, &class) {
            let exits = self.exits(dfa, &inside, &class)?;
            return Ok(Some(self.loop_of(dfa, &class, MANY, &exits, false)));
        }
        let mut all = Bits::default();
        groups.iter().for_each(|(_, _, bits)| all.extend(bits));
        let mut best: Option<CharLoop> = None;
        for bits in [groups.first().map(|group| &group.2), Some(&all)].into_iter().flatten() {
            if self.is_wide(&dfa.calculus.partition, bits)
                && best.as_ref().is_none_or(|best| best.reach < MOST_CHARACTERS && !best.beyond_is_dead)
                && let Some(found) = self.counted(dfa, state, bits)?
                && best.as_ref().is_none_or(|best| best.reach < found.reach)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }

    /// The states that the characters of `class` lead to from `state`, if they are few and all alive.
    fn kept(&mut self, dfa: &mut CharDfa, state: CharState, class: &Bits) -> Result<Option<Vec<CharState>>> {
        let mut states = vec![state];
        let mut next = 0;
        while next < states.len() {
            for m in class.iter() {
                let target = dfa.walk_any(states[next], m)?;
                if target == 0 {
                    return Ok(None);
                }
                if !states.contains(&target) {
                    if states.len() == MOST_STATES {
                        return Ok(None);
                    }
                    states.push(target);
                }
            }
            next += 1;
        }
        Ok(Some(states))
    }

    fn exits(&mut self, dfa: &mut CharDfa, states: &[CharState], class: &Bits) -> Result<Bits> {
        let mut exits = Bits::default();
        for &state in states {
            for (m, _) in self.targets(dfa, state)? {
                if !class.has(m) {
                    exits.add(m);
                }
            }
        }
        Ok(exits)
    }

    fn counted(&mut self, dfa: &mut CharDfa, state: CharState, class: &Bits) -> Result<Option<CharLoop>> {
        let mut level = vec![state];
        let mut before = Vec::new();
        let mut reach = 0;
        let mut beyond_is_dead = false;
        while reach < MOST_CHARACTERS {
            let mut next = Vec::new();
            let mut is_dead = false;
            for &at in &level {
                for m in class.iter() {
                    let target = dfa.walk_any(at, m)?;
                    is_dead |= target == 0;
                    if !next.contains(&target) {
                        next.push(target);
                    }
                }
                if next.len() > MOST_STATES {
                    break;
                }
            }
            if is_dead || next.len() > MOST_STATES {
                beyond_is_dead = next == [0];
                break;
            }
            reach += 1;
            before.extend(level);
            level = next;
        }
        if reach < 2 {
            return Ok(None);
        }
        if beyond_is_dead {
            // What leaves after the last is dead, or leaves by an exit: nothing else stays alive.
            before.extend(level);
        }
        before.sort_unstable();
        before.dedup();
        let exits = self.exits(dfa, &before, class)?;
        Ok(Some(self.loop_of(dfa, class, reach, &exits, beyond_is_dead)))
    }
}
