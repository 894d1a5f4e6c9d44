//! UTF-8, bytes → minterm: a deterministic automaton whose nodes are made as they are asked for.
//!
//! A node stands for a block of 64, 4,096 or 262,144 code points and is interned by what the block holds (the minterms
//! in order), so that blocks with equal content share it: all of CJK is one node of each size as a rule.

use crate::expression::minterms::{Minterm, Partition, folded};
use rustc_hash::FxHashMap;

/// What one more byte leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// No character that a text can contain starts so.
    Dead,
    /// A character is complete.
    Minterm(Minterm),
    /// In the middle of a character.
    Node(u32),
}

/// What a block holds: the continuation bytes that are still to come, and its runs.
type Content = (u8, Box<[(u32, Minterm)]>);

#[derive(Debug, Clone)]
struct Node {
    /// The continuation bytes that are still to come.
    left: u8,
    /// Minterms by offset: each run ends before the offset.
    runs: Box<[(u32, Minterm)]>,
    /// Those of the runs, each once, without the dead one.
    minterms: Box<[Minterm]>,
    /// The same in a word (see [`folded`]).
    folded: u64,
    /// By continuation byte, where known.
    next: Option<Box<[Option<Target>; 64]>>,
}

/// The decoder of one partition.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    nodes: Vec<Node>,
    ids: FxHashMap<Content, u32>,
    /// By byte from 0xC2, where known.
    leads: Vec<Option<Target>>,
    lead_bytes: Vec<u64>,
    memory: usize,
}

impl Decoder {
    /// What the first byte of a character leads to.
    pub fn first(&mut self, partition: &Partition, byte: u8) -> Target {
        if byte < 0x80 {
            return match partition.ascii(byte) {
                0 => Target::Dead,
                m => Target::Minterm(m),
            };
        }
        if self.leads.is_empty() {
            self.leads = vec![None; 256];
        }
        if let Some(target) = self.leads[usize::from(byte)] {
            return target;
        }
        let b = u32::from(byte);
        let target = match byte {
            0xC2..=0xDF => self.block(partition, (b & 0x1F) << 6, 1, 0),
            0xE0..=0xEF => self.block(partition, (b & 0x0F) << 12, 2, 0x800),
            0xF0..=0xF4 => self.block(partition, (b & 0x07) << 18, 3, 0x1_0000),
            _ => Target::Dead,
        };
        self.leads[usize::from(byte)] = Some(target);
        target
    }

    /// What a further byte leads to.
    pub fn next(&mut self, node: u32, byte: u8) -> Target {
        if !(0x80..0xC0).contains(&byte) {
            return Target::Dead;
        }
        let slot = usize::from(byte & 0x3F);
        let this = &self.nodes[node as usize];
        if let Some(Some(target)) = this.next.as_ref().map(|n| n[slot]) {
            return target;
        }
        let size = 1u32 << (6 * (this.left - 1));
        let lo = slot as u32 * size;
        let mut runs = Vec::new();
        for &(end, m) in this.runs.iter().skip_while(|r| r.0 <= lo) {
            runs.push((end.min(lo + size) - lo, m));
            if end >= lo + size {
                break;
            }
        }
        let left = this.left - 1;
        let target = self.target(left, runs);
        let this = &mut self.nodes[node as usize];
        if this.next.is_none() {
            this.next = Some(Box::new([None; 64]));
            self.memory += 64 * size_of::<Option<Target>>();
        }
        if let Some(next) = &mut this.next {
            next[slot] = Some(target);
        }
        target
    }

