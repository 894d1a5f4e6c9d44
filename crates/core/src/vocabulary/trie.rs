//! The trie of a vocabulary: one flat array of nodes in preorder, in which an addition skips a dead subtree.

/// The children of a first byte with at least this many are found by a table.
///
/// PERF: a scan of 200 siblings touches 200 places of the tree; with this table and character loops of "one character,
/// then a class", all steps of the SQL sample take 400 µs in place of 500.
const MANY_CHILDREN: usize = if cfg!(test) { 1 } else { 12 };

/// No token ends at this node.
pub(crate) const NO_TOKEN: u32 = 0xFF_FFFF;
/// The most tokens, and the most nodes: both are stored in 24 bits.
pub(crate) const MAX_IDS: usize = NO_TOKEN as usize;
/// Longer tokens are not in the tree, because their depth would not fit a node. They are stepped one by one.
pub(crate) const MAX_DEPTH: usize = 254;

/// The bit of a byte in a word; four bytes share one.
#[inline]
pub(crate) fn byte_bit(byte: u8) -> u64 {
    1 << (byte % 64)
}

/// A node in 8 bytes: from the low end, token (24 bits), byte (8), depth (8), size of the subtree, itself included (24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(u64);

impl Node {
    fn new(token: u32, byte: u8, depth: usize) -> Self {
        Node(u64::from(token) | u64::from(byte) << 24 | (depth as u64) << 32 | 1 << 40)
    }

    /// The token that ends here, or [`NO_TOKEN`].
    #[inline]
    pub(crate) fn token(self) -> u32 {
        self.0 as u32 & NO_TOKEN
    }

    /// The last byte of the path.
    #[inline]
    pub(crate) fn byte(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// The length of the path, from 1.
    #[inline]
    pub(crate) fn depth(self) -> usize {
        (self.0 >> 32) as u8 as usize
    }

    /// The number of nodes of the subtree, this one included.
    #[inline]
    pub(crate) fn size(self) -> usize {
        (self.0 >> 40) as usize
    }

    fn with_size(self, size: usize) -> Self {
        Node(self.0 & ((1 << 40) - 1) | (size as u64) << 40)
    }
}

/// The tokens of a vocabulary by their bytes.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    /// By node: the bytes of its children, see [`byte_bit`].
    below: Vec<u64>,
    /// The node of each first byte, or `u32::MAX`.
    first: [u32; 256],
    /// By first byte, if it has at least [`MANY_CHILDREN`] children: the node of each second byte, or `u32::MAX`.
    second: Vec<Option<Box<[u32; 256]>>>,
    /// The first bytes of tokens, those with the largest subtrees first.
    by_size: Vec<u8>,
    /// Tokens too long for the tree, in the order of their bytes.
    long: Vec<u32>,
    /// `(id in the tree, another id with the same bytes)`.
    duplicates: Vec<(u32, u32)>,
}

