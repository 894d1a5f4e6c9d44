//! Random walks over every pattern of the benchmarks: masks made by the fast ways equal those of a plain walk.
//!
//! By default over a vocabulary made here, in seconds. For tens of thousands of masks of a real one:
//! `python benchmarks/token_files.py`, then
//! `RELLM_WALK_TOKENS=131k RELLM_WALKS=40 cargo test --release --package rellm-core --test random_walk`. Random patterns:
//! `RELLM_WALK_PATTERNS=300 RELLM_WALK_SEED=1`.
#![allow(missing_docs)]

use rellm_core::error::Result;
use rellm_core::lazy_dfa;
use rellm_core::limits::Limits;
use rellm_core::mask::{CompiledConstraint, FastPaths};
use rellm_core::matcher::{MatchError, Matcher};
use rellm_core::syntax::{Dialect, Library, NoResolver, Tables, parse_str};
use rellm_core::vocabulary::Vocabulary;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const EOS: u32 = 2;
const STEPS: usize = 50;
const WAYS: [FastPaths; 3] = [FastPaths::Never, FastPaths::WherePaying, FastPaths::Always];

/// Beside those of the benchmarks: lookarounds, backreferences, counts near the length of tokens, classes with holes.
const MORE: [(&str, &str); 39] = [
    ("password", r"(?=.*[0-9])(?=.*[A-Z])(?=.*[^\w\s])\w{0,3}[ -~]{8,20}"),
    ("quoted twice", r#"(['"])[^'"\n]{0,40}\1: ([a-c]{1,3}) \2"#),
    ("any case", r"(?i:straße|select|naïve)( \w{1,5}){0,4}"),
    ("short words", r"[a-z]{1,7}( [a-z]{1,7})*"),
    ("no e", r"(?:(?!e)\w| ){1,60}"),
    ("words that end", r"(\b\w+\b[ ,.])*"),
    ("not after", r"((?<!a)b|[ac ])*"),
    ("exactly", r".{40}"),
    ("two or nothing", r"([^\x00-\x7f]{2})*"),
    ("emoji", r"([\U0001F600-\U0001F64F] ?){1,20}"),
    ("atomic", r"(?>[a-z]+|[a-z ]+)[0-9. ]{2,9}"),
    ("to a brace and on", r".*\}\s*\}\nHuman:"),
    ("ends among its own", r"[a-z ]{0,30}(e;|\n- |;\t)+[.]"),
    ("words or signs", r"(\w|[,.])*(, [+=]{2,9})?\n"),
    ("captured and on", r"([a-z ]{2,40})(e\n)+= \1"),
    ("spaces", r" {0,70}(-{3,90} {18,40})?[.]"),
    ("stars", r"(\*{1,70} ?){1,8}"),
    ("many words", r"(?:[a-z]{1,3} ){0,40}x|[a-z ]{16,19}"),
    ("counts in counts", r"( {0,3}[a-z]{2,25}){17,19}"),
    ("one or two", r"(?:ab|a){16,18}c?"),
    ("far ends", r"((a|b)*a(a|b){20}|[^\n]{30,90}) "),
    ("a word twice", r#"(['"])[^'"\n]{0,40}\1: (\w{1,12}) \2"#),
    ("literals", r"(?:the and that |the 的 一|café Ñandú)(?:, İstanbul ?(?: the and){0,3}){0,4} with of"),
    ("literals in a row", r"(?:the|and that|with) (?:the|of der|die) (?:und|-- \.\.\.){1,20}"),
    ("beginnings", r"(?:(?:[^a]|ab|abc)x?){0,40}|(?:\w|the y){2,30}z"),
    ("runs", r"[a-z]{1,30}(?: [a-z]{1,30}){2,7}(?:-[*-]{2,9}){1,6}"),
    ("runs in runs", r"(?:\*\w{1,9}(?: x ?){0,9}){3,9}"),
    ("a long literal", r"(?:ελληνικά -- \.\.\. 0x1F 2026-11-21|café Ñandú İstanbul ﬁn 🙂👍🏽)[^é]{0,9}"),
    ("a long end", r"\d?ελληνικά -- \.\.\. 0x1F 2026-11-21"),
    ("as many runs as a token has", r"(?:;\w){5,9}end"),
    ("with and without a least count", r#"(?:(?:[abc]"[^"]{0,90}|[de]"[^"]{3,90})" ?)+"#),
    ("without and with a least count", r#"a"[^"]{0,90}"|b"[^"]{40,95}""#),
    ("without and with it, again", r#"c"[^"]{0,80}"|d"[^"]{30,95}""#),
    ("with and without it, again", r#"f"[^"]{50,99}"|e"[^"]{0,99}""#),
    ("one run more than any token", r"(?:~\d){4,9}!*"),
    ("at most as many runs", r"(?:;\w){2,4}e?"),
    ("more in one run", r"(?:\^[\^a]){2,5}x"),
    ("exact counts", r"(?:[ab ]*a[ab ]{5}|[ab ]{9}|(?:[ab ]{4}){2,3})[.]"),
    ("lines", r"(?m:^[-*] .{1,80}$\n?){1,9}"),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn dialect() -> Dialect {
    let file = include_bytes!("../../../python/rellm/_dialects/data/re-3.11-14.0.0.tables");
    let header = file.iter().position(|&byte| byte == 0).expect("the header ends with NUL") + 1;
    let tables = Tables::from_bytes(&file[header..]).expect("the shipped tables are good");
    Dialect::new(Library::Re { minor: 11 }, tables, Box::new(NoResolver))
}

struct Case {
    name: String,
    pattern: String,
    sample: String,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("testdata/benchmarks.toml")).expect("the cases are there");
    let table: toml::Table = text.parse().expect("the cases are TOML");
    let field = |case: &toml::Value, name: &str| case[name].as_str().expect("a text").to_owned();
    table["case"]
        .as_array()
        .expect("a list of cases")
        .iter()
        .map(|case| Case { name: field(case, "name"), pattern: field(case, "pattern"), sample: field(case, "sample") })
        .collect()
}

fn shipped(name: &str) -> Vec<Option<Vec<u8>>> {
    let data = std::fs::read(root().join(format!("target/benchmarks/vocabularies/{name}.tokens")))
        .expect("python benchmarks/token_files.py makes it");
    let (mut tokens, mut rest) = (Vec::new(), &data[..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        match u32::from_le_bytes(*length) {
            u32::MAX => {
                tokens.push(None);
                rest = after;
            }
            length => {
                let (token, after) = after.split_at(length as usize);
                tokens.push(Some(token.to_vec()));
                rest = after;
            }
        }
    }
    tokens
}

/// Every byte, and every run of up to 20 bytes of the samples and of some words, cut characters included.
fn made(cases: &[Case]) -> Vec<Option<Vec<u8>>> {
    let words = "the and that with of der die und nicht что это как 的 一 是 不 了 في من और है ¿qué años\n\n\t  = += // \
                 {\"a\": [1, 2]} café Ñandú İstanbul ﬁn 🙂👍🏽 \u{301}\u{308} 한국어 日本語 ελληνικά -- ... 0x1F 2026-11-21 \
                 x;y;z;w;qend x;y;;z;wen ^^^^^^^^^^^^^^^^ ^a^b^^c ~1~2~3!!!!!!";
    let mut found = BTreeSet::new();
    for text in cases.iter().map(|case| case.sample.as_str()).chain([words]) {
        let bytes = text.as_bytes();
        for start in 0..bytes.len() {
            for length in [2, 3, 4, 5, 6, 7, 9, 12, 16, 18, 20, 33] {
                found.extend(bytes.get(start..start + length).map(<[u8]>::to_vec));
            }
        }
    }
    for length in [16, 17, 18, 19, 24, 40, 64] {
        found.extend([" ", "-", "*", "ab", "a ", "  x", "é"].map(|run| run.repeat(length).into_bytes()));
    }
    let special = (0..3).map(|_| None);
    special.chain((0..=255).map(|byte| Some(vec![byte]))).chain(found.into_iter().map(Some)).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(x ^ (x >> 31)) * n as u128) >> 64) as usize
    }
}

fn compile(
    pattern: &str,
    dialect: &Dialect,
    vocabulary: &Arc<Vocabulary>,
    limits: &Limits,
) -> Result<[Arc<CompiledConstraint>; 3]> {
    let parsed = parse_str(pattern, 0, dialect, limits)?;
    let automaton = lazy_dfa::compile(&parsed, vocabulary.alphabet(), limits)?;
    let made = |fast| {
        let constraint = CompiledConstraint::new(Box::new(automaton.clone()), Arc::clone(vocabulary), limits, None)?;
        constraint.set_fast_paths(fast);
        Ok(constraint)
    };
    Ok([made(WAYS[0])?, made(WAYS[1])?, made(WAYS[2])?])
}

/// Walks by tokens that the mask allows, and compares the masks of all ways on every step. Returns how many there were.
fn walk(
    case: &Case,
    constraints: &[Arc<CompiledConstraint>; 3],
    vocabulary: &Arc<Vocabulary>,
    walks: usize,
    random: &mut Random,
) -> Result<usize> {
    let mut masks = 0;
    for _ in 0..walks {
        let mut matchers = constraints.each_ref().map(|constraint| Matcher::new(Arc::clone(constraint)));
        let mut rows = WAYS.map(|_| vec![u32::MAX; vocabulary.mask_words()]);
        for step in 0..STEPS {
            for (matcher, row) in matchers.iter().zip(&mut rows) {
                matcher.fill_mask(row)?;
            }
            masks += 1;
            let [plain, others @ ..] = &rows;
            for (way, other) in WAYS[1..].iter().zip(others) {
                if let Some(word) = (0..plain.len()).find(|&word| plain[word] != other[word]) {
                    let id = (word * 32) as u32 + (plain[word] ^ other[word]).trailing_zeros();
                    panic!(
                        "{}: after {:?}, token {id} ({:?}) is {} by a plain walk and not by {way:?}",
                        case.name,
                        String::from_utf8_lossy(&matchers[0].text()),
                        vocabulary.token_bytes(id).map(String::from_utf8_lossy),
                        if plain[word] >> (id % 32) & 1 == 1 { "allowed" } else { "refused" },
                    );
                }
            }
            for _ in 0..5 {
                let id = random.below(vocabulary.len()) as u32;
                let in_mask = plain[id as usize / 32] >> (id % 32) & 1 == 1;
                if vocabulary.token_bytes(id).is_some() {
                    assert_eq!(matchers[1].allows(id)?, in_mask, "{}: token {id} after {step} others", case.name);
                }
            }
            let allowed: Vec<u32> = (0..vocabulary.len() as u32)
                .filter(|&id| id != EOS && plain[id as usize / 32] >> (id % 32) & 1 == 1)
                .collect();
            if allowed.is_empty() {
                break;
            }
            // Longer tokens reach the ends of counts sooner; single bytes reach the middle of characters.
            let mut token = allowed[random.below(allowed.len())];
            if step % 3 == 1 {
                let again = allowed[random.below(allowed.len())];
                let length = |id: u32| vocabulary.token_bytes(id).map_or(0, <[u8]>::len);
                if length(again) < length(token) {
                    token = again;
                }
            }
            // The first goes byte by byte, so that no stride over many is taken for granted.
            let bytes = vocabulary.token_bytes(token).unwrap_or_default();
            let [first, others @ ..] = &mut matchers;
            let one_by_one = bytes.chunks(1).map(|byte| first.advance_bytes(byte));
            for done in one_by_one.chain(others.iter_mut().map(|matcher| matcher.advance(token))) {
                match done {
                    Ok(()) => {}
                    Err(MatchError::Core(error)) => return Err(error),
                    Err(rejected) => panic!("{}: the mask allows what is refused: {rejected}", case.name),
                }
            }
        }
    }
    Ok(masks)
}

#[test]
fn masks_made_by_the_fast_ways_equal_those_of_a_plain_walk() {
    let (dialect, mut cases) = (dialect(), cases());
    let name = std::env::var("RELLM_WALK_TOKENS").ok();
    let tokens = name.as_deref().map_or_else(|| made(&cases), shipped);
    let walks = std::env::var("RELLM_WALKS").map_or(3, |walks| walks.parse().expect("RELLM_WALKS is a number"));
    let vocabulary = Vocabulary::new(tokens.iter().map(Option::as_deref), &[EOS]).expect("the tokens are good");
    let vocabulary = Arc::new(vocabulary);
    let more = MORE.map(|(name, pattern)| (name.to_owned(), pattern.to_owned()));
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| std::str::from_utf8(token.as_deref()?.strip_prefix(b" ")?).ok())
        .filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        .take(5000)
        .collect();
    let (all, few) = (words.join("|"), words[..words.len().min(12)].join("|"));
    let alternations = [
        ("words".to_owned(), format!("({all})")),
        ("words one after another".to_owned(), format!("(?:{all})(?: (?:{all}))*")),
        ("words and letters".to_owned(), format!("(?:{all})[a-e ]{{1,9}}(?:{few})+")),
        ("a few words".to_owned(), format!("(?:(?:{few}) ?)*x?")),
    ];
    cases.extend(more.into_iter().chain(alternations).map(|(name, pattern)| Case {
        name,
        pattern,
        sample: String::new(),
    }));
    let mut random = Random(1);
    let limits = Limits { memory_bytes: 256 << 20, fuel: 1 << 32, ..Limits::default() };
    let mut walk_case = |case: &Case| {
        let constraints = compile(&case.pattern, &dialect, &vocabulary, &limits)?;
        walk(case, &constraints, &vocabulary, walks, &mut random)
    };
    let masks: usize =
        cases.iter().map(|case| walk_case(case).unwrap_or_else(|error| panic!("{}: {error}", case.name))).sum();
    assert!(masks > cases.len() * walks, "the walks have ended early");
}

/// A pattern of wide classes that overlap, narrow ones, and counts about as long as tokens.
fn pattern(random: &mut Random, depth: usize) -> String {
    const ATOMS: [&str; 20] = [
        ".",
        r"\w",
        "[a-z ]",
        r#"[^"\n]"#,
        r"[^\s;]",
        r"\d",
        r"\s",
        "e",
        r"\n",
        ";",
        r"\}",
        " ",
        "é",
        "[ab]",
        "the",
        r"\W",
        "[一-龥]",
        r"(?=.\w)",
        r"(?!e|--)",
        r"\b",
    ];
    const COUNTS: [&str; 16] =
        ["*", "+", "?", "{0,3}", "{2,20}", "{0,40}", "{17}", "{18,}", "{1,64}", "*", "+", "", "", "", "", ""];
    let parts = 1 + random.below(4);
    let mut sequence = String::new();
    for _ in 0..parts {
        if depth > 0 && random.below(3) == 0 {
            let ways = 1 + random.below(3);
            let ways: Vec<String> = (0..ways).map(|_| pattern(random, depth - 1)).collect();
            sequence.push_str(&format!("(?:{})", ways.join("|")));
        } else {
            sequence.push_str(ATOMS[random.below(ATOMS.len())]);
            if sequence.ends_with(r"\b") || sequence.ends_with("w)") || sequence.ends_with("--)") {
                continue;
            }
            if sequence.ends_with("the") {
                sequence.truncate(sequence.len() - 3);
                sequence.push_str("(?:the)");
            }
        }
        sequence.push_str(COUNTS[random.below(COUNTS.len())]);
    }
    sequence
}

#[test]
fn masks_of_random_patterns_are_the_same_by_all_ways() {
    let (dialect, cases) = (dialect(), cases());
    let (special, mut tokens) = (3 + 256, made(&cases));
    let mut index = 0;
    tokens.retain(|_| {
        index += 1;
        index <= special || index % 7 == 0
    });
    let vocabulary = Vocabulary::new(tokens.iter().map(Option::as_deref), &[EOS]).expect("the tokens are good");
    let vocabulary = Arc::new(vocabulary);
    let count = std::env::var("RELLM_WALK_PATTERNS").map_or(25, |n| n.parse().expect("a number"));
    let seed = std::env::var("RELLM_WALK_SEED").map_or(7, |n| n.parse().expect("a number"));
    let mut random = Random(seed);
    let limits = Limits { fuel: 20_000_000, ..Limits::default() };
    let (mut masks, mut walked) = (0, 0);
    for _ in 0..count {
        let pattern = pattern(&mut random, 2);
        // Some match nothing, and some cost more than a test may.
        let Ok(constraints) = compile(&pattern, &dialect, &vocabulary, &limits) else { continue };
        let case = Case { name: format!("{pattern:?}"), pattern, sample: String::new() };
        if let Ok(seen) = walk(&case, &constraints, &vocabulary, 2, &mut random) {
            masks += seen;
            walked += 1;
        }
    }
    assert!(walked * 2 > count && masks > walked * 2, "most patterns match nothing: {walked} of {count}");
}
