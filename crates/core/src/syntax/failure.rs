//! How the parsers fail: what is wrong, where, and what to do about it.

use crate::error::Error;
use crate::limits::Limits;

/// The pattern is not valid in its dialect.
pub fn refused(message: impl Into<String>, position: usize, remedy: impl Into<String>) -> Error {
    Error::Pattern { message: message.into(), remedy: remedy.into(), position: Some(position) }
}

/// What was given beside the pattern is not valid in its dialect; the message names the argument.
pub fn refused_argument(message: impl Into<String>, remedy: impl Into<String>) -> Error {
    Error::Pattern { message: message.into(), remedy: remedy.into(), position: None }
}

/// The pattern is valid, but not for us. Without a position the message names the argument that it is about.
pub fn unsupported(message: impl Into<String>, position: Option<usize>, remedy: impl Into<String>) -> Error {
    Error::Unsupported { message: message.into(), remedy: remedy.into(), position }
}

/// The groups are nested too deeply.
pub fn too_deep(limits: &Limits, position: usize) -> Error {
    let allowed = limits.nesting.min(MAX_NESTING);
    let remedy = if limits.nesting < MAX_NESTING { "nest less or raise the limit" } else { "nest less" };
    Error::Limit {
        limit: "nesting",
        allowed: u64::from(allowed),
        message: format!(
            "groups are nested more than {allowed} deep (Limits.nesting) at position {position} of the pattern: {remedy}"
        ),
    }
}

/// No limit is honoured beyond this depth: the parsers call themselves once a level, and the stack is finite.
pub const MAX_NESTING: u32 = 500;

/// A piece of a pattern for a message.
pub fn shown(points: &[u32]) -> String {
    points.iter().take(60).map(|&c| char::from_u32(c).unwrap_or('\u{FFFD}')).collect()
}
