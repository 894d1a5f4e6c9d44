//! What is known of a state without walking: a class of characters that keep it alive, and for how long.
//!
//! *By structure*: `X{m,n}T` without conditions stays alive for n characters of X, and only the first characters of T
//! lead out; the same where X is being captured, if T matches something whatever the captured text turns out to be.
//! *By meaning*: characters that keep to a few states, all alive, keep the state alive for ever. *Counted*:
//! failing that, for as many characters as are looked at.
//!
//! A closure is worth its use only if its class is wide.

use crate::derivative::derive::Calculus;
use crate::error::{Error, Result};
use crate::expression::arena::{ANYTHING, EMPTY, Expr, ExprId, MANY, UNBOUND};
use crate::expression::facts::flag;
use crate::expression::minterms::{ALL, Bits, Minterm, Partition, folded};
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::mask::hints::{CharLoop, CharLoopSets};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::sync::Arc;

/// States that a closure by meaning may go through.
const MOST_STATES: usize = 12;
/// The same with captured texts left open, which are counted up to some length.
const MOST_OPEN_STATES: usize = 160;
/// Kinds of characters that are tried for one.
const MOST_KINDS: usize = 24;
/// What looking for one may take: one part of so many of the fuel.
const SHARE_OF_OPEN_TEXTS: u64 = 32;
/// Characters that are looked at where no closure holds for ever.
const MOST_CHARACTERS: u32 = 16;
/// A class with so many ASCII letters, or so many other characters, is wide.
const WIDE_LETTERS: u32 = 13;
const WIDE_OTHERS: u64 = 500;

/// Whether so many tokens can be of a class that copying them is cheaper than walking. Numbers are few characters, and many
/// tokens where a vocabulary has them in runs of three.
fn is_wide(partition: &Partition, bits: &Bits) -> bool {
    let ascii = bits.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
    ascii & DIGITS == DIGITS || has_many(partition, bits)
}

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

impl Calculus {
    /// The minterms of a buffer's characters.
    pub(crate) fn captured(&self, buffer: u32) -> Bits {
        let mut captured = Bits::default();
        for c in self.captures.read(buffer, 0) {
            captured.add(self.partition.minterm(c));
        }
        captured
    }

