//! What stands behind `(`: groups, lookarounds, conditionals, calls, flags.

use super::flags;
use super::source::{as_char, as_text};
use super::tree::{GroupName, Node, Place};
use crate::error::Result;
use crate::syntax::ast::Direction;
use crate::syntax::failure::{refused, shown};

use super::parser::{Parsed, Parser, Stop};

impl Parser<'_> {
    /// Behind `(`, which is at `start`; `None`: it leaves nothing in the pattern.
    pub fn parenthesis(&mut self, start: usize) -> Parsed<Option<Node>> {
        let saved = self.source.position;
        match self.source.get_raw().map(as_char) {
            Some('?') => self.extension(start),
            Some('*') => {
                let at = self.source.position;
                match self.verb(at)? {
                    Some(node) => Ok(Some(node)),
                    None => {
                        self.source.position = saved;
                        self.capture(None, start).map(Some)
                    }
                }
            }
            _ => {
                self.source.position = saved;
                self.capture(None, start).map(Some)
            }
        }
    }

    /// Behind `(*`: `None` if it is no verb.
    fn verb(&mut self, at: usize) -> Parsed<Option<Node>> {
        let first = self.source.peek_char();
        if !first.is_some_and(char::is_alphabetic) {
            return Ok(None);
        }
        let word = self.source.get_while(false, |c| c != ')' && c != '>');
        let node = match as_text(&word).as_deref() {
            Some("FAIL" | "F") => Node::Failure,
            Some(verb @ ("PRUNE" | "SKIP")) => {
                self.not_regular(&format!("the verb (*{verb})"), at - 2);
                Node::Failure
            }
            _ => return Err(refused("unknown verb", at, "the verbs are (*FAIL), (*F), (*PRUNE) and (*SKIP)").into()),
        };
        self.expect(")", "end the verb with \")\"")?;
        Ok(Some(node))
    }

    /// Behind `(?`.
    fn extension(&mut self, start: usize) -> Parsed<Option<Node>> {
        let saved = self.source.position;
        let node = match self.source.get_raw().map(as_char) {
            Some('<') => {
                let before_name = self.source.position;
                match self.source.get_char() {
                    Some(c @ ('=' | '!')) => self.look(Direction::Behind, c == '!', start)?,
                    _ => {
                        self.source.position = before_name;
                        self.named_capture(start)?
                    }
                }
            }
            Some(c @ ('=' | '!')) => self.look(Direction::Ahead, c == '!', start)?,
            Some('P') => self.python_extension(start)?,
            Some('#') => return self.comment(start).map(|()| None),
            Some('(') => self.conditional(start)?,
            Some('>') => Node::Atomic(Box::new(self.group_body(start)?)),
            Some('|') => self.branch_reset(start)?,
            Some(c) if c == 'R' || c.is_ascii_digit() => self.call(c, start)?,
            Some('&') => self.named_call(start)?,
            Some(c @ ('+' | '-')) if self.source.peek_char().is_some_and(|c| c.is_ascii_digit()) => {
                self.relative_call(c, start)?
            }
            _ => {
                self.source.position = saved;
                return self.flags_group(start);
            }
        };
        Ok(Some(node))
    }

    fn capture(&mut self, name: Option<Vec<u32>>, start: usize) -> Parsed<Node> {
        let index = self.groups.open(name, start);
        let body = Box::new(self.group_body(start)?);
        self.groups.close();
        Ok(Node::Group { index, body })
    }

    fn named_capture(&mut self, start: usize) -> Parsed<Node> {
        let name = match self.name(false)? {
            GroupName::Name(name) => name,
            GroupName::Number(_) => unreachable!("a number was refused"),
        };
        // The library opens the group before it looks for the `>`; both orders refuse the same.
        self.expect(">", "write (?<name>…)")?;
        self.capture(Some(name), start)
    }

    fn look(&mut self, direction: Direction, negated: bool, start: usize) -> Parsed<Node> {
        let body = Box::new(self.group_body(start)?);
        Ok(Node::Look { direction, negated, body, at: Place(Some(start)) })
    }

    fn comment(&mut self, start: usize) -> Parsed<()> {
        loop {
            match self.source.get_raw().map(as_char) {
                Some(')') => return Ok(()),
                Some('\\') => {
                    self.source.get_raw();
                }
                Some(_) => {}
                None => return Err(refused("missing ), unterminated comment", start, r#"add ")" to end it"#).into()),
            }
        }
    }

    fn python_extension(&mut self, start: usize) -> Parsed<Node> {
        match self.source.get_char() {
            Some('<') => self.named_capture(start),
            Some('=') => {
                let at = self.source.position;
                let name = self.name(true)?;
                self.expect(")", "write (?P=name)")?;
                if self.is_open(&name) {
                    let remedy = "put the reference behind the group";
                    return Err(refused("cannot refer to an open group", at, remedy).into());
                }
                Ok(self.reference(name, start))
            }
            Some('>' | '&') => self.named_call(start),
            _ => {
                let remedy = "write (?P<name>…) for a group, (?P=name) for its text again";
                Err(refused("unknown extension ?P", start, remedy).into())
            }
        }
    }

    fn conditional(&mut self, start: usize) -> Parsed<Node> {
        let saved_flags = self.flags;
        let saved = self.source.position;
        if self.source.get_char() == Some('?') {
            let look = match self.source.get_char() {
                Some(c @ ('=' | '!')) => Some((Direction::Ahead, c == '!')),
                Some('<') => match self.source.get_char() {
                    Some(c @ ('=' | '!')) => Some((Direction::Behind, c == '!')),
                    _ => None,
                },
                _ => None,
            };
            let Some((direction, negated)) = look else {
                let remedy = "write (?(?=…)yes|no), or (?(1)yes|no) for a group";
                return Err(refused("expected lookaround conditional", saved, remedy).into());
            };
            let test = Box::new(self.group_body(start)?);
            let (yes, no) = self.yes_and_no(start)?;
            return Ok(Node::LookConditional { direction, negated, test, yes, no, at: Place(Some(start)) });
        }
        self.source.position = saved;
        let group = self.name(true)?;
        self.expect(")", "write (?(1)yes|no) or (?(name)yes|no)")?;
        let (yes, no) = self.yes_and_no(start)?;
        self.restore(saved_flags);
        if yes.is_empty() && no.is_empty() {
            return Ok(Node::EMPTY);
        }
        Ok(Node::Conditional { group, yes, no, position: start })
    }

    fn yes_and_no(&mut self, start: usize) -> Parsed<(Box<Node>, Box<Node>)> {
        self.enter(start)?;
        let yes = self.sequence()?;
        let no = if self.source.take("|") { self.sequence()? } else { Node::EMPTY };
        if self.source.peek_char() == Some('|') {
            let remedy = "put the alternatives in a group: (?(1)…|(?:…|…))";
            return Err(refused("a condition has two branches at most", self.source.position, remedy).into());
        }
        self.close()?;
        self.leave();
        Ok((Box::new(yes), Box::new(no)))
    }

    fn branch_reset(&mut self, start: usize) -> Parsed<Node> {
        self.enter(start)?;
        let first = self.groups.count;
        let mut branches = vec![self.sequence()?];
        let mut last = self.groups.count;
        while self.source.take("|") {
            self.groups.count = first;
            branches.push(self.sequence()?);
            last = last.max(self.groups.count);
        }
        self.groups.count = last;
        // The library does not restore flags that were turned on inside.
        self.close()?;
        self.leave();
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Branch(branches) })
    }

    // --- calls ---

    fn call(&mut self, first: char, start: usize) -> Parsed<Node> {
        let mut number = 0;
        if first != 'R' {
            let digits = self.source.get_while(false, |c| c.is_ascii_digit());
            let digits = digits.iter().filter_map(|&d| as_char(d).to_digit(10));
            let fold = |n: u64, d: u32| n.saturating_mul(10).saturating_add(u64::from(d));
            number = digits.fold(u64::from(first.to_digit(10).unwrap_or(0)), fold);
        }
        self.close()?;
        Ok(self.called(GroupName::Number(number), start))
    }

    fn relative_call(&mut self, sign: char, start: usize) -> Parsed<Node> {
        let offset = i64::try_from(self.digits().unwrap_or(0)).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        let count = i64::from(self.groups.count);
        let group = if sign == '+' { count + offset } else { count - offset + 1 };
        let Some(group) = u64::try_from(group).ok().filter(|&g| g > 0) else {
            let remedy = "count the groups that stand before it";
            return Err(refused("invalid relative group number", start, remedy).into());
        };
        self.close()?;
        Ok(self.called(GroupName::Number(group), start))
    }

    fn named_call(&mut self, start: usize) -> Parsed<Node> {
        let name = self.name(false)?;
        self.close()?;
        Ok(self.called(name, start))
    }

    fn called(&mut self, group: GroupName, start: usize) -> Node {
        self.groups.calls.push((group.clone(), start));
        Node::Call { group, position: start }
    }

    // --- flags ---

    fn flags_group(&mut self, start: usize) -> Parsed<Option<Node>> {
        let on = self.flag_letters();
        let off = if self.source.take("-") {
            let off = self.flag_letters();
            if off == 0 {
                let message = "bad inline flags: no flags after '-'";
                return Err(refused(message, self.source.position, "write (?-i:…)").into());
            }
            off
        } else {
            0
        };
        if off & flags::GLOBAL != 0 {
            let message = "bad inline flags: cannot turn off global flag";
            return Err(refused(message, start, "leave it out").into());
        }
        if on & off != 0 {
            let message = "bad inline flags: flag turned on and off";
            return Err(refused(message, start, "keep one of the two").into());
        }
        let new = on & !self.global.flags & flags::GLOBAL;
        if new != 0 {
            let mut global = self.global.clone();
            global.flags |= new;
            global.places.push((new, start));
            return Err(Stop::Again(global));
        }
        let on = on & !flags::GLOBAL;
        if self.source.take(":") {
            let saved = self.flags;
            self.flags = (self.flags | on) & !off;
            if self.flags & flags::ENCODINGS != 0 {
                self.flags = (self.flags & !flags::ENCODINGS) | on;
            }
            self.check_locale(start)?;
            self.source.ignore_space = self.flags & flags::VERBOSE != 0;
            let node = self.group_body(start)?;
            self.restore(saved);
            return Ok(Some(node));
        }
        if self.source.take(")") {
            self.flags = (self.flags | on) & !off;
            if on & flags::ENCODINGS != 0 {
                self.encoding_at = Some(start);
            }
            self.check_locale(start)?;
            self.source.ignore_space = self.flags & flags::VERBOSE != 0;
            return Ok(None);
        }
        let what = shown(&self.source.text[start + 1..(self.source.position + 1).min(self.source.text.len())]);
        let remedy = r#"escape "(" as "\(", or see the syntax of groups in the documentation of regex"#;
        Err(refused(format!("unknown extension {what}"), start, remedy).into())
    }

    fn check_locale(&mut self, start: usize) -> Result<()> {
        if self.flags & flags::LOCALE == 0 {
            return Ok(());
        }
        let remedy = "leave it out: texts are Unicode";
        Err(crate::syntax::failure::unsupported("the flag LOCALE", Some(start), remedy))
    }

    fn flag_letters(&mut self) -> u32 {
        let mut found = 0;
        loop {
            let saved = self.source.position;
            let flag = match self.source.get_char() {
                Some('V') => {
                    let next = self.source.get_char();
                    flags::of_letter('V', next)
                }
                Some(c) => flags::of_letter(c, None),
                None => None,
            };
            match flag {
                Some(flag) => found |= flag,
                None => {
                    self.source.position = saved;
                    return found;
                }
            }
        }
    }
}
