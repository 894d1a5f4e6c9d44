//! The automaton against lists of what matches and what does not. The exhaustive comparison with the libraries is
//! run from Python.

use crate::automaton::{Automaton, StateId};
use crate::codepoints::CodePoints;
use crate::lazy_dfa::{RegexAutomaton, compile};
use crate::limits::Limits;
use crate::syntax::{parse_str, testing};

fn automaton(pattern: &str) -> RegexAutomaton {
    let limits = Limits::default();
    let tree = parse_str(pattern, 0, testing::re(), &limits).unwrap();
    compile(&tree, &CodePoints::scalars(), &limits).unwrap()
}

fn run(automaton: &mut RegexAutomaton, text: &[u8]) -> StateId {
    automaton.refuel(1_000_000);
    text.iter().fold(automaton.start(), |state, &b| automaton.step(state, b).unwrap())
}

fn matches(automaton: &mut RegexAutomaton, text: &str) -> bool {
    let state = run(automaton, text.as_bytes());
    automaton.is_accepting(state)
}

#[test]
fn texts_match_as_they_should() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (r"-?\d+(\.\d{1,2})?", &["1", "-1.5", "42.25", "٣"], &["", "-", "1.", "1.234"]),
        (r"(foo|foobar)x?", &["foo", "foobar", "foox", "foobarx"], &["fo", "foob"]),
        (r"a{2,3}b|c", &["aab", "aaab", "c"], &["ab", "aaaab", ""]),
        (r"(?=.*a)(?=.*b)\w{3}", &["abc", "cab", "bxa"], &["abcd", "aaa", "bbb"]),
        (r"(?!ab)\w\w", &["aa", "ba"], &["ab"]),
        (r"\bfoo\b.*", &["foo", "foo bar", "foo-"], &["foobar"]),
        (r"(a|ab)(?<=b)c", &["abc"], &["ac"]),
        (r".*(?<!x)y", &["y", "ay"], &["xy", "axy"]),
        (r"(?>a*)ab", &[], &["ab", "aab"]),
        (r"(?>a|ab)c", &["ac"], &["abc"]),
        (r"(?>ab|a)(b?)c", &["abc", "abbc", "ac"], &["ab"]),
        (r"(?:a|ab)++c", &["ac", "aac"], &["abc"]),
        (r"(a)?b(?(1)c|d)", &["abc", "bd"], &["bc", "abd"]),
        (r#"(['"])[^'"]*\1"#, &["'x'", "\"\"", "\"ab\""], &["'x\"", "'"]),
        (r"(\w+) \1", &["a a", "hello hello", "中 中"], &["a b", "hello hell", "a "]),
        (r"(?:(a|b)\1)+", &["aa", "aabb"], &["ab", "aab"]),
        (r"(.)\1", &["aa", "中中", "😀😀"], &["ab", "中国"]),
        (r"(?:\b|a){3}x", &["ax", "aax", "x", "aaax"], &["aaaax"]),
        (r"(?m)a$\n^b", &["a\nb"], &["ab", "a\n"]),
        (r"a$\n?", &["a", "a\n"], &["a\n\n"]),
        (r"(?:(?=a)a|b)*", &["", "ab", "ba"], &["c"]),
        (r"(a?){5}b", &["b", "aaaaab"], &["aaaaaab"]),
    ];
    for (pattern, good, bad) in cases {
        let mut automaton = automaton(pattern);
        for text in *good {
            assert!(matches(&mut automaton, text), "{pattern} should match {text:?}");
        }
        for text in *bad {
            assert!(!matches(&mut automaton, text), "{pattern} should not match {text:?}");
        }
    }
}

