//! The tree of `regex` → expression.

use super::calls;
use super::class::Classes;
use super::flags::{FULL_IGNORECASE, IGNORECASE};
use super::groups::Groups;
use super::tree::{Any, At, GroupName, Node as Tree};
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::syntax::Dialect;
use crate::syntax::ast::{Assertion, CaseMapping, Direction, Fuzzy, Node, WordAssertion};
use crate::syntax::failure::refused;
use std::sync::Arc;

/// A folded literal may become so many nodes; a longer one is a case for the search engine.
const MAX_FOLDED_NODES: usize = 10_000;

/// Turns trees into nodes.
pub struct Lowering<'a> {
    dialect: &'a Dialect,
    classes: Classes<'a>,
    groups: &'a Groups,
    separators: Arc<CodePoints>,
    has_simple_start: bool,
    /// The numbers of the groups that are called.
    called: Vec<u32>,
}

impl<'a> Lowering<'a> {
    pub fn new(dialect: &'a Dialect, classes: Classes<'a>, groups: &'a Groups, tree: &Tree) -> Self {
        Lowering {
            dialect,
            classes,
            groups,
            separators: Arc::new(classes.separators()),
            has_simple_start: tree.has_simple_start(),
            called: calls::numbers(groups),
        }
    }

    pub fn node(&self, tree: &Tree) -> Result<Node> {
        Ok(match tree {
            Tree::Char { c, case } => self.character(*c, *case)?,
            Tree::Set { set, case, at } => {
                let ignore_case = case & IGNORECASE != 0;
                if ignore_case && !self.has_simple_start && self.classes.compares_in_its_own_way(set)? {
                    let construct = "a property of case with case ignored, behind an uncertain beginning".to_string();
                    return Err(Error::NotRegular { construct, position: at.0 });
                }
                Node::Class(self.classes.set(set, ignore_case).map_err(|error| error.or_at(at.0))?)
            }
            Tree::Folded(text) => self.folded(text)?,
            Tree::Any(Any::All) => Node::Class(self.dialect.sets.all.clone()),
            Tree::Any(Any::NotNewline) => Node::Class(self.dialect.sets.not_newline.clone()),
            Tree::Any(Any::NotSeparator) => Node::Class(Arc::new(self.separators.complement())),
            Tree::Sequence(items) => match &items[..] {
                [] => Node::Empty,
                [item] => self.node(item)?,
                items => Node::Sequence(self.nodes(items)?),
            },
            Tree::Branch(branches) => Node::Alternation(self.nodes(branches)?),
            Tree::Repeat { min, max, kind, body } => {
                Node::Repeat { node: self.boxed(body)?, min: *min, max: *max, kind: *kind }
            }
            Tree::Group { index, body } => Node::Group { index: *index, node: self.boxed(body)? },
            Tree::Fuzzy { body, limits, test, position } => {
                let characters = match test.as_ref().map(|test| self.node(test)).transpose()? {
                    None => None,
                    Some(Node::Class(set)) => Some(set),
                    Some(Node::Char(c)) => Some(Arc::new(CodePoints::single(c.into()))),
                    Some(_) => {
                        let construct = "a fuzzy constraint with a test of more than a character".to_string();
                        return Err(Error::NotRegular { construct, position: Some(*position) });
                    }
                };
                let node = self.node(body)?;
                Node::Fuzzy(Box::new(Fuzzy { node, limits: limits.clone(), characters, position: *position }))
            }
            Tree::Atomic(body) => Node::Atomic(self.boxed(body)?),
            Tree::Look { direction, negated, body, at } => {
                Node::Look { direction: *direction, negated: *negated, node: self.boxed(body)?, position: at.0 }
            }
            Tree::At(at) => self.at(at),
            Tree::Failure => Node::Nothing,
            Tree::Call { group, position } => {
                let number = self.number(group);
                let called = self.called.iter().position(|&other| other == number).unwrap_or(0) as u32;
                Node::Call { called, position: *position }
            }
            Tree::Reference { group, case, position } => {
                let case = if *case == 0 { CaseMapping::Exact } else { self.classes.case_mapping() };
                Node::Backreference { groups: vec![self.number(group)], case, position: *position }
            }
            Tree::Conditional { group, yes, no, position } => match self.groups.number(group) {
                Some(number) => {
                    let groups = vec![number as u32];
                    Node::Conditional { groups, yes: self.boxed(yes)?, no: self.boxed(no)?, position: *position }
                }
                // `(?(DEFINE)…)` only holds groups for calls.
                None if no.is_empty() => Node::Empty,
                None => {
                    let construct = "(?(DEFINE)…|…) with two branches".to_string();
                    return Err(Error::NotRegular { construct, position: Some(*position) });
                }
            },
            Tree::LookConditional { direction, negated, test, yes, no, at } => {
                let node = self.boxed(test)?;
                let test = Node::Look { direction: *direction, negated: *negated, node, position: at.0 };
                Node::LookConditional { test: Box::new(test), yes: self.boxed(yes)?, no: self.boxed(no)? }
            }
        })
    }

