use super::*;
use crate::error::Error;
use crate::limits::Limits;
use crate::mask::FastPaths;
use crate::mask::tests::*;
use crate::vocabulary::Vocabulary;

pub(crate) fn mask(matcher: &Matcher) -> Vec<u32> {
    let mut row = vec![u32::MAX; matcher.mask_words() + 1];
    matcher.fill_mask(&mut row).unwrap();
    assert_eq!(row.pop(), Some(0), "words beyond the mask are cleared");
    ids(&row)
}

fn compiled(language: &Language, vocabulary: &Arc<Vocabulary>) -> Result<Arc<CompiledConstraint>> {
    let automaton = language.automaton(vocabulary.alphabet());
    CompiledConstraint::new(Box::new(automaton), Arc::clone(vocabulary), &Limits::default(), None)
}

/// `(ab|é)*`, over single bytes and some longer tokens; id 9 is EOS.
pub(crate) fn sample() -> Matcher {
    let language = Language {
        next: vec![[Some(1), None, None, Some(0), None], [None, Some(0), None, None, None]],
        accepting: vec![true, false],
    };
    let tokens: Vec<Option<Vec<u8>>> =
        [&b"a"[..], b"b", b"ab", b"\xC3", b"\xA9", b"aba", b"", b"abx"].iter().map(|t| Some(t.to_vec())).collect();
    Matcher::new(compiled(&language, &vocabulary_of(&tokens, &[9])).unwrap())
}

#[test]
fn masks_are_what_the_definition_says() {
    let (mut regular, mut irregular, mut checked) = (0, 0, 0);
    for seed in 0..4000 {
        let random = &mut Random::new(seed);
        let language = Language::random(random);
        let tokens = random_tokens(random);
        let eos: Vec<u32> = (0..random.below(3)).map(|_| random.below(tokens.len() + 2) as u32).collect();
        let vocabulary = vocabulary_of(&tokens, &eos);
        let live = live_by_tokens(&language, &tokens, &eos);
        let constraint = compiled(&language, &vocabulary);
        assert_eq!(
            constraint.is_ok(),
            live.contains(&(0, false)),
            "seed {seed}: {constraint:?}",
            constraint = constraint.as_ref().err()
        );
        let Ok(constraint) = constraint else { continue };
        if vocabulary.is_regular() {
            regular += 1
        } else {
            irregular += 1
        }
        let mut matcher = Matcher::new(constraint);
        let mut state = (0, false);
        for _ in 0..12 {
            let allowed = allowed_by_definition(&language, &tokens, &eos, &live, state);
            for fast in [FastPaths::Never, FastPaths::Always, FastPaths::WherePaying] {
                matcher.constraint().set_fast_paths(fast);
                assert_eq!(mask(&matcher), allowed, "seed {seed}, {fast:?}, after {:?}", matcher.text());
                assert_eq!(mask(&matcher), allowed, "seed {seed}, {fast:?}, from the cache");
            }
            checked += 1;
            for id in 0..vocabulary.len() as u32 + 2 {
                assert_eq!(matcher.allows(id).unwrap(), allowed.contains(&id), "seed {seed}, token {id}");
                assert_eq!(matcher.explain(id).unwrap().is_none(), allowed.contains(&id));
                assert_eq!(matcher.validate(&[id]).unwrap(), usize::from(allowed.contains(&id)));
                if !allowed.contains(&id) {
                    assert!(matches!(matcher.advance(id), Err(MatchError::Rejected(_))));
                }
            }
            assert_eq!(matcher.is_accepting(), !state.1 && language.accepting[state.0]);
            let texts: Vec<u32> = allowed.iter().copied().filter(|id| !eos.contains(id)).collect();
            assert_eq!(matcher.is_finished().unwrap(), matcher.is_accepting() && texts.is_empty());
            let completion = matcher.shortest_completion().unwrap();
            let (end, cut) = language.run(state, &completion).unwrap();
            assert!(language.accepting[end] && !cut, "seed {seed}: {completion:?}");
            let forced = matcher.forced_bytes().unwrap();
            assert!(completion.starts_with(&forced) && (forced.is_empty() || !matcher.is_accepting()));
            let distances = distances_by_definition(&language, &tokens, &eos);
            let far = usize::MAX;
            let exact = distances[&state];
            for limit in [0, 1, 2, 3, 5, 50] {
                let found = matcher.tokens_to_match(limit).unwrap();
                assert_eq!(found, (exact <= limit as usize).then_some(exact as u32), "seed {seed}, limit {limit}");
                let mut row = vec![u32::MAX; matcher.mask_words() + 1];
                matcher.fill_mask_within(&mut row, limit).unwrap();
                let within: Vec<u32> = allowed
                    .iter()
                    .copied()
                    .filter(|&id| {
                        eos.contains(&id) || {
                            let target = language.run(state, tokens[id as usize].as_ref().unwrap()).unwrap();
                            distances.get(&target).copied().unwrap_or(far) < limit as usize
                        }
                    })
                    .collect();
                assert_eq!(ids(&row), within, "seed {seed}, limit {limit}");
            }
            let Some(&id) = texts.get(random.below(texts.len().max(1))) else { break };
            matcher.advance(id).unwrap();
            state = language.run(state, tokens[id as usize].as_ref().unwrap()).unwrap();
        }
    }
    assert!(regular > 300 && irregular > 300 && checked > 5000, "{regular} {irregular} {checked}");
}

