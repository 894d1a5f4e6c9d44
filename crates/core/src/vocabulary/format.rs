//! Serialises a vocabulary, for a cache on disk.
//!
//! Layout, little-endian: magic and version (8 bytes), fingerprint (16), number of tokens (4), number of EOS ids (4),
//! length of the data (4); then end offsets (4 each), bits of the tokens with bytes (4 each 32), EOS ids (4 each), data.
//! Reading computes the fingerprint again, which detects any damage.

use super::Vocabulary;
use super::trie::MAX_IDS;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"rellmV\x00\x01";
const HEADER: usize = 36;

impl Vocabulary {
    /// The vocabulary as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.offsets.len() - 1 + self.has_bytes.len() + self.eos.len();
        let mut out = Vec::with_capacity(HEADER + words * 4 + self.data.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        for count in [self.len(), self.eos.len(), self.data.len()] {
            out.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for word in self.offsets[1..].iter().chain(&self.has_bytes).chain(&self.eos) {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.data);
        out
    }

    /// The vocabulary that [`Vocabulary::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Vocabulary`] if the bytes are damaged, or written by another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let vocabulary = read(bytes)?;
        if vocabulary.to_fingerprint() != bytes[8..24] {
            return Err(damaged("its content does not have the fingerprint that it names"));
        }
        Ok(vocabulary)
    }

    fn to_fingerprint(&self) -> [u8; 16] {
        self.fingerprint.to_le_bytes()
    }
}

fn damaged(why: &str) -> Error {
    Error::Vocabulary {
        message: format!(
            "this stored vocabulary cannot be read, {why}: delete it and build it from the tokenizer again"
        ),
    }
}

fn read(bytes: &[u8]) -> Result<Vocabulary> {
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return Err(damaged("it does not begin as this version writes it"));
    }
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (len, eos_len, data_len) = (word(24) as usize, word(28) as usize, word(32) as usize);
    let words = len.div_ceil(32);
    let expected = HEADER as u64 + 4 * (len as u64 + words as u64 + eos_len as u64) + data_len as u64;
    if len == 0 || len > MAX_IDS || bytes.len() as u64 != expected {
        return Err(damaged("its length is not the one that it names"));
    }
    let mut at = HEADER;
    let mut take = |count: usize| {
        let words: Vec<u32> = bytes[at..at + 4 * count]
            .chunks_exact(4)
            .map(|chunk| u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
            .collect();
        at += 4 * count;
        words
    };
    let mut offsets = Vec::with_capacity(len + 1);
    offsets.push(0);
    offsets.extend(take(len));
    let has_bytes = take(words);
    let eos = take(eos_len);
    let data = bytes[at..].to_vec();
    let ordered = offsets.is_sorted() && offsets[len] as usize == data.len();
    if !ordered || !eos.is_sorted() || eos.last().is_some_and(|&id| id as usize >= len) {
        return Err(damaged("its tables contradict each other"));
    }
    Vocabulary::assemble(offsets, data, has_bytes, eos)
}
