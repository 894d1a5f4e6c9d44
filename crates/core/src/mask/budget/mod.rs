//! Masks within a budget of tokens.

pub(crate) mod distance;