#[test]
fn after_eos_only_eos_is_allowed() {
    let mut matcher = sample();
    matcher.advance(9).unwrap();
    assert_eq!(mask(&matcher), [9]);
    assert!(matcher.is_finished().unwrap());
    assert_eq!(matcher.forced_bytes().unwrap(), b"");
    let Err(MatchError::Rejected(rejection)) = matcher.advance(2) else { panic!("a token after EOS") };
    assert_eq!(
        rejection.to_string(),
        "token 2 (\"ab\") is not allowed after \"\": expected nothing but the end: an EOS token was taken"
    );
    matcher.advance(9).unwrap();
    matcher.rollback(2).unwrap();
    assert_eq!(mask(&matcher), [0, 2, 3, 5, 9]);
}

#[test]
fn rejections_say_where_and_what_was_expected() {
    let mut matcher = sample();
    matcher.advance(2).unwrap();
    let rejection = matcher.explain(7).unwrap().unwrap();
    assert_eq!((rejection.failed_at, rejection.expected.as_str()), (2, "\"a\", \"é\", or the end of the text"));
    assert_eq!(
        matcher.advance(7).unwrap_err().to_string(),
        "token 7 (\"abx\") is not allowed after \"ab\", it fails at byte 2: expected \"a\", \"é\", or the end of the text"
    );
    matcher.advance(3).unwrap();
    assert_eq!(matcher.explain(9).unwrap().unwrap().expected, "the rest of a character: \"é\"");
    assert_eq!(matcher.explain(0).unwrap().unwrap().expected, "the rest of a character: \"é\"");
    assert_eq!(matcher.forced_bytes().unwrap(), b"\xA9");
    assert!(matcher.advance_bytes(b"\xA9ax").is_err());
    matcher.advance_bytes(b"\xA9a").unwrap();
    assert_eq!(&*matcher.text(), "abéa".as_bytes());
    assert_eq!(matcher.forced_bytes().unwrap(), b"b");
}

#[test]
fn rolling_back_copying_and_resetting_restore_the_state() {
    for seed in 0..300 {
        let random = &mut Random::new(seed);
        let mut matcher = sample();
        let mut states = vec![(mask(&matcher), matcher.text().to_vec())];
        for _ in 0..60 {
            match random.below(8) {
                0 => {
                    let n = random.below(states.len());
                    matcher.rollback(n).unwrap();
                    states.truncate(states.len() - n);
                }
                1 => {
                    let mut other = matcher.clone();
                    let _ = other.advance(random.below(10) as u32);
                    drop(other);
                }
                2 => assert!(matches!(matcher.rollback(states.len()), Err(MatchError::NothingToTakeBack { .. }))),
                // As if memory had run out: all states get new numbers.
                3 => matcher.constraint().engine().reclaim(),
                _ => {
                    let allowed = mask(&matcher);
                    matcher.advance(allowed[random.below(allowed.len())]).unwrap();
                    states.push((mask(&matcher), matcher.text().to_vec()));
                }
            }
            let (expected, text) = states.last().unwrap();
            assert_eq!((&mask(&matcher), &*matcher.text()), (expected, text.as_slice()), "seed {seed}");
        }
        matcher.reset();
        assert_eq!(mask(&matcher), states[0].0);
        assert_eq!(&*matcher.text(), b"");
    }
}

#[test]
fn a_text_that_cannot_go_on_has_an_empty_mask_without_an_eos_id() {
    let language = Language { next: vec![[Some(1), None, None, None, None], [None; 5]], accepting: vec![false, true] };
    let mut matcher = Matcher::new(compiled(&language, &vocabulary_of(&[Some(b"a".to_vec())], &[])).unwrap());
    matcher.advance(0).unwrap();
    assert!(matcher.is_finished().unwrap() && mask(&matcher).is_empty());
}

#[test]
fn what_no_token_can_spell_is_unsatisfiable() {
    let language = Language { next: vec![[Some(1), None, None, None, None], [None; 5]], accepting: vec![false, true] };
    for tokens in [vec![Some(b"b".to_vec())], vec![Some(b"aa".to_vec())], vec![None]] {
        let result = compiled(&language, &vocabulary_of(&tokens, &[]));
        assert!(matches!(result, Err(Error::Unsatisfiable { .. })));
    }
}
