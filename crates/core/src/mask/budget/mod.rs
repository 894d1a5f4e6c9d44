//! Masks within a token budget.

pub(crate) mod distance;
pub(crate) mod fill;
pub(crate) mod spelled;
mod within;
