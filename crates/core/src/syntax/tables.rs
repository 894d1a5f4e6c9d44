//! The tables of characters of a library, read from the bytes that `rellm._dialects.tables` scans out of the library.
//!
//! Format: sections of a tag (one byte), the length of the payload (four bytes, little-endian) and the payload:
//! unsigned LEB128 numbers. Ranges are pairs (gap to the end of the range before, length − 1); maps are triples (gap
//! to the source before, number of targets, then each target − source, zigzag).

use crate::codepoints::{CodePoints, MAX};
use crate::error::{Error, Result};
use std::sync::Arc;

/// One character to others, by ascending source.
#[derive(Debug, Clone, Default)]
pub struct CharMap {
    entries: Vec<(u32, Box<[u32]>)>,
}

impl CharMap {
    /// The targets of `c`; empty if it has none.
    pub fn get(&self, c: u32) -> &[u32] {
        match self.entries.binary_search_by_key(&c, |e| e.0) {
            Ok(index) => &self.entries[index].1,
            Err(_) => &[],
        }
    }

    /// The entries whose source is in `lo..=hi`.
    pub fn within(&self, lo: u32, hi: u32) -> &[(u32, Box<[u32]>)] {
        let start = self.entries.partition_point(|e| e.0 < lo);
        let end = self.entries.partition_point(|e| e.0 <= hi);
        &self.entries[start..end]
    }

    /// All entries, by ascending source.
    pub fn entries(&self) -> &[(u32, Box<[u32]>)] {
        &self.entries
    }

    /// The entries that have one target.
    pub fn single_targets(&self) -> CharMap {
        CharMap { entries: self.entries.iter().filter(|(_, targets)| targets.len() == 1).cloned().collect() }
    }

    /// From each target to its sources.
    pub fn inverse(&self) -> CharMap {
        let mut pairs: Vec<(u32, u32)> =
            self.entries.iter().flat_map(|(source, targets)| targets.iter().map(|&t| (t, *source))).collect();
        pairs.sort_unstable();
        let entries = pairs
            .chunk_by(|a, b| a.0 == b.0)
            .map(|group| (group[0].0, group.iter().map(|pair| pair.1).collect()))
            .collect();
        CharMap { entries }
    }
}

/// What a library says of characters.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// `\w`.
    pub word: Arc<CodePoints>,
    /// `\d`.
    pub digit: Arc<CodePoints>,
    /// `\s`.
    pub space: Arc<CodePoints>,
    /// `\w` under ASCII.
    pub ascii_word: Arc<CodePoints>,
    /// `\d` under ASCII.
    pub ascii_digit: Arc<CodePoints>,
    /// `\s` under ASCII.
    pub ascii_space: Arc<CodePoints>,
    /// `re`: the simple lower case, where it is another character.
    pub lower: CharMap,
    /// `re`: the simple upper case, where it is another character.
    pub upper: CharMap,
    /// `re`: characters that have another case.
    pub cased: CodePoints,
    /// `re`: lower-case characters that have the same upper case.
    pub same_upper: CharMap,
    /// `regex`: `\h`.
    pub blank: Arc<CodePoints>,
    /// `regex`: the other cases of a character, simple.
    pub cases: CharMap,
    /// `regex`: the full case folding, where it is not the character itself.
    pub folding: CharMap,
    /// `regex`: characters that fold to more than one, in the library's order.
    pub expanding: Vec<u32>,
    /// White space that VERBOSE skips in a pattern.
    pub pattern_space: CodePoints,
}

impl Tables {
    /// Reads the sections of a table file (without its header).
    pub fn from_bytes(data: &[u8]) -> Result<Tables> {
        let mut tables = Tables::default();
        let mut rest = data;
        while let Some((&tag, after)) = rest.split_first() {
            let (length, after) = after.split_first_chunk::<4>().ok_or_else(corrupt)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (payload, after) = after.split_at_checked(length).ok_or_else(corrupt)?;
            rest = after;
            let mut numbers = Numbers(payload);
            match tag {
                1 => tables.word = Arc::new(numbers.ranges()?),
                2 => tables.digit = Arc::new(numbers.ranges()?),
                3 => tables.space = Arc::new(numbers.ranges()?),
                4 => tables.ascii_word = Arc::new(numbers.ranges()?),
                5 => tables.ascii_digit = Arc::new(numbers.ranges()?),
                6 => tables.ascii_space = Arc::new(numbers.ranges()?),
                7 => tables.lower = numbers.map()?,
                8 => tables.upper = numbers.map()?,
                9 => tables.cased = numbers.ranges()?,
                10 => tables.same_upper = numbers.map()?,
                11 => tables.blank = Arc::new(numbers.ranges()?),
                12 => tables.cases = numbers.map()?,
                13 => tables.folding = numbers.map()?,
                14 => tables.expanding = numbers.list()?,
                15 => tables.pattern_space = numbers.ranges()?,
                _ => return Err(corrupt()),
            }
        }
        if tables.word.is_empty() || tables.ascii_word.is_empty() {
            return Err(corrupt());
        }
        Ok(tables)
    }
}