#[test]
fn a_union_of_many_repetitions_is_any_of_them() {
    // Counts that lie apart, touch and overlap, before tails that are members too.
    let tails = ["", "b", "ba", "a{2}b", "b{0,2}a", "(?:ab){1,2}", "b{2,3}"];
    let heads = ["", "a", "a{2}", "a{0,1}", "a{0,2}", "a{1,2}", "a{2,4}", "a{4,5}", "a*", "(?:ba){0,1}", "(?:ba){2}"];
    let ways: Vec<String> = heads.iter().flat_map(|head| tails.map(|tail| format!("{head}{tail}"))).collect();
    let texts: Vec<String> = (0..8)
        .flat_map(|length| (0..1 << length).map(move |bits: u32| (length, bits)))
        .map(|(length, bits)| (0..length).map(|at| if bits >> at & 1 == 1 { 'a' } else { 'b' }).collect())
        .collect();
    let good: Vec<Vec<bool>> = ways
        .iter()
        .map(|way| {
            let mut automaton = automaton(way);
            texts.iter().map(|text| matches(&mut automaton, text)).collect()
        })
        .collect();
    let mut seed = 1_u32;
    for _ in 0..200 {
        let mut chosen: Vec<usize> = (0..ways.len()).collect();
        chosen.retain(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 30 == 0
        });
        let alternatives: Vec<&str> = chosen.iter().map(|&way| ways[way].as_str()).collect();
        let mut automaton = automaton(&format!("c(?:{})", alternatives.join("|")));
        for (at, text) in texts.iter().enumerate() {
            let expected = chosen.iter().any(|&way| good[way][at]);
            assert_eq!(matches(&mut automaton, &format!("c{text}")), expected, "{alternatives:?} {text:?}");
        }
    }
}

#[test]
fn an_empty_language_is_dead_at_the_start() {
    for pattern in [r"[^\s\S]", "(?!)", "a(?!)b", "$a", "(?>a*)a", r"(?=a)b", r"a\b\w", r"(?<=b)a", r"a(?<!a)"] {
        assert_eq!(automaton(pattern).start(), StateId::DEAD, "{pattern}");
    }
}

#[test]
fn nothing_that_cannot_match_stays_alive() {
    for (pattern, dead) in [("(?=.*z)a{3}|b", "a"), (r"(?=\w{2}$)\w+", "abc"), (r"(a+)b(?!\1)a*", "aabaa")] {
        let mut automaton = automaton(pattern);
        assert_eq!(run(&mut automaton, dead.as_bytes()), StateId::DEAD, "{pattern} after {dead}");
    }
}

#[test]
fn a_capture_starts_with_no_byte_of_another_character() {
    for pattern in [r#"(['"])a\1"#, r"(a|b)\1", "a|b"] {
        let mut automaton = automaton(pattern);
        let start = automaton.start();
        for byte in 0x80..=0xFF {
            assert_eq!(automaton.step(start, byte).unwrap(), StateId::DEAD, "{pattern} {byte:x}");
        }
    }
}

#[test]
fn shortest_completions_match() {
    for pattern in ["[a-c]{3}x*", "(?=.*z).{4}", "日本|[^a]{2}", r"(\w\w)-\1", "a*"] {
        let mut automaton = automaton(pattern);
        let start = automaton.start();
        let text = automaton.shortest_completion(start, 1_000_000).unwrap().text;
        assert!(matches(&mut automaton, std::str::from_utf8(&text).unwrap()), "{pattern} {text:?}");
    }
}

