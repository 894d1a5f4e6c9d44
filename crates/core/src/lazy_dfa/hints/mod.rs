//! What the automaton tells of its states so that masks need not step every token.

pub(crate) mod char_loop;
pub(crate) mod live_bytes;
pub(crate) mod saturate_counts;
pub(crate) mod words;
