//! `[…]`

use super::parser::{Parser, Token};
use super::tree::Item;
use super::tree::{Class, Member};
use crate::error::Result;
use crate::syntax::failure::{refused, shown};

impl Parser<'_> {
    /// A set; the parser stands behind its `[`, which is at `start`.
    pub(super) fn set(&mut self, start: usize) -> Result<Item> {
        let negated = self.take(u32::from('^'));
        let mut members: Vec<Member> = Vec::new();
        loop {
            let before = self.position();
            let member = match self.next_in_set(start)? {
                Token::Char(c) if c == u32::from(']') && !members.is_empty() => break,
                token => self.member(token, before)?,
            };
            if !self.take(u32::from('-')) {
                members.push(member);
                continue;
            }
            let end_position = self.position();
            let end = match self.next_in_set(start)? {
                Token::Char(c) if c == u32::from(']') => {
                    members.push(member);
                    members.push(Member::Literal(u32::from('-')));
                    break;
                }
                token => self.member(token, end_position)?,
            };
            match (member, end) {
                (Member::Literal(lo), Member::Literal(hi)) if lo <= hi => members.push(Member::Range(lo, hi)),
                (lo, hi) => {
                    let range = shown(&self.pattern[before..self.position()]);
                    let remedy = match (lo, hi) {
                        (Member::Literal(_), Member::Literal(_)) => "write the lower character first",
                        _ => r#"a range needs a character on both sides; escape "-" as "\-" for a hyphen"#,
                    };
                    return Err(refused(format!("bad character range {range}"), before, remedy));
                }
            }
        }
        match members[..] {
            [Member::Literal(c), ref others @ ..] if others.iter().all(|&m| m == Member::Literal(c)) => {
                Ok(if negated { Item::NotLiteral(c) } else { Item::Literal(c) })
            }
            _ => Ok(Item::In(Class { negated, members })),
        }
    }

    fn member(&mut self, token: Token, before: usize) -> Result<Member> {
        match token {
            Token::Char(c) => Ok(Member::Literal(c)),
            Token::Escape(letter) => self.class_escape(letter, before),
        }
    }

    fn next_in_set(&mut self, start: usize) -> Result<Token> {
        self.bump().ok_or_else(|| refused("unterminated character set", start, r#"add "]" or escape "[" as "\[""#))
    }
}
