//! The lazy deterministic automaton of a regular expression.
//!
//! Two levels. A *character state* is a term with what it may ask of the text before: the context bits, the trackers
//! of the lookbehinds it mentions, the text that open groups captured. It is interned, and only as much of the past as
//! its term can still ask for is kept, so that states meet again. A byte state is a character state, or, in the middle
//! of a character, a character state and a node of the UTF-8 decoder.
//!
//! Ids: a character state's number, or [`MIDDLE`] plus the number of a (character state, node) pair.
//!
//! A state is dead exactly where nothing can match (`liveness.rs`).

use super::closure::Closures;
use super::coarse::Coarse;
use super::decoder::{Decoder, Target};
use super::derive::{Calculus, Context};
use super::expr::{Expr, ExprId, NOTHING, START_BIT};
use super::info::flag;
use super::middle::{append, character};
use super::partition::{BEYOND, Bits, ClassId, Minterm};
use super::stride::Strides;
use super::translate::translate;

use super::words::{Literal, WordTables, Words};
use super::{Automaton, Closure, Short, StateId};
use crate::codepoints::{CodePoints, MAX};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::syntax::ast::Pattern;
use rustc_hash::FxHashMap;

/// Ids from here on are in the middle of a character.
pub(super) const MIDDLE: u32 = 1 << 31;
/// A transition that is not known yet.
const UNKNOWN: u32 = u32::MAX;
/// Set on a transition whose target has not been proven alive.
const UNPROVEN: u32 = 1 << 31;
/// The dead character state.
pub(super) const DEAD: u32 = 0;

/// There is room for so many states from the start. PERF: vectors that grow in two threads at once, of memory that one of
/// them has got, wait for one another in the allocator.
const EXPECTED: usize = 64;

/// A character state's number.
pub(super) type CharState = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Unknown,
    Alive,
    Dead,
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) term: ExprId,
    pub(super) before: u64,
    pub(super) trackers: u32,
    pub(super) buffer: u32,
    pub(super) life: Life,
    accepting: Option<bool>,
    /// Whether the minterms that cannot begin its term have been marked dead; see [`RegexAutomaton::sift`].
    sifted: bool,
    /// Whether it may compare the next character with a captured one: its transitions then go by character.
    compares: bool,
    /// Whether its plain term begins with a string.
    begins_with_string: bool,
    pub(super) closure: Option<Option<Closure>>,
}

/// The lazy deterministic automaton of a pattern.
#[derive(Debug, Clone)]
pub struct RegexAutomaton {
    pub(super) calculus: Calculus,
    pub(super) decoder: Decoder,
    pub(super) states: Vec<State>,
    ids: FxHashMap<(ExprId, u64, u32, u32), CharState>,
    /// By term: the states that are nothing else; the others are in `ids`.
    bare: Vec<CharState>,
    /// By character state and minterm, `1 << shift` apart.
    transitions: Vec<u32>,
    shift: u32,
    /// Transitions that depend on the character itself, where a group is being captured.
    by_character: FxHashMap<(CharState, u32), CharState>,
    pub(super) middles: Vec<(CharState, u32, u32)>,
    pub(super) middle_ids: FxHashMap<(CharState, u32, u32), u32>,
    /// Sets of trackers, as (number, term); number 0 is the empty one.
    pub(super) tracker_sets: Vec<Box<[(u8, ExprId)]>>,
    tracker_ids: FxHashMap<Box<[(u8, ExprId)]>, u32>,
    /// By minterm: which sets of `Before` hold after it.
    before: Vec<u64>,
    before_classes: Vec<ClassId>,
    pub(super) captures: bool,
    start: CharState,
    limits: Limits,
    pub(super) extra_memory: usize,
    all_bytes: Option<u64>,
    /// Room for [`RegexAutomaton::sift`].
    begins: Bits,
    pub(super) closures: Closures,
    pub(super) coarse: Coarse,
    pub(super) strides: Strides,
    pub(super) words: WordTables,
}

