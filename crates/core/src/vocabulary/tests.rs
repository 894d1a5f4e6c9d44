use super::*;

fn of(tokens: &[&str], eos: &[u32]) -> Vocabulary {
    Vocabulary::new(tokens.iter().map(|token| Some(token.as_bytes())), eos).unwrap()
}

fn bytes() -> Vec<Vec<u8>> {
    (0..=255u8).map(|byte| vec![byte]).collect()
}

#[test]
fn special_tokens_gaps_and_eos_ids_have_no_bytes() {
    let vocabulary = Vocabulary::new([Some(&b"a"[..]), None, Some(b"</s>"), Some(b"")], &[2, 5]).unwrap();
    assert_eq!(vocabulary.len(), 6);
    assert_eq!(vocabulary.eos_token_ids(), [2, 5]);
    assert_eq!(vocabulary.token_bytes(0), Some(&b"a"[..]));
    assert_eq!(vocabulary.token_bytes(3), Some(&b""[..]));
    assert_eq!([1, 2, 4, 5, 6, u32::MAX].map(|id| vocabulary.token_bytes(id)), [None; 6]);
}

#[test]
fn a_vocabulary_without_tokens_is_an_error() {
    assert!(matches!(Vocabulary::new([], &[]), Err(Error::Vocabulary { .. })));
    assert!(matches!(Vocabulary::new([Some(&b"a"[..])], &[u32::MAX]), Err(Error::Vocabulary { .. })));
}

#[test]
fn all_bytes_spell_every_character() {
    let all = bytes();
    let vocabulary = Vocabulary::new(all.iter().map(|t| Some(t.as_slice())), &[]).unwrap();
    assert!(vocabulary.is_regular());
    assert_eq!(vocabulary.alphabet(), &CodePoints::scalars());
}

#[test]
fn a_missing_byte_takes_the_characters_that_need_it_away() {
    let all = bytes();
    let missing = |t: &&Vec<u8>| t[0] != 0xF1 && t[0] != 0x9F;
    let vocabulary = Vocabulary::new(all.iter().filter(missing).map(|t| Some(t.as_slice())), &[]).unwrap();
    assert!(vocabulary.is_regular());
    let mut encoded = [0; 4];
    for c in (0..=0x10_FFFF).step_by(7).filter_map(char::from_u32) {
        let spelled = c.encode_utf8(&mut encoded).bytes().all(|b| b != 0xF1 && b != 0x9F);
        assert_eq!(vocabulary.alphabet().contains(u32::from(c)), spelled, "{c:?}");
    }
}

#[test]
fn a_character_only_in_longer_tokens_makes_it_irregular() {
    let vocabulary = of(&["a", "bc", "c"], &[]);
    assert!(!vocabulary.is_regular());
    assert!(vocabulary.alphabet().contains(u32::from('b')));
    assert!(of(&["a", "b", "c", "abc", "é", "éa"], &[]).is_regular());
}

#[test]
fn a_character_that_can_be_begun_and_not_ended_makes_it_irregular() {
    let e = "é".as_bytes();
    assert!(!Vocabulary::new([Some(e), Some(&e[..1])], &[]).unwrap().is_regular());
    assert!(Vocabulary::new([Some(e), Some(&e[1..])], &[]).unwrap().is_regular());
    assert!(Vocabulary::new([Some(&e[..1]), Some(&e[1..])], &[]).unwrap().is_regular());
}

#[test]
fn stored_bytes_give_the_same_vocabulary_and_damage_shows() {
    let long = "x".repeat(10_000);
    let vocabulary = of(&["a", "ab", "a", "", &long, "é"], &[1, 9]);
    let stored = vocabulary.to_bytes();
    let again = Vocabulary::from_bytes(&stored).unwrap();
    assert_eq!(again.fingerprint(), vocabulary.fingerprint());
    assert_eq!(again.eos_token_ids(), vocabulary.eos_token_ids());
    for id in 0..11 {
        assert_eq!(again.token_bytes(id), vocabulary.token_bytes(id));
    }
    for at in 0..stored.len() {
        let mut broken = stored.clone();
        broken[at] ^= 1 << (at % 8);
        assert!(Vocabulary::from_bytes(&broken).is_err(), "a flipped bit at {at} went unnoticed");
    }
    for end in [0, 7, 30, stored.len() - 1] {
        assert!(Vocabulary::from_bytes(&stored[..end]).is_err());
    }
}

#[test]
fn fingerprints_tell_content_apart() {
    let prints: std::collections::HashSet<u128> = [
        of(&["a", "b"], &[]),
        of(&["ab", ""], &[]),
        of(&["", "ab"], &[]),
        of(&["b", "a"], &[]),
        of(&["a", "b"], &[2]),
        Vocabulary::new([Some(&b"a"[..]), Some(b"b"), None], &[]).unwrap(),
    ]
    .iter()
    .map(Vocabulary::fingerprint)
    .collect();
    assert_eq!(prints.len(), 6);
}
