//! The plain trie walk: steps the automaton over the tree of the vocabulary, and skips dead subtrees.

use crate::automaton::StateId;
use crate::error::{Error, Result};
use crate::mask::hints::MaskHints;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::trie::{MAX_DEPTH, NO_TOKEN};
use std::ops::Range;

/// The states along the path from the root, by depth.
pub(crate) type Path = [StateId; MAX_DEPTH + 2];

/// The remaining work of a walk, in nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fuel {
    pub(crate) left: u64,
    pub(crate) allowed: u64,
}

impl Fuel {
    pub(crate) fn spend(&mut self, units: u64) -> Result<()> {
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.spent()),
        }
    }

    /// The error for exhausted fuel.
    pub(crate) fn spent(&self) -> Error {
        Error::Limit {
            limit: "fuel",
            allowed: self.allowed,
            message: format!(
                "the vocabulary's tokens could not be compared with the constraint within Limits.fuel = {}: \
                 raise it, for instance Limits(fuel={})",
                self.allowed,
                self.allowed.saturating_mul(4)
            ),
        }
    }
}

/// Steps the automaton over the nodes of `range`, a run of whole subtrees of the tree, and calls `found` with each token
/// whose path stays alive. `path` holds the states above.
pub(crate) fn walk(
    automaton: &mut dyn MaskHints,
    vocabulary: &Vocabulary,
    range: Range<usize>,
    path: &mut Path,
    fuel: &mut Fuel,
    mut found: impl FnMut(u32, StateId) -> Result<()>,
) -> Result<u64> {
    let nodes = &vocabulary.trie().nodes()[..range.end];
    let mut index = range.start;
    let mut visited = 0;
    while let Some(&node) = nodes.get(index) {
        visited += 1;
        let depth = node.depth();
        let state = automaton.step(path[depth - 1], node.byte())?;
        if state == StateId::DEAD {
            index += node.size();
            continue;
        }
        path[depth] = state;
        if node.token() != NO_TOKEN {
            found(node.token(), state)?;
        }
        index += 1;
    }
    fuel.spend(visited)?;
    Ok(visited)
}

/// Walks the whole vocabulary, tokens too long for the tree included; of duplicates, one is reported.
pub(crate) fn walk_all(
    automaton: &mut dyn MaskHints,
    vocabulary: &Vocabulary,
    start: StateId,
    path: &mut Path,
    fuel: &mut Fuel,
    mut found: impl FnMut(u32, StateId) -> Result<()>,
) -> Result<u64> {
    path[0] = start;
    let nodes = vocabulary.trie().nodes().len();
    let visited = walk(automaton, vocabulary, 0..nodes, path, fuel, &mut found)?;
    walk_specials(automaton, start, fuel, &mut found)?;
    Ok(visited + walk_long(automaton, vocabulary, start, fuel, found)?)
}

/// The special tokens of the language that may follow.
pub(crate) fn walk_specials(
    automaton: &mut dyn MaskHints,
    start: StateId,
    fuel: &mut Fuel,
    mut found: impl FnMut(u32, StateId) -> Result<()>,
) -> Result<()> {
    for id in automaton.specials() {
        fuel.spend(1)?;
        let state = automaton.step_special(start, id)?;
        if state != StateId::DEAD {
            found(id, state)?;
        }
    }
    Ok(())
}

/// Steps the tokens that are too long for the tree, one by one.
pub(crate) fn walk_long(
    automaton: &mut dyn MaskHints,
    vocabulary: &Vocabulary,
    start: StateId,
    fuel: &mut Fuel,
    mut found: impl FnMut(u32, StateId) -> Result<()>,
) -> Result<u64> {
    let mut visited = 0;
    for &token in vocabulary.trie().long() {
        let (state, steps) = step_bytes(automaton, start, vocabulary.bytes_of(token))?;
        visited += steps as u64 + 1;
        fuel.spend(steps as u64 + 1)?;
        if state != StateId::DEAD {
            found(token, state)?;
        }
    }
    Ok(visited)
}

/// The state after `bytes`, and the number of live steps.
pub(crate) fn step_bytes(automaton: &mut dyn MaskHints, start: StateId, bytes: &[u8]) -> Result<(StateId, usize)> {
    let mut state = start;
    for (index, &byte) in bytes.iter().enumerate() {
        state = automaton.step(state, byte)?;
        if state == StateId::DEAD {
            return Ok((state, index));
        }
    }
    Ok((state, bytes.len()))
}
