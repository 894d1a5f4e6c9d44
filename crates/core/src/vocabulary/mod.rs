//! A vocabulary: the bytes of every token by id, and the indexes over them that serve all constraints.
//!
//! A token without bytes is special: it is never text. An end-of-sequence (EOS) id is special too, even with bytes.

mod fingerprint;
mod format;
pub(crate) mod occurrences;
pub(crate) mod slices;
mod spelling;
pub(crate) mod trie;

use crate::bits::set;
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use fingerprint::Fingerprint;
use occurrences::Occurrences;
use slices::{ClassSlice, Slices};
use spelling::Spelling;
use std::sync::Arc;
use trie::{MAX_IDS, Trie};

/// A vocabulary with at most this many nodes below the ten digits writes numbers digit by digit.
const MANY_NUMBERS: usize = 200;

/// Token bytes by id, with the tree over them. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Vocabulary {
    /// The offset of each token's bytes in `data`, and the end of the last one.
    offsets: Vec<u32>,
    data: Vec<u8>,
    /// Bit `id`: the token has bytes (they may be empty).
    has_bytes: Vec<u32>,
    eos: Vec<u32>,
    trie: Trie,
    spelling: Spelling,
    fingerprint: u128,
    longest: usize,
    /// The indexes for cheap masks of character classes; unused by an irregular vocabulary.
    fast: Option<(Slices, Occurrences)>,
}