    fn nodes(&self, trees: &[Tree]) -> Result<Vec<Node>> {
        trees.iter().map(|tree| self.node(tree)).collect()
    }

    fn boxed(&self, tree: &Tree) -> Result<Box<Node>> {
        self.node(tree).map(Box::new)
    }

    fn number(&self, group: &GroupName) -> u32 {
        self.groups.number(group).unwrap_or(0) as u32
    }

    fn character(&self, c: u32, case: u32) -> Result<Node> {
        // A lone surrogate is in no text.
        let exactly = || char::from_u32(c).map_or(Node::Nothing, Node::Char);
        if case == 0 {
            return Ok(exactly());
        }
        let cases = if case & IGNORECASE != 0 { self.classes.cases(c) } else { None };
        let alone = cases.map_or_else(exactly, Node::Class);
        let folded = self.classes.folded(c);
        if case == FULL_IGNORECASE && folded.len() > 1 {
            return Ok(Node::Alternation(vec![alone, self.folded(&folded)?]));
        }
        Ok(alone)
    }

    fn at(&self, at: &At) -> Node {
        let newline = || self.dialect.sets.newline.clone();
        let word = |encoding, kind| Assertion::Word { word: self.classes.word(encoding), kind };
        Node::Assertion(match at {
            At::Keep => return Node::Empty,
            At::TextStart | At::SearchAnchor => Assertion::TextStart,
            At::TextEnd => Assertion::TextEnd,
            At::TextEndOrFinal => Assertion::TextEndOrFinal(newline()),
            At::LineStart => Assertion::LineStart(newline()),
            At::LineEnd => Assertion::LineEnd(newline()),
            At::Boundary(encoding) => word(*encoding, WordAssertion::Boundary),
            At::NotBoundary(encoding) => word(*encoding, WordAssertion::NotBoundary),
            At::WordStart(encoding) => word(*encoding, WordAssertion::Start),
            At::WordEnd(encoding) => word(*encoding, WordAssertion::End),
            At::TextEndOrFinalSeparator => return self.final_separator(),
            At::LineStartSeparator => return self.line_start(),
            At::LineEndSeparator => return self.line_end(),
        })
    }

    // --- lines under WORD: a carriage return with a line feed is one separator ---

    fn final_separator(&self) -> Node {
        let end = || Node::Assertion(Assertion::TextEnd);
        let pair = Node::Sequence(vec![Node::Char('\r'), Node::Char('\n'), end()]);
        let single = Node::Sequence(vec![Node::Class(self.separators.clone()), end()]);
        let ahead = look(Direction::Ahead, false, Node::Alternation(vec![end(), pair, single]));
        Node::Sequence(vec![inside_pair(), ahead])
    }

    fn line_start(&self) -> Node {
        let behind = Assertion::LineStart(self.separators.clone());
        Node::Sequence(vec![inside_pair(), Node::Assertion(behind)])
    }

    fn line_end(&self) -> Node {
        let ahead = Assertion::LineEnd(self.separators.clone());
        Node::Sequence(vec![inside_pair(), Node::Assertion(ahead)])
    }

    // --- full case folding ---

    /// The texts that fold to the same as this folded one.
    fn folded(&self, text: &[u32]) -> Result<Node> {
        let mut steps: Vec<[Option<Arc<CodePoints>>; 3]> = Vec::with_capacity(text.len());
        for (index, &c) in text.iter().enumerate() {
            let mut step = [Some(self.classes.folding_to(c)), None, None];
            for length in [2, 3] {
                let Some(part) = text.get(index..index + length) else { continue };
                let folds = |folded: &[u32]| {
                    folded.len() == length && part.iter().zip(folded).all(|(&a, &b)| self.classes.same(a, b))
                };
                let expanding = self.classes.expanding();
                let set: CodePoints = expanding.filter(|(_, f)| folds(f)).map(|(c, _)| (c, c)).collect();
                step[length - 1] = Some(Arc::new(set)).filter(|set| !set.is_empty());
            }
            steps.push(step);
        }
        let mut budget = MAX_FOLDED_NODES;
        let mut items = Vec::new();
        let mut start = 0;
        while start < steps.len() {
            // A block ends where no step leads across.
            let mut end = start + 1;
            let mut index = start;
            while index < end {
                let reach = (2..=3).rev().find(|&length| steps[index][length - 1].is_some()).unwrap_or(1);
                end = end.max(index + reach);
                index += 1;
            }
            items.push(paths(&steps, start, end, &mut budget)?);
            start = end;
        }
        Ok(match items.len() {
            1 => items.remove(0),
            _ => Node::Sequence(items),
        })
    }
}

