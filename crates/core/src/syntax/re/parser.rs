//! Text → tree, as the library's own parser reads it.

use super::flags;
use super::tree::{At, Item, Sequence, Width, alternatives};
use crate::error::Result;
use crate::limits::Limits;
use crate::syntax::Dialect;
use crate::syntax::ast::{Direction, RepeatKind};
use crate::syntax::failure::{MAX_NESTING, refused, refused_argument, shown, too_deep};
use std::collections::HashMap;

/// What the library takes for infinite; a count as large is refused.
const MAX_REPEAT: u64 = 4_294_967_295;

/// The library has no more groups than this.
const MAX_GROUPS: u64 = 1_073_741_823;

/// A character, or a backslash with the character behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Char(u32),
    Escape(u32),
}

/// A pattern that is being read.
pub(super) struct Parser<'a> {
    pub(super) pattern: &'a [u32],
    pub(super) minor: u8,
    pub(super) dialect: &'a Dialect,
    pub(super) limits: &'a Limits,
    pub(super) index: usize,
    pub(super) flags: u32,
    /// Where `a` or `u` was last turned on for the whole pattern.
    pub(super) types_at: Option<usize>,
    /// The width of each group, from 1; `None` while it is open.
    groups: Vec<Option<Width>>,
    names: HashMap<Vec<u32>, u32>,
    /// The number of groups when the outermost lookbehind was opened.
    lookbehind_groups: Option<u32>,
    /// Groups that conditions ask for, and where.
    conditions: Vec<(u64, usize)>,
    depth: u32,
    /// How many groups were begun.
    begun: u64,
}

pub(super) fn point(c: char) -> u32 {
    u32::from(c)
}

impl<'a> Parser<'a> {
    pub fn new(pattern: &'a [u32], flags: u32, minor: u8, dialect: &'a Dialect, limits: &'a Limits) -> Self {
        Parser {
            pattern,
            minor,
            dialect,
            limits,
            index: 0,
            flags,
            types_at: None,
            groups: Vec::new(),
            names: HashMap::new(),
            lookbehind_groups: None,
            conditions: Vec::new(),
            depth: 0,
            begun: 0,
        }
    }

    /// The tree, the flags that count for all of it, and the number of groups.
    pub fn parse(mut self) -> Result<(Sequence, u32, u32)> {
        let slashes = self.pattern.iter().rev().take_while(|&&c| c == point('\\')).count();
        if slashes % 2 == 1 {
            // Every token before is whole, so the last backslash has nothing behind it.
            let remedy = r"write \\ for a backslash";
            return Err(refused("bad escape (end of pattern)", self.pattern.len() - 1, remedy));
        }
        let tree = self.alternation(self.flags & flags::VERBOSE != 0, true)?;
        if self.flags & flags::ASCII == 0 {
            self.flags |= flags::UNICODE;
        } else if self.flags & flags::UNICODE != 0 {
            return Err(match self.types_at {
                Some(position) => {
                    refused("ASCII and UNICODE flags are incompatible", position, "leave one of them out")
                }
                None => refused_argument("flags=ASCII | UNICODE are incompatible", "leave one of them out"),
            });
        }
        if self.index < self.pattern.len() {
            let remedy = r#"remove ")" or escape it as "\)""#;
            return Err(refused("unbalanced parenthesis", self.index, remedy));
        }
        for &(group, position) in &self.conditions {
            if group > self.groups.len() as u64 {
                return Err(self.no_such_group(group, position));
            }
        }
        Ok((tree, self.flags, self.groups.len() as u32))
    }

    // --- tokens ---

    pub(super) fn position(&self) -> usize {
        self.index
    }

    pub(super) fn peek(&self) -> Option<Token> {
        let c = *self.pattern.get(self.index)?;
        if c != point('\\') {
            return Some(Token::Char(c));
        }
        Some(Token::Escape(*self.pattern.get(self.index + 1)?))
    }

    pub(super) fn bump(&mut self) -> Option<Token> {
        let token = self.peek();
        self.index += match token {
            Some(Token::Char(_)) => 1,
            Some(Token::Escape(_)) => 2,
            None => 0,
        };
        token
    }