impl Vocabulary {
    /// The vocabulary of `tokens`, by id (`None`: a special token), and of the ids that end a text.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] if there is no token, or if there are too many or too long ones.
    pub fn new<'a>(tokens: impl IntoIterator<Item = Option<&'a [u8]>>, eos_token_ids: &[u32]) -> Result<Self> {
        let mut eos = eos_token_ids.to_vec();
        eos.sort_unstable();
        eos.dedup();
        let mut offsets = vec![0u32];
        let mut data = Vec::new();
        let mut has_bytes = Vec::new();
        let mut push = |bytes: Option<&[u8]>| -> Result<()> {
            let id = offsets.len() - 1;
            if id >= MAX_IDS {
                return Err(vocabulary(format!("more than {MAX_IDS} token ids: pass at most so many tokens")));
            }
            if id % 32 == 0 {
                has_bytes.push(0u32);
            }
            if let Some(bytes) = bytes
                && eos.binary_search(&(id as u32)).is_err()
            {
                data.extend_from_slice(bytes);
                set(&mut has_bytes, id as u32);
            }
            let end = u32::try_from(data.len())
                .map_err(|_| vocabulary("the tokens hold more than 4 GiB of bytes together".to_owned()))?;
            offsets.push(end);
            Ok(())
        };
        let mut len = 0;
        for token in tokens {
            push(token)?;
            len += 1;
        }
        if let Some(&last) = eos.last() {
            if last as usize >= MAX_IDS {
                return Err(vocabulary(format!("the EOS id {last} is above the highest possible id, {}", MAX_IDS - 1)));
            }
            while len <= last as usize {
                push(None)?;
                len += 1;
            }
        }
        if len == 0 {
            return Err(vocabulary("there are no tokens: pass the bytes of each token by id".to_owned()));
        }
        data.shrink_to_fit();
        offsets.shrink_to_fit();
        Self::assemble(offsets, data, has_bytes, eos)
    }

    fn assemble(offsets: Vec<u32>, data: Vec<u8>, has_bytes: Vec<u32>, eos: Vec<u32>) -> Result<Self> {
        let bytes = |id: u32| &data[offsets[id as usize] as usize..offsets[id as usize + 1] as usize];
        // PERF: sorting by the first eight bytes as a number, ties by the rest, takes a third of comparing slices.
        let mut order: Vec<(u64, u32)> = (0..offsets.len() as u32 - 1)
            .filter(|&id| !bytes(id).is_empty())
            .map(|id| (leading(bytes(id)), id))
            .collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| bytes(a.1).cmp(bytes(b.1))).then(a.1.cmp(&b.1)));
        let trie = Trie::new(order.iter().map(|&(_, id)| (id, bytes(id)))).ok_or_else(|| {
            vocabulary(format!(
                "the tokens need a prefix tree of more than {MAX_IDS} nodes: pass fewer or shorter tokens"
            ))
        })?;
        let longest = order.iter().map(|&(_, id)| bytes(id).len()).max().unwrap_or(0);
        let spelling = Spelling::new(&trie, order.iter().map(|&(_, id)| bytes(id)));
        let fast = spelling.is_regular.then(|| {
            let words = (offsets.len() - 1).div_ceil(32);
            (Slices::new(&trie, words, order.iter().map(|&(_, id)| (id, bytes(id)))), Occurrences::new(&trie))
        });
        let mut fingerprint = Fingerprint::new();
        fingerprint.number(offsets.len() as u64);
        offsets.iter().for_each(|&offset| fingerprint.number(u64::from(offset)));
        has_bytes.iter().for_each(|&word| fingerprint.number(u64::from(word)));
        eos.iter().for_each(|&id| fingerprint.number(u64::from(id)));
        fingerprint.bytes(&data);
        Ok(Vocabulary {
            fingerprint: fingerprint.finish(),
            offsets,
            data,
            has_bytes,
            eos,
            trie,
            spelling,
            longest,
            fast,
        })
    }

    /// The highest id + 1.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The number of 32-bit words of a mask.
    pub fn mask_words(&self) -> usize {
        self.len().div_ceil(32)
    }

    /// The ids that end a text, ascending.
    pub fn eos_token_ids(&self) -> &[u32] {
        &self.eos
    }

    /// Whether `id` ends a text.
    pub fn is_eos(&self, id: u32) -> bool {
        self.eos.contains(&id)
    }

    /// The bytes of a token; `None` for a special token, an EOS id or an id out of range.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        let index = id as usize;
        let word = self.has_bytes.get(index / 32)?;
        (index < self.len() && word >> (index % 32) & 1 == 1).then(|| self.bytes_of(id))
    }

    /// The bytes of a token, empty for a special one. `id` is in range.
    #[inline]
    pub(crate) fn bytes_of(&self, id: u32) -> &[u8] {
        &self.data[self.offsets[id as usize] as usize..self.offsets[id as usize + 1] as usize]
    }

    /// The characters that any text can contain. An automaton is compiled over them.
    pub fn alphabet(&self) -> &CodePoints {
        &self.spelling.alphabet
    }

    /// Whether every text over the alphabet can be spelled, character by character.
    pub fn is_regular(&self) -> bool {
        self.spelling.is_regular
    }

    /// A 128-bit hash of the tokens and the EOS ids.
    pub fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// Whether many tokens begin with a digit, so that numbers are written with several digits per token.
    pub(crate) fn has_numbers(&self) -> bool {
        (b'0'..=b'9').filter_map(|digit| self.trie.size_below(digit)).sum::<usize>() > MANY_NUMBERS
    }

    pub(crate) fn fast(&self) -> Option<&(Slices, Occurrences)> {
        self.fast.as_ref()
    }

    /// The masks of a class of characters; `slices` are this vocabulary's.
    pub(crate) fn class(&self, slices: &Slices, class: &Arc<CodePoints>) -> Arc<ClassSlice> {
        slices.class(class, &|id| self.bytes_of(id))
    }

    /// The tokens whose bytes after the first are of a class; `slices` are this vocabulary's.
    pub(crate) fn tail<'a>(&self, slices: &Slices, slice: &'a ClassSlice) -> &'a [u32] {
        slices.tail(slice, &|id| self.bytes_of(id))
    }

    /// An upper bound on the runs of an ASCII byte in a token of the tree; `occurrences` are this vocabulary's.
    pub(crate) fn runs(&self, occurrences: &Occurrences, byte: u8) -> u32 {
        occurrences.runs(byte, self.trie.nodes(), &|id| self.bytes_of(id))
    }

    /// The length of the longest token, in bytes.
    pub(crate) fn longest_token(&self) -> usize {
        self.longest
    }

    pub(crate) fn trie(&self) -> &Trie {
        &self.trie
    }

    /// The memory of this vocabulary, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.offsets.capacity() * 4
            + self.data.capacity()
            + self.has_bytes.capacity() * 4
            + self.trie.memory_bytes()
            + self.spelling.alphabet.ranges().len() * 8
            + self.fast.as_ref().map_or(0, |(slices, occurrences)| slices.memory_bytes() + occurrences.memory_bytes())
    }
}

fn vocabulary(message: String) -> Error {
    Error::Vocabulary { message }
}

fn leading(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let count = bytes.len().min(8);
    word[..count].copy_from_slice(&bytes[..count]);
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests;