#[test]
fn a_character_that_is_begun_is_completed_by_the_shortest_way() {
    let cases: [(&str, &[u8], usize); 7] = [
        ("[\u{c0}-\u{df}]x{5}|[\u{e0}-\u{ff}]", b"\xc3", 1),
        ("[\u{c0}-\u{df}]x{5}|[\u{e0}-\u{ff}]|z", b"\xc3\x80", 5),
        ("([\u{c0}-\u{df}]x{5}|[\u{e0}-\u{ff}])y\\1?", b"\xc3", 2),
        ("(?!z)([\u{c0}-\u{df}]x{5}|[\u{e0}-\u{ff}]y)", b"\xc3", 2),
        ("[\u{4e00}-\u{4e7f}]x{5}|[\u{4e80}-\u{4eff}]x{3}|[\u{5000}-\u{50ff}]", b"\xe4", 5),
        ("[\u{4e00}-\u{4e7f}]x{5}|[\u{4e80}-\u{4eff}]x{3}|[\u{4f00}-\u{4fff}]", b"\xe4", 2),
        (r"(?=.*z)(?:[😀-😿]x{5}z|[🙀-🙏]y?z)", b"\xf0\x9f", 3),
    ];
    for (pattern, before, expected) in cases {
        let mut automaton = automaton(pattern);
        let state = run(&mut automaton, before);
        for _ in 0..2 {
            let rest = automaton.shortest_completion(state, 1_000_000).unwrap().text;
            assert_eq!(rest.len(), expected, "{pattern} after {before:x?}: {rest:x?}");
            assert!(matches(&mut automaton, std::str::from_utf8(&[before, &rest].concat()).unwrap()));
        }
    }
}

#[test]
fn what_is_retained_goes_on_as_before() {
    for (pattern, before, after) in
        [(r"(\w+)-\1(?<!bb)", "ab-", "ab"), (r"(?=.*z)[a-z日]{5}", "a日", "zzz"), (r"(?>(?:ab|a)+)c日", "aba", "c日")]
    {
        let mut automaton = automaton(pattern);
        for cut in 0..before.len() {
            let whole = run(&mut automaton, before.as_bytes());
            let part = run(&mut automaton, &before.as_bytes()[..cut]);
            let ids = automaton.retain(&[whole, part, StateId::DEAD]);
            assert_eq!(ids[2], StateId::DEAD);
            let mut finish = |state: StateId, text: &[u8]| {
                let end = text.iter().fold(state, |state, &b| automaton.step(state, b).unwrap());
                assert!(automaton.is_accepting(end), "{pattern} {cut}");
            };
            finish(ids[0], after.as_bytes());
            finish(ids[1], &[&before.as_bytes()[cut..], after.as_bytes()].concat());
        }
    }
}

#[test]
fn what_is_retained_needs_no_fuel_to_be_known() {
    for pattern in [r"([ab日]*a[ab]{3}|x)*(?!q)", r"(?!.*zz)(\w|日){1,80}", r"(\w*)-?\1(?<!bb)", "[ab日]*"] {
        let mut automaton = automaton(pattern);
        for text in ["", "a", "ab", "日", "aba日"] {
            for cut in 0..=text.len() {
                let state = run(&mut automaton, &text.as_bytes()[..cut]);
                let expected = automaton.is_accepting(state);
                automaton.refuel(0);
                let kept = automaton.retain(&[state])[0];
                assert!(kept != StateId::DEAD);
                assert_eq!(automaton.is_accepting(kept), expected, "{pattern} {text:?} {cut}");
                let start = automaton.start();
                let starts = automaton.is_accepting(start);
                automaton.refuel(1_000_000);
                assert_eq!(automaton.is_accepting(start), starts);
                let end = text.as_bytes()[cut..].iter().fold(kept, |state, &byte| automaton.step(state, byte).unwrap());
                assert!(end != StateId::DEAD, "{pattern} {text:?} {cut}");
            }
        }
    }
}

#[test]
fn a_limit_ends_what_is_too_large() {
    use crate::error::Error;
    let limits = Limits { fuel: 100, ..Limits::default() };
    let tree = parse_str("(?=(a|b)*a(a|b){18}c)(?!(a|b)*b(a|b){17}c)(a|b)*c", 0, testing::re(), &limits).unwrap();
    let compiled = compile(&tree, &CodePoints::scalars(), &limits);
    assert!(matches!(compiled, Err(Error::Limit { limit: "fuel", .. })), "{:?}", compiled.map(|_| ()));
}
