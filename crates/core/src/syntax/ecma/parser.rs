//! Text → tree.

use super::classes;
use crate::codepoints::{CodePoints, MAX};
use crate::error::Result;
use crate::limits::Limits;
use crate::syntax::Dialect;
use crate::syntax::ast::{Assertion, CaseMapping, Direction, Node, Pattern, RepeatKind, WordAssertion};
use crate::syntax::failure::{MAX_NESTING, refused, shown, too_deep};
use std::collections::HashMap;
use std::sync::Arc;

/// Counts beyond this are as good as without bound, and are refused as a minimum.
const MAX_COUNT: u64 = u32::MAX as u64 - 1;

/// A pattern that is being read.
pub struct Parser<'a> {
    pattern: &'a [u32],
    dialect: &'a Dialect,
    limits: &'a Limits,
    index: usize,
    depth: u32,
    /// The groups that were opened so far.
    groups: u32,
    /// All groups of the pattern by name, those behind a reference too.
    names: HashMap<Vec<u32>, u32>,
    total_groups: u32,
    /// Groups that are closed: only these have a text.
    closed: Vec<u32>,
}

/// A member of a class.
enum Member {
    One(u32),
    Set(CodePoints),
}

impl<'a> Parser<'a> {
    pub fn new(pattern: &'a [u32], dialect: &'a Dialect, limits: &'a Limits) -> Self {
        Parser {
            pattern,
            dialect,
            limits,
            index: 0,
            depth: 0,
            groups: 0,
            names: HashMap::new(),
            total_groups: 0,
            closed: Vec::new(),
        }
    }

    /// The pattern's tree and the number of its groups.
    pub fn parse(mut self) -> Result<Pattern> {
        self.find_groups()?;
        let root = self.alternatives()?;
        if self.index < self.pattern.len() {
            let remedy = r#"remove ")" or escape it as "\)""#;
            return Err(refused("unbalanced parenthesis", self.index, remedy));
        }
        Ok(Pattern { root, groups: self.groups, called: Vec::new() })
    }