    /// The minterms that a character in the middle may still turn out to be; the dead one is left out.
    pub fn reach(&self, node: u32) -> impl Iterator<Item = Minterm> + '_ {
        self.nodes[node as usize].minterms.iter().copied()
    }

    /// By minterm, the bytes from 0xC2 with which its characters beyond ASCII begin, one bit each.
    pub fn lead_bytes(&mut self, partition: &Partition) -> &[u64] {
        if self.lead_bytes.is_empty() {
            self.lead_bytes = vec![0; partition.len()];
            let lead = |c: u32| match c {
                0..0x800 => 0xC0 | c >> 6,
                0x800..0x1_0000 => 0xE0 | c >> 12,
                _ => 0xF0 | c >> 18,
            };
            for &(lo, hi, m) in partition.ranges().iter().filter(|r| r.1 >= 0x80) {
                for byte in lead(lo.max(0x80))..=lead(hi) {
                    self.lead_bytes[usize::from(m)] |= 1 << (byte - 0xC2);
                }
            }
        }
        &self.lead_bytes
    }

    /// What [`Decoder::reach`] tells, in a word (see [`folded`]).
    #[inline]
    pub fn reach_folded(&self, node: u32) -> u64 {
        self.nodes[node as usize].folded
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    fn block(&mut self, partition: &Partition, lo: u32, left: u8, least: u32) -> Target {
        let size = 1u32 << (6 * left);
        let hi = lo + size - 1;
        let mut runs: Vec<(u32, Minterm)> = Vec::new();
        let mut push = |end: u32, m: Minterm| match runs.last_mut() {
            Some(last) if last.1 == m => last.0 = end,
            _ => runs.push((end, m)),
        };
        let ranges = partition.ranges();
        let from = lo.max(least);
        let mut at = lo;
        for &(a, b, m) in &ranges[ranges.partition_point(|r| r.1 < from)..] {
            if a > hi {
                break;
            }
            let (a, b) = (a.max(from), b.min(hi));
            if a > at {
                push(a - lo, 0);
            }
            push(b + 1 - lo, m);
            at = b + 1;
        }
        if at <= hi {
            push(size, 0);
        }
        self.target(left, runs)
    }

    fn target(&mut self, left: u8, runs: Vec<(u32, Minterm)>) -> Target {
        if runs.iter().all(|r| r.1 == 0) {
            return Target::Dead;
        }
        if left == 0 {
            return Target::Minterm(runs[0].1);
        }
        let key = (left, runs.into_boxed_slice());
        if let Some(&id) = self.ids.get(&key) {
            return Target::Node(id);
        }
        let id = self.nodes.len() as u32;
        let mut minterms: Vec<Minterm> = key.1.iter().map(|r| r.1).filter(|&m| m != 0).collect();
        minterms.sort_unstable();
        minterms.dedup();
        self.memory += 2 * key.1.len() * 8 + minterms.len() * 2 + 112;
        let folded = minterms.iter().fold(0, |all, &m| all | folded(m));
        self.nodes.push(Node { left, runs: key.1.clone(), minterms: minterms.into(), folded, next: None });
        self.ids.insert(key, id);
        Target::Node(id)
    }
}

/// One more byte of a character: the first stands lowest.
pub(crate) fn append(bytes: u32, byte: u8) -> u32 {
    bytes | u32::from(byte) << (8 * written(bytes))
}

/// How many bytes there are.
pub(crate) fn written(bytes: u32) -> u32 {
    4 - bytes.leading_zeros() / 8
}

/// The character that some bytes encode.
pub(crate) fn character(bytes: u32) -> u32 {
    let bytes = bytes.to_le_bytes();
    let len = bytes.iter().position(|&b| b == 0).unwrap_or(4);
    std::str::from_utf8(&bytes[..len]).ok().and_then(|s| s.chars().next()).map_or(0, u32::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codepoints::CodePoints;

    #[test]
    fn every_code_point_decodes_to_its_minterm() {
        let sets = [CodePoints::from_ranges([(0x41, 0x5A), (0x400, 0x4FF), (0x4E00, 0x9FFF), (0x1F600, 0x1F64F)])];
        let partition = Partition::new(&sets, &CodePoints::scalars(), &[]).unwrap();
        let mut decoder = Decoder::default();
        for c in (0..=0x10_FFFFu32).filter_map(char::from_u32) {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            let mut target = decoder.first(&partition, bytes[0]);
            for &b in &bytes[1..] {
                let Target::Node(node) = target else { panic!("{c:?} ends early") };
                assert!(decoder.reach(node).any(|m| m == partition.minterm(c.into())));
                target = decoder.next(node, b);
            }
            assert_eq!(target, Target::Minterm(partition.minterm(c.into())), "{c:?}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_dead() {
        let partition = Partition::new([], &CodePoints::scalars(), &[]).unwrap();
        let mut decoder = Decoder::default();
        for bytes in
            [&[0xC0, 0x80][..], &[0xC1], &[0xE0, 0x80], &[0xED, 0xA0], &[0xF0, 0x80], &[0xF4, 0x90], &[0xF5], &[0x80]]
        {
            let mut target = decoder.first(&partition, bytes[0]);
            for &b in &bytes[1..] {
                if let Target::Node(node) = target {
                    target = decoder.next(node, b);
                }
            }
            assert_eq!(target, Target::Dead, "{bytes:x?}");
        }
    }
}
