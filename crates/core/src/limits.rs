//! Budgets. They are spent inside the construction, so that no estimate and no thread has to guard it.

use crate::error::{Error, Result};

/// What one compiled constraint may cost. Every limit is checked while it is spent, at compile time and while stepping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Bytes that expressions, states, transitions and cached masks of one constraint may hold together.
    pub memory_bytes: u64,
    /// Units of work (derivative nodes visited, trie nodes walked) of one call: a compilation, a mask, an advance.
    pub fuel: u64,
    /// Depth of nested groups in a pattern.
    pub nesting: u32,
    /// Length of a pattern, in code points.
    pub pattern_length: u64,
}

/// What an expression holds at least for a text, and for a character of it.
const BYTES_OF_TEXT: u64 = 8;
const BYTES_OF_CHARACTER: u64 = 4;
/// What reading a group of a pattern holds at least.
const BYTES_OF_GROUP: u64 = 64;

impl Limits {
    /// Whether texts of so many characters together can fit into the memory; asked before they are copied.
    ///
    /// # Errors
    /// [`Error::Limit`] if they cannot.
    pub fn check_texts(&self, texts: u64, characters: u64) -> Result<()> {
        let needed = texts.saturating_mul(BYTES_OF_TEXT).saturating_add(characters.saturating_mul(BYTES_OF_CHARACTER));
        if needed <= self.memory_bytes {
            return Ok(());
        }
        Err(self.too_little_memory(&format!("{texts} texts of {characters} characters together"), needed))
    }

    /// Whether a pattern with so many groups can fit into the memory; asked while it is read.
    ///
    /// # Errors
    /// [`Error::Limit`] if it cannot.
    pub fn check_groups(&self, groups: u64) -> Result<()> {
        let needed = groups.saturating_mul(BYTES_OF_GROUP);
        if needed <= self.memory_bytes {
            return Ok(());
        }
        Err(self.too_little_memory(&format!("a pattern of {groups} groups"), needed))
    }

    fn too_little_memory(&self, what: &str, needed: u64) -> Error {
        Error::Limit {
            limit: "memory_bytes",
            allowed: self.memory_bytes,
            message: format!(
                "{what} need more than Limits.memory_bytes = {}: use fewer or shorter ones, or raise it, for instance \
                 Limits(memory_bytes={})",
                self.memory_bytes,
                needed.saturating_mul(4)
            ),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: 32 << 20, fuel: 20_000_000, nesting: 500, pattern_length: 2_000_000 }
    }
}
