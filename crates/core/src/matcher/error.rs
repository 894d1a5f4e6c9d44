//! The errors of a matcher: rejections and limits.

use crate::error::Error;
use std::fmt;

/// The reason why a token, or some bytes, cannot come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The token; `None` if bytes were taken.
    pub token_id: Option<u32>,
    /// Its bytes; empty for a special token.
    pub token_bytes: Vec<u8>,
    /// The index of the first byte after which no match can be reached; the number of bytes if no byte is to blame.
    pub failed_at: usize,
    /// The text before, with undecodable bytes replaced.
    pub text_before: String,
    /// The texts that are allowed in place of the failing byte, in words.
    pub expected: String,
    /// The kind of a token without bytes: `which ends the text`; empty for a token with bytes.
    pub nature: String,
}

impl Rejection {
    /// The message, with the token's id as `id` displays it: ids of callers may not fit a `u32`.
    pub fn message(&self, id: &dyn fmt::Display) -> String {
        let bytes = String::from_utf8_lossy(&self.token_bytes);
        let token = match self.token_id {
            Some(_) if self.token_bytes.is_empty() => format!("token {id}, {},", self.nature),
            Some(_) => format!("token {id} ({bytes:?})"),
            None => format!("{bytes:?}"),
        };
        let tail: String = match self.text_before.char_indices().rev().nth(39) {
            Some((start, _)) if start > 0 => format!("…{}", &self.text_before[start..]),
            _ => self.text_before.clone(),
        };
        let place = if self.failed_at > 0 && self.failed_at < self.token_bytes.len() {
            format!(", it fails at byte {}", self.failed_at)
        } else {
            String::new()
        };
        format!("{token} is not allowed after {tail:?}{place}: expected {}", self.expected)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(&self.token_id.unwrap_or_default()))
    }
}

/// A failure of a matcher, whose state is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MatchError {
    /// The token or the bytes are not allowed here.
    Rejected(Box<Rejection>),
    /// A rollback of more calls than there were.
    NothingToTakeBack {
        /// The number of calls to take back.
        asked: usize,
        /// The number of calls so far.
        taken: usize,
    },
    /// An error of the automaton or the mask, such as a limit.
    Core(Error),
}

impl fmt::Display for MatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatchError::Rejected(rejection) => rejection.fmt(f),
            MatchError::NothingToTakeBack { asked, taken } => {
                write!(f, "cannot take back {asked} calls of advance: there were only {taken}")
            }
            MatchError::Core(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MatchError {}

impl From<Error> for MatchError {
    fn from(error: Error) -> Self {
        MatchError::Core(error)
    }
}
