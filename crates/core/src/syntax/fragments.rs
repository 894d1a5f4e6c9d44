//! The flat form of a constraint, as Python hands it over, read into a tree.
//!
//! A fragment is a list of numbers in prefix notation: the code of a node, its operands, its children. Strings and
//! dialects are referred to by index. Front ends that build thousands of nodes make no objects for them, and nothing is
//! printed as the text of a pattern only to be parsed again.
//!
//! What does not follow the notation is [`Error::Malformed`], wherever it stands; reading costs time and memory linear in
//! the list, and its depth is bounded by [`Limits::nesting`].

use super::ast::{Direction, Items, Member, Members, Node, RepeatKind, Table, Tree};
use super::dialect::Dialect;
use super::failure::MAX_NESTING;
use super::quoted::spelled;
use super::searched::searched;
use crate::codepoints::{CodePoints, MAX};
use crate::error::{Error, Result};
use crate::limits::Limits;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// No vocabulary has more tokens.
const MOST_TOKENS: usize = 1 << 30;

/// The codes of the nodes; `python/rellm/_constraints/expression.py` has the same table.
mod code {
    pub const EMPTY: i64 = 0;
    pub const NOTHING: i64 = 1;
    pub const LITERAL: i64 = 2;
    pub const CHOICE: i64 = 3;
    pub const CLASS: i64 = 4;
    pub const SEQUENCE: i64 = 5;
    pub const UNION: i64 = 6;
    pub const REPEAT: i64 = 7;
    pub const INTERSECTION: i64 = 8;
    pub const COMPLEMENT: i64 = 9;
    pub const PATTERN: i64 = 10;
    pub const PART: i64 = 11;
    pub const MARK: i64 = 12;
    pub const RULE: i64 = 13;
    pub const SPECIAL: i64 = 14;
    pub const LOOK: i64 = 15;
    pub const MEMBERS: i64 = 16;
    pub const ITEMS: i64 = 17;
    pub const SPELLED: i64 = 18;
    pub const SEARCHED: i64 = 19;
    pub const AUTOMATON: i64 = 20;
}

/// What a fragment refers to.
pub struct Context<'a> {
    /// The strings, in code points: Python's may hold lone surrogates.
    pub strings: &'a [Vec<u32>],
    /// The dialects of patterns.
    pub dialects: &'a [&'a Dialect],
    /// What reading may cost.
    pub limits: &'a Limits,
}

/// Reads `[number of rules, body of each rule …, root …]`.
///
/// # Errors
/// [`Error::Malformed`]; [`Error::InString`] for a pattern that is not valid in its dialect; [`Error::Limit`].
pub fn read(operations: &[i64], context: &Context<'_>) -> Result<Tree> {
    let mut reader = Reader {
        operations,
        context,
        at: 0,
        depth: 0,
        rules: 0,
        classes: FxHashMap::default(),
        literals: FxHashMap::default(),
        automata: FxHashMap::default(),
    };
    reader.rules = reader.count("rules")?;
    let rules = (0..reader.rules).map(|_| reader.node()).collect::<Result<Vec<_>>>()?;
    let root = reader.node()?;
    if reader.at < operations.len() {
        return Err(reader.malformed("numbers are left over behind the root"));
    }
    Ok(Tree { root, rules })
}

struct Reader<'a> {
    operations: &'a [i64],
    context: &'a Context<'a>,
    at: usize,
    depth: u32,
    rules: usize,
    /// By their ranges as they were given: equal classes are one object, which is looked at once.
    classes: FxHashMap<&'a [i64], Arc<CodePoints>>,
    literals: FxHashMap<usize, Node>,
    automata: FxHashMap<&'a [i64], Arc<Table>>,
}

impl<'a> Reader<'a> {
    fn malformed(&self, what: &str) -> Error {
        Error::Malformed { message: format!("ops: {what}, at index {}", self.at.saturating_sub(1)) }
    }