    /// Numbers and names of all groups: a reference may stand before its group.
    fn find_groups(&mut self) -> Result<()> {
        let (mut at, mut in_class) = (0, false);
        while at < self.pattern.len() {
            match self.char_at(at) {
                Some('\\') => at += 1,
                Some('[') => in_class = true,
                Some(']') => in_class = false,
                Some('(') if !in_class => {
                    if self.char_at(at + 1) != Some('?') {
                        self.total_groups += 1;
                    } else if self.char_at(at + 2) == Some('<') && !matches!(self.char_at(at + 3), Some('=' | '!')) {
                        self.total_groups += 1;
                        let name: Vec<u32> =
                            self.pattern[at + 3..].iter().copied().take_while(|&c| c != u32::from('>')).collect();
                        if self.names.insert(name.clone(), self.total_groups).is_some() {
                            let message = format!("the group name '{}' stands twice", shown(&name));
                            return Err(refused(message, at + 2, "give each group a name of its own"));
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.pattern.get(at).and_then(|&c| char::from_u32(c))
    }

    fn peek(&self) -> Option<char> {
        self.char_at(self.index)
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.index += usize::from(found);
        found
    }

    /// Alternatives up to `)` or the end.
    fn alternatives(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > self.limits.nesting.min(MAX_NESTING).saturating_add(1) {
            return Err(too_deep(self.limits, self.index));
        }
        let mut branches = vec![self.sequence()?];
        while self.take('|') {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alternation(branches) })
    }

    /// Terms up to `|`, `)` or the end.
    fn sequence(&mut self) -> Result<Node> {
        let mut nodes = Vec::new();
        while let Some(&c) = self.pattern.get(self.index) {
            if c == u32::from('|') || c == u32::from(')') {
                break;
            }
            let start = self.index;
            let node = self.term(c, start)?;
            let node = self.quantified(node)?;
            nodes.push(node);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    fn term(&mut self, c: u32, start: usize) -> Result<Node> {
        self.index += 1;
        Ok(match char::from_u32(c) {
            Some('^') => Node::Assertion(Assertion::TextStart),
            Some('$') => Node::Assertion(Assertion::TextEnd),
            Some('.') => class(classes::dot()),
            Some('(') => self.group(start)?,
            Some('[') => self.class(start)?,
            Some('\\') => self.escape(start)?,
            Some(sign @ ('*' | '+' | '?')) => {
                let remedy = format!(r#"put something before "{sign}" or escape it as "\{sign}""#);
                return Err(refused("nothing to repeat", start, remedy));
            }
            Some('{') if self.counts(start)?.is_some() => {
                return Err(refused("nothing to repeat", start, r#"put something before "{" or escape it as "\{""#));
            }
            Some('{') => {
                self.index = start + 1;
                Node::Char('{')
            }
            Some(other) => Node::Char(other),
            None => self.lone_surrogate(c),
        })
    }

    /// A high surrogate and the low one behind it are one character; others are in no text.
    fn lone_surrogate(&mut self, c: u32) -> Node {
        if let Some(&low) = self.pattern.get(self.index) {
            if let Some(joined) = joined(c, low) {
                self.index += 1;
                return char::from_u32(joined).map_or(Node::Nothing, Node::Char);
            }
        }
        Node::Nothing
    }

    fn quantified(&mut self, node: Node) -> Result<Node> {
        let start = self.index;
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts(start)? {
                Some(counts) => counts,
                None => {
                    self.index = start;
                    return Ok(node);
                }
            },
            _ => return Ok(node),
        };
        if self.peek() != Some('{') && self.index == start {
            self.index += 1;
        }
        let kind = if self.take('?') { RepeatKind::Lazy } else { RepeatKind::Greedy };
        if let Some(sign @ ('*' | '+' | '?')) = self.peek() {
            let message = "multiple repeat";
            return Err(refused(
                message,
                self.index,
                format!(r#"put the inner repetition in a group, or remove "{sign}""#),
            ));
        }
        if matches!(node, Node::Assertion(_)) || matches!(node, Node::Look { direction: Direction::Behind, .. }) {
            return Err(refused("nothing to repeat", start, "remove the repetition: it stands behind a condition"));
        }
        Ok(Node::Repeat { node: Box::new(node), min, max, kind })
    }

    /// The counts of `{…}`, read from `start`; `None` if it is no quantifier. The parser stands behind it.
    fn counts(&mut self, start: usize) -> Result<Option<(u32, Option<u32>)>> {
        self.index = start + 1;
        let Some(low) = self.digits() else { return Ok(None) };
        let high = if self.take(',') { self.digits() } else { Some(low) };
        if !self.take('}') {
            return Ok(None);
        }
        if low > MAX_COUNT {
            return Err(refused(
                "the repetition number is too large",
                start,
                format!("repeat at most {MAX_COUNT} times"),
            ));
        }
        if high.is_some_and(|high| high < low) {
            return Err(refused("min repeat greater than max repeat", start, "write the smaller number first"));
        }
        Ok(Some((low as u32, high.filter(|&n| n <= MAX_COUNT).map(|n| n as u32))))
    }

    fn digits(&mut self) -> Option<u64> {
        let mut value = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = Some(value.unwrap_or(0u64).saturating_mul(10).saturating_add(u64::from(digit)));
            self.index += 1;
        }
        value
    }

    // --- groups ---

    /// A group; the parser stands behind its `(`, which is at `start`.
    fn group(&mut self, start: usize) -> Result<Node> {
        if !self.take('?') {
            return self.capture(start);
        }
        let at = self.index;
        match (self.peek(), self.char_at(at + 1)) {
            (Some(':'), _) => {
                self.index = at + 1;
                self.body(start)
            }
            (Some(sign @ ('=' | '!')), _) => {
                self.index = at + 1;
                self.look(Direction::Ahead, sign == '!', start)
            }
            (Some('<'), Some(sign @ ('=' | '!'))) => {
                self.index = at + 2;
                self.look(Direction::Behind, sign == '!', start)
            }
            (Some('<'), _) => {
                self.name(start)?;
                self.capture(start)
            }
            _ => {
                let what = shown(&self.pattern[start..(at + 1).min(self.pattern.len())]);
                let remedy = "ECMA-262 has (?:…), (?<name>…), (?=…), (?!…), (?<=…) and (?<!…)";
                Err(refused(format!("unknown extension {what}"), start, remedy))
            }
        }
    }

    fn capture(&mut self, start: usize) -> Result<Node> {
        self.groups += 1;
        let index = self.groups;
        let node = Box::new(self.body(start)?);
        self.closed.push(index);
        Ok(Node::Group { index, node })
    }

    fn look(&mut self, direction: Direction, negated: bool, start: usize) -> Result<Node> {
        let node = Box::new(self.body(start)?);
        Ok(Node::Look { direction, negated, node, position: Some(start) })
    }

    fn body(&mut self, start: usize) -> Result<Node> {
        let node = self.alternatives()?;
        if !self.take(')') {
            let remedy = r#"add ")" or escape "(" as "\(""#;
            return Err(refused("unbalanced parenthesis", start, remedy));
        }
        Ok(node)
    }

    /// The name in `<…>`; the parser stands at the `<`.
    fn name(&mut self, start: usize) -> Result<Vec<u32>> {
        let remedy = "write a name of letters, digits and _ in < >";
        let from = self.index + 1;
        let length = self.pattern[from.min(self.pattern.len())..].iter().position(|&c| c == u32::from('>'));
        let Some(length) = length.filter(|&length| self.peek() == Some('<') && length > 0) else {
            return Err(refused("missing group name", start, remedy));
        };
        let name = self.pattern[from..from + length].to_vec();
        let is_plain = |c: char| c == '_' || c == '$' || c.is_alphanumeric() || c == '\u{200C}' || c == '\u{200D}';
        let is_name = name.iter().all(|&c| char::from_u32(c).is_some_and(is_plain));
        if !is_name || char::from_u32(name[0]).is_some_and(|c| c.is_numeric()) {
            return Err(refused(format!("bad group name '{}'", shown(&name)), start, remedy));
        }
        self.index = from + length + 1;
        Ok(name)
    }

    /// The text of a group again; one that has not matched is the empty text.
    fn reference(&self, group: u32, position: usize) -> Node {
        if !self.closed.contains(&group) {
            return Node::Empty;
        }
        let again = Node::Backreference { groups: vec![group], case: CaseMapping::Exact, position };
        Node::Conditional { groups: vec![group], yes: Box::new(again), no: Box::new(Node::Empty), position }
    }

    // --- escapes ---

    /// An escape outside of a class; the parser stands behind its backslash.
    fn escape(&mut self, start: usize) -> Result<Node> {
        match self.peek() {
            Some(letter @ ('b' | 'B')) => {
                self.index += 1;
                let kind = if letter == 'b' { WordAssertion::Boundary } else { WordAssertion::NotBoundary };
                Ok(Node::Assertion(Assertion::Word { word: Arc::new(classes::word()), kind }))
            }
            Some('k') => {
                self.index += 1;
                let name = self.name(start)?;
                match self.names.get(&name) {
                    Some(&group) => Ok(self.reference(group, start)),
                    None => {
                        let message = format!("unknown group name '{}'", shown(&name));
                        Err(refused(message, start, "name a group of the pattern"))
                    }
                }
            }
            Some('1'..='9') => {
                let group = self.digits().unwrap_or(0);
                if group > u64::from(self.total_groups) {
                    let message = format!("invalid group reference {group}");
                    return Err(refused(message, start, "refer to a group of the pattern"));
                }
                Ok(self.reference(group as u32, start))
            }
            _ => Ok(match self.class_escape(start)? {
                Member::One(c) => char::from_u32(c).map_or(Node::Nothing, Node::Char),
                Member::Set(set) => class(set),
            }),
        }
    }

    /// An escape that stands for characters; the parser stands behind its backslash.
    fn class_escape(&mut self, start: usize) -> Result<Member> {
        let Some(&letter) = self.pattern.get(self.index) else {
            return Err(refused("bad escape (end of pattern)", start, r"write \\ for a backslash"));
        };
        self.index += 1;
        if let Some(set) = classes::of_letter(letter) {
            return Ok(Member::Set(set));
        }
        let c = char::from_u32(letter).unwrap_or('\u{FFFD}');
        Ok(Member::One(match c {
            't' => 0x09,
            'n' => 0x0A,
            'v' => 0x0B,
            'f' => 0x0C,
            'r' => 0x0D,
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => 0,
            'c' => match self.peek().filter(char::is_ascii_alphabetic) {
                Some(letter) => {
                    self.index += 1;
                    u32::from(letter) % 32
                }
                None => return Err(refused(r"bad escape \c", start, "write a letter behind it")),
            },
            'x' => self.hexadecimal(2, start)?,
            'u' => self.unicode(start)?,
            'p' | 'P' => return self.property(c == 'P', start),
            _ if c.is_ascii_alphanumeric() => {
                let remedy = match c {
                    'A' => "write ^",
                    'Z' | 'z' => "write $",
                    _ => "ECMA-262 has no such escape; leave the backslash out if the letter is meant",
                };
                return Err(refused(format!(r"bad escape \{c}"), start, remedy));
            }
            _ => letter,
        }))
    }

    fn hexadecimal(&mut self, count: usize, start: usize) -> Result<u32> {
        let digits = self.pattern.get(self.index..self.index + count);
        let value = digits.and_then(|digits| {
            digits.iter().try_fold(0, |value, &c| Some(value * 16 + char::from_u32(c)?.to_digit(16)?))
        });
        self.index += count;
        value.ok_or_else(|| refused("incomplete escape", start, format!("write {count} hexadecimal digits")))
    }

    fn unicode(&mut self, start: usize) -> Result<u32> {
        if !self.take('{') {
            let unit = self.hexadecimal(4, start)?;
            let after = self.index;
            if (0xD800..0xDC00).contains(&unit) && self.take('\\') && self.take('u') && self.peek() != Some('{') {
                if let Some(point) = self.hexadecimal(4, after).ok().and_then(|low| joined(unit, low)) {
                    return Ok(point);
                }
            }
            self.index = after;
            return Ok(unit);
        }
        let mut value = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
            value = Some(value.unwrap_or(0u32).saturating_mul(16).saturating_add(digit));
            self.index += 1;
        }
        match value.filter(|&c| c <= MAX && self.peek() == Some('}')) {
            Some(c) => {
                self.index += 1;
                Ok(c)
            }
            None => Err(refused("bad code point", start, r"write hexadecimal digits up to 10FFFF in \u{ }")),
        }
    }

    fn property(&mut self, negated: bool, start: usize) -> Result<Member> {
        let length = self.pattern[self.index..].iter().position(|&c| c == u32::from('}'));
        let Some(length) = length.filter(|_| self.peek() == Some('{')) else {
            return Err(refused("missing property name", start, r"write \p{Letter}, say"));
        };
        let name = &self.pattern[self.index + 1..self.index + length];
        let Some(set) = classes::of_property(name, self.dialect)? else {
            let message = format!("unknown property '{}'", shown(name));
            return Err(refused(message, start, "use a name that Unicode gives"));
        };
        self.index += length + 1;
        Ok(Member::Set(if negated { set.complement() } else { set }))
    }

    // --- classes ---

    /// A class; the parser stands behind its `[`, which is at `start`.
    fn class(&mut self, start: usize) -> Result<Node> {
        let negated = self.take('^');
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        loop {
            if self.take(']') {
                break;
            }
            let before = self.index;
            let member = self.member(start)?;
            let is_range = self.peek() == Some('-') && !matches!(self.char_at(self.index + 1), Some(']') | None);
            if !is_range {
                match member {
                    Member::One(c) => ranges.push((c, c)),
                    Member::Set(set) => ranges.extend(set.ranges()),
                }
                continue;
            }
            self.index += 1;
            match (member, self.member(start)?) {
                (Member::One(low), Member::One(high)) if low <= high => ranges.push((low, high)),
                (Member::One(_), Member::One(_)) => {
                    let range = shown(&self.pattern[before..self.index]);
                    let message = format!("bad character range {range}");
                    return Err(refused(message, before, "write the lower character first"));
                }
                // Without the flag u, a hyphen beside a set stands for itself.
                (first, second) => {
                    ranges.push((u32::from('-'), u32::from('-')));
                    for member in [first, second] {
                        match member {
                            Member::One(c) => ranges.push((c, c)),
                            Member::Set(set) => ranges.extend(set.ranges()),
                        }
                    }
                }
            }
        }
        let set = CodePoints::from_ranges(ranges);
        Ok(class(if negated { set.complement() } else { set }))
    }

    fn member(&mut self, class_start: usize) -> Result<Member> {
        let start = self.index;
        let Some(&c) = self.pattern.get(start) else {
            let remedy = r#"add "]" or escape "[" as "\[""#;
            return Err(refused("unterminated character set", class_start, remedy));
        };
        self.index += 1;
        if c != u32::from('\\') {
            if let Some(point) = self.pattern.get(self.index).and_then(|&low| joined(c, low)) {
                self.index += 1;
                return Ok(Member::One(point));
            }
            return Ok(Member::One(c));
        }
        match self.peek() {
            Some('b') => {
                self.index += 1;
                Ok(Member::One(0x08))
            }
            _ => self.class_escape(start),
        }
    }
}

/// The character of two surrogates.
fn joined(high: u32, low: u32) -> Option<u32> {
    let is_pair = (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low);
    is_pair.then(|| 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

fn class(set: CodePoints) -> Node {
    match set.only().and_then(char::from_u32) {
        Some(c) => Node::Char(c),
        None if set.is_empty() => Node::Nothing,
        None => Node::Class(Arc::new(set)),
    }
}
