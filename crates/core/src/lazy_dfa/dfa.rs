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
use crate::error::Result;
use crate::expression::minterms::Bits;
use crate::expression::node::{ExprId, START_BIT};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::hints::char_loop::CharLoops;
use crate::lazy_dfa::hints::saturate_counts::Saturated;
use crate::lazy_dfa::hints::truncate::Truncated;
use crate::lazy_dfa::hints::words::WordTables;
use crate::lazy_dfa::mid_char::{MIDDLE, MidChars};
use crate::lazy_dfa::states::{CharState, DEAD, UNPROVEN};
use crate::lazy_dfa::utf8::{Target, append, character};
use crate::limits::Limits;
use crate::symbols::SPECIAL;
use crate::syntax::ast::{Node, Pattern, Tree};
use crate::translate::translate;

/// The lazy deterministic automaton of a pattern.
#[derive(Debug, Clone)]
pub struct RegexAutomaton {
    /// The states between characters.
    pub(crate) chars: CharDfa,
    /// The states in the middle of one.
    pub(crate) middles: MidChars,
    pub(crate) start: CharState,
    pub(crate) all_bytes: Option<u64>,
    pub(crate) char_loops: CharLoops,
    pub(crate) saturated: Saturated,
    pub(crate) words: WordTables,
    pub(crate) truncated: Truncated,
}

/// Compiles a pattern over the characters that a vocabulary can spell.
///
/// # Errors
/// [`Error::NotRegular`] where the automaton cannot hold the pattern, [`Error::Limit`] where it is too large. An empty
/// language is no error here: its start state is dead.
pub fn compile(pattern: &Pattern, alphabet: &CodePoints, limits: &Limits) -> Result<RegexAutomaton> {
    if pattern.called.is_empty() {
        return build(&pattern.root, &[], alphabet, limits);
    }
    compile_tree(&Tree::from(pattern.clone()), alphabet, limits)
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
    let mut chars = CharDfa::new(translation.calculus, translation.captures, *limits);
    let trackers: Vec<(u8, ExprId)> = translation.trackers.iter().enumerate().map(|(i, &t)| (i as u8, t)).collect();
    let start = chars.calculus.situation(translation.root, START_BIT, &trackers, 0);
    let start = chars.intern(start);
    chars.check_memory()?;
    let start = if chars.alive(start)? { start } else { DEAD };
    chars.accepting(start)?;
    Ok(RegexAutomaton {
        chars,
        middles: MidChars::default(),
        start,
        all_bytes: None,
        char_loops: CharLoops::default(),
        saturated: Saturated::default(),
        words: WordTables::default(),
        truncated: Truncated::default(),
    })
}

impl RegexAutomaton {
    /// Tells the states how much memory stands beside them.
    pub(crate) fn note_memory(&mut self) {
        self.chars.beside = self.middles.decoder.memory_bytes()
            + self.char_loops.memory_bytes()
            + self.saturated.memory_bytes()
            + self.words.memory_bytes()
            + self.truncated.memory_bytes();
    }

    /// The characters with which some continuation goes on.
    fn live(&mut self, state: StateId) -> Result<CodePoints> {
        let (at, middle) = self.middles.parts(state);
        let candidates = match middle {
            None => self.chars.candidates(at),
            Some((node, bytes)) => self.middles.inside_character(&self.chars, at, node, bytes),
        };
        let (mut kinds, mut own) = (Bits::default(), Vec::new());
        let compared = if self.chars.states[at as usize].compares {
            self.chars.calculus.compared(self.chars.states[at as usize].term, self.chars.states[at as usize].buffer)
        } else {
            Vec::new()
        };
        for (m, c) in candidates {
            let lives = self.chars.walk(at, m, c)? != DEAD;
            match (compared.binary_search(&c).is_ok(), lives) {
                (true, true) => own.push((c, c)),
                (false, true) => kinds.add(m),
                (_, false) => {}
            }
        }
        let compared = CodePoints::from_ranges(compared.into_iter().map(|c| (c, c)));
        let kinds = self.chars.calculus.partition.characters(&kinds).difference(&compared);
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
                let m = self.chars.calculus.partition.ascii(byte);
                // PERF: the common case is one load from the table; without it steps of a Markdown list take 13 % longer.
                let known = self.chars.transitions[(state.0 as usize) << self.chars.shift | usize::from(m)];
                if known & UNPROVEN == 0 {
                    return Ok(StateId(known));
                }
                if m == 0 || state.0 == DEAD {
                    return Ok(StateId::DEAD);
                }
                return Ok(StateId(self.chars.walk(state.0, m, byte.into())?));
            }
            if state.0 == DEAD {
                return Ok(StateId::DEAD);
            }
            return match self.middles.decoder.first(&self.chars.calculus.partition, byte) {
                Target::Node(node) => self.middles.enter(&mut self.chars, state.0, node, byte.into()),
                _ => Ok(StateId::DEAD),
            };
        }
        let (at, node, bytes) = self.middles.place(state);
        let bytes = append(bytes, byte);
        match self.middles.decoder.next(node, byte) {
            Target::Dead | Target::Minterm(0) => Ok(StateId::DEAD),
            Target::Node(node) => self.middles.enter(&mut self.chars, at, node, bytes),
            Target::Minterm(m) => Ok(StateId(self.chars.walk(at, m, character(bytes))?)),
        }
    }

    fn step_special(&mut self, state: StateId, id: u32) -> Result<StateId> {
        let symbol = SPECIAL + id;
        match (self.middles.parts(state), self.chars.calculus.partition.minterm(symbol)) {
            ((_, Some(_)) | (DEAD, _), _) | (_, 0) => Ok(StateId::DEAD),
            ((at, None), m) => Ok(StateId(self.chars.walk(at, m, symbol)?)),
        }
    }

    fn specials(&self) -> Vec<u32> {
        self.chars.calculus.partition.specials().iter().map(|special| special.0).collect()
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        let (at, middle) = self.middles.parts(state);
        // `walk` has worked it out for every state that it returned.
        middle.is_none() && self.chars.accepting(at).unwrap_or(false)
    }

    fn shortest_completion(&mut self, state: StateId, work: u64) -> Result<Completion> {
        self.completion(state, work)
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        self.live(state)
    }

    fn refuel(&mut self, fuel: u64) {
        self.chars.calculus.fuel = fuel;
        self.chars.calculus.fuel_limit = fuel;
    }

    fn memory_bytes(&self) -> usize {
        self.chars.memory_bytes()
    }

    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        self.rebuild(roots)
    }
}
