//! What a backslash and its letter mean, outside and inside a set.

use super::parser::{Parser, Token};
use super::tree::{At, Item};
use super::tree::{Category, Class, Member};
use crate::error::Result;
use crate::syntax::control::control;
use crate::syntax::failure::{refused, shown};

fn category(c: char) -> Option<Member> {
    Some(match c {
        'd' => Member::Category(Category::Digit, false),
        'D' => Member::Category(Category::Digit, true),
        's' => Member::Category(Category::Space, false),
        'S' => Member::Category(Category::Space, true),
        'w' => Member::Category(Category::Word, false),
        'W' => Member::Category(Category::Word, true),
        _ => return None,
    })
}

const fn is_octal(c: u32) -> bool {
    c >= 0x30 && c <= 0x37
}

const fn is_digit(c: u32) -> bool {
    c >= 0x30 && c <= 0x39
}

impl Parser<'_> {
    /// An escape outside of a set; the parser stands behind its letter, `start` before its backslash.
    pub(super) fn escape(&mut self, letter: u32, start: usize) -> Result<Item> {
        let c = char::from_u32(letter).unwrap_or('\u{FFFD}');
        let at = match c {
            'A' => Some(At::BeginningOfText),
            'b' => Some(At::Boundary),
            'B' => Some(At::NotBoundary),
            'Z' => Some(At::EndOfText),
            'z' if self.minor >= 14 => Some(At::EndOfText),
            _ => None,
        };
        if let Some(at) = at {
            return Ok(Item::At(at));
        }
        if let Some(member) = category(c) {
            return Ok(Item::In(Class { negated: false, members: vec![member] }));
        }
        if is_digit(letter) && letter != 0x30 {
            return self.octal_or_reference(letter, start);
        }
        self.character_escape(c, letter, start, true).map(Item::Literal)
    }

    /// An escape inside a set.
    pub(super) fn class_escape(&mut self, letter: u32, start: usize) -> Result<Member> {
        let c = char::from_u32(letter).unwrap_or('\u{FFFD}');
        match category(c) {
            Some(member) => Ok(member),
            None => self.character_escape(c, letter, start, false).map(Member::Literal),
        }
    }

    /// An escape that stands for one character.
    fn character_escape(&mut self, c: char, letter: u32, start: usize, outside: bool) -> Result<u32> {
        if let Some(code) = control(c) {
            return Ok(code);
        }
        match c {
            'x' => self.hexadecimal(2, start),
            'u' => self.hexadecimal(4, start),
            'U' => self.hexadecimal(8, start),
            'N' => self.named_character(start),
            '0'..='7' => {
                let mut value = letter - 0x30;
                for _ in 0..2 {
                    match self.peek() {
                        Some(Token::Char(c)) if is_octal(c) => {
                            value = value * 8 + c - 0x30;
                            self.bump();
                        }
                        _ => break,
                    }
                }
                // Outside of a set only `\0…` comes here, which the library does not check.
                if value > 0o377 && !outside {
                    return Err(self.octal_too_large(start));
                }
                Ok(value)
            }
            _ if c.is_ascii_alphabetic() || is_digit(letter) => {
                let remedy = if is_digit(letter) {
                    "write the character's code as \\x…".to_string()
                } else {
                    format!("write {c} for the letter, or \\\\{c} for a backslash before it")
                };
                Err(refused(format!("bad escape \\{c}"), start, remedy))
            }
            _ => Ok(letter),
        }
    }

    fn octal_too_large(&self, start: usize) -> crate::error::Error {
        let escape = shown(&self.pattern[start..self.position()]);
        let message = format!("octal escape value {escape} outside of range 0-0o377");
        refused(message, start, "write the character's code as \\x… or \\u…")
    }

    fn hexadecimal(&mut self, digits: usize, start: usize) -> Result<u32> {
        let mut value = 0u32;
        for _ in 0..digits {
            match self.peek() {
                Some(Token::Char(c)) if c < 0x80 && (c as u8).is_ascii_hexdigit() => {
                    value = value.wrapping_mul(16) + char::from(c as u8).to_digit(16).unwrap_or(0);
                    self.bump();
                }
                _ => {
                    let escape = shown(&self.pattern[start..self.position()]);
                    return Err(refused(
                        format!("incomplete escape {escape}"),
                        start,
                        format!("write exactly {digits} hexadecimal digits"),
                    ));
                }
            }
        }
        if value > crate::codepoints::MAX {
            let escape = shown(&self.pattern[start..self.position()]);
            return Err(refused(format!("bad escape {escape}"), start, "the highest character is \\U0010FFFF"));
        }
        Ok(value)
    }

    fn named_character(&mut self, start: usize) -> Result<u32> {
        if !self.take(u32::from('{')) {
            return Err(refused("missing {", self.position(), r"write \N{NAME OF THE CHARACTER}"));
        }
        let name = self.until(u32::from('}'), "character name", r"write \N{NAME OF THE CHARACTER}")?;
        let text: Option<String> = name.iter().map(|&c| char::from_u32(c)).collect();
        let found = match text {
            Some(text) => self.dialect.resolver.character(&text)?,
            None => None,
        };
        found.ok_or_else(|| {
            let message = format!("undefined character name '{}'", shown(&name));
            refused(message, start, "look the name up with unicodedata.name, or write \\u… with its code")
        })
    }

    /// `\1` … `\99`, or an octal escape of three digits.
    fn octal_or_reference(&mut self, first: u32, start: usize) -> Result<Item> {
        let mut group = first - 0x30;
        if let Some(Token::Char(second)) = self.peek().filter(|t| matches!(t, Token::Char(c) if is_digit(*c))) {
            self.bump();
            group = group * 10 + second - 0x30;
            if let Some(Token::Char(third)) = self.peek() {
                if is_octal(first) && is_octal(second) && is_octal(third) {
                    self.bump();
                    let value = (first - 0x30) * 64 + (second - 0x30) * 8 + third - 0x30;
                    return if value > 0o377 { Err(self.octal_too_large(start)) } else { Ok(Item::Literal(value)) };
                }
            }
        }
        self.reference(group, start)
    }
}
