//! The core of rellm: `pattern → expression → automaton → mask`.
//!
//! Data flows one way through the modules. `tests/house/test_architecture.py` holds their imports against ARCHITECTURE.md.
//! This crate knows no Python and no model: it turns a constraint and a vocabulary into bit masks over token ids.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod automaton;
pub mod batch;
mod bits;
pub mod codepoints;
pub mod compile;
mod cut_characters;
mod derivative;
pub mod error;
mod expression;
mod gallop;
pub mod lazy_dfa;
pub mod limits;
mod lru;
pub mod mask;
pub mod matcher;
pub mod symbols;
pub mod syntax;
mod translate;
pub mod vocabulary;
