//! The texts that a vocabulary can spell: regular and irregular vocabularies.
//!
//! A vocabulary is *regular* if the texts that its tokens can spell are exactly the texts over a set of characters, each
//! of which can be written by itself, and if no token can strand a text inside a character. Then an automaton over that
//! alphabet is enough: a state that is live by bytes is live by tokens. In irregular vocabularies (a letter that occurs
//! only in longer tokens) liveness takes a search over tokens.

use super::trie::{NO_TOKEN, Trie};
use crate::codepoints::CodePoints;

/// The texts that a vocabulary can spell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spelling {
    /// Every character that any text can contain.
    pub(crate) alphabet: CodePoints,
    /// Whether the vocabulary is regular: it spells every text over the alphabet, and completes every begun text.
    pub(crate) is_regular: bool,
}

impl Spelling {
    pub(crate) fn new<'a>(trie: &Trie, tokens: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let mut single = [false; 256];
        for byte in 0..=255u8 {
            single[usize::from(byte)] =
                trie.root_child(byte).is_some_and(|node| trie.nodes()[node].token() != NO_TOKEN);
        }
        let by_itself = Reader {
            step: &|cut: &Cut, byte| cut.step(trie, byte),
            accepts: &|cut| cut.at_cut,
            takes_all: &|cut| cut.at_cut && single[0x80..0xC0].iter().all(|&b| b),
        }
        .characters(&Cut { at_cut: true, inside: Vec::new() });
        // PERF: if each byte is a token, tokens need no check; without this, reading 131,072 tokens takes 9 % longer.
        if single.iter().all(|&is| is) || tokens.clone().all(|token| is_regular(token, &single, &by_itself)) {
            return Spelling { alphabet: by_itself, is_regular: true };
        }
        let mut used = [false; 256];
        for token in tokens {
            token.iter().for_each(|&byte| used[usize::from(byte)] = true);
        }
        let alphabet = Reader {
            step: &|(): &(), byte| used[usize::from(byte)].then_some(()),
            accepts: &|()| true,
            takes_all: &|()| used[0x80..0xC0].iter().all(|&b| b),
        }
        .characters(&());
        Spelling { alphabet, is_regular: false }
    }
}

/// Whether the vocabulary can be regular with this token: each of its bytes is a token, or it consists of characters
/// that are tokens. If a character is a token but its bytes are not, no token may begin it by its first byte alone.
fn is_regular(token: &[u8], single: &[bool; 256], by_itself: &CodePoints) -> bool {
    if token.iter().all(|&byte| single[usize::from(byte)]) {
        return true;
    }
    let Ok(text) = std::str::from_utf8(token) else { return false };
    let mut encoded = [0; 4];
    text.chars().all(|c| {
        let bytes = c.encode_utf8(&mut encoded).as_bytes();
        by_itself.contains(u32::from(c))
            && (bytes.iter().all(|&b| single[usize::from(b)]) || !single[usize::from(bytes[0])])
    })
}

/// The progress of cutting the bytes of one character into tokens.
#[derive(Clone)]
struct Cut {
    /// A token ends here.
    at_cut: bool,
    /// The nodes of tokens that are begun.
    inside: Vec<usize>,
}

impl Cut {
    fn step(&self, trie: &Trie, byte: u8) -> Option<Self> {
        let mut inside: Vec<usize> = self.inside.iter().filter_map(|&node| trie.child(node, byte)).collect();
        if self.at_cut {
            inside.extend(trie.root_child(byte));
        }
        let at_cut = inside.iter().any(|&node| trie.nodes()[node].token() != NO_TOKEN);
        (at_cut || !inside.is_empty()).then_some(Cut { at_cut, inside })
    }
}

/// Lead bytes, with the second bytes that may follow them and the number of bytes after the first.
const LEADS: [(u8, u8, u8, u8, u32); 8] = [
    (0xC2, 0xDF, 0x80, 0xBF, 1),
    (0xE0, 0xE0, 0xA0, 0xBF, 2),
    (0xE1, 0xEC, 0x80, 0xBF, 2),
    (0xED, 0xED, 0x80, 0x9F, 2),
    (0xEE, 0xEF, 0x80, 0xBF, 2),
    (0xF0, 0xF0, 0x90, 0xBF, 3),
    (0xF1, 0xF3, 0x80, 0xBF, 3),
    (0xF4, 0xF4, 0x80, 0x8F, 3),
];

/// Reads the bytes of characters: the state after one more byte, whether a character may end in a state, and whether
/// every sequence of continuation bytes leads from it to such an end.
struct Reader<'a, S> {
    step: &'a dyn Fn(&S, u8) -> Option<S>,
    accepts: &'a dyn Fn(&S) -> bool,
    takes_all: &'a dyn Fn(&S) -> bool,
}

impl<S> Reader<'_, S> {
    /// The characters whose UTF-8 leads from `root` to the end of a character.
    fn characters(&self, root: &S) -> CodePoints {
        let mut ranges = Vec::new();
        for byte in 0..0x80 {
            if (self.step)(root, byte).is_some_and(|state| (self.accepts)(&state)) {
                ranges.push((u32::from(byte), u32::from(byte)));
            }
        }
        for (first, last, lo, hi, left) in LEADS {
            for lead in first..=last {
                if let Some(state) = (self.step)(root, lead) {
                    let prefix = u32::from(lead) & (0x3F >> left);
                    self.below(&state, (lo, hi), left, prefix, &mut ranges);
                }
            }
        }
        CodePoints::from_ranges(ranges)
    }

    /// The characters whose first bits are `prefix`, with `left` more bytes, of which the next is from `lo` to `hi`.
    fn below(&self, state: &S, (lo, hi): (u8, u8), left: u32, prefix: u32, ranges: &mut Vec<(u32, u32)>) {
        if left == 0 {
            if (self.accepts)(state) {
                ranges.push((prefix, prefix));
            }
            return;
        }
        if (self.takes_all)(state) {
            let bits = 6 * (left - 1);
            let value = |byte: u8| (prefix << 6 | u32::from(byte & 0x3F)) << bits;
            ranges.push((value(lo), value(hi) | ((1 << bits) - 1)));
            return;
        }
        for byte in lo..=hi {
            if let Some(next) = (self.step)(state, byte) {
                self.below(&next, (0x80, 0xBF), left - 1, prefix << 6 | u32::from(byte & 0x3F), ranges);
            }
        }
    }
}
