//! Every way the core can fail, one variant a cause.
//!
//! Positions are counted in code points of the pattern, as Python counts them.

use std::fmt;

/// A failure of the core. The binding maps each variant to one Python exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The pattern is not valid in its dialect.
    Pattern {
        /// What is wrong, without position, pattern or remedy: `unbalanced parenthesis`.
        message: String,
        /// What to do about it: `escape "(" as "\("`; empty if the message says it all.
        remedy: String,
        /// Where in the pattern, in code points.
        position: Option<usize>,
    },
    /// The pattern is valid, but no engine of ours reads this construct.
    Unsupported {
        /// What is not supported, without position, pattern or remedy.
        message: String,
        /// What to use in its place.
        remedy: String,
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
    /// A failure of one pattern of a larger constraint.
    InString {
        /// Which of the constraint's strings the pattern is.
        string: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// Rules that begin with themselves before they read a character.
    LeftRecursion {
        /// The way from a rule back to it, by number.
        rules: Vec<u32>,
    },
    /// A mask depends on what was cut off of a state's stack. Never leaves the core.
    Opaque,
    /// What was handed over does not follow the notation: a fault of the program, not of the constraint.
    Malformed {
        /// What was expected, and where.
        message: String,
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

impl Error {
    /// The same failure at a position, where none is known yet.
    pub fn or_at(mut self, place: Option<usize>) -> Error {
        if let Error::Pattern { position, .. }
        | Error::Unsupported { position, .. }
        | Error::NotRegular { position, .. } = &mut self
        {
            *position = position.or(place);
        }
        self
    }

    /// The same failure, of the pattern that is one of a constraint's strings.
    pub fn in_string(self, string: Option<usize>) -> Error {
        match (string, self) {
            (_, error @ (Error::InString { .. } | Error::Limit { .. })) | (None, error) => error,
            (Some(string), error) => Error::InString { string, error: Box::new(error) },
        }
    }

    /// The message as people read it: `MESSAGE at position P of 'PATTERN': REMEDY`.
    /// This is the one place where it is put together.
    pub fn describe(&self, pattern: Option<&[u32]>) -> String {
        let (message, remedy, position) = match self {
            Error::InString { error, .. } => return error.describe(pattern),
            Error::Pattern { message, remedy, position } | Error::Unsupported { message, remedy, position } => {
                (message, remedy.as_str(), *position)
            }
            Error::NotRegular { construct, position } => (construct, "", *position),
            Error::Opaque => return "a mask depends on what was cut off".to_owned(),
            Error::LeftRecursion { rules } => {
                let way: Vec<String> = rules.iter().chain(rules.first()).map(|rule| format!("rule {rule}")).collect();
                return format!(
                    "left recursion: {}: let each alternative of the rule begin with something else, or write it as a \
                     repetition",
                    way.join(" begins with ")
                );
            }
            Error::Malformed { message }
            | Error::Unsatisfiable { message }
            | Error::Vocabulary { message }
            | Error::Limit { message, .. } => return message.clone(),
        };
        let mut text = message.clone();
        if let Some(position) = position {
            text.push_str(&format!(" at position {position}"));
        }
        if let Some(pattern) = pattern {
            text.push_str(if position.is_some() { " of '" } else { " in '" });
            quote_around(pattern, position.unwrap_or(0), &mut text);
            text.push('\'');
        }
        if !remedy.is_empty() {
            text.push_str(": ");
            text.push_str(remedy);
        }
        text
    }
}

/// How many code points of a pattern are shown on each side of the position.
const SHOWN: usize = 40;

/// Appends the pattern as it was written, cut around `position` if it is long; control characters are escaped.
fn quote_around(pattern: &[u32], position: usize, text: &mut String) {
    let position = position.min(pattern.len());
    let start = position.saturating_sub(SHOWN);
    let end = pattern.len().min(position + SHOWN);
    if start > 0 {
        text.push('…');
    }
    for &c in &pattern[start..end] {
        match char::from_u32(c) {
            Some(c) if c.is_control() => text.extend(c.escape_default()),
            Some(c) => text.push(c),
            None => text.push_str(&format!("\\u{c:04x}")),
        }
    }
    if end < pattern.len() {
        text.push('…');
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(None))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn unbalanced(position: usize) -> Error {
        let (message, remedy) = ("unbalanced parenthesis".into(), r#"add ")" or escape "(" as "\(""#.into());
        Error::Pattern { message, remedy, position: Some(position) }
    }

    #[test]
    fn a_message_says_what_where_and_what_to_do() {
        let pattern: Vec<u32> = r"\d+(abc".chars().map(u32::from).collect();
        let expected = r#"unbalanced parenthesis at position 7 of '\d+(abc': add ")" or escape "(" as "\(""#;
        assert_eq!(unbalanced(7).describe(Some(&pattern)), expected);
    }

    #[test]
    fn a_long_pattern_is_cut_around_the_position() {
        let mut pattern = vec![u32::from('a'); 1000];
        pattern[499] = 10;
        pattern[500] = 0xD800;
        let text = unbalanced(500).describe(Some(&pattern));
        assert!(text.contains(&format!("'…{}\\n\\ud800{}…'", "a".repeat(39), "a".repeat(39))), "{text}");
    }
}