/// Compiles a pattern over the characters that a vocabulary can spell.
///
/// # Errors
/// [`Error::NotRegular`] where the automaton cannot hold the pattern, [`Error::Limit`] where it is too large. An empty
/// language is no error here: its start state is dead.
pub fn compile(pattern: &Pattern, alphabet: &CodePoints, limits: &Limits) -> Result<RegexAutomaton> {
    let alphabet = alphabet.intersection(&CodePoints::scalars());
    let translation = translate(pattern, &alphabet, limits.fuel)?;
    let mut automaton = RegexAutomaton {
        calculus: translation.calculus,
        decoder: Decoder::default(),
        states: Vec::new(),
        ids: FxHashMap::default(),
        bare: Vec::new(),
        transitions: Vec::new(),
        shift: 0,
        by_character: FxHashMap::default(),
        middles: Vec::new(),
        middle_ids: FxHashMap::default(),
        tracker_sets: vec![Box::new([])],
        tracker_ids: FxHashMap::default(),
        before: Vec::new(),
        before_classes: translation.before,
        captures: translation.captures,
        start: DEAD,
        limits: *limits,
        extra_memory: 0,
        all_bytes: None,
        begins: Bits::default(),
        closures: Closures::default(),
        coarse: Coarse::default(),
        strides: Strides::default(),
        words: WordTables::default(),
    };
    let partition = &automaton.calculus.partition;
    automaton.states.reserve(EXPECTED);
    automaton.bare.reserve(4 * EXPECTED);
    automaton.transitions.reserve(EXPECTED * partition.len().max(2).next_power_of_two());
    automaton.shift = (partition.len().max(2) as u32).next_power_of_two().trailing_zeros();
    let holds = |m: Minterm| {
        let sets = automaton.before_classes.iter().enumerate().filter(|(_, c)| partition.has(**c, m));
        sets.fold(0, |bits, (i, _)| bits | 1 << i)
    };
    automaton.before = (0..partition.len() as Minterm).map(holds).collect();
    automaton.add(State {
        term: NOTHING,
        before: 0,
        trackers: 0,
        buffer: 0,
        life: Life::Dead,
        accepting: Some(false),
        sifted: true,
        compares: false,
        begins_with_string: false,
        closure: Some(None),
    });
    let trackers: Vec<(u8, ExprId)> = translation.trackers.iter().enumerate().map(|(i, &t)| (i as u8, t)).collect();
    let start = automaton.intern(translation.root, START_BIT, &trackers, 0);
    automaton.check_memory()?;
    automaton.start = if automaton.alive(start)? { start } else { DEAD };
    automaton.accepting(automaton.start)?;
    Ok(automaton)
}

impl RegexAutomaton {
    fn add(&mut self, state: State) -> CharState {
        let id = self.states.len() as CharState;
        self.states.push(state);
        self.transitions.resize(self.states.len() << self.shift, UNKNOWN);
        id
    }

    pub(super) fn intern(&mut self, term: ExprId, before: u64, trackers: &[(u8, ExprId)], buffer: u32) -> CharState {
        if term == NOTHING {
            return DEAD;
        }
        let arena = &self.calculus.arena;
        // Only the trackers that the term, or a tracker that it needs, can still ask for.
        let info = arena.info(term);
        let (mut needed, mut front) = (info.trackers, info.front);
        loop {
            let mut more = needed;
            for &(number, tracker) in trackers {
                if needed >> number & 1 == 1 {
                    more |= arena.info(tracker).trackers;
                }
            }
            if more == needed {
                break;
            }
            needed = more;
        }
        let set = if needed == 0 {
            0
        } else {
            let kept: Box<[(u8, ExprId)]> = trackers.iter().filter(|t| needed >> t.0 & 1 == 1).copied().collect();
            for &(_, tracker) in &kept {
                front |= arena.info(tracker).front;
            }
            match self.tracker_ids.get(&kept) {
                Some(&id) => id,
                None => {
                    let id = self.tracker_sets.len() as u32;
                    self.extra_memory += 2 * kept.len() * 8 + 64;
                    self.tracker_sets.push(kept.clone());
                    self.tracker_ids.insert(kept, id);
                    id
                }
            }
        };
        let before = before & front;
        let key = (term, before, set, buffer);
        // PERF: most states are a term and nothing else, and terms are numbered: no hashing for them.
        let bare = before == 0 && set == 0 && buffer == 0;
        let known = if bare { self.bare.get(term as usize) } else { self.ids.get(&key) };
        if let Some(&id) = known.filter(|&&id| id != UNKNOWN) {
            return id;
        }
        let plain = self.calculus.arena.is(term, flag::PLAIN);
        let head = self.calculus.arena.split(term).0;
        let id = self.add(State {
            term,
            before,
            trackers: set,
            buffer,
            life: if plain || self.surely_alive(term) { Life::Alive } else { Life::Unknown },
            accepting: plain.then(|| self.calculus.arena.is(term, flag::SKIPS)),
            sifted: self.captures || !plain,
            compares: self.captures && self.calculus.arena.is(term, flag::FRONT_TEXT | flag::FRONT_CAPTURE),
            begins_with_string: plain && matches!(self.calculus.arena.get(head), Expr::Str { .. }),
            closure: None,
        });
        if !bare {
            self.ids.insert(key, id);
            return id;
        }
        if self.bare.len() <= term as usize {
            self.bare.resize(self.calculus.arena.len().max(term as usize + 1), UNKNOWN);
        }
        self.bare[term as usize] = id;
        id
    }

