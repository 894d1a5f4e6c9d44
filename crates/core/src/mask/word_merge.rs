//! The mask of a large table of words: the words and the tree are both sorted by bytes, so they are merged without
//! states.
//!
//! PERF: the first mask of 5,000 words has 4,000 live nodes; a state for each made it take 1.0 ms in place of 0.3.

use super::class_masks::Maker;
use crate::automaton::StateId;
use crate::bits::set;
use crate::error::Result;
use crate::mask::hints::Words;
use crate::vocabulary::trie::NO_TOKEN;
use std::ops::Range;

/// The start of a merge.
struct Origin<'a> {
    words: &'a Words,
    state: StateId,
    /// The depth of its node in the tree.
    above: usize,
}

impl Maker<'_> {
    /// The tokens in `range`, all descendants of a node at depth `above` whose state is `state`.
    pub(crate) fn walk_words(
        &mut self,
        (state, words): (StateId, &Words),
        above: usize,
        range: Range<usize>,
        row: &mut [u32],
    ) -> Result<u64> {
        self.merge(&Origin { words, state, above }, words.range.clone(), words.depth, range, row)
    }

    /// `words` agree in their first `depth` bytes; `range`: the descendants of the node that these lead to.
    fn merge(
        &mut self,
        origin: &Origin<'_>,
        mut words: Range<usize>,
        depth: usize,
        range: Range<usize>,
        row: &mut [u32],
    ) -> Result<u64> {
        let table = &origin.words.table;
        if table.get(words.start).len() == depth {
            if !origin.words.are_last {
                // Text after this word, and the rest of a longer word, may both follow: that takes states.
                let read = &table.get(words.start)[origin.words.depth..depth];
                return self.go_on_behind(origin.state, read, origin.above, range, row);
            }
            words.start += 1;
        }
        let nodes = self.vocabulary.trie().nodes();
        let (mut index, mut steps) = (range.start, 0);
        while index < range.end && words.start < words.end {
            steps += 1;
            let node = nodes[index];
            let byte = table.get(words.start)[depth];
            if node.byte() < byte {
                index += node.size();
                continue;
            }
            let same = words.start..words.start + table.run(words.clone(), depth);
            words.start = same.end;
            if node.byte() == byte {
                if node.token() != NO_TOKEN {
                    set(row, node.token());
                }
                if node.size() > 1 {
                    steps += self.merge(origin, same, depth + 1, index + 1..index + node.size(), row)?;
                }
                index += node.size();
            }
        }
        Ok(steps)
    }
}
