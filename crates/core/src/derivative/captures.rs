//! The texts that groups capture, those that were captured, and how backreferences compare them.

use crate::codepoints::CodePoints;
use crate::expression::minterms::Bits;
use crate::syntax::ast::CaseMapping;
use rustc_hash::FxHashMap;

/// Stands for a character that is not known, in texts that are left open.
pub(super) const OPAQUE: u32 = 0x11_0000;
/// Texts that are left open are counted up to so many characters.
const MOST_OPAQUE: u32 = 16;

/// Backreferences of the pattern, texts that were captured, and texts that are being captured.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    pub(super) references: Vec<(u32, CaseMapping)>,
    pub(super) conditions: Vec<Box<[u32]>>,
    /// By group: the minterms of which its text can be.
    pub(super) letters: FxHashMap<u32, Bits>,
    pub(super) contents: Vec<Box<[u32]>>,
    content_ids: FxHashMap<Box<[u32]>, u32>,
    /// Parent and last character; number 0 is the empty buffer.
    buffers: Vec<(u32, u32, u32)>,
    buffer_ids: FxHashMap<(u32, u32), u32>,
    memory: usize,
}

impl Captures {
    /// The number of a kind of backreference.
    pub fn reference(&mut self, group: u32, case: &CaseMapping) -> u32 {
        let wanted = (group, case.clone());
        let found = self.references.iter().position(|r| *r == wanted);
        found.unwrap_or_else(|| {
            self.references.push(wanted);
            self.references.len() - 1
        }) as u32
    }

    /// The group that a kind of backreference asks for.
    pub fn group(&self, reference: u32) -> u32 {
        self.references[reference as usize].0
    }

    /// Whether a kind of backreference compares characters as they are.
    pub fn is_exact(&self, reference: u32) -> bool {
        matches!(self.references[reference as usize].1, CaseMapping::Exact)
    }

    /// The number of a set of groups that a conditional asks for.
    pub fn condition(&mut self, groups: &[u32]) -> u32 {
        let found = self.conditions.iter().position(|g| **g == *groups);
        found.unwrap_or_else(|| {
            self.conditions.push(groups.into());
            self.conditions.len() - 1
        }) as u32
    }

    /// The number of characters in a buffer.
    pub fn buffer_len(&self, buffer: u32) -> u32 {
        if buffer == 0 { 0 } else { self.buffers[buffer as usize - 1].2 }
    }

    /// The buffer with one more character.
    pub fn push(&mut self, buffer: u32, c: u32) -> u32 {
        if let Some(&id) = self.buffer_ids.get(&(buffer, c)) {
            return id;
        }
        let len = self.buffer_len(buffer) + 1;
        self.buffers.push((buffer, c, len));
        let id = self.buffers.len() as u32;
        self.buffer_ids.insert((buffer, c), id);
        self.memory += 32;
        id
    }

    /// The buffer after the character that was read; of one that is left open, only the length is known.
    pub(crate) fn extend(&mut self, buffer: u32, c: u32) -> u32 {
        if !self.is_opaque(buffer) {
            return self.push(buffer, c);
        }
        if self.buffer_len(buffer) < MOST_OPAQUE { self.push(buffer, OPAQUE) } else { buffer }
    }

    /// The buffer without its first characters.
    pub(crate) fn without_first(&mut self, buffer: u32, count: u32) -> u32 {
        self.read(buffer, count).into_iter().fold(0, |buffer, c| self.push(buffer, c))
    }

    /// Whether a buffer's characters are left open.
    pub(crate) fn is_opaque(&self, buffer: u32) -> bool {
        buffer != 0 && self.buffers[buffer as usize - 1].1 == OPAQUE
    }

    /// A buffer that stands for one of so many characters, or more, whichever they are.
    pub(crate) fn opaque(&mut self, length: u32) -> u32 {
        (0..length.clamp(1, MOST_OPAQUE)).fold(0, |buffer, _| self.push(buffer, OPAQUE))
    }

    /// The least length of a text that is left open; `None`: it is not.
    pub(super) fn opaque_length(&self, content: u32) -> Option<u32> {
        let text = self.text(content);
        (text.first() == Some(&OPAQUE)).then(|| text.len() as u32 - 1)
    }

    /// The characters of a buffer.
    pub fn read(&self, mut buffer: u32, from: u32) -> Vec<u32> {
        let mut characters = Vec::new();
        while buffer != 0 && self.buffer_len(buffer) > from {
            let (parent, c, _) = self.buffers[buffer as usize - 1];
            characters.push(c);
            buffer = parent;
        }
        characters.reverse();
        characters
    }

    /// The id of a text.
    pub fn content(&mut self, characters: Vec<u32>) -> u32 {
        let characters = characters.into_boxed_slice();
        if let Some(&id) = self.content_ids.get(&characters) {
            return id;
        }
        let id = self.contents.len() as u32;
        self.memory += 8 * characters.len() + 80;
        self.contents.push(characters.clone());
        self.content_ids.insert(characters, id);
        id
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    /// What depends on the pattern alone: everything that was captured is forgotten.
    pub fn blank(&self) -> Captures {
        Captures {
            references: self.references.clone(),
            conditions: self.conditions.clone(),
            letters: self.letters.clone(),
            ..Captures::default()
        }
    }

    /// Whether a character is the next one of a text of which so many are left.
    pub fn agrees(&self, reference: u32, content: u32, left: u32, c: u32) -> bool {
        let text = self.text(content);
        let wanted = text[text.len() - left as usize];
        self.class(reference, wanted).map_or(wanted == c, |class| class.contains(c))
    }

    /// The characters that are compared as equal to one.
    pub(super) fn class(&self, reference: u32, c: u32) -> Option<&CodePoints> {
        match &self.references[reference as usize].1 {
            CaseMapping::Sets(sets) => {
                sets.binary_search_by_key(&c, |entry| entry.0).ok().and_then(|i| sets.get(i)).map(|entry| &entry.1)
            }
            CaseMapping::Exact => None,
        }
    }

    /// Adds the characters that are compared as equal to the next one of a text.
    pub(super) fn add_next(&self, reference: u32, content: u32, left: u32, out: &mut Vec<u32>) {
        let text = self.text(content);
        let Some(&wanted) = text.len().checked_sub(left as usize).and_then(|i| text.get(i)) else { return };
        out.push(wanted);
        if let Some(class) = self.class(reference, wanted) {
            out.extend(class.ranges().iter().flat_map(|r| r.0..=r.1));
        }
    }

    /// A text by its id.
    pub fn text(&self, content: u32) -> &[u32] {
        &self.contents[content as usize]
    }
}
