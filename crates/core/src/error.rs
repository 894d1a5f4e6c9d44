//! Every way the core can fail, one variant a cause.
//!
//! Positions are counted in code points of the pattern, as Python counts them.

use std::fmt;

/// A failure of the core. The binding maps each variant to one Python exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The pattern is not valid in its dialect.
    Pattern {
        /// What is wrong and what to do about it, without position or pattern.
        message: String,
        /// Where in the pattern, in code points.
        position: Option<usize>,
    },
    /// The pattern is valid, but no engine of ours reads this construct.
    Unsupported {
        /// What is not supported and what to use in its place.
        message: String,
        /// Where in the pattern, in code points.
        position: Option<usize>,
    },
    /// The pattern is valid, but the automaton cannot hold this construct: a case for the search engine.
    NotRegular {
        /// The construct, as a person would name it: `recursion (?R)`.
        construct: String,
        /// Where in the pattern, in code points.
        position: Option<usize>,
    },
    /// The language is empty, or no sequence of the vocabulary's tokens spells any of its strings.
    Unsatisfiable {
        /// Why, and what to do about it.
        message: String,
    },
    /// A vocabulary that cannot be used.
    Vocabulary {
        /// What is wrong and what to do about it.
        message: String,
    },
    /// A budget ran out. Nothing was lost: the state is the one before the call.
    Limit {
        /// The field of `Limits` that was reached.
        limit: &'static str,
        /// Its value.
        allowed: u64,
        /// What was being done, and how to raise the limit.
        message: String,
    },
}

/// The result of everything in the core that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, position) = match self {
            Error::Pattern { message, position } | Error::Unsupported { message, position } => (message, *position),
            Error::NotRegular { construct, position } => (construct, *position),
            Error::Unsatisfiable { message } | Error::Vocabulary { message } | Error::Limit { message, .. } => {
                (message, None)
            }
        };
        match position {
            Some(position) => write!(f, "{message} at position {position}"),
            None => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}
