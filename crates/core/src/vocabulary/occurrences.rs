//! Where in the tree each byte stands, so that what leaves a class can be found without walking what stays inside.

use super::slices::kind;
use super::trie::{NO_TOKEN, Trie};

/// A node of the tree, found by its byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occurrence {
    /// Its index in the tree.
    pub(crate) node: u32,
    /// A token whose first bytes are the path to it.
    pub(crate) token: u32,
    /// The kinds of the bytes above it, less the first.
    pub(crate) between: u32,
    /// The kind of the first byte of the path, if that is not the node's own.
    pub(crate) first: u32,
}

/// The nodes of each byte, in the order of the tree.
#[derive(Debug)]
pub(crate) struct Occurrences {
    starts: Vec<u32>,
    list: Vec<Occurrence>,
}

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
            // The next token in preorder is in the subtree of every node since the last one: each leaf has a token.
            if node.token() != NO_TOKEN {
                waiting.drain(..).for_each(|place| list[place].token = node.token());
            }
        }
        Occurrences { starts, list }
    }

    /// The nodes with `byte`.
    pub(crate) fn of(&self, byte: u8) -> &[Occurrence] {
        let byte = usize::from(byte);
        &self.list[self.starts[byte] as usize..self.starts[byte + 1] as usize]
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.list.capacity() * 16 + self.starts.capacity() * 4
    }
}