/// Reads a set of code points as the ranges of a section are written: what a [`super::Resolver`] may hand over.
pub fn ranges_from_bytes(data: &[u8]) -> Result<CodePoints> {
    Numbers(data).ranges()
}

fn corrupt() -> Error {
    Error::Pattern {
        message: "the tables of the pattern's library are corrupt".into(),
        remedy: "delete rellm's cache folder, or install rellm again".into(),
        position: None,
    }
}

/// A payload that is being read.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> Result<Option<u32>> {
        let mut value = 0u64;
        for (index, &byte) in self.0.iter().enumerate().take(5) {
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                self.0 = &self.0[index + 1..];
                return u32::try_from(value).map(Some).map_err(|_| corrupt());
            }
        }
        if self.0.is_empty() { Ok(None) } else { Err(corrupt()) }
    }

    fn need(&mut self) -> Result<u32> {
        self.next()?.ok_or_else(corrupt)
    }

    fn point(value: u64) -> Result<u32> {
        u32::try_from(value).ok().filter(|&c| c <= MAX).ok_or_else(corrupt)
    }

    fn ranges(&mut self) -> Result<CodePoints> {
        let mut ranges = Vec::with_capacity(self.0.len() / 3);
        let mut end = 0u64;
        while let Some(gap) = self.next()? {
            let lo = end + u64::from(gap);
            let hi = lo + u64::from(self.need()?);
            ranges.push((Self::point(lo)?, Self::point(hi)?));
            end = hi + 1;
        }
        Ok(CodePoints::from_ranges(ranges))
    }

    fn map(&mut self) -> Result<CharMap> {
        let mut entries = Vec::with_capacity(self.0.len() / 4);
        let mut source = 0u64;
        while let Some(gap) = self.next()? {
            source += u64::from(gap);
            let from = Self::point(source)?;
            let count = self.need()?;
            let mut targets = Vec::new();
            for _ in 0..count {
                let zigzag = self.need()?;
                let offset = i64::from(zigzag >> 1) ^ -i64::from(zigzag & 1);
                targets.push(Self::point(u64::try_from(i64::from(from) + offset).map_err(|_| corrupt())?)?);
            }
            entries.push((from, targets.into_boxed_slice()));
        }
        if entries.is_sorted_by(|a, b| a.0 < b.0) { Ok(CharMap { entries }) } else { Err(corrupt()) }
    }

    fn list(&mut self) -> Result<Vec<u32>> {
        let mut list = Vec::new();
        while let Some(value) = self.next()? {
            list.push(Self::point(u64::from(value))?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_tables_are_refused_and_never_panic() {
        let good = include_bytes!("../../../../python/rellm/_dialects/data/re-3.11-14.0.0.tables");
        let body = &good[crate::syntax::testing::header_length(good)..];
        assert!(Tables::from_bytes(body).is_ok());
        for cut in (0..body.len()).step_by(97) {
            let _ = Tables::from_bytes(&body[..cut]);
            let mut flipped = body.to_vec();
            flipped[cut] ^= 0xFF;
            let _ = Tables::from_bytes(&flipped);
        }
        assert!(Tables::from_bytes(&[]).is_err());
        assert!(Tables::from_bytes(&[1, 255, 0, 0, 0]).is_err());
    }

    #[test]
    fn a_map_has_an_inverse() {
        let map = CharMap { entries: vec![(65, Box::new([97])), (97, Box::new([98])), (100, Box::new([97, 98]))] };
        assert_eq!(map.get(65), &[97]);
        assert!(map.get(66).is_empty());
        assert_eq!(map.inverse().get(97), &[65, 100]);
        assert_eq!(map.within(66, 100).len(), 2);
    }
}
