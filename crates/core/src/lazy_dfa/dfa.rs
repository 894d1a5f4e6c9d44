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

use crate::automaton::{Automaton, Completion, StateId};
use crate::codepoints::CodePoints;
use crate::derivative::alive::Life;
use crate::derivative::derive::Calculus;
use crate::error::Result;
use crate::expression::arena::{ExprId, NOTHING, START_BIT};
use crate::expression::minterms::{Bits, SPECIAL};
use crate::expression::translate::translate;
use crate::lazy_dfa::hints::char_loop::CharLoops;
use crate::lazy_dfa::hints::saturate_counts::Saturated;
use crate::lazy_dfa::hints::truncate::Truncated;
use crate::lazy_dfa::hints::words::WordTables;
use crate::lazy_dfa::known_way::Ways;
use crate::lazy_dfa::mid_char::{append, character};
use crate::lazy_dfa::shortest::Way;
use crate::lazy_dfa::states::{CharState, DEAD, State, UNPROVEN};
use crate::lazy_dfa::utf8::{Decoder, Target};
use crate::limits::Limits;
use crate::syntax::ast::{Node, Pattern, Tree};
use rustc_hash::{FxHashMap, FxHashSet};

/// Ids from here on are in the middle of a character.
pub(crate) const MIDDLE: u32 = 1 << 31;

/// The lazy deterministic automaton of a pattern.
#[derive(Debug, Clone)]
pub struct RegexAutomaton {
    pub(crate) calculus: Calculus,
    pub(crate) decoder: Decoder,
    pub(crate) states: Vec<State>,
    pub(crate) ids: FxHashMap<(ExprId, u64, u32, u32), CharState>,
    /// By character state and minterm, `1 << shift` apart.
    pub(crate) transitions: Vec<u32>,
    pub(crate) shift: u32,
    /// Transitions that depend on the character itself, where a group is being captured.
    pub(crate) by_character: FxHashMap<(CharState, u32), CharState>,
    pub(crate) middles: Vec<(CharState, u32, u32)>,
    pub(crate) middle_ids: FxHashMap<(CharState, u32, u32), u32>,
    pub(crate) captures: bool,
    pub(crate) start: CharState,
    pub(crate) limits: Limits,
    pub(crate) extra_memory: usize,
    pub(crate) all_bytes: Option<u64>,
    /// Room for [`RegexAutomaton::sift`].
    pub(crate) begins: Bits,
    pub(crate) char_loops: CharLoops,
    pub(crate) saturated: Saturated,
    pub(crate) words: WordTables,
    pub(crate) truncated: Truncated,
    /// By character state: the shortest ways to a match that are known.
    pub(crate) nearest: FxHashMap<CharState, Way>,
    /// By term: the one with captured texts left open, see [`Calculus::lowered`].
    pub(crate) lower_terms: FxHashMap<ExprId, Option<(ExprId, bool)>>,
    /// States that stand for many, of which it could not be told with a share of the work whether they are alive.
    pub(crate) undecided: FxHashSet<CharState>,
    /// Ways to a match that the structure of the term does not show.
    pub(crate) ways: Ways,
}

/// Compiles a pattern over the characters that a vocabulary can spell.
///
/// # Errors
/// [`Error::NotRegular`] where the automaton cannot hold the pattern, [`Error::Limit`] where it is too large. An empty
/// language is no error here: its start state is dead.
pub fn compile(pattern: &Pattern, alphabet: &CodePoints, limits: &Limits) -> Result<RegexAutomaton> {
    build(&pattern.root, &[], alphabet, limits)
}

/// Compiles a tree over the characters that a vocabulary can spell.
///
/// # Errors
/// Those of [`compile`], and [`Error::LeftRecursion`](crate::error::Error::LeftRecursion).
pub fn compile_tree(tree: &Tree, alphabet: &CodePoints, limits: &Limits) -> Result<RegexAutomaton> {
    build(&tree.root, &tree.rules, alphabet, limits)
}

fn build(root: &Node, rules: &[Node], alphabet: &CodePoints, limits: &Limits) -> Result<RegexAutomaton> {
    let alphabet = alphabet.intersection(&CodePoints::scalars());
    let translation = translate(root, rules, &alphabet, limits.fuel, false)?;
    let mut automaton = RegexAutomaton {
        calculus: translation.calculus,
        decoder: Decoder::default(),
        states: Vec::new(),
        ids: FxHashMap::default(),
        transitions: Vec::new(),
        shift: 0,
        by_character: FxHashMap::default(),
        middles: Vec::new(),
        middle_ids: FxHashMap::default(),
        captures: translation.captures,
        start: DEAD,
        limits: *limits,
        extra_memory: 0,
        all_bytes: None,
        begins: Bits::default(),
        char_loops: CharLoops::default(),
        saturated: Saturated::default(),
        words: WordTables::default(),
        truncated: Truncated::default(),
        nearest: FxHashMap::default(),
        lower_terms: FxHashMap::default(),
        undecided: FxHashSet::default(),
        ways: Ways::default(),
    };
    let partition = &automaton.calculus.partition;
    automaton.shift = (partition.len().max(2) as u32).next_power_of_two().trailing_zeros();
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
        char_loop: Some(None),
    });
    let trackers: Vec<(u8, ExprId)> = translation.trackers.iter().enumerate().map(|(i, &t)| (i as u8, t)).collect();
    let start = automaton.calculus.situation(translation.root, START_BIT, &trackers, 0);
    let start = automaton.intern(start);
    automaton.check_memory()?;
    automaton.start = if automaton.alive(start)? { start } else { DEAD };
    automaton.accepting(automaton.start)?;
    Ok(automaton)
}

impl RegexAutomaton {
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
                // PERF: the common case is one load from the table; without it steps of a Markdown list take 13 % longer.
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

    fn step_special(&mut self, state: StateId, id: u32) -> Result<StateId> {
        let symbol = SPECIAL + id;
        match (self.parts(state), self.calculus.partition.minterm(symbol)) {
            ((_, Some(_)) | (DEAD, _), _) | (_, 0) => Ok(StateId::DEAD),
            ((at, None), m) => Ok(StateId(self.walk(at, m, symbol)?)),
        }
    }

    fn specials(&self) -> Vec<u32> {
        self.calculus.partition.specials().iter().map(|special| special.0).collect()
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        let (at, middle) = self.parts(state);
        // `walk` has worked it out for every state that it returned.
        middle.is_none() && self.accepting(at).unwrap_or(false)
    }

    fn shortest_completion(&mut self, state: StateId, work: u64) -> Result<Completion> {
        self.completion(state, work)
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        self.live(state)
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
            + self.char_loops.memory_bytes()
            + self.saturated.memory_bytes()
            + self.words.memory_bytes()
            + self.truncated.memory_bytes()
            + self.nearest.capacity() * (size_of::<Way>() + 5)
            + self.ways.memory_bytes()
            + self.lower_terms.capacity() * 17
            + self.undecided.capacity() * 5
            + self.extra_memory
    }

    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        self.rebuild(roots)
    }
}