/// All ways from `start` to `end`, each step over one to three characters. Halving keeps the tree polynomial.
fn paths(steps: &[[Option<Arc<CodePoints>>; 3]], start: usize, end: usize, budget: &mut usize) -> Result<Node> {
    *budget = budget.checked_sub(1).ok_or_else(|| Error::NotRegular {
        construct: "a literal that folds in very many ways under full case folding".into(),
        position: None,
    })?;
    if start == end {
        return Ok(Node::Empty);
    }
    if end - start == 1 {
        return Ok(steps[start][0].clone().map_or(Node::Nothing, Node::Class));
    }
    let middle = start + (end - start) / 2;
    let mut ways = vec![Node::Sequence(vec![paths(steps, start, middle, budget)?, paths(steps, middle, end, budget)?])];
    for from in middle.saturating_sub(2).max(start)..middle {
        for length in [2, 3] {
            let to = from + length;
            if to <= middle || to > end {
                continue;
            }
            if let Some(set) = &steps[from][length - 1] {
                let (before, behind) = (paths(steps, start, from, budget)?, paths(steps, to, end, budget)?);
                ways.push(Node::Sequence(vec![before, Node::Class(set.clone()), behind]));
            }
        }
    }
    Ok(if ways.len() == 1 { ways.remove(0) } else { Node::Alternation(ways) })
}

fn look(direction: Direction, negated: bool, node: Node) -> Node {
    Node::Look { direction, negated, node: Box::new(node), position: None }
}

/// Not between a carriage return and its line feed.
fn inside_pair() -> Node {
    let behind = look(Direction::Behind, false, Node::Char('\r'));
    let ahead = look(Direction::Ahead, false, Node::Char('\n'));
    let between = Node::Sequence(vec![behind, ahead]);
    look(Direction::Ahead, true, between)
}

/// Refuses references to groups that do not exist.
pub fn check_references(tree: &Tree, groups: &Groups) -> Result<()> {
    let count = u64::from(groups.count);
    let remedy = "refer to a group that the pattern has";
    match tree {
        Tree::Reference { group, position, .. } => match groups.number(group) {
            None => return Err(refused("unknown group", *position, remedy)),
            Some(number) if !(1..=count).contains(&number) => {
                return Err(refused(format!("invalid group reference {number}"), *position, remedy));
            }
            Some(_) => {}
        },
        Tree::Conditional { group, position, .. } => match groups.number(group) {
            None if *group != GroupName::Name("DEFINE".chars().map(u32::from).collect()) => {
                return Err(refused("unknown group", *position, remedy));
            }
            Some(number) if number > count => {
                return Err(refused(format!("invalid group reference {number}"), *position, remedy));
            }
            _ => {}
        },
        _ => {}
    }
    children(tree, &mut |child| check_references(child, groups))
}

/// Whether anything depends on what a group has matched.
pub fn has_references(tree: &Tree) -> bool {
    if matches!(tree, Tree::Reference { .. } | Tree::Conditional { .. }) {
        return true;
    }
    let mut found = false;
    let _ = children(tree, &mut |child| {
        found |= has_references(child);
        Ok(())
    });
    found
}

pub fn children(tree: &Tree, visit: &mut impl FnMut(&Tree) -> Result<()>) -> Result<()> {
    match tree {
        Tree::Sequence(items) | Tree::Branch(items) => items.iter().try_for_each(visit),
        Tree::Repeat { body, .. }
        | Tree::Group { body, .. }
        | Tree::Atomic(body)
        | Tree::Fuzzy { body, .. }
        | Tree::Look { body, .. } => visit(body),
        Tree::Conditional { yes, no, .. } => [yes, no].into_iter().try_for_each(|n| visit(n)),
        Tree::LookConditional { test, yes, no, .. } => [test, yes, no].into_iter().try_for_each(|n| visit(n)),
        _ => Ok(()),
    }
}
