//! The text of a pattern, read as the library reads it: in verbose mode white space and comments vanish between any
//! two characters, even inside `(?<na me>…)` and `\x 4 1`.

use crate::codepoints::CodePoints;

/// A pattern that is being read.
pub struct Source<'a> {
    pub text: &'a [u32],
    pub position: usize,
    pub ignore_space: bool,
    space: &'a CodePoints,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a [u32], space: &'a CodePoints) -> Self {
        Source { text, position: 0, ignore_space: false, space }
    }

    /// The first place at or after `position` that is not skipped; `Err`: a comment goes on to the end.
    fn skip(&self, mut position: usize) -> Result<usize, ()> {
        if !self.ignore_space {
            return Ok(position);
        }
        while let Some(&c) = self.text.get(position) {
            if self.space.contains(c) {
                position += 1;
            } else if c == u32::from('#') {
                position += self.text[position..].iter().position(|&c| c == 0x0A).ok_or(())?;
            } else {
                break;
            }
        }
        Ok(position)
    }

    /// The next character, taken.
    pub fn get(&mut self) -> Option<u32> {
        match self.skip(self.position) {
            Ok(position) => {
                self.position = position;
                self.get_raw()
            }
            Err(()) => {
                self.position = self.text.len();
                None
            }
        }
    }

    /// The next character, taken, with nothing skipped before it.
    pub fn get_raw(&mut self) -> Option<u32> {
        let c = *self.text.get(self.position)?;
        self.position += 1;
        Some(c)
    }

    /// The next character as a `char`; a lone surrogate is U+FFFD, which is no syntax.
    pub fn get_char(&mut self) -> Option<char> {
        self.get().map(as_char)
    }

    pub fn peek_char(&self) -> Option<char> {
        let position = self.skip(self.position).ok()?;
        self.text.get(position).copied().map(as_char)
    }

    /// Takes `expected` if it stands here.
    pub fn take(&mut self, expected: &str) -> bool {
        let mut position = self.position;
        for c in expected.chars() {
            let Ok(next) = self.skip(position) else { return false };
            if self.text.get(next) != Some(&u32::from(c)) {
                return false;
            }
            position = next + 1;
        }
        self.position = position;
        true
    }

    /// Takes characters while `accept` says so. `keep_spaces`: nothing is skipped.
    pub fn get_while(&mut self, keep_spaces: bool, accept: impl Fn(char) -> bool) -> Vec<u32> {
        let mut taken = Vec::new();
        let ignore_space = self.ignore_space;
        self.ignore_space &= !keep_spaces;
        loop {
            match self.skip(self.position) {
                Ok(position) => self.position = position,
                Err(()) => {
                    self.position = self.text.len();
                    break;
                }
            }
            match self.text.get(self.position) {
                Some(&c) if accept(as_char(c)) => taken.push(c),
                _ => break,
            }
            self.position += 1;
        }
        self.ignore_space = ignore_space;
        taken
    }

    pub fn at_end(&self) -> bool {
        self.skip(self.position).map_or(true, |position| position >= self.text.len())
    }
}

/// A code point as a `char` for comparisons with syntax.
pub fn as_char(c: u32) -> char {
    char::from_u32(c).unwrap_or('\u{FFFD}')
}

/// A name as text; `None` if it holds a lone surrogate.
pub fn as_text(points: &[u32]) -> Option<String> {
    points.iter().map(|&c| char::from_u32(c)).collect()
}