    /// The state of a plain term, which asks nothing of the text before.
    pub(super) fn intern_bare(&mut self, term: ExprId) -> CharState {
        self.intern(term, 0, &[], 0)
    }

    pub(super) fn check_memory(&self) -> Result<()> {
        if self.memory_bytes() as u64 <= self.limits.memory_bytes {
            return Ok(());
        }
        Err(Error::Limit {
            limit: "memory_bytes",
            allowed: self.limits.memory_bytes,
            message: format!(
                "the states of the pattern need more than memory_bytes={}: simplify it, or raise \
                 Limits(memory_bytes=...)",
                self.limits.memory_bytes
            ),
        })
    }

    fn enter(&mut self, state: CharState) {
        let State { before, trackers, buffer, .. } = self.states[state as usize];
        self.calculus.context.before = before;
        self.calculus.context.buffer = buffer;
        let context: &mut Context = &mut self.calculus.context;
        context.trackers.clear();
        for &(number, tracker) in &self.tracker_sets[trackers as usize] {
            if context.trackers.len() <= usize::from(number) {
                context.trackers.resize(usize::from(number) + 1, NOTHING);
            }
            context.trackers[usize::from(number)] = tracker;
        }
    }

    /// The state after a character, dead or not.
    pub(super) fn go(&mut self, state: CharState, m: Minterm, c: u32) -> Result<CharState> {
        let slot = (state as usize) << self.shift | usize::from(m);
        let known = self.transitions[slot];
        if known != UNKNOWN {
            return Ok(known & !UNPROVEN);
        }
        if !self.states[state as usize].sifted {
            self.sift(state);
            if self.transitions[slot] == DEAD {
                return Ok(DEAD);
            }
        }
        if self.captures
            && let Some(&known) = self.by_character.get(&(state, c))
        {
            return Ok(known);
        }
        self.enter(state);
        self.calculus.context.character = c;
        let State { term, compares, trackers: set, .. } = self.states[state as usize];
        let derived = self.calculus.derive(term, m)?;
        let mut trackers = Vec::new();
        if derived != NOTHING && set != 0 {
            for (number, tracker) in self.tracker_sets[set as usize].clone() {
                trackers.push((number, self.calculus.derive(tracker, m)?));
            }
        }
        let capturing = self.calculus.arena.is(derived, flag::CAPTURING);
        let buffer = if capturing { self.calculus.captures.push(self.calculus.context.buffer, c) } else { 0 };
        let next = self.intern(derived, self.before[usize::from(m)], &trackers, buffer);
        if capturing || compares {
            self.by_character.insert((state, c), next);
            self.extra_memory += 24;
        } else {
            self.transitions[slot] = next | UNPROVEN;
        }
        self.check_memory()?;
        Ok(next)
    }

