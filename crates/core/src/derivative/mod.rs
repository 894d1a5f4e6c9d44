//! Derivatives of expressions: the term that is left after one more character, and whether a term may end.

pub(crate) mod atomic;
pub(crate) mod captures;
pub(crate) mod derive;
pub(crate) mod nullable;