    /// The minterms with which a sequence can begin, and perhaps more; `captured`: those of which a text can be that
    /// a group captures before.
    pub(crate) fn first(&self, sequence: ExprId, captured: &Bits, into: &mut Bits) {
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Class(class) => into.extend(self.partition.bits(class)),
                Expr::Str { at, .. } => into.extend(self.partition.bits(self.arena.pool[at as usize])),
                Expr::Literals { table, lo, hi, depth } => {
                    let mut strings = &self.arena.tables[table as usize][lo as usize..hi as usize];
                    // One may end here, the first; the others are sorted by their next element.
                    if strings.first().is_some_and(|s| s.1 <= depth) {
                        strings = &strings[1..];
                    }
                    while let Some(&(at, _)) = strings.first() {
                        let class = self.arena.pool[(at + depth) as usize];
                        into.extend(self.partition.bits(class));
                        strings = &strings[self.arena.run(strings, depth, class)..];
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    ids.iter().for_each(|&id| self.first(id, captured, into));
                }
                Expr::Repeat { body, .. } => self.first(body, captured, into),
                Expr::Members { .. } | Expr::Keys { .. } | Expr::Items { .. } | Expr::Top { .. } => {
                    self.first_of_collection(head, into)
                }
                Expr::Table { table, state } => self.arena.automata[table as usize].first(state, into),
                Expr::Rule(rule) => into.extend(&self.arena.rules[rule as usize].first),
                Expr::Part(number) => {
                    let situation = self.about_part(number).0;
                    self.first(situation.term, &self.captured(situation.buffer), into);
                }
                Expr::Inter(ref ids) => {
                    let mut all: Option<Bits> = None;
                    for &id in ids {
                        let mut one = Bits::default();
                        self.first(id, captured, &mut one);
                        all = Some(all.map_or_else(|| one.clone(), |all| all.both(&one)));
                    }
                    into.extend(&all.unwrap_or_default());
                }
                Expr::Cond { yes, no, .. } => [yes, no].into_iter().for_each(|id| self.first(id, captured, into)),
                Expr::Empty | Expr::Nothing | Expr::Done | Expr::End | Expr::Open(_) | Expr::Close { .. } => {}
                Expr::Before { .. } | Expr::Start { .. } | Expr::Next { .. } => {}
                Expr::Ahead { .. } | Expr::Behind { .. } => {}
                Expr::Backref { reference, content: UNBOUND } if self.captures.is_exact(reference) => {
                    into.extend(captured);
                }
                // Every text, a captured one, a race of ways, a Boolean term: anything.
                _ => into.extend(self.partition.bits(ALL)),
            }
            if tail == EMPTY || !self.arena.is(head, flag::MAY_SKIP) {
                return;
            }
            rest = tail;
        }
    }

    /// Works out with which minterms the rules begin.
    ///
    /// # Errors
    /// [`Error::LeftRecursion`], if a rule can begin with itself.
    pub(crate) fn find_first_letters(&mut self) -> Result<()> {
        let order = self.arena.unfolding_order().map_err(|rules| Error::LeftRecursion { rules })?;
        for rule in order {
            self.spend(1)?;
            let mut first = Bits::default();
            self.first(self.arena.rules[rule as usize].body, &Bits::default(), &mut first);
            self.arena.rules[rule as usize].first = first;
        }
        Ok(())
    }

    /// The minterms that a sequence has anywhere, and perhaps more.
    pub(crate) fn all_minterms(&mut self, sequence: ExprId, captured: &Bits) -> Bits {
        let mut all = Bits::default();
        if self.arena.is(sequence, flag::GROUPS) {
            self.anywhere(sequence, captured, &mut all);
            return all;
        }
        if let Some(known) = self.anywhere.get(&sequence) {
            return known.clone();
        }
        self.anywhere(sequence, captured, &mut all);
        self.anywhere.insert(sequence, all.clone());
        all
    }

    fn anywhere(&self, sequence: ExprId, captured: &Bits, into: &mut Bits) {
        let mut rest = sequence;
        loop {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Str { at, len } => {
                    let classes = &self.arena.pool[at as usize..(at + len) as usize];
                    classes.iter().for_each(|&class| into.extend(self.partition.bits(class)));
                }
                Expr::Literals { table, lo, hi, depth } => {
                    for &(at, len) in &self.arena.tables[table as usize][lo as usize..hi as usize] {
                        let classes = &self.arena.pool[(at + depth) as usize..(at + len) as usize];
                        classes.iter().for_each(|&class| into.extend(self.partition.bits(class)));
                    }
                }
                Expr::Union(ref ids) | Expr::Ordered(ref ids) if head != ANYTHING => {
                    ids.iter().for_each(|&id| self.anywhere(id, captured, into));
                }
                Expr::Repeat { body, .. } => self.anywhere(body, captured, into),
                Expr::Cond { yes, no, .. } => [yes, no].into_iter().for_each(|id| self.anywhere(id, captured, into)),
                Expr::Table { table, .. } => self.arena.automata[table as usize].anywhere(into),
                Expr::Rule(_)
                | Expr::Part(_)
                | Expr::Members { .. }
                | Expr::Keys { .. }
                | Expr::Items { .. }
                | Expr::Top { .. }
                | Expr::Opaque => into.extend(self.partition.bits(ALL)),
                // One character, none, or what `first` takes for anything.
                _ => self.first(head, captured, into),
            }
            if tail == EMPTY {
                return;
            }
            rest = tail;
        }
    }
}

/// What has been found out about closures.
#[derive(Debug, Clone, Default)]
pub(crate) struct CharLoops {
    /// By the places of its sets in memory, which are kept.
    sets: FxHashMap<[usize; 2], Arc<CharLoopSets>>,
}

impl CharLoops {
    /// Forgets all that goes by expressions.
    pub(crate) fn clear(&mut self) {
        *self = CharLoops::default();
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.sets.len() * 96
    }
}

impl RegexAutomaton {
    /// The closure of a state, worked out once.
    pub(crate) fn find_char_loop(&mut self, state: CharState) -> Result<Option<CharLoop>> {
        if let Some(known) = &self.states[state as usize].char_loop {
            return Ok(known.clone());
        }
        let term = self.states[state as usize].term;
        let plain = self.calculus.arena.is(term, flag::PLAIN);
        let char_loop = if plain && !self.begins_widely(state) {
            None
        } else {
            match self.by_structure(term, self.states[state as usize].buffer) {
                Some(found) => found,
                None if plain && let Some(found) = self.by_content(term) => Some(found),
                None if !plain && !self.begins_widely(state) => None,
                None if self.calculus.arena.is(term, flag::GROUPS) => self.by_open_texts(state)?,
                None => self.by_meaning(state)?,
            }
        };
        self.states[state as usize].char_loop = Some(char_loop.clone());
        Ok(char_loop)
    }

