//! Derivatives of expressions: the term that is left after one more character, and whether a term may end.

pub(crate) mod alive;
pub(crate) mod atomic;
pub(crate) mod borders;
pub(crate) mod captures;
pub(crate) mod cheapest;
pub(crate) mod derive;
pub(crate) mod nullable;
pub(crate) mod parts;
pub(crate) mod situation;
pub(crate) mod unfold;
