//! Constraints given in their flat form: which texts they hold, and what is refused.
#![allow(missing_docs)]

use rellm_core::automaton::{Automaton, StateId};
use rellm_core::codepoints::CodePoints;
use rellm_core::error::{Error, Result};
use rellm_core::lazy_dfa::{RegexAutomaton, compile_tree};
use rellm_core::limits::Limits;
use rellm_core::syntax::fragments::{Context, read};
use rellm_core::syntax::{Dialect, Library, NoResolver, Tables};
use std::sync::OnceLock;

fn dialect() -> &'static Dialect {
    static RE: OnceLock<Dialect> = OnceLock::new();
    RE.get_or_init(|| {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../python/rellm"));
        let places = ["_dialects/data", "_data"].map(|place| folder.join(place).join("re-3.11-14.0.0.tables"));
        let file = places.iter().find_map(|place| std::fs::read(place).ok()).expect("the shipped tables are there");
        let header = file.iter().position(|&byte| byte == 0).expect("the header ends with NUL") + 1;
        let tables = Tables::from_bytes(&file[header..]).expect("the shipped tables are good");
        Dialect::new(Library::Re { minor: 11 }, tables, Box::new(NoResolver))
    })
}

/// A list of numbers in prefix notation, and the strings that it refers to.
#[derive(Default)]
struct Fragments {
    strings: Vec<Vec<u32>>,
}

impl Fragments {
    fn string(&mut self, text: &str) -> i64 {
        self.strings.push(text.chars().map(u32::from).collect());
        self.strings.len() as i64 - 1
    }

    fn literal(&mut self, text: &str) -> Vec<i64> {
        vec![2, self.string(text)]
    }

    fn pattern(&mut self, pattern: &str) -> Vec<i64> {
        vec![10, self.string(pattern), 0, 0, 0]
    }

    fn tree(&self, operations: &[i64]) -> Result<RegexAutomaton> {
        let limits = Limits::default();
        let tree = read(operations, &Context { strings: &self.strings, dialects: &[dialect()], limits: &limits })?;
        compile_tree(&tree, &CodePoints::scalars(), &limits)
    }
}

fn many(code: i64, parts: &[Vec<i64>]) -> Vec<i64> {
    let mut all = vec![code, parts.len() as i64];
    parts.iter().for_each(|part| all.extend(part));
    all
}

fn sequence(parts: &[Vec<i64>]) -> Vec<i64> {
    many(5, parts)
}

fn union(parts: &[Vec<i64>]) -> Vec<i64> {
    many(6, parts)
}

fn with_rules(rules: &[Vec<i64>], root: &[i64]) -> Vec<i64> {
    let mut all = vec![rules.len() as i64];
    rules.iter().for_each(|rule| all.extend(rule));
    all.extend(root);
    all
}

fn run(automaton: &mut RegexAutomaton, text: &str) -> StateId {
    automaton.refuel(20_000_000);
    text.bytes().fold(automaton.start(), |state, byte| automaton.step(state, byte).expect("the limits hold"))
}

fn check(automaton: &mut RegexAutomaton, good: &[&str], bad: &[&str]) {
    for text in good {
        let state = run(automaton, text);
        assert!(automaton.is_accepting(state), "{text:?} is a text");
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            let begun = run(automaton, &text[..end]);
            let rest = automaton.shortest_completion(begun, 1_000_000).expect("the limits hold").text;
            let whole = [&text.as_bytes()[..end], &rest].concat();
            let whole = String::from_utf8(whole).expect("a completion ends characters");
            let state = run(automaton, &whole);
            assert!(automaton.is_accepting(state), "{whole:?} completes {:?}", &text[..end]);
        }
    }
    for text in bad {
        let state = run(automaton, text);
        assert!(!automaton.is_accepting(state), "{text:?} is no text");
    }
}

#[test]
fn parts_of_a_sequence_are_languages_of_their_own() {
    let mut f = Fragments::default();
    let root = sequence(&[f.pattern(r"a+$"), f.pattern(r"^b(?!c)c?"), f.pattern(r"(\w)-\1"), f.literal("!")]);
    let mut automaton = f.tree(&with_rules(&[], &root)).expect("it compiles");
    check(&mut automaton, &["abx-x!", "aabé-é!"], &["abcx-x!", "abx-y!", "bx-x!", "abx-x"]);
}