    /// Marks as dead all minterms that no text of the state's term begins with.
    ///
    /// PERF: most steps of a mask lead nowhere, and a derivative would have to find that out one by one.
    fn sift(&mut self, state: CharState) {
        let term = self.states[state as usize].term;
        self.states[state as usize].sifted = true;
        let from = (state as usize) << self.shift;
        let row = &mut self.transitions[from..from + self.before.len()];
        row.fill(DEAD);
        let mut first = self.calculus.arena.info(term).first;
        if first & BEYOND == 0 {
            while first != 0 {
                row[first.trailing_zeros() as usize] = UNKNOWN;
                first &= first - 1;
            }
            return;
        }
        self.begins.clear();
        self.calculus.first(term, &Bits::default(), &mut self.begins);
        for m in self.begins.iter() {
            row[usize::from(m)] = UNKNOWN;
        }
    }

    /// The minterms with which a state's term begins, and, if it is not plain, perhaps more.
    pub(super) fn begins(&mut self, state: CharState) -> Bits {
        let State { term, buffer, .. } = self.states[state as usize];
        let info = self.calculus.arena.info(term);
        if info.first & BEYOND == 0 {
            return Bits::of_folded(info.first);
        }
        let mut begins = Bits::default();
        if !self.states[state as usize].sifted && !self.captures {
            self.sift(state);
        }
        if self.captures || !self.calculus.arena.is(term, flag::PLAIN) {
            self.calculus.first(term, &self.calculus.captured(buffer), &mut begins);
            return begins;
        }
        let from = (state as usize) << self.shift;
        let row = &self.transitions[from..from + self.before.len()];
        row.iter().enumerate().filter(|&(_, &next)| next != DEAD).for_each(|(m, _)| begins.add(m as Minterm));
        begins
    }

    /// The state after a character; [`DEAD`] exactly where nothing can follow.
    pub(super) fn walk(&mut self, state: CharState, m: Minterm, c: u32) -> Result<CharState> {
        let slot = (state as usize) << self.shift | usize::from(m);
        let known = self.transitions[slot];
        if known & UNPROVEN == 0 {
            return Ok(known);
        }
        let next = self.go(state, m, c)?;
        let next = if self.alive(next)? { next } else { DEAD };
        self.accepting(next)?;
        if self.transitions[slot] != UNKNOWN {
            self.transitions[slot] = next;
        }
        Ok(next)
    }

    /// Whether it is known where a byte of ASCII leads to.
    pub(super) fn knows(&self, state: CharState, byte: u8) -> bool {
        byte < 0x80 && {
            let m = self.calculus.partition.ascii(byte);
            self.transitions[(state as usize) << self.shift | usize::from(m)] & UNPROVEN == 0
        }
    }

    /// The state after some character of a minterm, where captures do not matter.
    pub(super) fn walk_any(&mut self, state: CharState, m: Minterm) -> Result<CharState> {
        self.walk(state, m, self.calculus.partition.representative(m))
    }

    /// Characters that stand for all: one of each minterm and, where captured ones are compared, these too.
    pub(super) fn candidates(&self, state: CharState) -> Vec<(Minterm, u32)> {
        self.candidates_within(state, (0, MAX))
    }

    pub(super) fn candidates_within(&self, state: CharState, (lo, hi): (u32, u32)) -> Vec<(Minterm, u32)> {
        let State { term, buffer, compares, .. } = self.states[state as usize];
        let partition = &self.calculus.partition;
        let compared = if compares { self.calculus.compared(term, buffer) } else { Vec::new() };
        let own = compared.iter().filter(|c| (lo..=hi).contains(*c)).map(|&c| (partition.minterm(c), c));
        let others =
            (1..partition.len() as Minterm).filter_map(|m| Some((m, partition.other(m, &compared, (lo, hi))?)));
        own.filter(|&(m, _)| m != 0).chain(others).collect()
    }

    pub(super) fn accepting(&mut self, state: CharState) -> Result<bool> {
        if let Some(known) = self.states[state as usize].accepting {
            return Ok(known);
        }
        self.enter(state);
        let accepting = self.calculus.accepts(self.states[state as usize].term)?;
        self.states[state as usize].accepting = Some(accepting);
        Ok(accepting)
    }

    /// The character state, and, in the middle of a character, the decoder's node and the bytes so far.
    pub(super) fn parts(&self, state: StateId) -> (CharState, Option<(u32, u32)>) {
        if state.0 & MIDDLE == 0 {
            return (state.0, None);
        }
        let (at, node, bytes) = self.middles[(state.0 & !MIDDLE) as usize];
        (at, Some((node, bytes)))
    }

