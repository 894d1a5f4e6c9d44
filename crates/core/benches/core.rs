//! What the core costs, by vocabulary, pattern and length of text.
//!
//! `cargo bench --package rellm-core`, after `python benchmarks/token_files.py` has made the vocabularies;
//! `python benchmarks/growth.py` plots the figures.
#![allow(missing_docs)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rellm_core::automaton::{Automaton, Completion, StateId};
use rellm_core::codepoints::CodePoints;
use rellm_core::error::Result;
use rellm_core::lazy_dfa;
use rellm_core::limits::Limits;
use rellm_core::mask::CompiledConstraint;
use rellm_core::mask::hints::MaskHints;
use rellm_core::matcher::Matcher;
use rellm_core::syntax::{Dialect, Library, NoResolver, Tables, parse_str};
use rellm_core::vocabulary::Vocabulary;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const NEVER_TEXT: u32 = u32::MAX;
const EOS: u32 = 2;
const SIZES: [&str; 3] = ["32k", "131k", "262k"];

/// Name, pattern, and a text after which a mask is made.
const PATTERNS: [(&str, &str, &str); 6] = [
    ("digits", r"[0-9]{1,10}", "42"),
    ("JSON string", r#""([^"\\\n]|\\["\\/bfnrt]){0,200}""#, "\"some text"),
    ("any text", r".{0,2000}", "some text"),
    ("ten words", r"\w{1,64}( \w{1,64}){0,9}", "some text"),
    ("host names", r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", "www.exam"),
    ("log line", r"\[[0-9]{4}-[0-9]{2}-[0-9]{2}\] (INFO|ERROR) [a-z.]+: [^\n]{1,300}", "[2026-11-21] INFO a.b: some"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/benchmarks/vocabularies")
}

fn tokens(size: &str) -> Vec<Option<Vec<u8>>> {
    let path = folder().join(format!("{size}.tokens"));
    let data = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; python benchmarks/token_files.py makes it", path.display()));
    let (mut tokens, mut rest) = (Vec::new(), &data[..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        if length == NEVER_TEXT {
            tokens.push(None);
            rest = after;
        } else {
            let (token, after) = after.split_at(length as usize);
            tokens.push(Some(token.to_vec()));
            rest = after;
        }
    }
    tokens
}

fn build(tokens: &[Option<Vec<u8>>]) -> Arc<Vocabulary> {
    Arc::new(Vocabulary::new(tokens.iter().map(Option::as_deref), &[EOS]).expect("a token file is a vocabulary"))
}

fn vocabulary(size: &str) -> Arc<Vocabulary> {
    build(&tokens(size))
}

fn dialect() -> Dialect {
    let file = include_bytes!("../../../python/rellm/_dialects/data/re-3.11-14.0.0.tables");
    let header = file.iter().position(|&byte| byte == 0).expect("the header ends with NUL") + 1;
    let tables = Tables::from_bytes(&file[header..]).expect("the shipped tables are good");
    Dialect::new(Library::Re { minor: 11 }, tables, Box::new(NoResolver))
}

fn compile(pattern: &str, dialect: &Dialect, vocabulary: &Arc<Vocabulary>) -> Arc<CompiledConstraint> {
    let limits = Limits::default();
    let parsed = parse_str(pattern, 0, dialect, &limits).expect("the pattern is good");
    let automaton = lazy_dfa::compile(&parsed, vocabulary.alphabet(), &limits).expect("the pattern is regular");
    CompiledConstraint::new(Box::new(automaton), Arc::clone(vocabulary), &limits, None).expect("some text matches")
}

fn after(constraint: &Arc<CompiledConstraint>, text: &str) -> Matcher {
    let mut matcher = Matcher::new(Arc::clone(constraint));
    matcher.advance_bytes(text.as_bytes()).expect("the text fits the pattern");
    matcher
}

/// All texts, told byte by byte and without a character loop: what is left is a walk of the whole trie.
struct Everything;

impl Automaton for Everything {
    fn start(&self) -> StateId {
        StateId(1)
    }
    fn step(&mut self, state: StateId, _byte: u8) -> Result<StateId> {
        Ok(state)
    }
    fn is_accepting(&mut self, _state: StateId) -> bool {
        true
    }
    fn shortest_completion(&mut self, _state: StateId, _work: u64) -> Result<Completion> {
        Ok(Completion::default())
    }
    fn next_characters(&mut self, _state: StateId) -> Result<CodePoints> {
        Ok(CodePoints::scalars())
    }
    fn refuel(&mut self, _fuel: u64) {}
    fn memory_bytes(&self) -> usize {
        0
    }
    fn retain(&mut self, roots: &[StateId]) -> Vec<StateId> {
        roots.to_vec()
    }
}

impl MaskHints for Everything {}

fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vocabulary");
    for size in SIZES {
        let tokens = tokens(size);
        group.throughput(Throughput::Elements(tokens.len() as u64));
        group.bench_function(BenchmarkId::new("build", size), |b| b.iter(|| build(black_box(&tokens))));
        let bytes = build(&tokens).to_bytes();
        group.bench_function(BenchmarkId::new("load", size), |b| b.iter(|| Vocabulary::from_bytes(black_box(&bytes))));
    }
    group.finish();
}

fn walking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trie walk");
    for size in SIZES {
        let vocabulary = vocabulary(size);
        let mut row = vec![0; vocabulary.mask_words()];
        group.throughput(Throughput::Elements(vocabulary.len() as u64));
        group.bench_function(BenchmarkId::new("whole trie", size), |b| {
            b.iter_batched_ref(
                || {
                    let all = CompiledConstraint::new(
                        Box::new(Everything),
                        Arc::clone(&vocabulary),
                        &Limits::default(),
                        None,
                    );
                    Matcher::new(all.expect("everything can be spelled"))
                },
                |matcher| matcher.fill_mask(black_box(&mut row)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn masks(criterion: &mut Criterion) {
    let dialect = dialect();
    for size in SIZES {
        let vocabulary = vocabulary(size);
        let mut row = vec![0; vocabulary.mask_words()];
        for (name, pattern, text) in PATTERNS {
            criterion.benchmark_group("compile").bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_with_large_drop(|| compile(black_box(pattern), &dialect, &vocabulary));
            });
            criterion.benchmark_group("cold mask").bench_function(BenchmarkId::new(name, size), |b| {
                b.iter_batched_ref(
                    || after(&compile(pattern, &dialect, &vocabulary), text),
                    |matcher| matcher.fill_mask(black_box(&mut row)),
                    BatchSize::PerIteration,
                );
            });
            criterion.benchmark_group("warm mask").bench_function(BenchmarkId::new(name, size), |b| {
                let matcher = after(&compile(pattern, &dialect, &vocabulary), text);
                matcher.fill_mask(&mut row).expect("a live text has a mask");
                b.iter(|| matcher.fill_mask(black_box(&mut row)));
            });
        }
    }
}

/// Words of different letters, so that neither prefixes nor suffixes make them cheap.
fn words(count: usize) -> String {
    let word = |i: usize| -> String {
        let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..8)
            .map(|_| {
                x = x.rotate_left(9).wrapping_mul(0xD134_2543_DE82_EF95);
                char::from(b'a' + (x >> 59) as u8 % 26)
            })
            .collect()
    };
    format!("({})", (0..count).map(word).collect::<Vec<_>>().join("|"))
}

fn growth(criterion: &mut Criterion) {
    let (dialect, vocabulary) = (dialect(), vocabulary("131k"));
    let mut row = vec![0; vocabulary.mask_words()];
    let mut group = criterion.benchmark_group("pattern size");
    for count in [10, 100, 1000, 5000] {
        let pattern = words(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("compile", count), |b| {
            b.iter_with_large_drop(|| compile(black_box(&pattern), &dialect, &vocabulary));
        });
        group.bench_function(BenchmarkId::new("first mask", count), |b| {
            b.iter_batched_ref(
                || Matcher::new(compile(&pattern, &dialect, &vocabulary)),
                |matcher| matcher.fill_mask(black_box(&mut row)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("text length");
    let constraint = compile(r"[^\n]*\n", &dialect, &vocabulary);
    for length in [10, 100, 1000, 10_000] {
        let mut matcher = Matcher::new(Arc::clone(&constraint));
        for _ in 0..length {
            matcher.advance_bytes(b" the").expect("the text fits the pattern");
        }
        group.bench_function(BenchmarkId::new("warm step", length), |b| {
            b.iter(|| {
                matcher.advance_bytes(black_box(b" the")).expect("the text fits the pattern");
                matcher.fill_mask(&mut row).expect("a live text has a mask");
                matcher.rollback(1).expect("one step was taken");
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = building, walking, masks, growth
}
criterion_main!(benches);
