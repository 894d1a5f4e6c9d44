//! The core of rellm: `pattern → expression → automaton → mask`.
//!
//! Data flows one way through the modules, in the order in which they are listed; none imports a later one.
//! This crate knows no Python and no model: it turns a constraint and a vocabulary into bit masks over token ids.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod automaton;
pub mod codepoints;
pub mod error;
pub mod limits;
pub mod mask;
pub mod matcher;
pub mod syntax;
pub mod vocabulary;