    pub(super) fn take(&mut self, c: u32) -> bool {
        let found = self.peek() == Some(Token::Char(c));
        if found {
            self.index += 1;
        }
        found
    }

    fn peek_char(&self) -> Option<char> {
        match self.peek() {
            Some(Token::Char(c)) => char::from_u32(c),
            _ => None,
        }
    }

    /// What stands before `end`, which is read too.
    pub(super) fn until(&mut self, end: u32, what: &str, remedy: &str) -> Result<Vec<u32>> {
        let start = self.index;
        loop {
            let before = self.index;
            match self.bump() {
                Some(Token::Char(c)) if c == end => {
                    if before == start {
                        return Err(refused(format!("missing {what}"), start, remedy));
                    }
                    return Ok(self.pattern[start..before].to_vec());
                }
                Some(_) => {}
                None if before == start => return Err(refused(format!("missing {what}"), start, remedy)),
                None => {
                    let end = char::from_u32(end).unwrap_or('\u{FFFD}');
                    return Err(refused(format!("missing {end}, unterminated name"), start, remedy));
                }
            }
        }
    }

    // --- structure ---

    /// Alternatives up to `)` or the end.
    pub(super) fn alternation(&mut self, mut verbose: bool, outermost: bool) -> Result<Sequence> {
        self.depth += 1;
        if self.depth > self.limits.nesting.min(MAX_NESTING).saturating_add(1) {
            return Err(too_deep(self.limits, self.index));
        }
        self.begun += 1;
        self.limits.check_groups(self.begun)?;
        let mut branches = Vec::new();
        loop {
            branches.push(self.sequence(verbose, outermost && branches.is_empty())?);
            if !self.take(point('|')) {
                break;
            }
            if outermost {
                verbose = self.flags & flags::VERBOSE != 0;
            }
        }
        self.depth -= 1;
        Ok(alternatives(branches))
    }

