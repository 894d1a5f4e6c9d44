//! Flags inside a pattern: `(?i)`, `(?i:…)`, `(?-i:…)`.

use super::flags;
use super::parser::{Parser, Token, point};
use super::tree::{Item, Width};
use crate::error::Result;
use crate::syntax::failure::refused;

impl Parser<'_> {
    /// `(?i)`, `(?i:…)`, `(?-i:…)`; `None` if the flags count for the whole pattern.
    pub(super) fn flags_group(
        &mut self,
        first: char,
        start: usize,
        verbose: bool,
        allowed: bool,
    ) -> Result<Option<Item>> {
        let Some((on, off)) = self.flag_letters(first, start)? else {
            if !allowed {
                let remedy = "put them at the start, or write (?i:…) for a part";
                return Err(refused("global flags not at the start of the expression", start, remedy));
            }
            return Ok(None);
        };
        let inside = (verbose || on & flags::VERBOSE != 0) && off & flags::VERBOSE == 0;
        let body = self.alternation(inside, false)?;
        self.close()?;
        let width = Width::of(&body);
        Ok(Some(Item::Group { index: None, on, off, body, width }))
    }

    /// The letters of `(?on-off:`; `None` after `(?on)`, which has been applied.
    fn flag_letters(&mut self, first: char, start: usize) -> Result<Option<(u32, u32)>> {
        let global = flags::DEBUG | flags::TEMPLATE;
        let (mut on, mut off) = (0, 0);
        let mut c = Some(first);
        while let Some(flag) = c.and_then(|c| flags::of_letter(point(c), self.minor)) {
            if flag == flags::LOCALE {
                let message = "bad inline flags: cannot use 'L' flag with a str pattern";
                return Err(refused(message, start, "leave it out"));
            }
            on |= flag;
            if flag & flags::TYPES != 0 && on & flags::TYPES != flag {
                let message = "bad inline flags: flags 'a', 'u' and 'L' are incompatible";
                return Err(refused(message, start, "keep one of them"));
            }
            c = self.next_flag();
        }
        match c {
            Some(')') => {
                if on & flags::TYPES != 0 {
                    self.types_at = Some(start);
                }
                self.flags |= on;
                return Ok(None);
            }
            Some('-') => {
                c = self.next_flag();
                let mut any = false;
                while let Some(flag) = c.and_then(|c| flags::of_letter(point(c), self.minor)) {
                    if flag & flags::TYPES != 0 {
                        let message = "bad inline flags: cannot turn off flags 'a', 'u' and 'L'";
                        return Err(refused(message, start, "turn another one on instead, as in (?a:…)"));
                    }
                    off |= flag;
                    any = true;
                    c = self.next_flag();
                }
                if !any || c != Some(':') {
                    let message = if any { "missing :" } else { "missing flag" };
                    return Err(refused(message, self.flag_at(c), "write (?-i:…)"));
                }
            }
            Some(':') => {}
            Some(c) if c.is_alphabetic() => {
                return Err(refused(format!("unknown flag {c}"), self.index - 1, "the flags are a, i, m, s, u and x"));
            }
            _ => {
                return Err(refused("missing -, : or )", self.flag_at(c), "write (?i) or (?i:…)"));
            }
        }
        if (on | off) & global != 0 {
            return Err(refused("bad inline flags: cannot turn on global flag", start, "leave it out"));
        }
        if on & off != 0 {
            return Err(refused("bad inline flags: flag turned on and off", start, "keep one of the two"));
        }
        Ok(Some((on, off)))
    }

    /// Where what `next_flag` returned last stands.
    fn flag_at(&self, c: Option<char>) -> usize {
        self.index - c.map_or(0, |c| if c == '\\' { 2 } else { 1 })
    }

    fn next_flag(&mut self) -> Option<char> {
        match self.bump()? {
            Token::Char(c) => char::from_u32(c),
            Token::Escape(_) => Some('\\'),
        }
    }
}
