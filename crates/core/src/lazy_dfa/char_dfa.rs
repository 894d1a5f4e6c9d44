//! The automaton over characters: its states, and where they lead.
//!
//! A state is interned by its term and by what of the past its term can still ask for. Its transitions are a row of a table,
//! by minterm, and found when they are asked for.

use crate::codepoints::MAX;
use crate::derivative::alive::Graph;
use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::cheapest::Cheapest;
use crate::derivative::situation::{Life, Situation};
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::minterms::{BEYOND, Bits, Minterm};
use crate::expression::node::{Expr, ExprId, NOTHING};
use crate::lazy_dfa::states::{CharState, DEAD, State, UNKNOWN, UNPROVEN};
use crate::lazy_dfa::ways::Ways;
use crate::limits::Limits;
use rustc_hash::{FxHashMap, FxHashSet};

/// The states over characters, and all that is needed to find more of them.
#[derive(Debug, Clone)]
pub(crate) struct CharDfa {
    pub(crate) calculus: Calculus,
    /// What is known of the cheapest texts.
    pub(crate) cheapest: Cheapest,
    pub(crate) states: Vec<State>,
    ids: FxHashMap<(ExprId, u64, u32, u32), CharState>,
    /// By character state and minterm, `1 << shift` apart.
    pub(crate) transitions: Vec<u32>,
    pub(crate) shift: u32,
    /// Transitions that depend on the character itself, where a group is being captured.
    by_character: FxHashMap<(CharState, u32), CharState>,
    /// Whether texts of groups are asked for.
    pub(crate) captures: bool,
    pub(crate) limits: Limits,
    pub(crate) extra_memory: usize,
    /// The bytes that the decoder and the hints hold; they count against the same limit.
    pub(crate) beside: usize,
    /// Room for [`CharDfa::sift`].
    begins: Bits,
    /// By term: the one with captured texts left open, see [`Calculus::lowered`].
    pub(crate) lower_terms: FxHashMap<ExprId, Option<(ExprId, bool)>>,
    /// States that stand for many, of which it could not be told with a share of the work whether they are alive.
    pub(crate) undecided: FxHashSet<CharState>,
    /// Ways to a match that the structure of the term does not show.
    pub(crate) ways: Ways,
}

impl CharDfa {
    /// An automaton that has the dead state only.
    pub(crate) fn new(calculus: Calculus, captures: bool, limits: Limits) -> CharDfa {
        let mut dfa = CharDfa {
            shift: (calculus.partition.len().max(2) as u32).next_power_of_two().trailing_zeros(),
            calculus,
            cheapest: Cheapest::default(),
            states: Vec::new(),
            ids: FxHashMap::default(),
            transitions: Vec::new(),
            by_character: FxHashMap::default(),
            captures,
            limits,
            extra_memory: 0,
            beside: 0,
            begins: Bits::default(),
            lower_terms: FxHashMap::default(),
            undecided: FxHashSet::default(),
            ways: Ways::default(),
        };
        dfa.add(State {
            term: NOTHING,
            before: 0,
            trackers: 0,
            buffer: 0,
            life: Life::Dead,
            accepting: Some(false),
            sifted: true,
            compares: false,
            begins_with_string: false,
            char_loop: Some(None),
        });
        dfa
    }

