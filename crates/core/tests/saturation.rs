//! Saturated counters: states that differ in a counter share a mask exactly as long as no token can tell them apart. Each
//! pattern is tried with counters around the number of iterations that the longest short token touches, so that a bound one
//! too low, or a representative with a text too few, shows in a mask.

use rellm_core::compile;
use rellm_core::limits::Limits;
use rellm_core::mask::{CompiledConstraint, FastPaths};
use rellm_core::matcher::Matcher;
use rellm_core::syntax::{Dialect, Library, NoResolver, Tables, parse_str};
use rellm_core::vocabulary::Vocabulary;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Tokens of more characters are decided one by one.
const COUNTED: usize = 17;
const EOS: u32 = 0;

fn dialect() -> Dialect {
    let file = include_bytes!("../../../python/rellm/_dialects/data/re-3.11-14.0.0.tables");
    let header = file.iter().position(|&byte| byte == 0).expect("the header ends with NUL") + 1;
    let tables = Tables::from_bytes(&file[header..]).expect("the shipped tables are good");
    Dialect::new(Library::Re { minor: 11 }, tables, Box::new(NoResolver))
}

/// All bytes, and all pieces of `texts` of up to some more characters than are counted.
fn vocabulary(texts: &[String]) -> Arc<Vocabulary> {
    let mut tokens: BTreeSet<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    for text in texts {
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        for (from, &start) in starts.iter().enumerate() {
            for &end in starts[from + 1..].iter().take(COUNTED + 3) {
                tokens.insert(text.as_bytes()[start..end].to_vec());
            }
        }
    }
    let tokens = [None].into_iter().chain(tokens.iter().map(|token| Some(token.as_slice())));
    Arc::new(Vocabulary::new(tokens, &[EOS]).expect("the tokens are good"))
}

fn mask(constraint: &Arc<CompiledConstraint>, text: &str) -> Vec<u32> {
    let mut matcher = Matcher::new(Arc::clone(constraint));
    matcher.advance_bytes(text.as_bytes()).expect("the text begins a match");
    let mut row = vec![0; matcher.mask_words()];
    matcher.fill_mask(&mut row).expect("it is within the limits");
    row
}

/// Compares the masks of one pattern, made in the usual way and by a plain walk, after each beginning of a text; in both
/// directions, since the states met first become the representatives of others.
fn check(pattern: &str, dialect: &Dialect, vocabulary: &Arc<Vocabulary>, text: &str) {
    let limits = Limits::default();
    let parsed = parse_str(pattern, 0, dialect, &limits).expect("the pattern is good");
    let compiled = || compile::compile(&parsed, Arc::clone(vocabulary), &limits).expect("some text matches");
    let plain = compiled();
    plain.set_fast_paths(FastPaths::Never);
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for _ in 0..2 {
        let shared = compiled();
        for &end in &ends {
            let (with, without) = (mask(&shared, &text[..end]), mask(&plain, &text[..end]));
            assert!(with == without, "{pattern} after {:?}", &text[..end]);
        }
        ends.reverse();
    }
}

#[test]
fn counters_share_masks_only_above_what_a_token_can_touch() {
    let dialect = dialect();
    for body in ["a", "ab", "abc", "abcd", "abcdef", "é日"] {
        let length = body.chars().count();
        let touched = COUNTED / length + 1;
        let text = body.repeat(touched + 3);
        let vocabulary = vocabulary(&[format!("{text}z"), format!("zz{text}")]);
        for count in touched - 2..=touched + 2 {
            // An upper bound, a lower bound, and both.
            check(&format!("(?:{body}){{0,{count}}}z"), &dialect, &vocabulary, &body.repeat(count));
            check(&format!("(?:{body}){{{count},}}z"), &dialect, &vocabulary, &body.repeat(count + 1));
            check(&format!("(?:{body}){{{count},{}}}z", count + 2), &dialect, &vocabulary, &body.repeat(count + 2));
        }
    }
}

#[test]
fn counters_share_masks_only_above_the_runs_that_a_token_has() {
    let dialect = dialect();
    for runs in 1..=4 {
        // Tokens have up to `runs` runs of spaces, and the body begins with one.
        let piece = "~b".repeat(runs);
        let vocabulary = vocabulary(&[format!("{piece}z"), format!("b{piece}"), "bz".to_owned(), "bbbb".to_owned()]);
        for count in 1..=runs + 3 {
            let text = "~b".repeat(count);
            check(&format!("(?:~b{{1,3}}){{0,{count}}}z"), &dialect, &vocabulary, &text);
            check(&format!("(?:~b{{1,3}}){{{count},}}z"), &dialect, &vocabulary, &text);
            check(&format!("(?:~b{{1,3}}){{{count},{}}}z", count + 1), &dialect, &vocabulary, &text);
        }
    }
}

#[test]
fn counters_under_lookarounds_share_masks_only_where_both_sides_agree() {
    let dialect = dialect();
    let text = "ab".repeat(COUNTED);
    let vocabulary = vocabulary(&[format!("{text}z"), "b~z".to_owned(), "a~".to_owned()]);
    let touched = COUNTED / 2 + 1;
    for count in [1, touched - 1, touched, touched + 1, 2 * touched, 3 * touched] {
        check(&format!("(?:(?!ab~)[ab~]){{0,{count}}}z"), &dialect, &vocabulary, &text[..count.min(COUNTED)]);
        check(&format!("(?=[^~]*z)(?:ab|~){{{count},{}}}z", count + 9), &dialect, &vocabulary, &"ab".repeat(count));
        check(&format!("(?!.*b~)(?:ab|~){{{count},}}z"), &dialect, &vocabulary, &"ab".repeat(count));
    }
}
