//! Special tokens among the bytes of a text.
//!
//! The alphabet is bytes and special tokens. Where a text may hold both, a special token is written as [`LENGTH`] bytes that
//! no text has: [`MARKER`], which is never in UTF-8, and the id in bytes of ASCII. So texts, completions and replays stay
//! strings of bytes; whoever hands them out takes the special tokens out of them.

/// Begins a special token. No UTF-8 has it.
pub const MARKER: u8 = 0xFF;

/// The number of bytes that stand for a special token.
pub const LENGTH: usize = 6;

/// A special token as a symbol among characters: its id and this number.
pub const SPECIAL: u32 = 0x11_0000;

/// Appends the bytes of a character or a special token.
pub fn push(symbol: u32, text: &mut Vec<u8>) {
    match char::from_u32(symbol) {
        Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None if symbol >= SPECIAL => text.extend_from_slice(&encode(symbol - SPECIAL)),
        None => {}
    }
}

/// The bytes of a character; a special token counts as one.
pub fn width(symbol: u32) -> u32 {
    char::from_u32(symbol).map_or(1, char::len_utf8) as u32
}

/// The bytes that stand for a special token.
pub fn encode(id: u32) -> [u8; LENGTH] {
    let digit = |index: u32| 0x40 | (id >> (6 * index) & 0x3F) as u8;
    [MARKER, digit(0), digit(1), digit(2), digit(3), digit(4)]
}

/// The special token with which `bytes` begin.
pub fn decode(bytes: &[u8]) -> Option<u32> {
    let (&[first, ref digits @ ..], _) = bytes.split_first_chunk::<LENGTH>()?;
    (first == MARKER)
        .then(|| (0u32..).zip(digits).fold(0, |id, (index, digit)| id | u32::from(digit & 0x3F) << (6 * index)))
}

/// Whether there is a special token among the bytes.
pub fn has_special(bytes: &[u8]) -> bool {
    bytes.contains(&MARKER)
}

/// The text without its special tokens, and where each of those stood, with its id.
pub fn split(bytes: &[u8]) -> (Vec<u8>, Vec<(usize, u32)>) {
    let (mut text, mut specials, mut rest) = (Vec::with_capacity(bytes.len()), Vec::new(), bytes);
    while let Some(&byte) = rest.first() {
        match decode(rest) {
            Some(id) => {
                specials.push((text.len(), id));
                rest = &rest[LENGTH..];
            }
            None => {
                text.push(byte);
                rest = &rest[1..];
            }
        }
    }
    (text, specials)
}

/// What such bytes cost where a special token counts as one byte.
pub fn cost(bytes: &[u8]) -> usize {
    bytes.len() - (LENGTH - 1) * bytes.iter().filter(|&&byte| byte == MARKER).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_told_apart_from_text() {
        for id in [0, 1, 63, 64, 200_012, (1 << 30) - 1] {
            let encoded = encode(id);
            assert_eq!(decode(&encoded), Some(id));
            assert!(std::str::from_utf8(&encoded).is_err());
            let text = [b"a", &encoded[..], b"\xC3\xA9"].concat();
            assert_eq!(split(&text), (b"a\xC3\xA9".to_vec(), vec![(1, id)]));
            assert_eq!(cost(&text), 4);
        }
        assert_eq!(decode(b"\xFFabc"), None);
        assert_eq!(decode(b"abcdefgh"), None);
    }
}
