//! Derivatives of expressions: the term that is left after one more character, and whether a term may end.

pub(crate) mod alive;
pub(crate) mod atomic;
pub(crate) mod bind;
pub(crate) mod borders;
pub(crate) mod calculus;
pub(crate) mod captures;
pub(crate) mod cheapest;
pub(crate) mod close;
pub(crate) mod derive;
mod edits;
pub(crate) mod first;
pub(crate) mod nullable;
pub(crate) mod open_texts;
pub(crate) mod part_items;
pub(crate) mod parts;
pub(crate) mod rewrite;
pub(crate) mod situation;
pub(crate) mod step;
pub(crate) mod unfold;
