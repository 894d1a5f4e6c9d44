//! Text → tree, as the library's own parser reads it.

use std::collections::HashSet;

use super::flags;
use super::groups::Groups;
use super::source::{Source, as_char, as_text};
use super::tree::{Any, At, GroupName, Node, Place};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::syntax::ast::{Direction, RepeatKind};
use crate::syntax::failure::{MAX_NESTING, refused, shown, too_deep};
use crate::syntax::{Dialect, NamedLists};

/// What the library takes for infinite; a count as large is refused.
const UNLIMITED: u64 = 0xFFFF_FFFF;

/// What looking a property up costs: a scan of all characters takes about 15 ms.
const FUEL_OF_PROPERTY: u64 = 300_000;

/// A pattern that is being read.
pub(super) struct Parser<'a> {
    pub source: Source<'a>,
    pub dialect: &'a Dialect,
    pub named_lists: &'a NamedLists,
    limits: &'a Limits,
    /// The flags here.
    pub flags: u32,
    pub global: Global,
    /// Where an encoding was last turned on for what follows.
    pub encoding_at: Option<usize>,
    pub groups: Groups,
    depth: u32,
    /// How many groups were begun.
    begun: u64,
    /// The properties that were asked for: looking one up may take a scan of all characters.
    properties: HashSet<String>,
    /// The first construct that no automaton holds.
    pub not_regular: Option<Error>,
    /// Where the first item ends that folds its case in full.
    pub folds_in_full: Option<usize>,
    /// The named lists that the pattern asked for.
    pub used_lists: Vec<String>,
    /// Whether the language depends on how the library puts alternatives together.
    pub shape_matters: bool,
}

/// Flags for the whole pattern, and the places in the pattern that turned some of them on.
#[derive(Clone)]
pub(super) struct Global {
    pub flags: u32,
    pub places: Vec<(u32, usize)>,
}

impl Global {
    /// Where a flag was turned on; `None`: beside the pattern.
    pub fn place(&self, flag: u32) -> Option<usize> {
        self.places.iter().find(|place| place.0 & flag != 0).map(|place| place.1)
    }
}

/// Why parsing stopped.
pub(super) enum Stop {
    /// A flag for the whole pattern was met; all has to be read again under these.
    Again(Global),
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

type Parsed<T> = std::result::Result<T, Stop>;

/// What came of a quantifier.
enum Quantified {
    Counts(u32, Option<u32>),
    Fuzzy,
    Nothing,
    Literal,
}

impl<'a> Parser<'a> {
    pub fn new(
        text: &'a [u32],
        global: Global,
        dialect: &'a Dialect,
        named_lists: &'a NamedLists,
        limits: &'a Limits,
    ) -> Self {
        let mut source = Source::new(text, &dialect.tables.pattern_space);
        source.ignore_space = global.flags & flags::VERBOSE != 0;
        Parser {
            source,
            dialect,
            named_lists,
            limits,
            flags: global.flags,
            global,
            encoding_at: None,
            groups: Groups::default(),
            depth: 0,
            begun: 0,
            properties: HashSet::new(),
            not_regular: None,
            folds_in_full: None,
            shape_matters: false,
            used_lists: Vec::new(),
        }
    }

    /// Reads the whole pattern.
    pub fn pattern(&mut self) -> Parsed<Node> {
        let node = self.alternatives()?;
        if !self.source.at_end() {
            let remedy = r#"remove ")" or escape it as "\)""#;
            return Err(refused("unbalanced parenthesis", self.source.position, remedy).into());
        }
        Ok(node)
    }

    pub fn is_version_1(&self) -> bool {
        // The default of the library is VERSION0.
        self.flags & flags::VERSIONS == flags::VERSION1
    }

    /// Remembers a construct for the search engine; what follows is still checked.
    pub fn not_regular(&mut self, construct: &str, position: usize) {
        self.not_regular
            .get_or_insert_with(|| Error::NotRegular { construct: construct.to_string(), position: Some(position) });
    }

    pub fn literal(&mut self, c: u32) -> Node {
        let case = self.case();
        Node::Char { c, case }
    }

    /// How case counts here.
    pub fn case(&mut self) -> u32 {
        let case = flags::case(self.flags);
        if case == flags::FULL_IGNORECASE {
            self.folds_in_full.get_or_insert(self.source.position);
        }
        case
    }

    pub fn expect(&mut self, text: &str, remedy: &str) -> Result<()> {
        if self.source.take(text) {
            return Ok(());
        }
        Err(refused(format!("missing {text}"), self.source.position, remedy))
    }

