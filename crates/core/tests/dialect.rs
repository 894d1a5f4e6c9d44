//! The cases of testdata/dialect.toml that need no Python: each goes where the table says, says what it says, and
//! matches what it should. The same cases run from Python, against the libraries themselves.
#![allow(missing_docs)]

use rellm_core::automaton::{Automaton, StateId};
use rellm_core::codepoints::CodePoints;
use rellm_core::error::Error;
use rellm_core::lazy_dfa;
use rellm_core::limits::Limits;
use rellm_core::syntax::{Dialect, Library, NoResolver, Tables, ast, parse};
use std::path::Path;

fn dialect(name: &str) -> Dialect {
    let (file, library) = match name {
        "re" => ("re-3.11-14.0.0.tables", Library::Re { minor: 11 }),
        _ => ("regex-2026.11.15.tables", Library::Regex),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/rellm/_dialects/data").join(file);
    let data = std::fs::read(&path).expect("the tables are shipped");
    let header = data.iter().position(|&byte| byte == 0).expect("the header ends") + 1;
    Dialect::new(library, Tables::from_bytes(&data[header..]).expect("the tables are whole"), Box::new(NoResolver))
}

fn points(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

fn accepts(pattern: &ast::Pattern, text: &str) -> bool {
    let limits = Limits::default();
    let mut automaton = lazy_dfa::compile(pattern, &CodePoints::scalars(), &limits).expect("it compiles");
    let mut state = automaton.start();
    for byte in text.bytes() {
        automaton.refuel(limits.fuel);
        state = automaton.step(state, byte).expect("it is within the limits");
        if state == StateId::DEAD {
            return false;
        }
    }
    state != StateId::DEAD && automaton.is_accepting(state)
}

fn texts<'a>(case: &'a toml::Table, key: &str) -> Vec<&'a str> {
    case.get(key).and_then(|v| v.as_array()).into_iter().flatten().filter_map(|v| v.as_str()).collect()
}

#[test]
fn every_case_goes_where_the_table_says_and_matches_what_it_should() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/dialect.toml");
    let file: toml::Table = std::fs::read_to_string(path).expect("it is there").parse().expect("it is TOML");
    let dialects = [("re", dialect("re")), ("regex", dialect("regex"))];
    let mut ran = 0;
    for case in file["case"].as_array().expect("cases").iter().filter_map(|case| case.as_table()) {
        if case.contains_key("asks") {
            continue;
        }
        let text = case["pattern"].as_str().expect("a pattern");
        let pattern = points(text);
        let mut lists = Vec::new();
        for (name, list) in case.get("lists").and_then(|l| l.as_table()).into_iter().flatten() {
            let list = list.as_array().expect("a list").iter().filter_map(|t| t.as_str()).map(points);
            lists.push((name.clone(), list.collect()));
        }
        for (name, dialect) in dialects.iter().filter(|(name, _)| texts(case, "dialects").contains(name)) {
            let ascii = if *name == "re" { 0x100 } else { 0x80 };
            let flags = if texts(case, "flags").contains(&"ASCII") { ascii } else { 0 };
            let parsed = parse(&pattern, flags, dialect, &lists, &Limits::default());
            let engine = match &parsed {
                Ok(_) => "automaton",
                Err(Error::NotRegular { .. }) => "search",
                Err(Error::Pattern { .. }) => "refused",
                Err(Error::Unsupported { .. }) => "unsupported",
                Err(other) => panic!("{name} {text}: {other}"),
            };
            let expected = case.get("engine").and_then(|e| e.as_str()).unwrap_or("automaton");
            assert_eq!(engine, expected, "{name} {text}: {parsed:?}");
            if let (Some(message), Err(error)) = (case.get("error").and_then(|e| e.as_str()), &parsed) {
                assert_eq!(error.describe(Some(&pattern)), message);
            }
            if let Ok(parsed) = &parsed {
                for text in texts(case, "matches") {
                    assert!(accepts(parsed, text), "{name} {pattern:?} does not match {text:?}");
                }
                for text in texts(case, "misses") {
                    assert!(!accepts(parsed, text), "{name} {pattern:?} matches {text:?}");
                }
            }
            ran += 1;
        }
    }
    assert!(ran > 100, "only {ran} cases ran");
}