    /// See `content.rs`. Only where there are rules or collections: a pattern's states are few, and by meaning more is found.
    fn by_content(&mut self, term: ExprId) -> Option<CharLoop> {
        let arena = &self.calculus.arena;
        if arena.rules.is_empty() && arena.collections.members.is_empty() {
            return None;
        }
        let partition = &self.calculus.partition;
        let found = self.calculus.content_loop(term, &|bits| is_wide(partition, bits))?;
        if is_wide(partition, &found.exits) {
            // Too much is left to be walked.
            return None;
        }
        Some(self.loop_of(&found.class, MANY, &found.exits, false))
    }

    /// Whether a wide class of characters may come first.
    ///
    /// PERF: in most states none does, and looking at what they lead to made the cold steps of `(a|b)*a(a|b){12}` take
    /// 23 µs in place of 12.
    fn begins_widely(&mut self, state: CharState) -> bool {
        let first = self.begins(state);
        is_wide(&self.calculus.partition, &first)
    }

    /// `Some(None)`: the structure tells that there is none worth having.
    fn by_structure(&mut self, term: ExprId, buffer: u32) -> Option<Option<CharLoop>> {
        let (mut head, mut tail) = self.calculus.arena.split(term);
        while let Expr::Open(_) = self.calculus.arena.get(head) {
            (head, tail) = self.calculus.arena.split(tail);
        }
        if !self.calculus.arena.is(term, flag::PLAIN) && !self.calculus.surely_alive(tail) {
            return None;
        }
        let calculus = &mut self.calculus;
        let mut captured = calculus.captured(buffer);
        // What else an iteration can begin with, if it is not one character of the class.
        let mut others = Bits::default();
        let (bits, reach) = match *calculus.arena.get(head) {
            Expr::Ordered(_) if head == ANYTHING => (calculus.partition.bits(ALL).clone(), MANY),
            Expr::Repeat { body, max, .. } => match *calculus.arena.get(body) {
                Expr::Class(class) => (calculus.partition.bits(class).clone(), max),
                Expr::Union(ref ids) => {
                    let class = ids.iter().find_map(|&id| match *calculus.arena.get(id) {
                        Expr::Class(class) if is_wide(&calculus.partition, calculus.partition.bits(class)) => {
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
        if !is_wide(&calculus.partition, &bits) {
            // What may be skipped may hide a wide class behind it (`\s*\w+`).
            if let Expr::Class(_) = calculus.arena.get(head) {
                return None;
            }
            let mut first = Bits::default();
            if calculus.arena.is(head, flag::MAY_SKIP) {
                calculus.first(tail, &captured, &mut first);
            }
            return if is_wide(&calculus.partition, &first) { None } else { Some(None) };
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
        Some(Some(self.loop_of(&bits, reach, &exits, beyond_is_dead)))
    }

    fn loop_of(&mut self, class: &Bits, reach: u32, exits: &Bits, beyond_is_dead: bool) -> CharLoop {
        let partition = &mut self.calculus.partition;
        let mut set = |bits: &Bits| if bits.is_empty() { Arc::default() } else { partition.set(bits) };
        let exits = set(exits);
        let class = partition.set(class);
        let key = [&class, &exits].map(|set| if set.is_empty() { 0 } else { Arc::as_ptr(set) as usize });
        let sets = self.char_loops.sets.entry(key).or_insert_with(|| Arc::new(CharLoopSets { class, exits }));
        CharLoop { sets: Arc::clone(sets), reach, beyond_is_dead }
    }

    /// The minterms that keep the state alive, with where they lead.
    fn targets(&mut self, state: CharState) -> Result<Vec<(Minterm, CharState)>> {
        let mut live = Vec::new();
        for m in 1..self.calculus.partition.len() as Minterm {
            let next = self.walk_any(state, m)?;
            if next != 0 {
                live.push((m, next));
            }
        }
        Ok(live)
    }

    /// Of a state whose term captures: characters that keep to a few states, all alive, once the captured texts are left open,
    /// keep it alive whatever they are.
    fn by_open_texts(&mut self, state: CharState) -> Result<Option<CharLoop>> {
        let fuel = self.calculus.fuel;
        let share = fuel / SHARE_OF_OPEN_TEXTS;
        self.calculus.fuel = share;
        let found = self.look_at_open_texts(state);
        self.calculus.fuel = fuel - (share - self.calculus.fuel.min(share));
        match found {
            Err(Error::Limit { limit: "fuel", .. }) => Ok(None),
            found => found,
        }
    }

    fn look_at_open_texts(&mut self, state: CharState) -> Result<Option<CharLoop>> {
        let Some(start) = self.lower_state(state)?.filter(|lower| !lower.is_partial) else { return Ok(None) };
        let mut live: Vec<Minterm> = Vec::new();
        for (m, c) in self.candidates(start.state) {
            if !live.contains(&m) && self.open_step(start.state, m, c)?.is_some() {
                live.push(m);
            }
        }
        if live.len() > MOST_KINDS {
            return Ok(None);
        }
        // Most tokens are of letters: what goes with these is best.
        let partition = &self.calculus.partition;
        live.sort_by_key(|&m| Reverse(((partition.ascii_bytes(m) & LETTERS).count_ones(), partition.size(m))));
        let mut class = Bits::default();
        let mut inside = vec![start.state];
        for m in live {
            let mut candidate = class.clone();
            candidate.add(m);
            if let Some(states) = self.kept_open(start.state, &candidate)? {
                (class, inside) = (candidate, states);
            }
        }
        if !is_wide(&self.calculus.partition, &class) {
            return Ok(None);
        }
        let mut exits = Bits::default();
        for at in inside {
            let first = self.calculus.arena.info(self.states[at as usize].term).first;
            let others = (1..self.calculus.partition.len() as Minterm).filter(|&m| first & folded(m) != 0);
            others.filter(|&m| !class.has(m)).for_each(|m| exits.add(m));
        }
        Ok(Some(self.loop_of(&class, MANY, &exits, false)))
    }

    /// The state after a character with captured texts left open, if it is alive.
    fn open_step(&mut self, state: CharState, m: Minterm, c: u32) -> Result<Option<CharState>> {
        let next = self.go(state, m, c)?;
        if next == DEAD {
            return Ok(None);
        }
        let Some(lower) = self.lower_state(next)?.filter(|lower| !lower.is_partial) else { return Ok(None) };
        Ok(if self.alive(lower.state)? { Some(lower.state) } else { None })
    }

    fn kept_open(&mut self, state: CharState, class: &Bits) -> Result<Option<Vec<CharState>>> {
        let mut states = vec![state];
        let mut next = 0;
        while next < states.len() {
            for (m, c) in self.candidates(states[next]) {
                if !class.has(m) {
                    continue;
                }
                let Some(target) = self.open_step(states[next], m, c)? else { return Ok(None) };
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

    fn by_meaning(&mut self, state: CharState) -> Result<Option<CharLoop>> {
        let live = self.targets(state)?;
        let mut groups: Vec<(u64, CharState, Bits)> = Vec::new();
        for &(m, next) in &live {
            let size = u64::from(self.calculus.partition.size(m));
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
            if let Some(states) = self.kept(state, &candidate)? {
                (class, inside) = (candidate, states);
            }
        }
        if is_wide(&self.calculus.partition, &class) {
            let exits = self.exits(&inside, &class)?;
            return Ok(Some(self.loop_of(&class, MANY, &exits, false)));
        }
        let mut all = Bits::default();
        groups.iter().for_each(|(_, _, bits)| all.extend(bits));
        let mut best: Option<CharLoop> = None;
        for bits in [groups.first().map(|group| &group.2), Some(&all)].into_iter().flatten() {
            if is_wide(&self.calculus.partition, bits)
                && best.as_ref().is_none_or(|best| best.reach < MOST_CHARACTERS && !best.beyond_is_dead)
                && let Some(closure) = self.counted(state, bits)?
                && best.as_ref().is_none_or(|best| best.reach < closure.reach)
            {
                best = Some(closure);
            }
        }
        Ok(best)
    }

    /// The states that the characters of `class` lead to from `state`, if they are few and all alive.
    fn kept(&mut self, state: CharState, class: &Bits) -> Result<Option<Vec<CharState>>> {
        let mut states = vec![state];
        let mut next = 0;
        while next < states.len() {
            for m in class.iter() {
                let target = self.walk_any(states[next], m)?;
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

    fn exits(&mut self, states: &[CharState], class: &Bits) -> Result<Bits> {
        let mut exits = Bits::default();
        for &state in states {
            for (m, _) in self.targets(state)? {
                if !class.has(m) {
                    exits.add(m);
                }
            }
        }
        Ok(exits)
    }

    fn counted(&mut self, state: CharState, class: &Bits) -> Result<Option<CharLoop>> {
        let mut level = vec![state];
        let mut before = Vec::new();
        let mut reach = 0;
        let mut beyond_is_dead = false;
        while reach < MOST_CHARACTERS {
            let mut next = Vec::new();
            let mut is_dead = false;
            for &at in &level {
                for m in class.iter() {
                    let target = self.walk_any(at, m)?;
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
        let exits = self.exits(&before, class)?;
        Ok(Some(self.loop_of(class, reach, &exits, beyond_is_dead)))
    }
}