#[test]
fn intersections_and_complements_stand_before_something() {
    let mut f = Fragments::default();
    let words = f.pattern("[a-z]+");
    let keywords = union(&[f.literal("if"), f.literal("else")]);
    let name = many(8, &[words, [vec![9], keywords].concat()]);
    let root = sequence(&[name.clone(), f.literal("="), name]);
    let mut automaton = f.tree(&with_rules(&[], &root)).expect("it compiles");
    check(&mut automaton, &["i=e", "ifs=elsewhere", "x=y"], &["if=x", "x=else", "=x", "x="]);
}

#[test]
fn rules_recur() {
    let mut f = Fragments::default();
    let (open, close) = (f.literal("["), f.literal("]"));
    let list = sequence(&[open, vec![7, 0, -1, 13, 1], close]);
    let item = union(&[vec![13, 0], f.literal("x"), f.pattern("(?i)Y(?!Y)")]);
    let mut automaton = f.tree(&with_rules(&[list, item], &[13, 0])).expect("it compiles");
    let deep = format!("{}x{}", "[".repeat(3000), "]".repeat(3000));
    check(&mut automaton, &["[]", "[x[][y]Y]"], &["", "[", "[]]", "x"]);
    let state = run(&mut automaton, &deep);
    assert!(automaton.is_accepting(state));
}

#[test]
fn what_is_left_after_the_memory_was_freed_goes_on_as_before() {
    let mut f = Fragments::default();
    let (open, close) = (f.literal("("), f.literal(")"));
    let body = union(&[sequence(&[open, vec![13, 0], close]), f.pattern(r"(\d)\1\b"), vec![0]]);
    let mut automaton = f.tree(&with_rules(&[body], &[13, 0])).expect("it compiles");
    let state = run(&mut automaton, "((((7");
    let state = automaton.retain(&[state])[0];
    automaton.refuel(20_000_000);
    let end = "7))))".bytes().fold(state, |state, byte| automaton.step(state, byte).expect("the limits hold"));
    assert!(automaton.is_accepting(end));
    check(&mut automaton, &["((11))", "()"], &["((12))", "(1)"]);
}

#[test]
fn a_branch_through_a_rule_without_a_text_is_no_branch() {
    let mut f = Fragments::default();
    let endless = sequence(&[f.literal("x"), vec![13, 0]]);
    let root = union(&[vec![13, 0], f.literal("xy")]);
    let mut automaton = f.tree(&with_rules(std::slice::from_ref(&endless), &root)).expect("it compiles");
    check(&mut automaton, &["xy"], &["x", "xx"]);
    assert_eq!(run(&mut automaton, "xx"), StateId::DEAD);
    let automaton = f.tree(&with_rules(&[endless], &[13, 0])).expect("it compiles");
    assert_eq!(automaton.start(), StateId::DEAD);
}

#[test]
fn left_recursion_names_its_rules() {
    let mut f = Fragments::default();
    let first = union(&[sequence(&[vec![7, 0, 1, 13, 2], vec![13, 1]]), f.literal("a")]);
    let second = sequence(&[vec![13, 0], f.literal("b")]);
    let operations = with_rules(&[first, second, f.literal("c")], &[13, 0]);
    match f.tree(&operations) {
        Err(Error::LeftRecursion { rules }) => assert_eq!(rules, [0, 1]),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

#[test]
fn what_does_not_follow_the_notation_is_malformed() {
    let f = Fragments { strings: vec![vec![97]] };
    let lists: &[&[i64]] = &[
        &[],
        &[0],
        &[1, 0],
        &[0, 99],
        &[0, -1],
        &[0, 2],
        &[0, 2, 1],
        &[0, 2, -1],
        &[0, 13, 0],
        &[0, 5, 1 << 40, 0],
        &[0, 5, 3, 0],
        &[0, 4, 1, 98, 97],
        &[0, 4, 1, 0, 0x11_0000],
        &[0, 4, 3, 97, 97],
        &[0, 7, 2, 1, 0],
        &[0, 7, -1, 1, 0],
        &[0, 7, 0, -2, 0],
        &[0, 10, 0, 0, 1, 0],
        &[0, 10, 0, -1, 0, 0],
        &[0, 15, 2, 0, 0],
        &[0, 0, 0],
    ];
    for list in lists {
        assert!(matches!(f.tree(list), Err(Error::Malformed { .. })), "{list:?}");
    }
    let deep: Vec<i64> = [vec![0], vec![11; 100_000], vec![0]].concat();
    assert!(matches!(f.tree(&deep), Err(Error::Limit { limit: "nesting", .. })));
}
