//! What a backslash and its letter mean, outside and inside a set.

use super::flags;
use super::parser::Parser;
use super::source::{as_char, as_text};
use super::tree::{Any, At, Encoding, GroupName, Node, Place, PropertyRef, Set, SetKind};
use crate::error::Result;
use crate::syntax::control::control;
use crate::syntax::failure::{refused, shown};

fn is_octal(c: Option<char>) -> Option<u32> {
    c.and_then(|c| c.to_digit(8))
}

impl Parser<'_> {
    /// An escape outside of a set; the source stands behind its backslash, which is at `start`.
    pub(super) fn escape(&mut self, start: usize) -> Result<Node> {
        let Some(letter) = self.source.get_raw() else {
            return Err(refused("bad escape (end of pattern)", start, r"write \\ for a backslash"));
        };
        let c = as_char(letter);
        match c {
            'g' => {
                let saved = self.source.position;
                match self.group_reference(start)? {
                    Some(node) => Ok(node),
                    None => {
                        self.source.position = saved;
                        Ok(self.literal(letter))
                    }
                }
            }
            'G' => Ok(Node::At(At::SearchAnchor)),
            'L' => self.named_list(start),
            'R' => Ok(line_ending()),
            'X' => {
                self.not_regular(r"a grapheme cluster \X", start);
                Ok(Node::Any(Any::All))
            }
            '1'..='9' => self.reference_or_octal(letter, start),
            _ => {
                if let Some(at) = self.position_escape(c, start) {
                    return Ok(Node::At(at));
                }
                let set = self.shared_escape(c, letter, start)?;
                if "dDsSwWh".contains(c) {
                    return Ok(Node::Set { set, case: 0, at: Place(Some(start)) });
                }
                // Characters of `\n` and the like never ignore case; it makes no difference to them.
                Ok(self.set_node(set, start))
            }
        }
    }

    /// An escape inside a set; the source stands behind its backslash.
    pub(super) fn set_escape(&mut self, start: usize) -> Result<Set> {
        let Some(letter) = self.source.get_raw() else {
            return Err(refused("bad escape (end of pattern)", start, r"write \\ for a backslash"));
        };
        self.shared_escape(as_char(letter), letter, start)
    }

    fn shared_escape(&mut self, c: char, letter: u32, start: usize) -> Result<Set> {
        let one = |c: u32| Set::of(SetKind::Char(c));
        match c {
            'x' => self.hexadecimal(2, start).map(one),
            'u' => self.hexadecimal(4, start).map(one),
            'U' => self.hexadecimal(8, start).map(one),
            'N' => Ok(one(self.named_character(start)?.unwrap_or(letter))),
            'p' | 'P' => Ok(self.property(c == 'p', start)?.unwrap_or(one(letter))),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'h' => {
                let encoding = self.encoding();
                let property = match c {
                    'd' | 'D' => PropertyRef::Digit(encoding),
                    's' | 'S' => PropertyRef::Space(encoding),
                    'w' | 'W' => PropertyRef::Word(encoding),
                    _ => PropertyRef::Blank,
                };
                let set = Set::of(SetKind::Property(property));
                Ok(if c.is_ascii_uppercase() { set.negated() } else { set })
            }
            _ if c.is_ascii_alphabetic() => control(c).map(one).ok_or_else(|| {
                let remedy = format!("write {c} for the letter, or \\\\{c} for a backslash before it");
                refused(format!("bad escape \\{c}"), start, remedy)
            }),
            '0'..='7' => {
                let mut value = letter - 0x30;
                for _ in 0..2 {
                    let saved = self.source.position;
                    match is_octal(self.source.get_char()) {
                        Some(digit) => value = value * 8 + digit,
                        None => {
                            self.source.position = saved;
                            break;
                        }
                    }
                }
                Ok(one(value))
            }
            '8' | '9' => Err(refused(format!("bad escape \\{c}"), start, "write the character's code as \\x…")),
            _ => Ok(one(letter)),
        }
    }

    fn position_escape(&mut self, c: char, start: usize) -> Option<At> {
        let encoding = self.encoding();
        let at = match c {
            'A' => At::TextStart,
            'Z' | 'z' => At::TextEnd,
            'K' => At::Keep,
            'b' => At::Boundary(encoding),
            'B' => At::NotBoundary(encoding),
            'm' => At::WordStart(encoding),
            'M' => At::WordEnd(encoding),
            _ => return None,
        };
        if self.flags & flags::WORD != 0 && "bBmM".contains(c) {
            self.not_regular(&format!(r"a default word boundary \{c} under WORD"), start);
        }
        Some(at)
    }

    fn hexadecimal(&mut self, digits: usize, start: usize) -> Result<u32> {
        let mut value = 0u32;
        for _ in 0..digits {
            let Some(digit) = self.source.get_char().and_then(|c| c.to_digit(16)) else {
                let escape = shown(&self.source.text[start..self.source.position]);
                let remedy = format!("write exactly {digits} hexadecimal digits");
                return Err(refused(format!("incomplete escape {escape}"), start, remedy));
            };
            value = value.wrapping_mul(16) + digit;
        }
        if value > crate::codepoints::MAX {
            let escape = shown(&self.source.text[start..self.source.position]);
            return Err(refused(format!("bad hex escape {escape}"), start, "the highest character is \\U0010FFFF"));
        }
        Ok(value)
    }

    /// `\N{…}`; `None` if it is just the letter.
    fn named_character(&mut self, start: usize) -> Result<Option<u32>> {
        let saved = self.source.position;
        if self.source.take("{") {
            let name = self.source.get_while(true, |c| c.is_ascii_alphanumeric() || c == ' ' || c == '-');
            if self.source.take("}") {
                let text = as_text(&name).unwrap_or_default();
                return match self.dialect.resolver.character(&text)? {
                    Some(c) => Ok(Some(c)),
                    None => {
                        let remedy = "look the name up with unicodedata.name, or write \\u… with its code";
                        Err(refused(format!("undefined character name '{text}'"), start, remedy))
                    }
                };
            }
        }
        self.source.position = saved;
        Ok(None)
    }

    /// `\g<…>`; `None` if it is none, and so just the letter.
    fn group_reference(&mut self, start: usize) -> Result<Option<Node>> {
        if !self.source.take("<") {
            return Ok(None);
        }
        // What cannot be a name is not read to its end, so that `\g<` a hundred thousand times takes linear time.
        let name = self.source.get_while(false, |c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
        if !self.source.take(">") {
            return Ok(None);
        }
        let Some(name) = self.parsed_name(&name, true)? else { return Ok(None) };
        if self.is_open(&name) {
            return Ok(None);
        }
        Ok(Some(self.reference(name, start)))
    }

    fn named_list(&mut self, start: usize) -> Result<Node> {
        self.expect("<", r"write \L<name>")?;
        let name = self.name(true)?;
        self.expect(">", r"write \L<name>")?;
        let text = match &name {
            GroupName::Name(name) => as_text(name),
            GroupName::Number(number) => Some(number.to_string()),
        };
        let list = self.named_lists.iter().find(|(name, _)| text.as_ref() == Some(name));
        self.used_lists.extend(text.clone());
        let Some((_, texts)) = list else {
            let remedy = "give it by its name, as in Regex(pattern, name=[…])";
            return Err(refused(format!("undefined named list '{}'", text.unwrap_or_default()), start, remedy));
        };
        let case = self.case();
        let mut texts: Vec<&Vec<u32>> = texts.iter().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let branch = |text: &Vec<u32>| Node::Sequence(text.iter().map(|&c| Node::Char { c, case }).collect());
        // An empty list matches the empty text.
        Ok(if texts.is_empty() { Node::EMPTY } else { Node::Branch(texts.into_iter().map(branch).collect()) })
    }

    /// `\1` … `\99`, or an octal escape of three digits.
    fn reference_or_octal(&mut self, first: u32, start: usize) -> Result<Node> {
        let mut digits = vec![first];
        let mut saved = self.source.position;
        if let Some(second) = self.source.get().filter(|&c| as_char(c).is_ascii_digit()) {
            digits.push(second);
            saved = self.source.position;
            let third = is_octal(self.source.get_char());
            if let (Some(a), Some(b), Some(c)) =
                (is_octal(Some(as_char(first))), is_octal(Some(as_char(second))), third)
            {
                let encoding = self.flags & flags::ENCODINGS;
                let mask = if encoding == flags::ASCII || encoding == flags::LOCALE { 0xFF } else { 0x1FF };
                return Ok(self.literal((a * 64 + b * 8 + c) & mask));
            }
        }
        self.source.position = saved;
        let number = digits.iter().fold(0u64, |n, &d| n * 10 + u64::from(d - 0x30));
        let name = GroupName::Number(number);
        if self.is_open(&name) {
            return Err(refused("cannot refer to an open group", start, "put the reference behind the group"));
        }
        Ok(self.reference(name, start))
    }

    /// The encoding that the flags give to an escape.
    pub(super) fn encoding(&self) -> Encoding {
        if self.flags & flags::ASCII != 0 {
            Encoding::Ascii
        } else if self.flags & flags::UNICODE != 0 {
            Encoding::Unicode
        } else {
            Encoding::Pattern
        }
    }
}

/// `\R`
fn line_ending() -> Node {
    let char = |c: u32| Node::Char { c, case: 0 };
    let one = |c: u32| Set::of(SetKind::Char(c));
    let single = [0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029].map(one).to_vec();
    let pair = Node::Sequence(vec![char(0x0D), char(0x0A)]);
    let single = Node::Set { set: Set::of(SetKind::Union(single)), case: 0, at: Place::default() };
    Node::Atomic(Box::new(Node::Branch(vec![pair, single])))
}
