//! The seam holds a language that is not regular: an automaton that counts brackets, without any hint, gets masks, budgets,
//! forced bytes and shortest completions from the same code as a pattern.
//!
//! Its texts are balanced brackets with `日` between them, and `!` behind the last: `(日())!`. A state is a depth.

use rellm_core::automaton::{Automaton, Completion, StateId};
use rellm_core::batch::fill_masks;
use rellm_core::codepoints::CodePoints;
use rellm_core::error::{Error, Result};
use rellm_core::limits::Limits;
use rellm_core::mask::CompiledConstraint;
use rellm_core::mask::hints::MaskHints;
use rellm_core::matcher::Matcher;
use rellm_core::vocabulary::Vocabulary;
use std::sync::Arc;

const INSIDE: &str = "日";

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// The number of open brackets, and of bytes of `日` that are written.
    Inside(u32, usize),
    /// All brackets are closed.
    Closed,
    End,
}

/// The place after one more byte.
fn step(place: Place, byte: u8) -> Option<Place> {
    match (place, byte) {
        (Place::Start, b'(') => Some(Place::Inside(1, 0)),
        (Place::Inside(depth, 0), b'(') => Some(Place::Inside(depth + 1, 0)),
        (Place::Inside(1, 0), b')') => Some(Place::Closed),
        (Place::Inside(depth, 0), b')') => Some(Place::Inside(depth - 1, 0)),
        (Place::Inside(depth, written), byte) if INSIDE.as_bytes()[written] == byte => {
            Some(Place::Inside(depth, (written + 1) % 3))
        }
        (Place::Closed, b'!') => Some(Place::End),
        _ => None,
    }
}

fn walk(place: Place, bytes: &[u8]) -> Option<Place> {
    bytes.iter().try_fold(place, |place, &byte| step(place, byte))
}

/// The automaton: states are numbered as they are met, as many as there are depths.
struct Brackets {
    places: Vec<Place>,
    /// More states than this are over the memory limit.
    most: usize,
}

impl Brackets {
    fn new(most: usize) -> Self {
        Brackets { places: vec![Place::Start], most }
    }

    fn place(&self, state: StateId) -> Place {
        self.places[state.0 as usize - 1]
    }

    fn id(&mut self, place: Place) -> StateId {
        let known = self.places.iter().position(|&other| other == place);
        let index = known.unwrap_or_else(|| {
            self.places.push(place);
            self.places.len() - 1
        });
        StateId(index as u32 + 1)
    }
}

impl Automaton for Brackets {
    fn start(&self) -> StateId {
        StateId(1)
    }

    fn step(&mut self, state: StateId, byte: u8) -> Result<StateId> {
        let Some(place) = step(self.place(state), byte) else { return Ok(StateId::DEAD) };
        let id = self.id(place);
        if self.places.len() <= self.most {
            return Ok(id);
        }
        Err(Error::Limit { limit: "memory_bytes", allowed: self.most as u64, message: "too many states".to_owned() })
    }

    fn is_accepting(&mut self, state: StateId) -> bool {
        self.place(state) == Place::End
    }

    fn shortest_completion(&mut self, state: StateId, _work: u64) -> Result<Completion> {
        let text = match self.place(state) {
            Place::Start => "()!".to_owned(),
            Place::Inside(depth, 0) => ")".repeat(depth as usize) + "!",
            Place::Inside(depth, written) => {
                let text = [&INSIDE.as_bytes()[written..], ")".repeat(depth as usize).as_bytes(), b"!"].concat();
                return Ok(Completion { text, is_shortest: true, is_only: false });
            }
            Place::Closed => "!".to_owned(),
            Place::End => String::new(),
        };
        Ok(Completion { text: text.into_bytes(), is_shortest: true, is_only: false })
    }

    fn next_characters(&mut self, state: StateId) -> Result<CodePoints> {
        let text = match self.place(state) {
            Place::Start => "(",
            Place::Inside(_, 0) => "()日",
            Place::Inside(..) => INSIDE,
            Place::Closed => "!",
            Place::End => "",
        };
        Ok(CodePoints::from_ranges(text.chars().map(|c| (u32::from(c), u32::from(c)))))
    }

    fn refuel(&mut self, _fuel: u64) {}

    fn memory_bytes(&self) -> usize {
        self.places.len() * size_of::<Place>()
    }

    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        let kept: Vec<Place> = roots.iter().map(|&root| self.place(root)).collect();
        self.places = vec![Place::Start];
        kept.into_iter().map(|place| self.id(place)).collect()
    }
}

impl MaskHints for Brackets {}

const TOKENS: [&[u8]; 14] =
    [b"(", b")", b"!", b"))", b")))", b"((", b")!", b"()", b")(", b"\xE6", b"\x97\xA5", b"\xA5)", b"\xE6\x97", b"a"];
const EOS: u32 = TOKENS.len() as u32;

fn vocabulary() -> Arc<Vocabulary> {
    let tokens = TOKENS.iter().map(|&token| Some(token)).chain([None]);
    Arc::new(Vocabulary::new(tokens, &[EOS]).expect("the tokens are good"))
}

fn compiled(most: usize) -> Arc<CompiledConstraint> {
    let automaton = Box::new(Brackets::new(most));
    CompiledConstraint::new(automaton, vocabulary(), &Limits::default(), None).expect("some text can be spelled")
}

