//! An index of the tree's nodes by byte: finds where tokens leave a class without walking the tokens inside it.

use super::slices::kind;
use super::trie::{NO_TOKEN, Node, Trie};
use std::sync::OnceLock;

/// A node of the tree, found by its byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence {
    /// Its index in the tree.
    pub(crate) node: u32,
    /// A token that has the path to the node as a prefix.
    pub(crate) token: u32,
    /// The kinds of the bytes above it, without the first byte.
    pub(crate) between: u32,
    /// The kind of the first byte of the path, if that is not the node's own.
    pub(crate) first: u32,
}

/// The nodes of each byte, in the order of the tree.
#[derive(Debug)]
pub(crate) struct Occurrences {
    starts: Vec<u32>,
    list: Vec<Occurrence>,
    /// By ASCII byte, computed on demand: see [`Occurrences::runs`].
    runs: Vec<OnceLock<u32>>,
}

/// The runs of a byte with more places are not counted.
const MOST_PLACES: usize = 2_000;

impl Occurrences {
    pub(crate) fn new(trie: &Trie) -> Self {
        let nodes = trie.nodes();
        let mut starts = vec![0u32; 257];
        for node in nodes {
            starts[usize::from(node.byte()) + 1] += 1;
        }
        for byte in 0..256 {
            starts[byte + 1] += starts[byte];
        }
        let mut next = starts.clone();
        let blank = Occurrence { node: 0, token: NO_TOKEN, between: 0, first: 0 };
        let mut list = vec![blank; nodes.len()];
        let mut above: Vec<(u32, u32)> = vec![(0, 0); super::trie::MAX_DEPTH + 2];
        let mut waiting: Vec<usize> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let depth = node.depth();
            let (first, between) = above[depth - 1];
            let place = &mut next[usize::from(node.byte())];
            list[*place as usize] = Occurrence { node: index as u32, token: NO_TOKEN, between, first };
            waiting.push(*place as usize);
            *place += 1;
            let here = kind(node.byte());
            above[depth] = if depth == 1 { (here, 0) } else { (first, between | here) };
            // Each leaf has a token, so the next token in preorder is in the subtree of every node since the last one.
            if node.token() != NO_TOKEN {
                waiting.drain(..).for_each(|place| list[place].token = node.token());
            }
        }
        Occurrences { starts, list, runs: vec![OnceLock::new(); 128] }
    }

    /// The nodes with `byte`.
    pub(crate) fn of(&self, byte: u8) -> &[Occurrence] {
        let byte = usize::from(byte);
        &self.list[self.starts[byte] as usize..self.starts[byte + 1] as usize]
    }

    /// The most runs of an ASCII byte on a path of the tree (`aa_a` has two of `a`). `nodes` and `bytes_of` are of the
    /// vocabulary that this was made from.
    pub(crate) fn runs<'b>(&self, byte: u8, nodes: &[Node], bytes_of: &dyn Fn(u32) -> &'b [u8]) -> u32 {
        let Some(known) = self.runs.get(usize::from(byte)) else { return u32::MAX };
        *known.get_or_init(|| {
            let places = self.of(byte);
            if places.len() > MOST_PLACES {
                return u32::MAX;
            }
            // The places above: the ends of their subtrees, with the runs so far.
            let mut above: Vec<(usize, u32)> = Vec::new();
            let mut most = 0;
            for place in places {
                let (index, node) = (place.node as usize, nodes[place.node as usize]);
                while above.last().is_some_and(|&(end, _)| end <= index) {
                    above.pop();
                }
                let goes_on = node.depth() > 1 && bytes_of(place.token)[node.depth() - 2] == byte;
                let runs = above.last().map_or(0, |&(_, runs)| runs) + u32::from(!goes_on);
                above.push((index + node.size(), runs));
                most = most.max(runs);
            }
            most
        })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.capacity() * 16 + self.starts.capacity() * 4
    }
}
