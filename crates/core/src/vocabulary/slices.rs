//! Slices of the vocabulary: masks of the tokens of a character class, shared by all constraints.
//!
//! `base(X)` is the set of tokens that consist of characters of `X`; an incomplete character at the end counts if it
//! can still become one of `X`. It is computed by removing from all tokens those with another character: over ASCII by
//! a tree of aligned ranges (`contains a byte from 0x60 to 0x7F`), beyond it by the list of tokens of each character.
//! A second such tree ignores the first byte of each token, so that "one byte, then a loop" is as cheap as a loop.

use super::trie::Trie;
use crate::bits::{is_set, members, set, unset};
use crate::codepoints::CodePoints;
use crate::cut_characters::{may_become, whole_and_begun};
use crate::lru::Lru;
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Tokens are grouped by their number of characters up to this one; longer ones are listed.
pub(crate) const COUNTED: usize = 17;
/// Sets of at most this many tokens are stored as lists.
const LISTED: usize = 512;
/// The most memory for the masks of classes; the least recently used are dropped first.
const CLASS_BYTES: usize = 12 << 20;
/// A first byte gets its own bit set if its subtree has at least this many nodes.
pub(crate) const LARGE_SUBTREE: usize = if cfg!(test) { 1 } else { 200 };

/// Some tokens.
#[derive(Debug)]
enum Set {
    Dense(Box<[u32]>),
    List(Box<[u32]>),
}

impl Set {
    fn of(dense: Vec<u32>) -> Self {
        let count: u32 = dense.iter().map(|word| word.count_ones()).sum();
        if count as usize > LISTED {
            return Set::Dense(dense.into());
        }
        Set::List(members(&dense).collect())
    }

