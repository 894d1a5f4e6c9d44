//! Special tokens are symbols of the alphabet: an automaton over bytes and special tokens gets masks, budgets, forced tokens
//! and shortest completions by the same code as one over bytes alone.
//!
//! Its texts are calls: `say <call> ( item )* <end>`, where `<call>` and `<end>` are special tokens and an item is `x` or the
//! special token `<item>`; or the text `no`.

use rellm_core::automaton::{Automaton, Completion, StateId};
use rellm_core::codepoints::CodePoints;
use rellm_core::error::{Error, Result};
use rellm_core::limits::Limits;
use rellm_core::mask::CompiledConstraint;
use rellm_core::mask::hints::MaskHints;
use rellm_core::matcher::{MatchError, Matcher};
use rellm_core::symbols;
use rellm_core::vocabulary::Vocabulary;
use std::sync::Arc;

const TOKENS: [&[u8]; 9] = [b"s", b"a", b"y", b"say", b"x", b"xx", b"n", b"o", b"sa"];
const CALL: u32 = 9;
const ITEM: u32 = 10;
const END: u32 = 11;
/// Special, and never allowed.
const OTHER: u32 = 12;
const EOS: u32 = 13;
const SIZE: u32 = 14;

/// Transitions by state: text bytes, then special tokens; state 0 is dead, 1 is the start, 7 and 9 accept.
const BYTES: [(u32, u8, u32); 6] = [(1, b's', 2), (2, b'a', 3), (3, b'y', 4), (5, b'x', 5), (1, b'n', 8), (8, b'o', 9)];
const SPECIALS: [(u32, u32, u32); 3] = [(4, CALL, 5), (5, ITEM, 5), (5, END, 7)];

struct Calls {
    /// The special token that ends a call.
    named: [u32; 3],
    eos_ends: bool,
}

impl Calls {
    fn special(&self, token: u32) -> u32 {
        if self.eos_ends && token == EOS { END } else { token }
    }
}

impl Automaton for Calls {
    fn start(&self) -> StateId {
        StateId(1)
    }

    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId> {
        let found = BYTES.iter().find(|known| (known.0, known.1) == (state.0, byte));
        Ok(found.map_or(StateId::DEAD, |known| StateId(known.2)))
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        matches!(state.0, 7 | 9)
    }

    fn shortest_completion(&mut self, state: StateId, _work: u64) -> Result<Completion> {
        let call = [&symbols::encode(CALL)[..], &symbols::encode(self.named[2])].concat();
        let text = match state.0 {
            1 => b"no".to_vec(),
            2 => [b"ay", &call[..]].concat(),
            3 => [b"y", &call[..]].concat(),
            4 => call,
            5 => symbols::encode(self.named[2]).to_vec(),
            8 => b"o".to_vec(),
            _ => Vec::new(),
        };
        Ok(Completion { text, is_shortest: true, is_only: false })
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        let next = BYTES.iter().filter(|known| known.0 == state.0).map(|known| u32::from(known.1));
        Ok(CodePoints::from_ranges(next.map(|c| (c, c))))
    }

    fn specials(&self) -> Vec<u32> {
        self.named.to_vec()
    }

    fn step_special(&mut self, state: StateId, token: u32) -> Result<StateId> {
        let token = self.special(token);
        let found = SPECIALS.iter().find(|known| (known.0, known.1) == (state.0, token));
        Ok(found.map_or(StateId::DEAD, |known| StateId(known.2)))
    }

    fn refuel(&mut self, _fuel: u64) {}

    fn memory_bytes(&self) -> usize {
        0
    }

    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        roots.to_vec()
    }
}

impl MaskHints for Calls {}

fn compiled(eos_ends: bool, tokens: &[&[u8]]) -> Result<Arc<CompiledConstraint>> {
    let automaton = Calls { named: [CALL, ITEM, if eos_ends { EOS } else { END }], eos_ends };
    let missing = (tokens.len() as u32..SIZE).map(|_| None);
    let vocabulary = Vocabulary::new(tokens.iter().map(|&token| Some(token)).chain(missing), &[EOS])?;
    CompiledConstraint::new(Box::new(automaton), Arc::new(vocabulary), &Limits::default(), None)
}

fn matcher() -> Matcher {
    Matcher::new(compiled(false, &TOKENS).expect("some text can be spelled"))
}

fn after(tokens: &[u32]) -> Matcher {
    let mut matcher = matcher();
    tokens.iter().for_each(|&token| matcher.advance(token).expect("the token is allowed"));
    matcher
}

fn ids(row: u32) -> Vec<u32> {
    (0..SIZE).filter(|id| row >> id & 1 == 1).collect()
}

fn mask(matcher: &Matcher) -> Vec<u32> {
    let mut row = [0];
    matcher.fill_mask(&mut row).unwrap();
    let mask = ids(row[0]);
    for token in 0..SIZE + 2 {
        assert_eq!(matcher.allows(token).unwrap(), mask.contains(&token), "token {token}");
        assert_eq!(matcher.validate(&[token]).unwrap(), usize::from(mask.contains(&token)));
        assert_eq!(matcher.clone().advance(token).is_ok(), mask.contains(&token));
    }
    mask
}

fn within(matcher: &Matcher, tokens_left: u32) -> Vec<u32> {
    let mut row = [0];
    matcher.fill_mask_within(&mut row, tokens_left).unwrap();
    ids(row[0])
}

