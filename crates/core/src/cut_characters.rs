//! Characters of UTF-8 that are cut at the end of some bytes.

use crate::codepoints::MAX;

/// The whole characters of `bytes`, and the bytes behind them that begin one more. `None`: something else is among them.
pub(crate) fn whole_and_begun(bytes: &[u8]) -> Option<(&str, &[u8])> {
    match std::str::from_utf8(bytes) {
        Ok(whole) => Some((whole, &[])),
        Err(error) if error.error_len().is_some() => None,
        Err(error) => {
            let (whole, begun) = bytes.split_at(error.valid_up_to());
            Some((std::str::from_utf8(whole).ok()?, begun))
        }
    }
}

/// How many bytes at the end of `text` begin a character that is not complete.
pub(crate) fn cut_bytes(text: &[u8]) -> usize {
    for back in 1..=text.len().min(3) {
        let byte = text[text.len() - back];
        let length = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            0x80..=0xBF => continue,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

/// The bytes at the end of `text` that begin a character which is not complete.
pub(crate) fn begun_bytes(text: &[u8]) -> &[u8] {
    &text[text.len() - cut_bytes(text)..]
}

/// The first and the last character that begin with these bytes, the proper prefix of a character.
pub(crate) fn may_become(cut: &[u8]) -> (u32, u32) {
    let length = match cut[0] {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    };
    let with = |fill: u32| {
        let lead = u32::from(cut[0]) & (0x7F >> length);
        (1..length).fold(lead, |value, index| value << 6 | cut.get(index).map_or(fill, |&b| u32::from(b) & 0x3F))
    };
    // What UTF-8 forbids (overlong forms, surrogates, beyond the last code point) no text contains.
    let lowest = [0, 0, 0x80, 0x800, 0x1_0000][length];
    (with(0).max(lowest), with(0x3F).min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_character_is_told_from_what_is_whole() {
        for character in ['a', 'é', '中', '😀'] {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            for length in 1..bytes.len() {
                let text = [b"xy", &bytes[..length]].concat();
                assert_eq!(whole_and_begun(&text), Some(("xy", &bytes[..length])));
                assert_eq!(begun_bytes(&text), &bytes[..length]);
                let (first, last) = may_become(&bytes[..length]);
                assert!((first..=last).contains(&u32::from(character)));
            }
            let text = [b"xy", bytes].concat();
            assert_eq!(whole_and_begun(&text).map(|(_, begun)| begun.len()), Some(0));
            assert!(begun_bytes(&text).is_empty());
        }
        assert_eq!(whole_and_begun(b"x\xFFy"), None);
        assert_eq!(may_become(&[0xE4, 0xB8]), (0x4E00, 0x4E3F));
        assert_eq!(may_become(&[0xF4]), (0x10_0000, 0x10_FFFF));
        assert_eq!(may_become(&[0xE0]), (0x800, 0xFFF));
    }
}