    fn remove_from(&self, row: &mut [u32]) {
        match self {
            Set::Dense(words) => row.iter_mut().zip(words).for_each(|(to, from)| *to &= !from),
            Set::List(ids) => ids.iter().for_each(|&id| unset(row, id)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Set::Dense(words) | Set::List(words) => words.len() * 4,
        }
    }
}

/// Tokens that end inside a character: the range of characters that it may become, and the tokens.
type Cut = (u32, u32, Box<[u32]>);

/// The index of a vocabulary's tokens by their characters.
#[derive(Debug)]
pub(crate) struct Slices {
    words: usize,
    /// Tokens of whole characters, of which the last may be incomplete.
    text: Box<[u32]>,
    /// The tree over ASCII, as a heap: 1 is all of ASCII, 128 + b is the byte `b`.
    contains: Vec<Set>,
    /// The same, without the first byte of each token.
    tail_contains: Vec<Set>,
    /// Tokens with a byte beyond ASCII.
    beyond_ascii: Box<[u32]>,
    /// Characters beyond ASCII that occur, ascending; the start of each one's tokens in `postings`.
    characters: Vec<u32>,
    starts: Vec<u32>,
    postings: Vec<u32>,
    cuts: Vec<Cut>,
    /// `at_most[k]`: tokens of at most `k` characters; an incomplete one counts.
    at_most: Vec<Box<[u32]>>,
    /// Tokens of more than [`COUNTED`] characters, with their number.
    longer: Vec<(u32, u32)>,
    /// For each number of characters, the number of tokens with more.
    longer_than: Vec<u32>,
    most_characters: u32,
    /// For an ASCII byte with a large subtree, the tokens that begin with it.
    begins: Vec<Option<Box<[u32]>>>,
    /// The masks of classes, made on demand.
    classes: Mutex<Lru<Arc<CodePoints>, Arc<ClassSlice>>>,
}

/// The masks of one class.
#[derive(Debug)]
pub(crate) struct ClassSlice {
    class: Arc<CodePoints>,
    ascii: u128,
    /// Tokens that consist of characters of the class.
    pub(crate) whole: Box<[u32]>,
    tail: OnceLock<Box<[u32]>>,
    /// Kinds of characters (see [`kind`]) that have no member in the class.
    pub(crate) foreign: u32,
}

impl Slices {
    pub(crate) fn new<'a>(trie: &Trie, words: usize, tokens: impl Iterator<Item = (u32, &'a [u8])>) -> Self {
        let empty = || vec![0u32; words];
        let mut text = empty();
        let mut beyond_ascii = empty();
        let mut contains: Vec<Vec<u32>> = (0..128).map(|_| empty()).collect();
        let mut tail_contains: Vec<Vec<u32>> = (0..128).map(|_| empty()).collect();
        let mut exactly: Vec<Vec<u32>> = (0..=COUNTED).map(|_| empty()).collect();
        let mut begins: Vec<Option<Vec<u32>>> = (0..128u8)
            .map(|b| trie.root_child(b).filter(|&node| trie.nodes()[node].size() > LARGE_SUBTREE).map(|_| empty()))
            .collect();
        let mut longer = Vec::new();
        let mut pairs: Vec<u64> = Vec::new();
        let mut cuts: FxHashMap<(u32, u32), Vec<u32>> = FxHashMap::default();
        for (id, bytes) in tokens {
            let Some((whole, begun)) = whole_and_begun(bytes) else { continue };
            let cut = (!begun.is_empty()).then(|| may_become(begun));
            set(&mut text, id);
            let mut count = usize::from(cut.is_some());
            let mut beyond = cut.is_some();
            for (index, c) in whole.chars().enumerate() {
                count += 1;
                if c.is_ascii() {
                    set(&mut contains[c as usize], id);
                    if index > 0 {
                        set(&mut tail_contains[c as usize], id);
                    }
                } else {
                    beyond = true;
                    pairs.push(u64::from(u32::from(c)) << 32 | u64::from(id));
                }
            }
            if beyond {
                set(&mut beyond_ascii, id);
            }
            if let Some(range) = cut {
                cuts.entry(range).or_default().push(id);
            }
            match exactly.get_mut(count) {
                Some(row) => set(row, id),
                None => longer.push((count as u32, id)),
            }
            if let Some(Some(row)) = begins.get_mut(usize::from(bytes[0])) {
                set(row, id);
            }
        }
        for count in 1..=COUNTED {
            let (below, here) = exactly.split_at_mut(count);
            here[0].iter_mut().zip(&below[count - 1]).for_each(|(to, from)| *to |= from);
        }
        let all: u32 = text.iter().map(|word| word.count_ones()).sum();
        let longer_than =
            exactly.iter().map(|row| all - row.iter().map(|word| word.count_ones()).sum::<u32>()).collect::<Vec<_>>();
        pairs.sort_unstable();
        pairs.dedup();
        let mut characters = Vec::new();
        let mut starts = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            let character = (pair >> 32) as u32;
            if characters.last() != Some(&character) {
                characters.push(character);
                starts.push(index as u32);
            }
        }
        starts.push(pairs.len() as u32);
        let mut cuts: Vec<Cut> = cuts.into_iter().map(|((lo, hi), ids)| (lo, hi, ids.into())).collect();
        cuts.sort_unstable();
        Slices {
            words,
            text: text.into(),
            contains: tree(contains),
            tail_contains: tree(tail_contains),
            beyond_ascii: beyond_ascii.into(),
            characters,
            starts,
            postings: pairs.iter().map(|&pair| pair as u32).collect(),
            cuts,
            at_most: exactly.into_iter().map(Vec::into_boxed_slice).collect(),
            most_characters: longer.iter().map(|&(count, _)| count).max().unwrap_or(COUNTED as u32),
            longer,
            longer_than,
            begins: begins.into_iter().map(|row| row.map(Vec::into_boxed_slice)).collect(),
            classes: Mutex::default(),
        }
    }

    /// The masks of `class`.
    pub(crate) fn class<'b>(&self, class: &Arc<CodePoints>, bytes_of: &dyn Fn(u32) -> &'b [u8]) -> Arc<ClassSlice> {
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = classes.get(class) {
            return Arc::clone(slice);
        }
        drop(classes);
        let ascii = ascii_of(class);
        let made = Arc::new(ClassSlice {
            class: Arc::clone(class),
            ascii,
            whole: self.base(class, ascii, &self.contains, bytes_of),
            tail: OnceLock::new(),
            foreign: foreign_kinds(class, ascii),
        });
        let mut classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner);
        // Each class may get two masks.
        let bytes = self.words * 8 + 256;
        classes.insert(Arc::clone(class), Arc::clone(&made), bytes, CLASS_BYTES.max(8 * bytes));
        made
    }

    /// The tokens with an ASCII first byte whose other bytes are of `slice`'s class.
    pub(crate) fn tail<'a, 'b>(&self, slice: &'a ClassSlice, bytes_of: &dyn Fn(u32) -> &'b [u8]) -> &'a [u32] {
        slice.tail.get_or_init(|| self.base(&slice.class, slice.ascii, &self.tail_contains, bytes_of))
    }

    /// The tokens that begin with `byte`, if its subtree is large.
    pub(crate) fn begins(&self, byte: u8) -> Option<&[u32]> {
        self.begins.get(usize::from(byte))?.as_deref()
    }

    /// The tokens of at most `count` characters, and those that the set contains although they are longer:
    /// `(characters, id)`. No set: the set of all tokens.
    pub(crate) fn at_most(&self, count: u32) -> (Option<&[u32]>, &[(u32, u32)]) {
        match self.at_most.get(count as usize) {
            Some(row) => (Some(row), &[]),
            None => (None, &self.longer),
        }
    }

    /// The tokens of more than [`COUNTED`] characters: `(characters, id)`.
    pub(crate) fn longer(&self) -> &[(u32, u32)] {
        &self.longer
    }

    /// All tokens of whole characters, of which the last may be incomplete.
    pub(crate) fn text(&self) -> &[u32] {
        &self.text
    }

    /// The tokens that end inside a character.
    pub(crate) fn cut(&self) -> impl Iterator<Item = u32> + '_ {
        self.cuts.iter().flat_map(|cut| cut.2.iter().copied())
    }

    /// The tokens with a character of `set` beyond ASCII, or with an incomplete one at the end that can become one;
    /// `None` if they are more than `most`.
    pub(crate) fn with_any(&self, set: &CodePoints, most: usize) -> Option<Vec<u32>> {
        let mut found: Vec<u32> = Vec::new();
        let ranges = &set.ranges()[set.ranges().partition_point(|&(_, hi)| hi < 0x80)..];
        let mut from = 0;
        for &(lo, hi) in ranges {
            from += self.characters[from..].partition_point(|&c| c < lo);
            let to = from + self.characters[from..].partition_point(|&c| c <= hi);
            let tokens = self.starts[from] as usize..self.starts[to] as usize;
            if found.len() + tokens.len() > most {
                return None;
            }
            found.extend_from_slice(&self.postings[tokens]);
            from = to;
        }
        if let Some(&(_, last)) = ranges.last() {
            let first = ranges[0].0.max(0x80);
            for (lo, hi, tokens) in &self.cuts {
                if *lo <= last && *hi >= first && ranges.iter().any(|&(start, end)| start <= *hi && *lo <= end) {
                    found.extend_from_slice(tokens);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        (found.len() <= most).then_some(found)
    }

    /// The number of tokens with more than `count` characters.
    pub(crate) fn longer_than(&self, count: u32) -> usize {
        match self.longer_than.get(count as usize) {
            Some(&tokens) => tokens as usize,
            None if count >= self.most_characters => 0,
            None => self.longer.len(),
        }
    }

    fn base<'b>(
        &self,
        class: &CodePoints,
        ascii: u128,
        contains: &[Set],
        bytes_of: &dyn Fn(u32) -> &'b [u8],
    ) -> Box<[u32]> {
        let mut row = self.text.clone();
        remove_ascii(contains, 1, 0, 128, ascii, &mut row);
        self.remove_beyond(class, &mut row, bytes_of);
        row
    }

    fn remove_beyond<'b>(&self, class: &CodePoints, row: &mut [u32], bytes_of: &dyn Fn(u32) -> &'b [u8]) {
        let ranges = &class.ranges()[class.ranges().partition_point(|&(_, hi)| hi < 0x80)..];
        if ranges.is_empty() {
            row.iter_mut().zip(&self.beyond_ascii).for_each(|(to, from)| *to &= !from);
            return;
        }
        // Merge the two sorted sequences to find the characters outside of the class, and their tokens.
        let tokens = |index: usize| &self.postings[self.starts[index] as usize..self.starts[index + 1] as usize];
        let (mut outside, mut inside) = (Vec::new(), Vec::new());
        let (mut outside_tokens, mut inside_tokens) = (0, 0);
        let mut ranges = ranges.iter().copied().peekable();
        for (index, &character) in self.characters.iter().enumerate() {
            while ranges.next_if(|&(_, hi)| hi < character).is_some() {}
            if ranges.peek().is_some_and(|&(lo, _)| lo <= character) {
                inside.push(index);
                inside_tokens += tokens(index).len();
            } else {
                outside.push(index);
                outside_tokens += tokens(index).len();
            }
        }
        let cuts_outside = self.cuts.iter().filter(|&&(lo, hi, _)| !meets(class, lo, hi)).flat_map(|cut| cut.2.iter());
        if outside_tokens <= inside_tokens * 8 {
            for &id in outside.into_iter().flat_map(tokens).chain(cuts_outside) {
                unset(row, id);
            }
            return;
        }
        // Few characters are inside: remove all tokens beyond ASCII except those that a check finds inside.
        let cuts_inside = self.cuts.iter().filter(|&&(lo, hi, _)| meets(class, lo, hi)).flat_map(|cut| cut.2.iter());
        let keep: Vec<u32> = inside
            .into_iter()
            .flat_map(tokens)
            .chain(cuts_inside)
            .copied()
            .filter(|&id| is_set(row, id) && is_inside(class, bytes_of(id)))
            .collect();
        row.iter_mut().zip(&self.beyond_ascii).for_each(|(to, from)| *to &= !from);
        keep.into_iter().for_each(|id| set(row, id));
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let sets: usize = self.contains.iter().chain(&self.tail_contains).map(|set| set.bytes() + 24).sum();
        let rows = 2 + self.at_most.len() + self.begins.iter().flatten().count();
        let lists =
            self.characters.capacity() + self.starts.capacity() + self.postings.capacity() + self.longer.capacity() * 2;
        let cuts: usize = self.cuts.iter().map(|cut| cut.2.len() * 4 + 24).sum();
        let classes = self.classes.lock().unwrap_or_else(PoisonError::into_inner).cost();
        sets + rows * self.words * 4 + lists * 4 + cuts + classes
    }
}

