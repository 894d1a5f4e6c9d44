//! The walk for masks: it decides whether each token is allowed without finding its target state, so that few nodes of
//! the tree need an interned state.
//!
//! A leaf is only tested for liveness, without interning a state, and so is a node whose subtree has no byte of the
//! language ([`MaskHints::all_bytes`]). A forced literal ([`MaskHints::literal`]) is compared with the tree byte by
//! byte.
//!
//! PERF: half of the nodes that a mask of few tokens finds alive have nothing alive below them, and a new state takes
//! 0.3 µs: a cold step of `(a|b)*a(a|b){12}` takes 4 µs in place of 8, together with what else was saved there.
//!
//! [`MaskHints::all_bytes`]: crate::mask::hints::MaskHints::all_bytes
//! [`MaskHints::literal`]: crate::mask::hints::MaskHints::literal

use super::class_masks::Maker;
use crate::automaton::StateId;
use crate::bits::set;
use crate::error::Result;
use crate::mask::hints::Literal;
use crate::vocabulary::trie::NO_TOKEN;
use std::ops::Range;

impl Maker<'_> {
    /// The tokens in `range`, a run of whole subtrees of the tree; `path` holds the states above.
    pub(crate) fn walk(&mut self, range: Range<usize>, row: &mut [u32]) -> Result<u64> {
        let bytes = self.automaton.all_bytes();
        let trie = self.vocabulary.trie();
        let nodes = &trie.nodes()[..range.end];
        let mut index = range.start;
        let mut visited = 0;
        while let Some(&node) = nodes.get(index) {
            visited += 1;
            let depth = node.depth();
            let above = self.path[depth - 1];
            let end = index + node.size();
            if node.size() == 1 || !trie.may_go_on(index, bytes) {
                if node.token() != NO_TOKEN && self.automaton.lives(above, node.byte())? {
                    set(row, node.token());
                }
                index = end;
                continue;
            }
            let state = self.automaton.step(above, node.byte())?;
            if state == StateId::DEAD {
                index = end;
                continue;
            }
            if node.token() != NO_TOKEN {
                set(row, node.token());
            }
            if let Some(literal) = self.automaton.literal(state) {
                visited += self.walk_literal((state, &literal), depth, index + 1..end, row)?;
                index = end;
                continue;
            }
            self.path[depth] = state;
            index += 1;
        }
        self.fuel.spend(visited)?;
        Ok(visited)
    }

    /// The tokens in `range`, all descendants of a node at depth `above` whose state is `state`.
    pub(crate) fn walk_literal(
        &mut self,
        (state, literal): (StateId, &Literal),
        above: usize,
        mut range: Range<usize>,
        row: &mut [u32],
    ) -> Result<u64> {
        let trie = self.vocabulary.trie();
        let mut steps = 0;
        for &byte in literal.bytes() {
            let (child, passed) = trie.child_in(range.clone(), byte);
            steps += passed;
            let Some(child) = child else { return Ok(steps) };
            let node = trie.nodes()[child];
            if node.token() != NO_TOKEN {
                set(row, node.token());
            }
            range = child + 1..child + node.size();
        }
        if literal.is_last || range.is_empty() {
            return Ok(steps);
        }
        self.go_on_behind(state, literal.bytes(), above, range, row).map(|more| steps + more)
    }

    /// The tokens in `range`, all descendants of the node that `read` leads to from a node at depth `above` whose state
    /// is `state`.
    pub(crate) fn go_on_behind(
        &mut self,
        state: StateId,
        read: &[u8],
        above: usize,
        range: Range<usize>,
        row: &mut [u32],
    ) -> Result<u64> {
        self.path[above] = state;
        for (index, &byte) in read.iter().enumerate() {
            let at = above + index;
            self.path[at + 1] = self.automaton.step(self.path[at], byte)?;
        }
        Ok(read.len() as u64 + self.walk(range, row)?)
    }
}