    /// Pays for a property that is looked up, unless it was before.
    pub fn pay_for_property(&mut self, name: Option<&str>, value: &str) -> Result<()> {
        self.properties.insert(format!("{}={value}", name.unwrap_or_default()));
        if (self.properties.len() as u64).saturating_mul(FUEL_OF_PROPERTY) <= self.limits.fuel {
            return Ok(());
        }
        Err(Error::Limit {
            limit: "fuel",
            allowed: self.limits.fuel,
            message: format!(
                "the pattern asks for {} different properties, and looking them up takes more than Limits.fuel = {}: \
                 ask for fewer, or raise it, for instance Limits(fuel={})",
                self.properties.len(),
                self.limits.fuel,
                self.limits.fuel.saturating_mul(4)
            ),
        })
    }

    pub fn enter(&mut self, position: usize) -> Result<()> {
        self.depth += 1;
        if self.depth > self.limits.nesting.min(MAX_NESTING) {
            return Err(too_deep(self.limits, position));
        }
        self.begun += 1;
        self.limits.check_groups(self.begun)
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    fn close(&mut self) -> Result<()> {
        if self.source.take(")") {
            return Ok(());
        }
        let remedy = r#"add ")" or escape "(" as "\(""#;
        Err(refused("unbalanced parenthesis", self.source.text.len(), remedy))
    }

    // --- sequences ---

    fn alternatives(&mut self) -> Parsed<Node> {
        let mut branches = vec![self.sequence()?];
        while self.source.take("|") {
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Branch(branches) })
    }

    /// The alternatives of a group up to its `)`, with the flags restored behind it.
    fn group_body(&mut self, start: usize) -> Parsed<Node> {
        self.enter(start)?;
        let saved = self.flags;
        let node = self.alternatives()?;
        self.close()?;
        self.restore(saved);
        self.leave();
        Ok(node)
    }

    fn restore(&mut self, flags: u32) {
        self.flags = flags;
        self.source.ignore_space = flags & flags::VERBOSE != 0;
    }

    fn sequence(&mut self) -> Parsed<Node> {
        let mut items: Vec<Node> = Vec::new();
        // Whether the last item may be repeated: not behind a quantifier, nor at the start.
        let mut repeatable = false;
        loop {
            let saved = self.source.position;
            let Some(letter) = self.source.get() else {
                self.source.position = saved;
                break;
            };
            let start = self.source.position - 1;
            match as_char(letter) {
                ')' | '|' => {
                    self.source.position = saved;
                    break;
                }
                '\\' => {
                    let node = self.escape(start)?;
                    items.push(node);
                }
                '(' => match self.parenthesis(start)? {
                    Some(node) => items.push(node),
                    None => continue,
                },
                '.' => items.push(Node::Any(if self.flags & flags::DOTALL != 0 {
                    Any::All
                } else if self.flags & flags::WORD != 0 {
                    Any::NotSeparator
                } else {
                    Any::NotNewline
                })),
                '[' => {
                    let node = self.set(start)?;
                    items.push(node);
                }
                c @ ('^' | '$') => items.push(Node::At(self.line_anchor(c))),
                c @ ('?' | '*' | '+' | '{') => match self.quantifier(c)? {
                    Quantified::Counts(min, max) => {
                        self.repeat(&mut items, repeatable, min, max, c, start)?;
                        repeatable = false;
                        continue;
                    }
                    Quantified::Fuzzy => {
                        if !repeatable {
                            let remedy = r#"put something before it, or escape "{" as "\{""#;
                            return Err(refused("nothing for fuzzy constraint", start, remedy).into());
                        }
                        self.not_regular("a fuzzy constraint {…}", start);
                        repeatable = false;
                        continue;
                    }
                    // A constraint that allows no error vanishes.
                    Quantified::Nothing => continue,
                    Quantified::Literal => {
                        let node = self.literal(letter);
                        items.push(node);
                    }
                },
                _ => {
                    let node = self.literal(letter);
                    items.push(node);
                }
            }
            repeatable = true;
        }
        Ok(Node::Sequence(items))
    }

    fn line_anchor(&self, c: char) -> At {
        let multiline = self.flags & flags::MULTILINE != 0;
        let word = self.flags & flags::WORD != 0;
        match (c, multiline, word) {
            ('^', false, _) => At::TextStart,
            ('^', true, false) => At::LineStart,
            ('^', true, true) => At::LineStartSeparator,
            (_, false, false) => At::TextEndOrFinal,
            (_, false, true) => At::TextEndOrFinalSeparator,
            (_, true, false) => At::LineEnd,
            (_, true, true) => At::LineEndSeparator,
        }
    }

    // --- quantifiers ---

    fn quantifier(&mut self, c: char) -> Parsed<Quantified> {
        Ok(match c {
            '?' => Quantified::Counts(0, Some(1)),
            '*' => Quantified::Counts(0, None),
            '+' => Quantified::Counts(1, None),
            _ => match self.limited()? {
                Some((min, max)) => Quantified::Counts(min, max),
                None => match self.fuzzy()? {
                    Some(true) => Quantified::Fuzzy,
                    Some(false) => Quantified::Nothing,
                    None => Quantified::Literal,
                },
            },
        })
    }