    fn number(&mut self, name: &str) -> Result<i64> {
        let number = self.operations.get(self.at).copied();
        self.at += 1;
        number.ok_or_else(|| self.malformed(&format!("the list ends where {name} is expected")))
    }

    fn unsigned(&mut self, name: &str) -> Result<u32> {
        let number = self.number(name)?;
        u32::try_from(number).map_err(|_| self.malformed(&format!("{name} is {number}")))
    }

    /// How many of something follow, each at least one number long.
    fn count(&mut self, name: &str) -> Result<usize> {
        let count = self.unsigned(name)? as usize;
        if count > self.operations.len() - self.at {
            return Err(self.malformed(&format!("the list is too short for {count} {name}")));
        }
        Ok(count)
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        match self.number(name)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.malformed(&format!("{name} is {other}, neither 0 nor 1"))),
        }
    }

    fn string(&mut self) -> Result<usize> {
        let index = self.unsigned("the index of a string")? as usize;
        if index >= self.context.strings.len() {
            return Err(self.malformed(&format!("there is no string {index}")));
        }
        Ok(index)
    }

    /// A maximum: `-1` says that there is none.
    fn maximum(&mut self) -> Result<Option<u32>> {
        match self.number("a maximum")? {
            -1 => Ok(None),
            number => u32::try_from(number)
                .ok()
                .filter(|&max| max != u32::MAX)
                .map(Some)
                .ok_or_else(|| self.malformed(&format!("the maximum is {number}"))),
        }
    }

    fn nodes(&mut self, name: &str) -> Result<Vec<Node>> {
        let count = self.count(name)?;
        (0..count).map(|_| self.node()).collect()
    }

    fn boxed(&mut self) -> Result<Box<Node>> {
        self.node().map(Box::new)
    }

    fn node(&mut self) -> Result<Node> {
        let allowed = self.context.limits.nesting.min(MAX_NESTING);
        if self.depth >= allowed {
            return Err(Error::Limit {
                limit: "nesting",
                allowed: u64::from(allowed),
                message: format!(
                    "the constraint's parts are nested more than {allowed} deep (Limits.nesting): give inner parts a \
                     rule of their own, or raise the limit (it counts up to {MAX_NESTING})"
                ),
            });
        }
        self.depth += 1;
        let node = self.node_inside();
        self.depth -= 1;
        node
    }

    fn node_inside(&mut self) -> Result<Node> {
        Ok(match self.number("a code")? {
            code::EMPTY => Node::Empty,
            code::NOTHING => Node::Nothing,
            code::LITERAL => {
                let index = self.string()?;
                self.literal(index)
            }
            code::CHOICE => {
                let count = self.count("strings")?;
                let mut texts = Vec::with_capacity(count);
                for _ in 0..count {
                    let index = self.string()?;
                    texts.push(self.literal(index));
                }
                Node::Alternation(texts)
            }
            code::CLASS => self.class()?,
            code::SEQUENCE => Node::Sequence(self.nodes("parts of a sequence")?),
            code::UNION => Node::Alternation(self.nodes("alternatives")?),
            code::REPEAT => {
                let (min, max) = (self.unsigned("a minimum")?, self.maximum()?);
                if min == u32::MAX || max.is_some_and(|max| max < min) {
                    return Err(self.malformed(&format!("a repetition's bounds are {min} and {max:?}")));
                }
                Node::Repeat { node: self.boxed()?, min, max, kind: RepeatKind::Greedy }
            }
            code::INTERSECTION => Node::Intersection(self.nodes("languages")?),
            code::COMPLEMENT => Node::Complement(self.boxed()?),
            code::PATTERN => self.pattern()?,
            code::PART => Node::Part(self.boxed()?),
            code::MARK => Node::Marked { number: self.unsigned("the number of a mark")?, node: self.boxed()? },
            code::RULE => {
                let rule = self.unsigned("the number of a rule")?;
                if rule as usize >= self.rules {
                    return Err(self.malformed(&format!("there is no rule {rule}")));
                }
                Node::Rule(rule)
            }
            code::SPECIAL => {
                let ids = self.numbers("ids of special tokens", MOST_TOKENS)?;
                Node::Special(ids.into())
            }
            code::LOOK => {
                let direction = match self.flag("the direction of a lookaround")? {
                    false => Direction::Ahead,
                    true => Direction::Behind,
                };
                let negated = self.flag("whether a lookaround is negated")?;
                Node::Look { direction, negated, node: self.boxed()?, position: None }
            }
            code::MEMBERS => self.members()?,
            code::ITEMS => self.items()?,
            code::SPELLED => {
                let spelling = self.number("a spelling")?;
                if spelling != 0 {
                    return Err(self.malformed(&format!("there is no spelling {spelling}")));
                }
                let child = self.node()?;
                spelled(&child).map_err(|what| self.malformed(&format!("{what} cannot be spelled")))?
            }
            code::SEARCHED => match self.node()? {
                Node::Pattern { pattern, string } => Node::Pattern { pattern: Arc::new(searched(&pattern)), string },
                _ => return Err(self.malformed("what is searched for is no pattern")),
            },
            code::AUTOMATON => self.automaton()?,
            other => return Err(self.malformed(&format!("there is no node of code {other}"))),
        })
    }

    /// A string as a node; one with a lone surrogate is no text that can be written.
    fn literal(&mut self, index: usize) -> Node {
        let strings = self.context.strings;
        let read = || match strings[index].iter().map(|&c| char::from_u32(c)).collect::<Option<Arc<[char]>>>() {
            Some(characters) if characters.is_empty() => Node::Empty,
            Some(characters) => Node::Literal(characters),
            None => Node::Nothing,
        };
        self.literals.entry(index).or_insert_with(read).clone()
    }

    fn members(&mut self) -> Result<Node> {
        let (min, max, ordered) =
            (self.unsigned("a minimum")?, self.maximum()?, self.flag("whether keys are ordered")?);
        let keys = self.count("keys")?;
        let others = self.count("classes of members")?;
        let guards = self.count("guards")?;
        let (first, between, close) = (self.node()?, self.node()?, self.node()?);
        let mut members = Members {
            min,
            max,
            ordered,
            first,
            between,
            close,
            keys: Vec::with_capacity(keys),
            others: Vec::with_capacity(others),
            guards: Vec::with_capacity(guards),
        };
        for _ in 0..keys {
            let string = self.string()?;
            let key = self.context.strings[string].iter().map(|&c| char::from_u32(c)).collect();
            let required = self.flag("whether a key is required")?;
            members.keys.push(Member { key, required, follow: self.node()? });
        }
        let given = self.context.strings.len();
        let mut texts: Vec<_> = members.keys.iter().filter_map(|member| member.key.as_ref()).collect();
        texts.sort_unstable();
        if texts.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.malformed(&format!("a key is declared twice, among {given} strings")));
        }
        for _ in 0..others {
            members.others.push((self.node()?, self.node()?));
        }
        for _ in 0..guards {
            let all = self.numbers("members of a guard", keys + others)?;
            members.guards.push((all, self.numbers("members of a guard", keys + others)?));
        }
        Ok(Node::Members(Box::new(members)))
    }

    /// A list of numbers below `end`.
    fn numbers(&mut self, name: &str, end: usize) -> Result<Vec<u32>> {
        let count = self.count(name)?;
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.unsigned(name)?;
            if number as usize >= end {
                return Err(self.malformed(&format!("{number} is above the highest number of {name}, {end} in all")));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn items(&mut self) -> Result<Node> {
        let (min, max) = (self.unsigned("a minimum")?, self.maximum()?);
        let places = self.count("places of items")?;
        let count = self.count("counters")?;
        let mut counters = Vec::with_capacity(count);
        for _ in 0..count {
            counters.push((self.unsigned("a counter's minimum")?, self.maximum()?));
        }
        let (first, between, close) = (self.node()?, self.node()?, self.node()?);
        let mut groups = Vec::with_capacity(places + 1);
        for _ in 0..=places {
            let ways = self.count("ways to write an item")?;
            let mut group = Vec::with_capacity(ways);
            for _ in 0..ways {
                let adds = self.numbers("counters", counters.len())?;
                group.push((adds, self.node()?));
            }
            groups.push(group);
        }
        Ok(Node::Items(Box::new(Items { min, max, counters, first, between, close, groups })))
    }

    fn automaton(&mut self) -> Result<Node> {
        let begin = self.at;
        let count = self.count("classes of an automaton")?;
        let mut classes: Vec<Arc<CodePoints>> = Vec::with_capacity(count);
        for _ in 0..count {
            let class = self.ranges()?;
            if classes.iter().any(|other| !other.intersection(&class).is_empty()) {
                return Err(self.malformed("two classes of an automaton have a character in common"));
            }
            classes.push(class);
        }
        let count = self.count("states of an automaton")?;
        let mut states = Vec::with_capacity(count);
        for _ in 0..count {
            let accepting = self.flag("whether a state is accepting")?;
            let mut targets = Vec::with_capacity(classes.len());
            for _ in 0..classes.len() {
                targets.push(match self.number("a state")? {
                    -1 => None,
                    target => match u32::try_from(target).ok().filter(|&target| (target as usize) < count) {
                        Some(target) => Some(target),
                        None => return Err(self.malformed(&format!("there is no state {target}"))),
                    },
                });
            }
            states.push((accepting, targets.into()));
        }
        if states.is_empty() {
            return Err(self.malformed("an automaton has no state"));
        }
        let given = &self.operations[begin..self.at];
        let made = || Arc::new(Table { classes, states });
        Ok(Node::Table(Arc::clone(self.automata.entry(given).or_insert_with(made))))
    }

    fn class(&mut self) -> Result<Node> {
        self.ranges().map(Node::Class)
    }

    fn ranges(&mut self) -> Result<Arc<CodePoints>> {
        let count = self.count("ranges of a class")?;
        let numbers = self.operations.get(self.at..self.at + 2 * count);
        let Some(numbers) = numbers else {
            return Err(self.malformed(&format!("the list is too short for {count} ranges of a class")));
        };
        self.at += 2 * count;
        if let Some(known) = self.classes.get(numbers) {
            return Ok(Arc::clone(known));
        }
        let mut ranges = Vec::with_capacity(count);
        for pair in numbers.chunks_exact(2) {
            match (u32::try_from(pair[0]), u32::try_from(pair[1])) {
                (Ok(lo), Ok(hi)) if lo <= hi && hi <= MAX => ranges.push((lo, hi)),
                _ => return Err(self.malformed(&format!("{}..{} is no range of code points", pair[0], pair[1]))),
            }
        }
        let class = Arc::new(CodePoints::from_ranges(ranges));
        self.classes.insert(numbers, Arc::clone(&class));
        Ok(class)
    }

    fn pattern(&mut self) -> Result<Node> {
        let string = self.string()?;
        let flags = self.unsigned("the flags of a pattern")?;
        let dialect = self.unsigned("the index of a dialect")? as usize;
        let Some(&dialect) = self.context.dialects.get(dialect) else {
            return Err(self.malformed(&format!("there is no dialect {dialect}")));
        };
        let count = self.count("named lists")?;
        let mut lists = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.string()?;
            let name = self.context.strings[name].iter().map(|&c| char::from_u32(c).unwrap_or('\u{FFFD}')).collect();
            let count = self.count("strings of a named list")?;
            let mut texts = Vec::with_capacity(count);
            for _ in 0..count {
                let index = self.string()?;
                texts.push(self.context.strings[index].clone());
            }
            lists.push((name, texts));
        }
        let parsed = super::parse(&self.context.strings[string], flags, dialect, &lists, self.context.limits);
        let pattern = parsed.map_err(|error| Error::InString { string, error: Box::new(error) })?;
        Ok(Node::Pattern { pattern: Arc::new(pattern), string: Some(string) })
    }
}