    /// The characters with which some continuation goes on.
    fn live(&mut self, state: StateId) -> Result<CodePoints> {
        let (at, middle) = self.parts(state);
        let candidates = match middle {
            None => self.candidates(at),
            Some((node, bytes)) => self.inside_character(at, node, bytes),
        };
        let (mut kinds, mut own) = (Bits::default(), Vec::new());
        let compared = if self.states[at as usize].compares {
            self.calculus.compared(self.states[at as usize].term, self.states[at as usize].buffer)
        } else {
            Vec::new()
        };
        for (m, c) in candidates {
            let lives = self.walk(at, m, c)? != DEAD;
            match (compared.binary_search(&c).is_ok(), lives) {
                (true, true) => own.push((c, c)),
                (false, true) => kinds.add(m),
                (_, false) => {}
            }
        }
        let compared = CodePoints::from_ranges(compared.into_iter().map(|c| (c, c)));
        let kinds = self.calculus.partition.characters(&kinds).difference(&compared);
        Ok(kinds.union(&CodePoints::from_ranges(own)))
    }
}

impl Automaton for RegexAutomaton {
    fn start(&self) -> StateId {
        StateId(self.start)
    }

    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId> {
        if state.0 & MIDDLE == 0 {
            if byte < 0x80 {
                let m = self.calculus.partition.ascii(byte);
                // PERF: the common case is one load from the flat table.
                let known = self.transitions[(state.0 as usize) << self.shift | usize::from(m)];
                if known & UNPROVEN == 0 {
                    return Ok(StateId(known));
                }
                if m == 0 || state.0 == DEAD {
                    return Ok(StateId::DEAD);
                }
                return Ok(StateId(self.walk(state.0, m, byte.into())?));
            }
            if state.0 == DEAD {
                return Ok(StateId::DEAD);
            }
            // PERF: most states go on in ASCII alone, and the tree has leading bytes everywhere.
            let State { term, .. } = self.states[state.0 as usize];
            if !self.calculus.arena.may_begin(term, self.decoder.led(&self.calculus.partition, byte)) {
                return Ok(StateId::DEAD);
            }
            return match self.decoder.first(&self.calculus.partition, byte) {
                Target::Node(node) => self.middle(state.0, node, byte.into()),
                _ => Ok(StateId::DEAD),
            };
        }
        let (at, node, bytes) = self.middles[(state.0 & !MIDDLE) as usize];
        let bytes = append(bytes, byte);
        match self.decoder.next(node, byte) {
            Target::Dead | Target::Minterm(0) => Ok(StateId::DEAD),
            Target::Node(node) => self.middle(at, node, bytes),
            Target::Minterm(m) => Ok(StateId(self.walk(at, m, character(bytes))?)),
        }
    }

    fn stride(&mut self, state: StateId, bytes: &[u8]) -> Result<Option<(StateId, usize)>> {
        if state.0 & MIDDLE != 0 {
            return Ok(None);
        }
        Ok(self.find_stride(state.0, bytes)?.map(|(next, length)| (StateId(next), length)))
    }

    fn lives(&mut self, state: StateId, byte: u8) -> Result<bool> {
        if state.0 & MIDDLE == 0 && byte < 0x80 {
            let m = self.calculus.partition.ascii(byte);
            let slot = (state.0 as usize) << self.shift | usize::from(m);
            let State { term, sifted, .. } = self.states[state.0 as usize];
            // What is plain is alive after each of its first characters.
            if self.transitions[slot] == UNKNOWN
                && m != 0
                && !self.captures
                && self.calculus.arena.is(term, flag::PLAIN)
            {
                if !sifted {
                    self.sift(state.0);
                }
                return Ok(self.transitions[slot] != DEAD);
            }
        }
        Ok(self.step(state, byte)? != StateId::DEAD)
    }

    fn all_bytes(&mut self) -> u64 {
        if let Some(known) = self.all_bytes {
            return known;
        }
        let bytes = self.bytes_anywhere(self.start);
        self.all_bytes = Some(bytes);
        bytes
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        let (at, middle) = self.parts(state);
        // `walk` has worked it out for every state that it returned.
        middle.is_none() && self.accepting(at).unwrap_or(false)
    }