    /// The bytes held, those beside it included.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.calculus.memory_bytes()
            + self.cheapest.memory_bytes()
            + self.states.len() * (size_of::<State>() + 40)
            + self.transitions.len() * 4
            + self.ways.memory_bytes()
            + self.lower_terms.capacity() * 17
            + self.undecided.capacity() * 5
            + self.extra_memory
            + self.beside
    }

    pub(crate) fn add(&mut self, state: State) -> CharState {
        let id = self.states.len() as CharState;
        self.states.push(state);
        self.transitions.resize(self.states.len() << self.shift, UNKNOWN);
        id
    }

    pub(crate) fn intern(&mut self, situation: Situation) -> CharState {
        let Situation { term, before, trackers: set, buffer } = situation;
        if term == NOTHING {
            return DEAD;
        }
        let key = (term, before, set, buffer);
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let plain = self.calculus.arena.is(term, flag::PLAIN);
        let head = self.calculus.arena.split(term).0;
        let id = self.add(State {
            term,
            before,
            trackers: set,
            buffer,
            life: if plain || self.calculus.surely_alive(term) { Life::Alive } else { Life::Unknown },
            accepting: plain.then(|| self.calculus.arena.is(term, flag::SKIPS)),
            sifted: self.captures || !plain,
            compares: self.calculus.may_compare(term),
            begins_with_string: plain && matches!(self.calculus.arena.get(head), Expr::Str { .. }),
            char_loop: None,
        });
        self.ids.insert(key, id);
        id
    }

    /// The state of a plain term, which asks nothing of the text before.
    pub(crate) fn intern_bare(&mut self, term: ExprId) -> CharState {
        self.intern(Situation { term, ..Situation::DEAD })
    }

    pub(crate) fn check_memory(&self) -> Result<()> {
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

    /// The state after a character, dead or not.
    pub(crate) fn go(&mut self, state: CharState, m: Minterm, c: u32) -> Result<CharState> {
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
        if self.captures {
            // A state of a captured text of its own is made and told apart; it costs as much as a few steps.
            self.calculus.spend(2 * STEP)?;
        }
        let situation = self.calculus.step(Graph::situation_of(self, state), m, c)?;
        if self.calculus.arena.is(situation.term, flag::FRONT_OPAQUE) {
            return Err(Error::Opaque);
        }
        let capturing = self.calculus.arena.is(situation.term, flag::CAPTURING);
        let is_open = capturing && self.calculus.captures.is_opaque(situation.buffer);
        let compares = self.states[state as usize].compares;
        let next = self.intern(situation);
        if capturing && !is_open || compares {
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
    /// PERF: most steps of a mask lead nowhere, and a derivative would have to find that out one by one: steps of a SQL
    /// statement take 9 % longer.
    pub(crate) fn sift(&mut self, state: CharState) {
        let term = self.states[state as usize].term;
        self.states[state as usize].sifted = true;
        let from = (state as usize) << self.shift;
        let row = &mut self.transitions[from..from + self.calculus.partition.len()];
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
    pub(crate) fn begins(&mut self, state: CharState) -> Bits {
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
        let row = &self.transitions[from..from + self.calculus.partition.len()];
        row.iter().enumerate().filter(|&(_, &next)| next != DEAD).for_each(|(m, _)| begins.add(m as Minterm));
        begins
    }

    /// The state after a character; [`DEAD`] exactly where nothing can follow.
    pub(crate) fn walk(&mut self, state: CharState, m: Minterm, c: u32) -> Result<CharState> {
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

    /// The state after some character of a minterm, where captures do not matter.
    pub(crate) fn walk_any(&mut self, state: CharState, m: Minterm) -> Result<CharState> {
        self.walk(state, m, self.calculus.partition.representative(m))
    }

    /// Characters that stand for all: one of each minterm and, where captured ones are compared, these too.
    pub(crate) fn candidates(&self, state: CharState) -> Vec<(Minterm, u32)> {
        self.candidates_within(state, (0, MAX))
    }

    pub(crate) fn candidates_within(&self, state: CharState, range: (u32, u32)) -> Vec<(Minterm, u32)> {
        self.calculus.candidates(Graph::situation_of(self, state), range)
    }

    pub(crate) fn accepting(&mut self, state: CharState) -> Result<bool> {
        if let Some(known) = self.states[state as usize].accepting {
            return Ok(known);
        }
        let accepting = self.calculus.may_end(Graph::situation_of(self, state))?;
        self.states[state as usize].accepting = Some(accepting);
        Ok(accepting)
    }
}
