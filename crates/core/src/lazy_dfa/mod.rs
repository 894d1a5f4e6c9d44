//! The lazy deterministic automaton of an expression: states are interned terms, transitions are derived when asked for.

pub(crate) mod char_dfa;
pub(crate) mod completion;
pub(crate) mod dfa;
pub(crate) mod hints;
pub(crate) mod known_way;
pub(crate) mod liveness;
pub(crate) mod marker;
pub(crate) mod mid_char;
pub(crate) mod rebuild;
pub(crate) mod shortest;
pub(crate) mod states;
#[cfg(test)]
mod tests;
pub(crate) mod utf8;
pub(crate) mod ways;

pub use dfa::{RegexAutomaton, compile, compile_tree};
pub use marker::Marker;