    /// `{min,max}` behind its brace; `None` if it is something else, with the source where it was.
    fn limited(&mut self) -> Result<Option<(u32, Option<u32>)>> {
        let saved = self.source.position;
        let min = self.digits();
        let (min, max) = if self.source.take(",") {
            (min.unwrap_or(0), self.digits())
        } else {
            match min {
                Some(count) => (count, Some(count)),
                None => {
                    self.source.position = saved;
                    return Ok(None);
                }
            }
        };
        if !self.source.take("}") {
            self.source.position = saved;
            return Ok(None);
        }
        if min >= UNLIMITED || max.is_some_and(|max| max >= UNLIMITED) {
            let remedy = format!("repeat at most {} times", UNLIMITED - 1);
            return Err(refused("repeat count too big", saved, remedy));
        }
        if max.is_some_and(|max| min > max) {
            let remedy = "write the smaller number first";
            return Err(refused("min repeat greater than max repeat", saved, remedy));
        }
        Ok(Some((min as u32, max.map(|max| max as u32))))
    }

    pub fn digits(&mut self) -> Option<u64> {
        let digits = self.source.get_while(false, |c| c.is_ascii_digit());
        if digits.is_empty() {
            return None;
        }
        Some(digits.iter().fold(0u64, |n, &d| n.saturating_mul(10).saturating_add(u64::from(d - 0x30))))
    }

    fn repeat(
        &mut self,
        items: &mut Vec<Node>,
        repeatable: bool,
        min: u32,
        max: Option<u32>,
        c: char,
        start: usize,
    ) -> Parsed<()> {
        let body = match items.pop() {
            Some(Node::Repeat { .. }) => None,
            Some(body) if repeatable => Some(body),
            Some(_) => None,
            None => {
                let remedy = format!(r#"put something before "{c}" or escape it as "\{c}""#);
                return Err(refused("nothing to repeat", start, remedy).into());
            }
        };
        let Some(body) = body else {
            let remedy = "put the inner repetition in a group, or remove one of the two";
            return Err(refused("multiple repeat", start, remedy).into());
        };
        let saved = self.source.position;
        let kind = match self.source.get_char() {
            Some('?') => RepeatKind::Lazy,
            Some('+') => RepeatKind::Possessive,
            _ => {
                self.source.position = saved;
                RepeatKind::Greedy
            }
        };
        if body.is_empty() || (min == 1 && max == Some(1)) {
            items.push(body);
        } else {
            items.push(Node::Repeat { min, max, kind, body: Box::new(body) });
        }
        Ok(())
    }

    // --- groups ---

    /// Behind `(`, which is at `start`; `None`: it leaves nothing in the pattern.
    fn parenthesis(&mut self, start: usize) -> Parsed<Option<Node>> {
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
        let construct = match &group {
            GroupName::Number(0) => "recursion (?R)".to_string(),
            GroupName::Number(number) => format!("a call of a group (?{number})"),
            GroupName::Name(name) => format!("a call of a group (?&{})", shown(name)),
        };
        self.not_regular(&construct, start);
        self.groups.calls.push((group, start));
        Node::Failure
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

    // --- names ---

    /// A name up to `)` or `>`, which stays.
    pub fn name(&mut self, allow_number: bool) -> Result<GroupName> {
        let start = self.source.position;
        let name = self.source.get_while(false, |c| c != ')' && c != '>');
        match self.parsed_name(&name, allow_number)? {
            Some(name) => Ok(name),
            None if name.is_empty() => Err(refused("missing group name", start, "write the name of a group")),
            None => {
                let message = format!("bad character in group name '{}'", shown(&name));
                let remedy = "a name begins with a letter or _, and goes on with letters, digits and _";
                Err(refused(message, start, remedy))
            }
        }
    }

    pub fn parsed_name(&self, name: &[u32], allow_number: bool) -> Result<Option<GroupName>> {
        if let Some(number) = self.dialect.number(name) {
            return Ok(if allow_number && number >= 1 { Some(GroupName::Number(number)) } else { None });
        }
        Ok(if self.dialect.is_identifier(name)? { Some(GroupName::Name(name.to_vec())) } else { None })
    }

    /// Whether a reference to the group is refused because it is open: not under VERSION1.
    pub fn is_open(&self, name: &GroupName) -> bool {
        !self.is_version_1() && self.groups.is_open(name)
    }

    pub fn reference(&mut self, group: GroupName, position: usize) -> Node {
        if self.groups.is_open(&group) {
            self.not_regular("a reference to a group inside of itself", position);
        }
        let case = flags::case(self.flags);
        if case == flags::FULL_IGNORECASE {
            self.not_regular("a backreference under full case folding", position);
        }
        Node::Reference { group, case, position }
    }
}
