//! Budgets. They are spent inside the construction, so that no estimate and no thread has to guard it.

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

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: 32 << 20, fuel: 20_000_000, nesting: 500, pattern_length: 2_000_000 }
    }
}