fn ids(row: &[u32]) -> Vec<u32> {
    (0..=EOS).filter(|&id| row[0] >> id & 1 == 1).collect()
}

/// The least number of tokens from each place to the end, by trying all ways; places are as deep as `deepest`.
fn distance(place: Place, deepest: u32, most: u32) -> Option<u32> {
    let mut level = vec![place];
    for count in 0..=most {
        if level.contains(&Place::End) {
            return Some(count);
        }
        let mut next = Vec::new();
        for &at in &level {
            for target in TOKENS.iter().filter_map(|token| walk(at, token)) {
                let too_deep = matches!(target, Place::Inside(depth, _) if depth > deepest);
                if !too_deep && !next.contains(&target) {
                    next.push(target);
                }
            }
        }
        level = next;
    }
    None
}

/// The tokens that may follow, by the definition: some tokens after them lead to the end, in all at most `most`.
fn followers(place: Place, most: u32) -> Vec<u32> {
    let allowed = |&id: &u32| {
        let target = walk(place, TOKENS[id as usize]);
        target.is_some_and(|target| distance(target, 12, most.saturating_sub(1)).is_some())
    };
    let eos = (place == Place::End).then_some(EOS);
    (0..EOS).filter(|id| most > 0 && allowed(id)).chain(eos).collect()
}

const TEXTS: [&str; 9] = ["", "(", "(((", "(日", "((日)", "((((((((", "(()", "()", "(日)!"];
/// Texts that end inside `日`.
const CUT: [&[u8]; 3] = [b"(\xE6", b"((\xE6\x97", b"(()(\xE6\x97"];

fn texts() -> impl Iterator<Item = &'static [u8]> {
    TEXTS.iter().map(|text| text.as_bytes()).chain(CUT)
}

fn after(constraint: &Arc<CompiledConstraint>, text: &[u8]) -> Matcher {
    let mut matcher = Matcher::new(Arc::clone(constraint));
    matcher.advance_bytes(text).expect("the text is in the language so far");
    matcher
}

#[test]
fn masks_are_what_the_definition_says() {
    let constraint = compiled(usize::MAX);
    for text in texts() {
        let matcher = after(&constraint, text);
        let mut row = [0];
        matcher.fill_mask(&mut row).unwrap();
        let place = walk(Place::Start, text).unwrap();
        assert_eq!(ids(&row), followers(place, 40), "{:?}", text.escape_ascii().to_string());
        for token in 0..=EOS {
            assert_eq!(matcher.allows(token).unwrap(), ids(&row).contains(&token));
        }
    }
}

#[test]
fn masks_within_a_budget_are_what_the_definition_says() {
    let constraint = compiled(usize::MAX);
    for text in texts() {
        let place = walk(Place::Start, text).unwrap();
        for budget in 0..9 {
            let matcher = after(&constraint, text);
            let mut row = [0];
            matcher.fill_mask_within(&mut row, budget).unwrap();
            assert_eq!(ids(&row), followers(place, budget), "{:?} within {budget}", text.escape_ascii().to_string());
            assert_eq!(matcher.tokens_to_match(budget).unwrap(), distance(place, 12, budget));
        }
    }
}

#[test]
fn forced_bytes_and_shortest_completions_are_those_of_the_automaton() {
    let constraint = compiled(usize::MAX);
    for (text, forced, shortest) in [
        (&b""[..], &b"("[..], &b"()!"[..]),
        (b"(", b"", b")!"),
        (b"((\xE6", b"\x97\xA5", b"\x97\xA5))!"),
        (b"()", b"!", b"!"),
        (b"()!", b"", b""),
    ] {
        let matcher = after(&constraint, text);
        assert_eq!(matcher.forced_bytes().unwrap(), forced);
        assert_eq!(matcher.shortest_completion().unwrap(), shortest);
        assert_eq!(matcher.is_finished().unwrap(), text.ends_with(b"!"));
    }
}

#[test]
fn a_text_goes_on_after_its_states_were_dropped_and_can_be_taken_back() {
    // Fewer states than one deep text has: they are dropped, and made again where the text is taken back.
    let constraint = compiled(300);
    let mut matcher = Matcher::new(Arc::clone(&constraint));
    for _ in 0..400 {
        matcher.advance(0).unwrap();
    }
    for closed in 0..398 {
        let mut row = [0];
        matcher.fill_mask(&mut row).unwrap();
        assert_eq!(ids(&row), followers(Place::Inside(3, 0), 40), "after {closed} brackets were closed");
        matcher.advance(1).unwrap();
        if closed % 50 == 0 {
            matcher.rollback(1).unwrap();
            matcher.advance(1).unwrap();
        }
    }
    assert_eq!(matcher.shortest_completion().unwrap(), b"))!");
}

#[test]
fn a_batch_of_counters_is_filled_in_parallel() {
    let constraints: Vec<_> = (0..6).map(|_| compiled(usize::MAX)).collect();
    let matchers: Vec<Matcher> =
        constraints.iter().flat_map(|constraint| texts().map(|text| after(constraint, text))).collect();
    let mut out = vec![0; matchers.len()];
    fill_masks(matchers.iter().zip(out.chunks_mut(1)), 4).unwrap();
    for (matcher, row) in matchers.iter().zip(&out) {
        assert_eq!(ids(&[*row]), followers(walk(Place::Start, &matcher.text()).unwrap(), 40));
    }
}