    /// Items up to `|`, `)` or the end. `first`: flags for the whole pattern may stand here.
    fn sequence(&mut self, mut verbose: bool, first: bool) -> Result<Sequence> {
        let mut items: Sequence = Vec::new();
        loop {
            let start = self.index;
            let c = match self.peek() {
                None => break,
                Some(Token::Char(c)) if c == point('|') || c == point(')') => break,
                Some(Token::Escape(letter)) => {
                    self.index += 2;
                    // Verbose mode skips no white space that is escaped.
                    let item = self.escape(letter, start)?;
                    items.push(item);
                    continue;
                }
                Some(Token::Char(c)) => c,
            };
            self.index += 1;
            match char::from_u32(c) {
                Some(' ' | '\t' | '\n' | '\r' | '\x0B' | '\x0C') if verbose => {}
                Some('#') if verbose => self.skip_comment(),
                Some('[') => {
                    let item = self.set(start)?;
                    items.push(item);
                }
                Some(quantifier @ ('*' | '+' | '?' | '{')) => self.quantifier(quantifier, start, &mut items)?,
                Some('.') => items.push(Item::Any),
                Some('^') => items.push(Item::At(At::Beginning)),
                Some('$') => items.push(Item::At(At::End)),
                Some('(') => {
                    let flags_allowed = first && items.is_empty();
                    if let Some(item) = self.group(start, verbose, flags_allowed)? {
                        items.push(item);
                    } else if flags_allowed {
                        verbose = self.flags & flags::VERBOSE != 0;
                    }
                }
                _ => items.push(Item::Literal(c)),
            }
        }
        if items.iter().any(is_plain_group) {
            let mut unpacked = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    Item::Group { index: None, on: 0, off: 0, body, .. } => unpacked.extend(body),
                    item => unpacked.push(item),
                }
            }
            return Ok(unpacked);
        }
        Ok(items)
    }

    fn skip_comment(&mut self) {
        while let Some(token) = self.bump() {
            if token == Token::Char(0x0A) {
                break;
            }
        }
    }

    fn quantifier(&mut self, quantifier: char, start: usize, items: &mut Sequence) -> Result<()> {
        let (min, max) = match quantifier {
            '?' => (0, Some(1)),
            '*' => (0, None),
            '+' => (1, None),
            _ => match self.counts(start)? {
                Some(counts) => counts,
                None => {
                    items.push(Item::Literal(point('{')));
                    return Ok(());
                }
            },
        };
        let body = match items.pop() {
            None | Some(Item::At(_)) => {
                let remedy = format!(r#"put something before "{quantifier}" or escape it as "\{quantifier}""#);
                return Err(refused("nothing to repeat", start, remedy));
            }
            Some(Item::Repeat { .. }) => {
                let remedy = "put the inner repetition in a group, or remove one of the two";
                return Err(refused("multiple repeat", start, remedy));
            }
            Some(Item::Group { index: None, on: 0, off: 0, body, .. }) => body,
            Some(item) => vec![item],
        };
        let kind = if self.take(point('?')) {
            RepeatKind::Lazy
        } else if self.take(point('+')) {
            RepeatKind::Possessive
        } else {
            RepeatKind::Greedy
        };
        let width = Width::of(&body).times(min, max);
        items.push(Item::Repeat { min, max, kind, body, width, position: start });
        Ok(())
    }

    /// The counts of `{…}`; `None` if it is not a quantifier, with the parser behind the brace.
    fn counts(&mut self, start: usize) -> Result<Option<(u32, Option<u32>)>> {
        let here = self.index;
        if self.peek_char() == Some('}') {
            return Ok(None);
        }
        let low = self.digits();
        let high = if self.take(point(',')) { self.digits() } else { low };
        if !self.take(point('}')) {
            self.index = here;
            return Ok(None);
        }
        if low.is_some_and(|n| n >= MAX_REPEAT) || high.is_some_and(|n| n >= MAX_REPEAT) {
            let remedy = format!("repeat at most {} times", MAX_REPEAT - 1);
            return Err(refused("the repetition number is too large", start, remedy));
        }
        if let (Some(low), Some(high)) = (low, high) {
            if high < low {
                let remedy = "write the smaller number first";
                return Err(refused("min repeat greater than max repeat", start, remedy));
            }
        }
        Ok(Some((low.unwrap_or(0) as u32, high.map(|n| n as u32))))
    }

    fn digits(&mut self) -> Option<u64> {
        let mut value = None;
        while let Some(digit) = self.peek_char().filter(char::is_ascii_digit) {
            let digit = u64::from(digit.to_digit(10).unwrap_or(0));
            value = Some(value.unwrap_or(0u64).saturating_mul(10).saturating_add(digit));
            self.index += 1;
        }
        value
    }

    /// A group; the parser stands behind its `(`, which is at `start`. `None`: it leaves nothing in the pattern.
    fn group(&mut self, start: usize, verbose: bool, flags_allowed: bool) -> Result<Option<Item>> {
        if !self.take(point('?')) {
            return self.capture(None, start, verbose).map(Some);
        }
        let letter = self.bump();
        let c = match letter {
            Some(Token::Char(c)) => char::from_u32(c).unwrap_or('\u{FFFD}'),
            Some(Token::Escape(_)) => '\\',
            None => return Err(self.unterminated()),
        };
        match c {
            'P' if self.take(point('<')) => {
                let at = self.index;
                let name = self.until(point('>'), "group name", "write (?P<name>…)")?;
                self.check_name(&name, at)?;
                self.capture(Some((name, at)), start, verbose).map(Some)
            }
            'P' if self.take(point('=')) => {
                let at = self.index;
                let name = self.until(point(')'), "group name", "write (?P=name)")?;
                self.check_name(&name, at)?;
                let group = self.group_named(&name, at)?;
                self.reference(group, start).map(Some)
            }
            'P' => {
                let what = shown(&self.pattern[start + 1..(self.index + 1).min(self.pattern.len())]);
                let remedy = "write (?P<name>…) for a group, (?P=name) for its text again";
                Err(refused(format!("unknown extension {what}"), start, remedy))
            }
            ':' => {
                let body = self.alternation(verbose, false)?;
                self.close()?;
                let width = Width::of(&body);
                Ok(Some(Item::Group { index: None, on: 0, off: 0, body, width }))
            }
            '#' => loop {
                match self.bump() {
                    Some(Token::Char(c)) if c == point(')') => return Ok(None),
                    Some(_) => {}
                    None => {
                        return Err(refused("missing ), unterminated comment", start, r#"add ")" to end it"#));
                    }
                }
            },
            '=' | '!' => self.look(Direction::Ahead, c == '!', start, verbose).map(Some),
            '<' => match self.bump() {
                Some(Token::Char(c)) if c == point('=') || c == point('!') => {
                    self.look(Direction::Behind, c == point('!'), start, verbose).map(Some)
                }
                None => Err(self.unterminated()),
                Some(_) => {
                    let what = shown(&self.pattern[start + 1..self.index]);
                    let remedy = "write (?P<name>…) for a named group, (?<=…) or (?<!…) for a lookbehind";
                    Err(refused(format!("unknown extension {what}"), start, remedy))
                }
            },
            '(' => self.conditional(start, verbose).map(Some),
            '>' => {
                let body = self.alternation(verbose, false)?;
                self.close()?;
                let width = Width::of(&body);
                Ok(Some(Item::Atomic(body, width)))
            }
            '-' => self.flags_group(c, start, verbose, flags_allowed),
            _ if flags::of_letter(point(c), self.minor).is_some() => self.flags_group(c, start, verbose, flags_allowed),
            _ => {
                let what = shown(&self.pattern[start + 1..self.index]);
                let remedy = r#"escape "(" as "\(", or see the syntax of groups in the documentation of re"#;
                Err(refused(format!("unknown extension {what}"), start, remedy))
            }
        }
    }

    fn capture(&mut self, name: Option<(Vec<u32>, usize)>, start: usize, verbose: bool) -> Result<Item> {
        self.groups.push(None);
        let index = self.groups.len() as u32;
        if u64::from(index) + 1 > MAX_GROUPS {
            return Err(refused("too many groups", start, "write (?:…) for groups that need no number"));
        }
        if let Some((name, at)) = name {
            if let Some(before) = self.names.get(&name) {
                let name = shown(&name);
                let message = format!("redefinition of group name '{name}' as group {index}; was group {before}");
                return Err(refused(message, at, "give each group a name of its own"));
            }
            self.names.insert(name, index);
        }
        let body = self.alternation(verbose, false)?;
        self.close()?;
        let width = Width::of(&body);
        self.groups[index as usize - 1] = Some(width);
        Ok(Item::Group { index: Some(index), on: 0, off: 0, body, width })
    }

    fn look(&mut self, direction: Direction, negated: bool, start: usize, verbose: bool) -> Result<Item> {
        let outermost = direction == Direction::Behind && self.lookbehind_groups.is_none();
        if outermost {
            self.lookbehind_groups = Some(self.groups.len() as u32 + 1);
        }
        let body = self.alternation(verbose, false)?;
        if outermost {
            self.lookbehind_groups = None;
        }
        self.close()?;
        let width = Width::of(&body);
        Ok(Item::Look { direction, negated, body, width, position: start })
    }

    fn conditional(&mut self, start: usize, verbose: bool) -> Result<Item> {
        let at = self.index;
        let name = self.until(point(')'), "group name", "write (?(1)yes|no) or (?(name)yes|no)")?;
        let group = match self.number(&name) {
            Some(0) => return Err(refused("bad group number", at, "groups are numbered from 1")),
            Some(number) if number >= MAX_GROUPS => return Err(self.no_such_group(number, at)),
            Some(number) => {
                self.conditions.push((number, at));
                number as u32
            }
            None => {
                self.check_name(&name, at)?;
                self.group_named(&name, at)?
            }
        };
        self.check_lookbehind(group, at)?;
        self.depth += 1;
        if self.depth > self.limits.nesting.min(MAX_NESTING) {
            return Err(too_deep(self.limits, self.index));
        }
        let yes = self.sequence(verbose, false)?;
        let mut width = Width::of(&yes);
        let no = if self.take(point('|')) {
            let no = self.sequence(verbose, false)?;
            if self.peek() == Some(Token::Char(point('|'))) {
                let message = "conditional backref with more than two branches";
                return Err(refused(message, self.index, "put the alternatives in a group: (?(1)…|(?:…|…))"));
            }
            width = width.or(Width::of(&no));
            no
        } else {
            width.min = 0;
            Vec::new()
        };
        self.depth -= 1;
        self.close()?;
        Ok(Item::Conditional { group, yes, no, width, position: start })
    }

    /// The number that a condition names, as this version of the library reads it.
    fn number(&self, name: &[u32]) -> Option<u64> {
        if self.minor >= 12 {
            return self.dialect.number(name).filter(|_| name.iter().all(|&c| c < 0x80));
        }
        // 3.11 takes what `int` takes, and warns.
        let is_space = |c: &u32| matches!(c, 0x09..=0x0D | 0x20);
        let start = name.iter().position(|c| !is_space(c))?;
        let end = name.iter().rposition(|c| !is_space(c))? + 1;
        let digits = name[start..end].strip_prefix(&[point('+')]).unwrap_or(&name[start..end]);
        let parts: Vec<&[u32]> = digits.split(|&c| c == point('_')).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        self.dialect.number(&parts.concat())
    }

    pub(super) fn close(&mut self) -> Result<()> {
        if self.take(point(')')) { Ok(()) } else { Err(self.unterminated()) }
    }

    fn unterminated(&self) -> crate::error::Error {
        refused("unbalanced parenthesis", self.pattern.len(), r#"add ")" or escape "(" as "\(""#)
    }

    // --- names and numbers of groups ---

    fn check_name(&self, name: &[u32], at: usize) -> Result<()> {
        if self.dialect.is_identifier(name)? {
            return Ok(());
        }
        let message = format!("bad character in group name '{}'", shown(name));
        Err(refused(message, at, "a name begins with a letter or _, and goes on with letters, digits and _"))
    }

    fn group_named(&self, name: &[u32], at: usize) -> Result<u32> {
        self.names.get(name).copied().ok_or_else(|| {
            let message = format!("unknown group name '{}'", shown(name));
            refused(message, at, "name a group that stands before it")
        })
    }

    fn no_such_group(&self, group: u64, at: usize) -> crate::error::Error {
        let remedy = match self.groups.len() {
            0 => "the pattern has no groups".to_string(),
            1 => "the pattern has one group".to_string(),
            count => format!("the pattern has {count} groups"),
        };
        refused(format!("invalid group reference {group}"), at, remedy)
    }

    /// The text of a group again, which must have been closed.
    pub(super) fn reference(&mut self, group: u32, start: usize) -> Result<Item> {
        let Some(width) = self.groups.get(group as usize - 1) else {
            let remedy = "a reference must stand behind its group";
            return Err(refused(format!("invalid group reference {group}"), start, remedy));
        };
        let Some(width) = *width else {
            return Err(refused("cannot refer to an open group", start, "put the reference behind the group"));
        };
        self.check_lookbehind(group, start)?;
        Ok(Item::Reference { group, width, position: start })
    }

    fn check_lookbehind(&self, group: u32, at: usize) -> Result<()> {
        let Some(first_inside) = self.lookbehind_groups else { return Ok(()) };
        let remedy = "refer to groups before the lookbehind only";
        if self.groups.get(group as usize - 1).copied().flatten().is_none() {
            return Err(refused("cannot refer to an open group", at, remedy));
        }
        if group >= first_inside {
            let message = "cannot refer to group defined in the same lookbehind subpattern";
            return Err(refused(message, at, remedy));
        }
        Ok(())
    }
}

fn is_plain_group(item: &Item) -> bool {
    matches!(item, Item::Group { index: None, on: 0, off: 0, .. })
}