impl Trie {
    /// The tree of `(id, bytes)`, sorted by bytes, none empty; `None` if it has too many nodes.
    pub(crate) fn new<'a>(sorted: impl Iterator<Item = (u32, &'a [u8])>) -> Option<Self> {
        let mut trie = Trie {
            nodes: Vec::new(),
            below: Vec::new(),
            first: [u32::MAX; 256],
            second: vec![None; 256],
            by_size: Vec::new(),
            long: Vec::new(),
            duplicates: Vec::new(),
        };
        let mut path: Vec<usize> = Vec::with_capacity(MAX_DEPTH);
        // The last token, and the last token in the tree, to which `path` leads.
        let (mut last, mut last_id): (&[u8], u32) = (&[], NO_TOKEN);
        let mut above: &[u8] = &[];
        for (id, bytes) in sorted {
            if bytes == last {
                trie.duplicates.push((last_id, id));
                continue;
            }
            (last, last_id) = (bytes, id);
            if bytes.len() > MAX_DEPTH {
                trie.long.push(id);
                continue;
            }
            let shared = bytes.iter().zip(above).take_while(|(a, b)| a == b).count();
            trie.close(&mut path, shared);
            for (depth, &byte) in bytes.iter().enumerate().skip(shared) {
                if depth == 0 {
                    trie.first[usize::from(byte)] = trie.nodes.len() as u32;
                }
                if let Some(&above) = path.last() {
                    trie.below[above] |= byte_bit(byte);
                }
                path.push(trie.nodes.len());
                trie.below.push(0);
                let token = if depth + 1 == bytes.len() { id } else { NO_TOKEN };
                trie.nodes.push(Node::new(token, byte, depth + 1));
                if trie.nodes.len() >= MAX_IDS {
                    return None;
                }
            }
            above = bytes;
        }
        trie.close(&mut path, 0);
        trie.nodes.shrink_to_fit();
        trie.below.shrink_to_fit();
        for byte in 0..=255 {
            let children: Vec<usize> =
                trie.root_child(byte).map_or_else(Vec::new, |node| trie.children(node).collect());
            if children.len() >= MANY_CHILDREN {
                let mut table = Box::new([u32::MAX; 256]);
                children.into_iter().for_each(|child| table[usize::from(trie.nodes[child].byte())] = child as u32);
                trie.second[usize::from(byte)] = Some(table);
            }
        }
        let mut by_size: Vec<u8> = (0..=u8::MAX).filter(|&byte| trie.root_child(byte).is_some()).collect();
        by_size.sort_by_key(|&byte| std::cmp::Reverse(trie.size_below(byte)));
        trie.by_size = by_size;
        Some(trie)
    }

    fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let end = node + self.nodes[node].size();
        let after = move |child: usize| Some(child).filter(|&child| child < end);
        std::iter::successors(after(node + 1), move |&child| after(child + self.nodes[child].size()))
    }

    fn close(&mut self, path: &mut Vec<usize>, depth: usize) {
        while path.len() > depth {
            if let Some(index) = path.pop() {
                self.nodes[index] = self.nodes[index].with_size(self.nodes.len() - index);
            }
        }
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether a child of a node may have one of `bytes`, one bit each (see [`byte_bit`]). Only `false` is certain.
    #[inline]
    pub(crate) fn may_go_on(&self, node: usize, bytes: u64) -> bool {
        self.below[node] & bytes != 0
    }

    pub(crate) fn long(&self) -> &[u32] {
        &self.long
    }

    pub(crate) fn duplicates(&self) -> &[(u32, u32)] {
        &self.duplicates
    }

    /// The node of the one-byte path `byte`.
    #[inline]
    pub(crate) fn root_child(&self, byte: u8) -> Option<usize> {
        let node = self.first[usize::from(byte)];
        (node != u32::MAX).then_some(node as usize)
    }

    /// The number of nodes of the subtree below the first byte `byte`, its own included; `None`: no token begins with it.
    pub(crate) fn size_below(&self, byte: u8) -> Option<usize> {
        self.root_child(byte).map(|node| self.nodes[node].size())
    }

    /// The first bytes of tokens, in descending order of the sizes of their subtrees.
    pub(crate) fn first_bytes_by_size(&self) -> &[u8] {
        &self.by_size
    }

    /// The nodes at depth two below `byte`, by their second byte; `u32::MAX`: none. `None`: there are few of them.
    pub(crate) fn second(&self, byte: u8) -> Option<&[u32; 256]> {
        self.second[usize::from(byte)].as_deref()
    }

    /// The node one byte below `node`.
    pub(crate) fn child(&self, node: usize, byte: u8) -> Option<usize> {
        self.child_in(node + 1..node + self.nodes[node].size(), byte).0
    }

    /// The child with `byte` among the children in `range`, all descendants of a node; and the number of children that
    /// were tested.
    pub(crate) fn child_in(&self, range: std::ops::Range<usize>, byte: u8) -> (Option<usize>, u64) {
        let (mut child, mut passed) = (range.start, 0);
        while child < range.end {
            passed += 1;
            let node = self.nodes[child];
            match node.byte().cmp(&byte) {
                std::cmp::Ordering::Less => child += node.size(),
                std::cmp::Ordering::Equal => return (Some(child), passed),
                std::cmp::Ordering::Greater => break,
            }
        }
        (None, passed)
    }

    /// Whether some token in the tree begins with `bytes`.
    pub(crate) fn has_path(&self, bytes: &[u8]) -> bool {
        let Some((&first, rest)) = bytes.split_first() else { return true };
        rest.iter().try_fold(self.root_child(first), |node, &byte| Some(self.child(node?, byte))).flatten().is_some()
    }

    /// The ends of the tokens that are prefixes of `text`, without tokens too long for the tree.
    pub(crate) fn prefixes<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = None;
        text.iter()
            .map_while(move |&byte| {
                node = match node {
                    None => self.root_child(byte),
                    Some(above) => self.child(above, byte),
                };
                node.map(|index| self.nodes[index].token())
            })
            .enumerate()
            .filter_map(|(index, token)| (token != NO_TOKEN).then_some((index + 1, token)))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * 8
            + self.below.capacity() * 8
            + self.second.iter().flatten().count() * 1024
            + 2048
            + self.long.capacity() * 4
            + self.duplicates.capacity() * 8
            + 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_too_long_leave_no_trace_in_the_tree() {
        let long = b"ab".repeat(128);
        let tokens: [&[u8]; 4] = [b"aa", &long, &long, b"abb"];
        let trie = Trie::new(tokens.iter().enumerate().map(|(id, &bytes)| (id as u32, bytes))).unwrap();
        assert_eq!((trie.long(), trie.duplicates()), (&[1][..], &[(1, 2)][..]));
        assert_eq!(trie.prefixes(b"abb").collect::<Vec<_>>(), [(3, 3)]);
        assert_eq!(trie.prefixes(b"aab").collect::<Vec<_>>(), [(2, 0)]);
    }

    #[test]
    fn walking_in_preorder_meets_every_token_once() {
        let mut tokens: Vec<Vec<u8>> =
            vec![b"a".to_vec(), b"ab".to_vec(), b"abc".to_vec(), b"b".to_vec(), b"xyz".to_vec()];
        tokens.push(b"ab".to_vec());
        tokens.push(vec![b'q'; 300]);
        let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
        order.sort_by(|&a, &b| tokens[a as usize].cmp(&tokens[b as usize]).then(a.cmp(&b)));
        let trie = Trie::new(order.iter().map(|&id| (id, tokens[id as usize].as_slice()))).unwrap();
        assert_eq!(trie.duplicates(), &[(1, 5)]);
        assert_eq!(trie.long(), &[6]);
        let mut path = Vec::new();
        let mut seen = Vec::new();
        for node in trie.nodes() {
            path.truncate(node.depth() - 1);
            path.push(node.byte());
            if node.token() != NO_TOKEN {
                assert_eq!(path, tokens[node.token() as usize]);
                seen.push(node.token());
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(trie.prefixes(b"abx").collect::<Vec<_>>(), [(1, 0), (2, 1)]);
        assert_eq!(trie.prefixes(b"xy").count(), 0);
        let sizes: usize = (0..=255).filter_map(|b| trie.root_child(b)).map(|n| trie.nodes()[n].size()).sum();
        assert_eq!(sizes, trie.nodes().len());
    }
}