/// The upper nodes of the tree over ASCII from its leaves.
fn tree(leaves: Vec<Vec<u32>>) -> Vec<Set> {
    let mut nodes: Vec<Vec<u32>> = vec![Vec::new(); 128];
    nodes.extend(leaves);
    for index in (1..128).rev() {
        nodes[index] = nodes[2 * index].iter().zip(&nodes[2 * index + 1]).map(|(a, b)| a | b).collect();
    }
    nodes.into_iter().map(Set::of).collect()
}

/// Removes the tokens with an ASCII character that is not in `ascii`.
fn remove_ascii(contains: &[Set], node: usize, lo: u32, width: u32, ascii: u128, row: &mut [u32]) {
    let range = if width == 128 { u128::MAX } else { ((1 << width) - 1) << lo };
    if ascii & range == range {
        return;
    }
    if ascii & range == 0 {
        contains[node].remove_from(row);
        return;
    }
    let half = width / 2;
    remove_ascii(contains, 2 * node, lo, half, ascii, row);
    remove_ascii(contains, 2 * node + 1, lo + half, half, ascii, row);
}

/// The ASCII members of a class, one bit each.
fn ascii_of(class: &CodePoints) -> u128 {
    let ranges = class.ranges().iter().take_while(|&&(lo, _)| lo < 0x80);
    ranges.flat_map(|&(lo, hi)| lo..=hi.min(0x7F)).fold(0, |bits, c| bits | 1 << c)
}

