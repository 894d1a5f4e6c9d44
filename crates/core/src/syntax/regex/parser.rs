//! Text → tree, as the library's own parser reads it.

use std::collections::HashSet;

use super::flags;
use super::fuzzy::FuzzyCosts;
use super::groups::Groups;
use super::source::{Source, as_char};
use super::tree::{Any, At, GroupName, Node};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::syntax::ast::RepeatKind;
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
    pub limits: &'a Limits,
    /// The flags here.
    pub flags: u32,
    pub global: Global,
    /// Where an encoding was last turned on for what follows.
    pub encoding_at: Option<usize>,
    pub groups: Groups,
    pub depth: u32,
    /// How many groups were begun.
    pub begun: u64,
    /// The properties that were asked for: looking one up may take a scan of all characters.
    pub properties: HashSet<String>,
    /// The first construct that no automaton holds.
    pub not_regular: Option<Error>,
    /// Where the first item ends that folds its case in full.
    pub folds_in_full: Option<usize>,
    /// The named lists that the pattern asked for.
    pub used_lists: Vec<String>,
    /// Whether the language depends on how the library puts alternatives together.
    pub shape_matters: bool,
    /// Where the first fuzzy constraint stands.
    pub fuzzy_at: Option<usize>,
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

pub(super) type Parsed<T> = std::result::Result<T, Stop>;

/// What came of a quantifier.
enum Quantified {
    Counts(u32, Option<u32>),
    Fuzzy(Box<FuzzyCosts>),
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
            fuzzy_at: None,
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

    pub fn close(&mut self) -> Result<()> {
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
    pub fn group_body(&mut self, start: usize) -> Parsed<Node> {
        self.enter(start)?;
        let saved = self.flags;
        let node = self.alternatives()?;
        self.close()?;
        self.restore(saved);
        self.leave();
        Ok(node)
    }

    pub fn restore(&mut self, flags: u32) {
        self.flags = flags;
        self.source.ignore_space = flags & flags::VERBOSE != 0;
    }

    pub fn sequence(&mut self) -> Parsed<Node> {
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
                '.' => items.push(Node::Any(self.dot())),
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
                    Quantified::Fuzzy(costs) => {
                        let Some(body) = items.pop().filter(|_| repeatable) else {
                            let remedy = r#"put something before it, or escape "{" as "\{""#;
                            return Err(refused("nothing for fuzzy constraint", start, remedy).into());
                        };
                        items.push(self.with_errors(body, *costs, start));
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

    /// What `.` matches here.
    pub fn dot(&self) -> Any {
        if self.flags & flags::DOTALL != 0 {
            Any::All
        } else if self.flags & flags::WORD != 0 {
            Any::NotSeparator
        } else {
            Any::NotNewline
        }
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
                    Some(costs) if costs.is_fuzzy() => Quantified::Fuzzy(Box::new(costs)),
                    Some(_) => Quantified::Nothing,
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
