//! Masks within a budget of tokens.

pub(crate) mod distance;
pub(crate) mod fill;
pub(crate) mod spelled;
mod within;