#[test]
fn special_tokens_are_allowed_where_the_language_has_them_and_there_only() {
    assert_eq!(mask(&matcher()), [0, 3, 6, 8]);
    assert_eq!(mask(&after(&[3])), [CALL]);
    assert_eq!(mask(&after(&[3, CALL])), [4, 5, ITEM, END]);
    assert_eq!(mask(&after(&[3, CALL, 5, ITEM, ITEM])), [4, 5, ITEM, END]);
    assert_eq!(mask(&after(&[3, CALL, END])), [EOS]);
    assert!(after(&[3, CALL, END]).is_finished().unwrap());
    assert!(!mask(&after(&[3, CALL])).contains(&OTHER));
}

#[test]
fn special_tokens_are_no_text() {
    let mut called = after(&[3, CALL, 4, ITEM]);
    assert_eq!(called.text().as_ref(), b"sayx");
    assert!(matches!(called.advance_bytes(b"<end>"), Err(MatchError::Rejected(_))));
    let rejection = after(&[3]).explain(4).unwrap().unwrap();
    assert_eq!(rejection.expected, format!("the special token {CALL}"));
    let rejection = after(&[3, CALL]).explain(OTHER).unwrap().unwrap();
    assert_eq!(rejection.expected, format!("\"x\", the special token {ITEM}, or the special token {END}"));
}

#[test]
fn forced_and_shortest_bytes_stop_before_a_special_token_and_tokens_go_on() {
    let begun = after(&[8]);
    assert_eq!(begun.forced_bytes().unwrap(), b"y");
    assert_eq!(begun.forced_tokens().unwrap(), [2, CALL]);
    assert_eq!(begun.shortest_completion().unwrap(), b"y");
    assert_eq!(begun.shortest_completion_tokens().unwrap(), [2, CALL, END]);
    let called = after(&[3, CALL]);
    assert!(called.forced_bytes().unwrap().is_empty() && called.forced_tokens().unwrap().is_empty());
    assert!(called.shortest_completion().unwrap().is_empty());
    assert_eq!(called.shortest_completion_tokens().unwrap(), [END]);
    assert!(after(&[3, CALL, END]).shortest_completion_tokens().unwrap().is_empty());
    assert_eq!(matcher().shortest_completion_tokens().unwrap(), [6, 7]);
}

#[test]
fn budgets_count_special_tokens() {
    let start = matcher();
    assert_eq!(start.tokens_to_match(9).unwrap(), Some(2));
    assert_eq!(within(&start, 2), [6]);
    assert_eq!(within(&start, 3), [3, 6]);
    assert_eq!(within(&start, 4), [3, 6, 8]);
    assert_eq!(within(&start, 5), [0, 3, 6, 8]);
    let called = after(&[3, CALL]);
    assert_eq!(called.tokens_to_match(9).unwrap(), Some(1));
    assert_eq!(within(&called, 1), [END]);
    assert_eq!(within(&called, 2), [4, 5, ITEM, END]);
}

#[test]
fn special_tokens_are_taken_back_with_their_calls() {
    let mut called = after(&[3, CALL, 4, ITEM, END]);
    called.rollback(1).unwrap();
    assert_eq!(mask(&called), [4, 5, ITEM, END]);
    called.rollback(3).unwrap();
    assert_eq!(mask(&called), [CALL]);
    called.advance(CALL).unwrap();
    called.reset();
    assert_eq!(mask(&called), [0, 3, 6, 8]);
    assert_eq!(after(&[3]).validate(&[CALL, 5, ITEM, END, EOS, EOS]).unwrap(), 6);
    assert_eq!(after(&[3]).validate(&[CALL, 5, OTHER]).unwrap(), 2);
}

#[test]
fn an_eos_token_may_be_the_last_symbol() {
    let mut called = Matcher::new(compiled(true, &TOKENS).unwrap());
    [3, CALL, 4].into_iter().for_each(|token| called.advance(token).unwrap());
    assert_eq!(mask(&called), [4, 5, ITEM, EOS]);
    assert_eq!(called.shortest_completion_tokens().unwrap(), [EOS]);
    called.advance(EOS).unwrap();
    assert!(called.is_finished().unwrap() && called.is_accepting());
    assert_eq!(mask(&called), [EOS]);
    called.rollback(1).unwrap();
    assert_eq!(mask(&called), [4, 5, ITEM, EOS]);
}

#[test]
fn states_behind_special_tokens_count_where_a_text_cannot_be_spelled() {
    // Without "n" and "y" alone, only whole "say" leads on.
    let tokens: [&[u8]; 5] = [b"s", b"a", b"say", b"x", b"sa"];
    let automaton = Calls { named: [CALL, ITEM, END], eos_ends: false };
    let missing = (tokens.len() as u32..SIZE).map(|_| None);
    let vocabulary = Vocabulary::new(tokens.iter().map(|&token| Some(token)).chain(missing), &[EOS]).unwrap();
    let constraint =
        CompiledConstraint::new(Box::new(automaton), Arc::new(vocabulary), &Limits::default(), None).unwrap();
    let mut matcher = Matcher::new(constraint);
    assert_eq!(mask(&matcher), [2]);
    assert_eq!(matcher.shortest_completion_tokens().unwrap(), [2, CALL, END]);
    assert_eq!(matcher.shortest_completion().unwrap(), b"say");
    matcher.advance(2).unwrap();
    assert_eq!(mask(&matcher), [CALL]);
    matcher.advance(CALL).unwrap();
    assert_eq!(mask(&matcher), [3, ITEM, END]);
}

#[test]
fn a_special_token_that_the_vocabulary_lacks_is_an_error() {
    let automaton = Calls { named: [CALL, ITEM, END], eos_ends: false };
    let vocabulary = Vocabulary::new(TOKENS.iter().map(|&token| Some(token)), &[]).unwrap();
    let error = CompiledConstraint::new(Box::new(automaton), Arc::new(vocabulary), &Limits::default(), None);
    assert!(matches!(error, Err(Error::Unsatisfiable { message }) if message.contains("special token 9")));
}