/// Whether `class` has a member from `lo` to `hi`.
fn meets(class: &CodePoints, lo: u32, hi: u32) -> bool {
    let index = class.ranges().partition_point(|&(_, end)| end < lo);
    class.ranges().get(index).is_some_and(|&(start, _)| start <= hi)
}

/// Whether all characters of `bytes` beyond ASCII are in `class`; an incomplete one if it can become one of it.
fn is_inside(class: &CodePoints, bytes: &[u8]) -> bool {
    let Some((whole, begun)) = whole_and_begun(bytes) else { return false };
    let may_end = || {
        let (lo, hi) = may_become(begun);
        meets(class, lo, hi)
    };
    whole.chars().all(|c| c.is_ascii() || class.contains(u32::from(c))) && (begun.is_empty() || may_end())
}

/// The kind of a byte: one bit of 32. Kinds are narrow where languages distinguish bytes (punctuation), wide elsewhere.
pub(crate) fn kind(byte: u8) -> u32 {
    let index = match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        b' ' => 3,
        b'\n' => 4,
        0x80.. => 5,
        0..=0x1F | 0x7F => 6,
        b'"' => 7,
        b'\'' => 8,
        b'(' => 9,
        b')' => 10,
        b',' => 11,
        b'-' => 12,
        b'.' => 13,
        b'/' => 14,
        b':' => 15,
        b';' => 16,
        b'<' => 17,
        b'=' => 18,
        b'>' => 19,
        b'@' => 20,
        b'[' => 21,
        b'\\' => 22,
        b']' => 23,
        b'_' => 24,
        b'{' => 25,
        b'}' => 26,
        b'|' => 27,
        b'*' => 28,
        b'#' => 29,
        b'!' | b'?' => 30,
        _ => 31,
    };
    1 << index
}

/// The kinds that have no member in a class.
fn foreign_kinds(class: &CodePoints, ascii: u128) -> u32 {
    let native = (0..128u8).filter(|&byte| ascii >> byte & 1 == 1).fold(0, |kinds, byte| kinds | kind(byte));
    let beyond = class.ranges().last().is_some_and(|&(_, hi)| hi >= 0x80);
    !(native | if beyond { kind(0x80) } else { 0 })
}