    fn shortest_completion(&mut self, state: StateId) -> Result<Vec<u8>> {
        self.completion(state)
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        self.live(state)
    }

    fn next_bytes(&mut self, state: StateId) -> Result<Option<[u64; 4]>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.live_bytes(at).map(Some),
        }
    }

    fn closure(&mut self, state: StateId) -> Result<Option<Closure>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => self.find_closure(at),
        }
    }

    fn literal(&mut self, state: StateId) -> Option<Literal> {
        if state.0 & MIDDLE != 0 || !self.states[state.0 as usize].begins_with_string {
            return None;
        }
        self.find_literal(state.0)
    }

    fn words(&mut self, state: StateId) -> Result<Option<Words>> {
        match self.parts(state) {
            (_, Some(_)) => Ok(None),
            (at, None) => Ok(self.find_words(at)),
        }
    }

    fn coarse(&mut self, state: StateId, short: &Short<'_>) -> Result<StateId> {
        match self.parts(state) {
            (_, Some(_)) => Ok(state),
            (at, None) => Ok(StateId(self.make_coarse(at, short)?)),
        }
    }

    fn refuel(&mut self, fuel: u64) {
        self.calculus.fuel = fuel;
        self.calculus.fuel_limit = fuel;
    }

    fn memory_bytes(&self) -> usize {
        self.calculus.memory_bytes()
            + self.decoder.memory_bytes()
            + self.states.len() * (size_of::<State>() + 40)
            + self.transitions.len() * 4
            + self.bare.len() * 4
            + self.closures.memory_bytes()
            + self.coarse.memory_bytes()
            + self.strides.memory_bytes()
            + self.words.memory_bytes()
            + self.extra_memory
    }

    fn retain(&mut self, roots: &[StateId]) -> Result<Vec<StateId>> {
        self.rebuild(roots)
    }
}

impl RegexAutomaton {
    /// Starts over with the start state and `roots` alone.
    fn rebuild(&mut self, roots: &[StateId]) -> Result<Vec<StateId>> {
        let mut copy = super::rebuild::Copier::new(&self.calculus);
        let parts: Vec<_> = roots.iter().map(|&root| self.parts(root)).collect();
        let mut wanted: Vec<CharState> = vec![self.start];
        wanted.extend(parts.iter().map(|p| p.0));
        let mut fresh = Vec::new();
        for &at in &wanted {
            let State { term, before, trackers, buffer, life, .. } = self.states[at as usize].clone();
            let term = copy.expr(&self.calculus, term);
            let trackers = self.tracker_sets[trackers as usize].clone();
            let trackers: Vec<_> = trackers.iter().map(|&(n, t)| (n, copy.expr(&self.calculus, t))).collect();
            let buffer = copy.buffer(&self.calculus, buffer);
            fresh.push((term, before, trackers, buffer, life));
        }
        let fuel = (self.calculus.fuel, self.calculus.fuel_limit);
        self.calculus = copy.finish();
        (self.calculus.fuel, self.calculus.fuel_limit) = fuel;
        let dead = self.states[DEAD as usize].clone();
        self.states.clear();
        self.ids.clear();
        self.bare.clear();
        self.transitions.clear();
        self.by_character.clear();
        self.middles.clear();
        self.middle_ids.clear();
        self.tracker_sets.truncate(1);
        self.tracker_ids.clear();
        self.closures.clear();
        self.coarse.clear();
        self.strides.clear();
        self.extra_memory = 0;
        self.add(dead);
        let mut new = Vec::with_capacity(fresh.len());
        for (term, before, trackers, buffer, life) in fresh {
            let id = self.intern(term, before, &trackers, buffer);
            if id != DEAD {
                self.states[id as usize].life = life;
            }
            new.push(id);
        }
        self.start = new[0];
        let mut ids = Vec::with_capacity(roots.len());
        for (&at, (_, middle)) in new[1..].iter().zip(parts) {
            ids.push(match middle {
                None => StateId(at),
                Some((node, bytes)) if at != DEAD => self.middle(at, node, bytes)?,
                Some(_) => StateId::DEAD,
            });
        }
        Ok(ids)
    }
}
