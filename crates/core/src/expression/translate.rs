//! Expression tree → expressions.
//!
//! Outside atomic groups the order of alternatives and greediness say nothing about the language, so they are dropped
//! and more expressions become equal. Groups leave a trace only where something asks for them.
//!
//! What the automaton cannot hold is found here and named with its position: captures made in a lookaround or an
//! atomic group and asked for outside of it, captures that a lookbehind asks for, atomic groups of variable length in
//! a lookbehind, which the library matches from right to left.

use crate::codepoints::CodePoints;
use crate::derivative::captures::Captures;
use crate::derivative::derive::Calculus;
use crate::error::{Error, Result};
use crate::expression::arena::{
    ALL_CHARACTERS, ANYTHING, DONE, EMPTY, Expr, ExprId, MANY, NOTHING, START_BIT, UNBOUND,
};
use crate::expression::collections::{Guard, ItemsSpec, MembersSpec};
use crate::expression::facts::flag;
use crate::expression::marked::{Marked, marked_rules};
use crate::expression::minterms::{ClassId, Partition, SPECIAL};
use crate::expression::rules::Rule;
use crate::expression::transition_table::TransitionTable;
use crate::syntax::ast::{Assertion, Direction, Items, Members, Node, RepeatKind, Table, WordAssertion};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A pattern, ready to be derived.
pub struct Translation {
    /// Expressions and classes.
    pub calculus: Calculus,
    /// The pattern.
    pub root: ExprId,
    /// The lookbehinds at the start of the text, by number.
    pub trackers: Vec<ExprId>,
    /// Whether texts of groups are asked for, so that characters have to be known, not only their minterms.
    pub captures: bool,
    /// The structure of the marked parts, if it was asked for.
    pub marked: Marked,
}

/// So many characters of a string that follows a repetition are looked at.
const MOST_FOLLOWING: usize = 64;

/// Translates a tree over an alphabet.
///
/// `with_marks`: for the borders of marked parts; what holds marks then keeps its structure, beside the expressions.
pub fn translate(
    root: &Node,
    rules: &[Node],
    alphabet: &CodePoints,
    fuel: u64,
    with_marks: bool,
) -> Result<Translation> {
    let mut unproductive = FxHashSet::default();
    loop {
        match translate_without((root, rules), &unproductive, alphabet, fuel, with_marks)? {
            Ok(translation) => return Ok(translation),
            // A branch through a rule without a text is no branch: what is left has rules with texts only.
            Err(found) => unproductive.extend(found),
        }
    }
}

/// Translates a tree in which some rules have no text. `Err`: so have these others.
fn translate_without(
    (root, rules): (&Node, &[Node]),
    unproductive: &FxHashSet<u32>,
    alphabet: &CodePoints,
    fuel: u64,
    with_marks: bool,
) -> Result<std::result::Result<Translation, Vec<u32>>> {
    let mut letters = Letters::default();
    letters.visit(root);
    rules.iter().for_each(|rule| letters.visit(rule));
    let sets = letters.sets.iter().map(|s| &**s);
    let characters: Vec<CodePoints> = letters.characters.iter().map(|&c| CodePoints::single(c)).collect();
    let specials: Vec<u32> = letters.specials.into_iter().collect();
    let mut partition = Partition::new(sets.chain(&characters), alphabet, &specials).ok_or_else(|| Error::Limit {
        limit: "memory_bytes",
        allowed: 60_000,
        message: "the pattern tells more than 60,000 classes of characters apart: simplify it".into(),
    })?;
    // Classes of single characters in their order: then tables of words are in the order of their bytes.
    let mut ordered: Vec<u32> = letters.characters.into_iter().collect();
    ordered.sort_unstable();
    for c in ordered {
        partition.class_of(c);
    }
    let mut calculus = Calculus::new(partition, Captures::default());
    calculus.captures_texts = letters.backreferences;
    calculus.fuel = fuel;
    calculus.fuel_limit = fuel;
    calculus.arena.rules = vec![Rule::unknown(); rules.len()];
    calculus.arena.unsettled = !rules.is_empty();
    let asking = asking_rules(rules);
    let shared: Vec<bool> = rules.iter().zip(&asking).map(|(rule, asks)| !asks && !mentions_rules(rule)).collect();
    let mut translator = Translator {
        calculus,
        groups: Groups::default(),
        trackers: Vec::new(),
        befores: Vec::new(),
        classes: FxHashMap::default(),
        strings: FxHashMap::default(),
        tables: FxHashMap::default(),
        looking_from: None,
        unproductive,
        asking,
        shared: shared.clone(),
        following: Vec::new(),
    };
    // Shared ones first: they stand for their bodies wherever they are mentioned.
    for is_shared in [true, false] {
        for (number, rule) in (0u32..).zip(rules) {
            if shared[number as usize] == is_shared && !unproductive.contains(&number) {
                translator.groups = Groups::of(rule)?;
                let body = translator.node(rule, Mode::default())?;
                translator.calculus.arena.rules[number as usize].body = body;
            }
        }
    }
    let marked = if with_marks { translator.marked(root, rules)? } else { Marked::default() };
    let root = match root {
        Node::Pattern { pattern, string } => {
            translator.groups = Groups::of(&pattern.root).map_err(|error| error.in_string(*string))?;
            translator.node(&pattern.root, Mode::default()).map_err(|error| error.in_string(*string))?
        }
        _ => {
            translator.groups = Groups::of(root)?;
            translator.node(root, Mode::default())?
        }
    };
    let Translator { mut calculus, trackers, .. } = translator;
    if !rules.is_empty() {
        let work = calculus.arena.settle();
        calculus.arena.unsettled = false;
        calculus.spend(work)?;
        let (found, work) = calculus.arena.unproductive();
        calculus.spend(work)?;
        let found: Vec<u32> = found.into_iter().filter(|rule| !unproductive.contains(rule)).collect();
        if !found.is_empty() {
            return Ok(Err(found));
        }
        calculus.find_first_letters()?;
    }
    let captures = calculus.captures_texts;
    Ok(Ok(Translation { root, trackers, captures, calculus, marked }))
}

/// The sets of characters that a tree tells apart, and whether it compares captured texts.
#[derive(Default)]
struct Letters {
    sets: Vec<Arc<CodePoints>>,
    seen_sets: FxHashSet<*const CodePoints>,
    characters: FxHashSet<u32>,
    specials: BTreeSet<u32>,
    backreferences: bool,
}

impl Letters {
    fn set(&mut self, set: &Arc<CodePoints>) {
        if self.seen_sets.insert(Arc::as_ptr(set)) {
            self.sets.push(set.clone());
        }
    }

    fn visit(&mut self, node: &Node) {
        match node {
            Node::Empty | Node::Nothing | Node::Rule(_) => {}
            Node::Char(c) => {
                self.characters.insert(u32::from(*c));
            }
            Node::Literal(characters) => self.characters.extend(characters.iter().map(|&c| u32::from(c))),
            Node::Class(set) => self.set(set),
            Node::Special(ids) => self.specials.extend(ids.iter()),
            Node::Table(table) => table.classes.iter().for_each(|class| self.set(class)),
            Node::Members(members) => {
                [&members.first, &members.between, &members.close].into_iter().for_each(|node| self.visit(node));
                for member in &members.keys {
                    self.characters.extend(member.key.iter().flat_map(|key| key.iter()).map(|&c| u32::from(c)));
                    self.visit(&member.follow);
                }
                for (key, follow) in &members.others {
                    self.visit(key);
                    self.visit(follow);
                }
            }
            Node::Items(items) => {
                [&items.first, &items.between, &items.close].into_iter().for_each(|node| self.visit(node));
                items.groups.iter().flatten().for_each(|way| self.visit(&way.1));
            }
            Node::Sequence(nodes) | Node::Alternation(nodes) | Node::Intersection(nodes) => {
                nodes.iter().for_each(|node| self.visit(node));
            }
            Node::Repeat { node, .. }
            | Node::Group { node, .. }
            | Node::Atomic(node)
            | Node::Look { node, .. }
            | Node::Part(node)
            | Node::Complement(node)
            | Node::Marked { node, .. } => self.visit(node),
            Node::Pattern { pattern, .. } => self.visit(&pattern.root),
            Node::Assertion(assertion) => match assertion {
                Assertion::TextEndOrFinal(set) | Assertion::LineStart(set) | Assertion::LineEnd(set) => self.set(set),
                Assertion::Word { word, .. } => self.set(word),
                Assertion::TextStart | Assertion::TextEnd | Assertion::SearchStart => {}
            },
            Node::Backreference { .. } => self.backreferences = true,
            Node::Conditional { yes, no, .. } => [yes, no].into_iter().for_each(|node| self.visit(node)),
            Node::LookConditional { test, yes, no } => {
                [test, yes, no].into_iter().for_each(|node| self.visit(node));
            }
        }
    }
}

/// The groups of one language of its own: which are asked for, and where.
#[derive(Default)]
struct Groups {
    backreferences: FxHashSet<u32>,
    conditionals: FxHashSet<u32>,
    /// By group: the confined places (lookarounds, atomic groups) it stands in, outermost first.
    places: FxHashMap<u32, Vec<u32>>,
    /// The group, where it is asked for, and the confined places there.
    questions: Vec<(u32, usize, Vec<u32>, bool)>,
    path: Vec<(u32, bool)>,
    count: u32,
}

impl Groups {
    fn of(root: &Node) -> Result<Self> {
        let mut groups = Groups::default();
        groups.walk(root)?;
        for (group, position, path, behind) in std::mem::take(&mut groups.questions) {
            let Some(place) = groups.places.get(&group) else { continue };
            if behind || !path.starts_with(place) {
                return Err(Error::NotRegular {
                    construct: if behind {
                        "a group that a lookbehind asks for".into()
                    } else {
                        "a group set inside a lookaround or an atomic group and asked for outside of it".into()
                    },
                    position: Some(position),
                });
            }
        }
        Ok(groups)
    }

    fn confined(&mut self, node: &Node, behind: bool) -> Result<()> {
        self.count += 1;
        self.path.push((self.count, behind));
        let result = self.walk(node);
        self.path.pop();
        result
    }

    fn question(&mut self, groups: &[u32], position: usize) {
        let path: Vec<u32> = self.path.iter().map(|p| p.0).collect();
        let behind = self.path.iter().any(|p| p.1);
        for &group in groups {
            self.questions.push((group, position, path.clone(), behind));
        }
    }

    fn walk(&mut self, node: &Node) -> Result<()> {
        match node {
            Node::Empty
            | Node::Nothing
            | Node::Char(_)
            | Node::Literal(_)
            | Node::Class(_)
            | Node::Assertion(_)
            | Node::Rule(_)
            | Node::Table(_)
            // Languages of their own.
            | Node::Members(_)
            | Node::Items(_)
            | Node::Special(_)
            | Node::Pattern { .. }
            | Node::Part(_)
            | Node::Intersection(_)
            | Node::Complement(_) => {}
            Node::Sequence(nodes) | Node::Alternation(nodes) => {
                for node in nodes {
                    self.walk(node)?;
                }
            }
            Node::Repeat { node, kind: RepeatKind::Possessive, .. } | Node::Atomic(node) => {
                self.confined(node, false)?;
            }
            Node::Repeat { node, .. } | Node::Marked { node, .. } => self.walk(node)?,
            Node::Group { index, node } => {
                let path: Vec<u32> = self.path.iter().map(|p| p.0).collect();
                let common = match self.places.get(index) {
                    // A number used twice: only what confines both matters; the stricter is kept.
                    Some(other) if other.len() >= path.len() => other.clone(),
                    _ => path,
                };
                self.places.insert(*index, common);
                self.walk(node)?;
            }
            Node::Look { direction, node, .. } => self.confined(node, *direction == Direction::Behind)?,
            Node::Backreference { groups, position, .. } => {
                if groups.len() != 1 {
                    return Err(Error::NotRegular {
                        construct: "a backreference to several groups of one name".into(),
                        position: Some(*position),
                    });
                }
                self.backreferences.extend(groups);
                self.question(groups, *position);
            }
            Node::Conditional { groups, yes, no, position } => {
                self.conditionals.extend(groups);
                self.question(groups, *position);
                self.walk(yes)?;
                self.walk(no)?;
            }
            Node::LookConditional { test, yes, no } => {
                self.walk(test)?;
                self.walk(yes)?;
                self.walk(no)?;
            }
        }
        Ok(())
    }
}

/// Which rules ask for what surrounds them: those with a lookaround or an anchor of their own, or a reference to such a
/// rule.
fn asking_rules(rules: &[Node]) -> Vec<bool> {
    let mut asking = vec![false; rules.len()];
    loop {
        let mut changed = false;
        for (number, rule) in rules.iter().enumerate() {
            if !asking[number] && asks(rule, &asking) {
                asking[number] = true;
                changed = true;
            }
        }
        if !changed {
            return asking;
        }
    }
}

fn asks(node: &Node, asking: &[bool]) -> bool {
    match node {
        Node::Look { .. }
        | Node::Assertion(_)
        | Node::Atomic(_)
        | Node::Backreference { .. }
        | Node::Conditional { .. }
        | Node::LookConditional { .. } => true,
        Node::Rule(rule) => asking[*rule as usize],
        Node::Sequence(nodes) | Node::Alternation(nodes) => nodes.iter().any(|node| asks(node, asking)),
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Marked { node, .. } => asks(node, asking),
        _ => false,
    }
}

/// Whether a node holds a reference to a rule.
fn mentions_rules(node: &Node) -> bool {
    match node {
        Node::Rule(_) => true,
        Node::Sequence(nodes) | Node::Alternation(nodes) | Node::Intersection(nodes) => {
            nodes.iter().any(mentions_rules)
        }
        Node::Repeat { node, .. }
        | Node::Group { node, .. }
        | Node::Atomic(node)
        | Node::Look { node, .. }
        | Node::Part(node)
        | Node::Complement(node)
        | Node::Marked { node, .. } => mentions_rules(node),
        Node::LookConditional { yes, no, .. } | Node::Conditional { yes, no, .. } => {
            mentions_rules(yes) || mentions_rules(no)
        }
        Node::Members(members) => {
            [&members.first, &members.between, &members.close].into_iter().any(mentions_rules)
                || members.keys.iter().any(|member| mentions_rules(&member.follow))
                || members.others.iter().any(|(key, follow)| mentions_rules(key) || mentions_rules(follow))
        }
        Node::Items(items) => {
            [&items.first, &items.between, &items.close].into_iter().any(mentions_rules)
                || items.groups.iter().flatten().any(|way| mentions_rules(&way.1))
        }
        Node::Empty
        | Node::Nothing
        | Node::Char(_)
        | Node::Literal(_)
        | Node::Class(_)
        | Node::Assertion(_)
        | Node::Backreference { .. }
        | Node::Pattern { .. }
        | Node::Table(_)
        | Node::Special(_) => false,
    }
}

/// Where a node stands.
#[derive(Default, Clone, Copy)]
struct Mode {
    /// Inside an atomic group: the order of ways matters.
    ordered: bool,
    /// Inside a lookbehind.
    behind: bool,
}

struct Translator<'a> {
    calculus: Calculus,
    /// Of the language of its own that is being translated.
    groups: Groups,
    trackers: Vec<ExprId>,
    befores: Vec<ClassId>,
    classes: FxHashMap<*const CodePoints, Option<ClassId>>,
    /// Where in the pool a string stands: equal strings are one expression.
    strings: FxHashMap<Box<[ClassId]>, u32>,
    /// By place in memory: the number of an automaton.
    tables: FxHashMap<*const Table, u32>,
    /// Where the lookaround stands that is being translated.
    looking_from: Option<usize>,
    /// The rules that have no text.
    unproductive: &'a FxHashSet<u32>,
    /// By rule: whether it asks for what surrounds it.
    asking: Vec<bool>,
    /// By rule: whether it is one expression for all places, since it neither mentions rules nor asks for anything.
    shared: Vec<bool>,
    /// The string with which all goes on behind the node that is being translated, as far as it is one.
    following: Vec<ClassId>,
}

impl Translator<'_> {
    fn class_id(&mut self, set: &Arc<CodePoints>) -> Option<ClassId> {
        let partition = &mut self.calculus.partition;
        let class = *self.classes.entry(Arc::as_ptr(set)).or_insert_with(|| partition.class(set));
        self.calculus.arena.learn(&self.calculus.partition);
        class
    }

    fn class(&mut self, set: &Arc<CodePoints>) -> ExprId {
        match self.class_id(set) {
            Some(class) => self.calculus.arena.class(class),
            None => NOTHING,
        }
    }

    fn char_class(&mut self, c: char) -> Option<ClassId> {
        let class = self.calculus.partition.class_of(c.into());
        self.calculus.arena.learn(&self.calculus.partition);
        class
    }

    fn sequence(&mut self, ids: Vec<ExprId>) -> ExprId {
        ids.into_iter().rev().fold(EMPTY, |tail, head| self.calculus.arena.concat(head, tail))
    }

    fn either(&mut self, ids: Vec<ExprId>, mode: Mode) -> ExprId {
        if mode.ordered {
            self.calculus.arena.ordered(ids)
        } else {
            self.calculus.arena.union(ids, &mut self.calculus.partition)
        }
    }

    fn node(&mut self, node: &Node, mode: Mode) -> Result<ExprId> {
        self.calculus.spend(1)?;
        Ok(match node {
            Node::Empty => EMPTY,
            Node::Nothing => NOTHING,
            Node::Char(c) => match self.char_class(*c) {
                Some(class) => self.calculus.arena.class(class),
                None => NOTHING,
            },
            Node::Class(set) => self.class(set),
            Node::Sequence(nodes) => self.run(nodes, mode)?,
            Node::Alternation(nodes) => self.alternation(nodes, mode)?,
            Node::Repeat { node, min, max, kind } => {
                let max = max.unwrap_or(MANY);
                let following = std::mem::take(&mut self.following);
                if *kind == RepeatKind::Possessive {
                    let greedy = self.possessive(node, *min, max, mode, &following)?;
                    self.following = following;
                    return Ok(greedy);
                }
                let lazy = mode.ordered && *kind == RepeatKind::Lazy;
                let body = self.node(node, mode)?;
                self.following = following;
                self.calculus.arena.repeat(body, *min, max, lazy)
            }
            Node::Group { index, node } => {
                let body = self.node(node, mode)?;
                let captured = self.groups.backreferences.contains(index);
                if !captured && !self.groups.conditionals.contains(index) {
                    return Ok(body);
                }
                let close = self.calculus.arena.intern(Expr::Close { group: *index, start: UNBOUND });
                let mut parts = vec![body, close];
                if captured {
                    self.calculus.note_letters(*index, body);
                    parts.insert(0, self.calculus.arena.intern(Expr::Open(*index)));
                }
                self.sequence(parts)
            }
            Node::Atomic(node) => self.atomic(node, mode)?,
            Node::Look { direction, negated, node, position } => {
                let outer = self.looking_from;
                self.looking_from = position.or(outer);
                let following = std::mem::take(&mut self.following);
                let look = self.look(*direction, *negated, node)?;
                self.following = following;
                self.looking_from = outer;
                look
            }
            Node::Assertion(assertion) => self.assertion(assertion, mode)?,
            Node::Backreference { groups, case, .. } => {
                let reference = self.calculus.captures.reference(groups[0], case);
                self.calculus.arena.intern(Expr::Backref { reference, content: UNBOUND })
            }
            Node::Conditional { groups, yes, no, .. } => {
                let (yes, no) = (self.node(yes, mode)?, self.node(no, mode)?);
                let groups = self.calculus.captures.condition(groups);
                self.calculus.arena.intern(Expr::Cond { groups, yes, no })
            }
            Node::LookConditional { test, yes, no } => {
                let Node::Look { direction, negated, node, position } = &**test else { return self.node(yes, mode) };
                self.looking_from = *position;
                let following = std::mem::take(&mut self.following);
                let (holds, fails) = (self.look(*direction, *negated, node)?, self.look(*direction, !*negated, node)?);
                self.following = following;
                let (yes, no) = (self.node(yes, mode)?, self.node(no, mode)?);
                // A lookbehind is read from its end: there, the test comes before what stands to its left.
                let ways = if mode.behind {
                    vec![self.sequence(vec![yes, holds]), self.sequence(vec![no, fails])]
                } else {
                    vec![self.sequence(vec![holds, yes]), self.sequence(vec![fails, no])]
                };
                self.either(ways, mode)
            }
            Node::Literal(characters) => {
                self.calculus.spend(characters.len() as u64)?;
                match characters.iter().map(|&c| self.char_class(c)).collect::<Option<Vec<_>>>() {
                    Some(classes) => self.string(classes),
                    None => NOTHING,
                }
            }
            Node::Pattern { pattern, string } => {
                self.language(&pattern.root).map_err(|error| error.in_string(*string))?
            }
            Node::Part(node) => self.language(node)?,
            Node::Intersection(nodes) => {
                let mut parts = Vec::with_capacity(nodes.len());
                self.conjuncts(nodes, &mut parts)?;
                let term = self.calculus.arena.inter(parts);
                self.own(term, &[])?
            }
            Node::Complement(node) => {
                let term = self.complement(node)?;
                self.own(term, &[])?
            }
            Node::Marked { node, .. } => self.node(node, mode)?,
            Node::Table(table) => self.table(table)?,
            Node::Members(members) => self.members(members)?,
            Node::Items(items) => self.items(items)?,
            Node::Special(ids) => {
                let partition = &mut self.calculus.partition;
                let classes: Vec<ClassId> = ids.iter().filter_map(|&id| partition.class_of(SPECIAL + id)).collect();
                if classes.is_empty() {
                    return Ok(NOTHING);
                }
                let class = partition.union(classes);
                self.calculus.arena.learn(&self.calculus.partition);
                self.calculus.arena.class(class)
            }
            Node::Rule(rule) if self.unproductive.contains(rule) => NOTHING,
            Node::Rule(rule) if self.shared[*rule as usize] => self.calculus.arena.rules[*rule as usize].body,
            Node::Rule(rule) => self.calculus.arena.rule(*rule, self.asking[*rule as usize]),
        })
    }

    /// The terms whose intersection is that of these nodes. Intersections and complements among them are no languages that
    /// stand before something: they need not be items.
    ///
    /// PERF: so that the keys that an object does not name, strings of which finitely many are taken out, are seen to be
    /// that: before, a mask at a key took 4 to 9 ms.
    fn conjuncts(&mut self, nodes: &[Node], into: &mut Vec<ExprId>) -> Result<()> {
        for node in nodes {
            match node {
                Node::Intersection(nodes) => self.conjuncts(nodes, into)?,
                Node::Complement(node) => into.push(self.complement(node)?),
                node => into.push(self.language(node)?),
            }
        }
        Ok(())
    }

    /// The term of all texts that are not a node's.
    fn complement(&mut self, node: &Node) -> Result<ExprId> {
        let term = self.language(node)?;
        let term = self.calculus.arena.not(term);
        if self.calculus.partition.specials().is_empty() {
            return Ok(term);
        }
        // The texts that it has are texts: special tokens are none.
        let any = self.calculus.arena.repeat(ALL_CHARACTERS, 0, MANY, false);
        Ok(self.calculus.arena.inter([term, any]))
    }

    /// The structure of what holds marks.
    fn marked(&mut self, root: &Node, rules: &[Node]) -> Result<Marked> {
        let mut marked = Marked::default();
        let of_rules = marked_rules(rules);
        let unproductive = self.unproductive;
        let mut language = |node: &Node| self.language(node);
        for (number, rule) in (0u32..).zip(rules) {
            let holds = of_rules[number as usize] && !unproductive.contains(&number);
            let piece = if holds { Some(marked.add(rule, &of_rules, &mut language)?) } else { None };
            marked.rules.push(piece);
        }
        marked.root = marked.add(root, &of_rules, &mut language)?;
        Ok(marked)
    }

    fn table(&mut self, table: &Arc<Table>) -> Result<ExprId> {
        if let Some(&number) = self.tables.get(&Arc::as_ptr(table)) {
            return Ok(self.calculus.arena.table_state(number, 0));
        }
        self.calculus.spend((table.states.len() * (table.classes.len() + 1)) as u64)?;
        let classes: Vec<Option<ClassId>> = table.classes.iter().map(|class| self.class_id(class)).collect();
        let made = TransitionTable::new(&self.calculus.partition, &classes, &table.states);
        let arena = &mut self.calculus.arena;
        let number = arena.automata.len() as u32;
        arena.automata.push(made);
        self.tables.insert(Arc::as_ptr(table), number);
        Ok(arena.table_state(number, 0))
    }

    /// A collection of members. Members that cannot be written are none.
    fn members(&mut self, members: &Members) -> Result<ExprId> {
        let (first, between) = (self.language(&members.first)?, self.language(&members.between)?);
        let close = self.language(&members.close)?;
        let mut keys = Vec::with_capacity(members.keys.len());
        for (place, member) in (0u32..).zip(&members.keys) {
            let characters = member.key.iter().flat_map(|key| key.iter());
            let key = characters.map(|&c| self.char_class(c)).collect::<Option<Vec<_>>>();
            let key = key.filter(|_| member.key.is_some());
            let follow = if key.is_some() { self.language(&member.follow)? } else { NOTHING };
            if follow == NOTHING && member.required {
                return Ok(NOTHING);
            }
            // One that cannot be written keeps its number, for the guards.
            keys.push((key.unwrap_or_default(), place, follow, member.required));
        }
        let mut writable: Vec<usize> = (0..keys.len()).filter(|&index| keys[index].2 != NOTHING).collect();
        writable.sort_by(|&a, &b| keys[a].0.cmp(&keys[b].0));
        self.calculus.spend(keys.iter().map(|key| key.0.len() as u64 + 1).sum())?;
        let arena = &mut self.calculus.arena;
        let mut table = Vec::with_capacity(writable.len());
        for &index in &writable {
            table.push((arena.pool.len() as u32, keys[index].0.len() as u32));
            arena.pool.extend(&keys[index].0);
        }
        let number = arena.tables.len() as u32;
        arena.tables.push(table.into_boxed_slice());
        // The bits of what was seen: keys in the order of the table, guarded classes behind them.
        let mut bits: Vec<Option<u32>> = vec![None; keys.len() + members.others.len()];
        for (bit, &index) in (0u32..).zip(&writable) {
            bits[index] = Some(bit);
        }
        let mut others = Vec::new();
        let mut next = writable.len() as u32;
        for (index, (key, follow)) in members.others.iter().enumerate() {
            let (key, follow) = (self.language(key)?, self.language(follow)?);
            if key == NOTHING || follow == NOTHING {
                continue;
            }
            let member = (keys.len() + index) as u32;
            let guarded = members.guards.iter().any(|guard| guard.0.contains(&member) || guard.1.contains(&member));
            if guarded {
                bits[member as usize] = Some(next);
                next += 1;
            }
            others.push((key, follow, bits[member as usize]));
        }
        let mut guards = Vec::with_capacity(members.guards.len());
        for (all, any) in &members.guards {
            let bit = |member: &u32| bits[*member as usize];
            // What cannot be written is never seen.
            if let Some(all) = all.iter().map(bit).collect::<Option<Vec<_>>>() {
                guards.push(Guard { all, any: any.iter().filter_map(bit).collect() });
            }
        }
        let guarded = |bit: u32| guards.iter().any(|guard| guard.all.contains(&bit) || guard.any.contains(&bit));
        let spec = MembersSpec {
            table: number,
            follows: writable.iter().map(|&index| keys[index].2).collect(),
            required: writable.iter().map(|&index| keys[index].3).collect(),
            places: writable.iter().map(|&index| keys[index].1).collect(),
            guarded: (0..writable.len() as u32).map(guarded).collect(),
            others,
            first,
            between,
            close,
            min: members.min,
            max: members.max.unwrap_or(MANY),
            ordered: members.ordered,
            guards,
        }
        .trimmed();
        if close == NOTHING {
            return Ok(NOTHING);
        }
        let seen = spec.unseen();
        let collections = &mut self.calculus.arena.collections;
        let number = collections.members.len() as u32;
        collections.members.push(spec);
        self.calculus.members(number, seen)
    }

    fn items(&mut self, items: &Items) -> Result<ExprId> {
        let (first, between) = (self.language(&items.first)?, self.language(&items.between)?);
        let close = self.language(&items.close)?;
        let mut groups = Vec::with_capacity(items.groups.len());
        for group in &items.groups {
            let mut ways = Vec::with_capacity(group.len());
            for (counters, item) in group {
                ways.push((counters.clone(), self.language(item)?));
            }
            groups.push(ways);
        }
        if close == NOTHING {
            return Ok(NOTHING);
        }
        let counters = items.counters.iter().map(|counter| (counter.0, counter.1.unwrap_or(MANY))).collect();
        let (min, max) = (items.min, items.max.unwrap_or(MANY));
        let spec = ItemsSpec { first, between, close, min, max, counters, groups }.trimmed();
        let seen = spec.unseen();
        let collections = &mut self.calculus.arena.collections;
        let number = collections.items.len() as u32;
        collections.items.push(spec);
        self.calculus.items(number, seen)
    }

    /// A node as a language of its own.
    fn language(&mut self, node: &Node) -> Result<ExprId> {
        let groups = std::mem::replace(&mut self.groups, Groups::of(node)?);
        let trackers = std::mem::take(&mut self.trackers);
        let looking_from = self.looking_from.take();
        let term = self.node(node, Mode::default());
        (self.groups, self.looking_from) = (groups, looking_from);
        let own = std::mem::replace(&mut self.trackers, trackers);
        self.own(term?, &own)
    }

    /// A term that runs to the end of a language of its own, as an item.
    fn own(&mut self, term: ExprId, trackers: &[ExprId]) -> Result<ExprId> {
        let numbered: Vec<(u8, ExprId)> = (0u8..).zip(trackers.iter().copied()).collect();
        let situation = self.calculus.situation(term, START_BIT, &numbered, 0);
        if self.calculus.arena.is(term, flag::RULES) {
            return self.calculus.unproven_part(situation);
        }
        self.calculus.part(situation)
    }

    /// A sequence; runs of characters become strings of the pool.
    fn run(&mut self, nodes: &[Node], mode: Mode) -> Result<ExprId> {
        let mut ids = Vec::new();
        let mut i = 0;
        while i < nodes.len() {
            let mut classes = Vec::new();
            while let Some(Node::Char(c)) = nodes.get(i) {
                match self.char_class(*c) {
                    Some(class) => classes.push(class),
                    None => return Ok(NOTHING),
                }
                i += 1;
            }
            if !classes.is_empty() {
                self.calculus.spend(classes.len() as u64)?;
                ids.push(self.string(classes));
            }
            if let Some(node) = nodes.get(i) {
                i += 1;
                let outer = std::mem::take(&mut self.following);
                self.following = self.string_at(&nodes[i..], &outer);
                ids.push(self.node(node, mode)?);
                self.following = outer;
            }
        }
        Ok(self.sequence(ids))
    }

    /// The string with which a sequence begins; `outer` stands behind it.
    fn string_at(&mut self, nodes: &[Node], outer: &[ClassId]) -> Vec<ClassId> {
        let mut classes = Vec::new();
        for node in nodes.iter().take(MOST_FOLLOWING) {
            match node {
                Node::Char(c) => match self.char_class(*c) {
                    Some(class) => classes.push(class),
                    None => return classes,
                },
                _ => return classes,
            }
        }
        classes.extend(&outer[..outer.len().min(MOST_FOLLOWING - classes.len())]);
        classes
    }

    /// Whether no iteration of a body can begin where the string begins that follows the repetition: then it ends where it
    /// has to, and taking as many iterations as there are excludes no text.
    fn ends_by_itself(&mut self, body: ExprId, following: &[ClassId]) -> Result<bool> {
        let info = *self.calculus.arena.info(body);
        if info.front != 0 || info.trackers != 0 || self.calculus.arena.is(body, flag::GROUPS) {
            return Ok(false);
        }
        let mut rest = self.calculus.arena.concat(body, ANYTHING);
        for &class in following {
            let Some(m) = self.calculus.partition.bits(class).only() else { return Ok(false) };
            rest = self.calculus.derive(rest, m)?;
            if rest == NOTHING {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn string(&mut self, classes: Vec<ClassId>) -> ExprId {
        let arena = &mut self.calculus.arena;
        let len = classes.len() as u32;
        if len < 2 {
            return classes.first().map_or(EMPTY, |&class| arena.class(class));
        }
        let pool = &mut arena.pool;
        let at = *self.strings.entry(classes.into_boxed_slice()).or_insert_with_key(|classes| {
            pool.extend(classes);
            (pool.len() - classes.len()) as u32
        });
        arena.string(at, len)
    }

    /// Alternatives; outside atomic groups the literal ones become one sorted table.
    fn alternation(&mut self, nodes: &[Node], mode: Mode) -> Result<ExprId> {
        let mut ids = Vec::new();
        let mut strings: Vec<Vec<ClassId>> = Vec::new();
        for node in nodes {
            match (mode.ordered, self.literal(node)) {
                (false, Some(Some(string))) => strings.push(string),
                (false, Some(None)) => {}
                _ => ids.push(self.node(node, mode)?),
            }
        }
        if strings.len() < 4 {
            for string in strings {
                ids.push(self.string(string));
            }
            return Ok(self.either(ids, mode));
        }
        strings.sort_unstable();
        strings.dedup();
        let arena = &mut self.calculus.arena;
        let mut table = Vec::with_capacity(strings.len());
        for string in &strings {
            table.push((arena.pool.len() as u32, string.len() as u32));
            arena.pool.extend(string);
        }
        let number = arena.tables.len() as u32;
        let count = table.len() as u32;
        arena.tables.push(table.into_boxed_slice());
        self.calculus.spend(u64::from(count))?;
        ids.push(self.calculus.arena.literals(number, 0, count, 0));
        Ok(self.either(ids, mode))
    }

    /// The classes of a string whose characters are one minterm each. `Some(None)`: it cannot be spelled.
    fn literal(&mut self, node: &Node) -> Option<Option<Vec<ClassId>>> {
        if let Node::Literal(characters) = node {
            return Some(characters.iter().map(|&c| self.char_class(c)).collect());
        }
        let nodes = match node {
            Node::Sequence(nodes) => &nodes[..],
            Node::Empty => &[],
            Node::Char(_) | Node::Class(_) => std::slice::from_ref(node),
            _ => return None,
        };
        let mut classes = Vec::with_capacity(nodes.len());
        for node in nodes {
            let class = match node {
                Node::Char(c) => self.char_class(*c),
                Node::Class(set) => self.class_id(set),
                _ => return None,
            };
            let Some(class) = class else { return Some(None) };
            self.calculus.partition.bits(class).only()?;
            classes.push(class);
        }
        Some(Some(classes))
    }

    fn possessive(&mut self, node: &Node, min: u32, max: u32, mode: Mode, following: &[ClassId]) -> Result<ExprId> {
        if !mode.behind && !mode.ordered && !following.is_empty() && iteration_length(node).is_some() {
            let body = self.node(node, mode)?;
            if self.ends_by_itself(body, following)? {
                return Ok(self.calculus.arena.repeat(body, min, max, false));
            }
        }
        // `X*+` of one class is `X*(?!X)`.
        if let Node::Char(_) | Node::Class(_) = node {
            let body = self.node(node, mode)?;
            let repeat = self.calculus.arena.repeat(body, min, max, false);
            if min == max {
                return Ok(repeat);
            }
            if mode.behind {
                // Read from its end, it takes what a repetition to its left would need.
                return Err(Error::NotRegular {
                    construct: "a possessive repetition of variable length in a lookbehind".into(),
                    position: self.looking_from,
                });
            }
            if let Expr::Class(class) = *self.calculus.arena.get(body) {
                let stop = self.calculus.arena.intern(Expr::Next { class, negated: true });
                if max == MANY {
                    return Ok(self.calculus.arena.concat(repeat, stop));
                }
                let all = self.calculus.arena.repeat(body, max, max, false);
                let fewer = self.calculus.arena.repeat(body, min, max - 1, false);
                let fewer = self.calculus.arena.concat(fewer, stop);
                return Ok(self.either(vec![all, fewer], mode));
            }
            return Ok(repeat);
        }
        let body = self.node(node, Mode { ordered: true, ..mode })?;
        let repeat = self.calculus.arena.repeat(body, min, max, false);
        self.confine(repeat, fixed_length(node).is_some() && min == max, mode)
    }

    fn atomic(&mut self, node: &Node, mode: Mode) -> Result<ExprId> {
        if fixed_length(node).is_some() {
            // All ways end at the same place.
            return self.node(node, mode);
        }
        let following = std::mem::take(&mut self.following);
        if let Node::Repeat { node: inner, min, max, kind: RepeatKind::Greedy } = node {
            let made = self.possessive(inner, *min, max.unwrap_or(MANY), mode, &following)?;
            self.following = following;
            return Ok(made);
        }
        let body = self.node(node, Mode { ordered: true, ..mode })?;
        self.following = following;
        self.confine(body, false, mode)
    }

    fn confine(&mut self, body: ExprId, fixed: bool, mode: Mode) -> Result<ExprId> {
        if fixed || body == NOTHING || body == EMPTY {
            return Ok(body);
        }
        if mode.behind {
            return Err(Error::NotRegular {
                construct: "an atomic group of variable length in a lookbehind".into(),
                position: self.looking_from,
            });
        }
        Ok(self.calculus.arena.intern(Expr::Atomic(Box::new([(ANYTHING, body)]))))
    }

    fn look(&mut self, direction: Direction, negated: bool, node: &Node) -> Result<ExprId> {
        if direction == Direction::Ahead {
            let body = self.node(node, Mode::default())?;
            return Ok(match (body, negated) {
                (NOTHING, true) | (EMPTY, false) => EMPTY,
                (NOTHING, false) | (EMPTY, true) => NOTHING,
                _ => match *self.calculus.arena.get(body) {
                    Expr::Class(class) => self.calculus.arena.intern(Expr::Next { class, negated }),
                    _ => self.calculus.arena.intern(Expr::Ahead { negated, body }),
                },
            });
        }
        let body = self.node(node, Mode { behind: true, ordered: false })?;
        if let Expr::Class(class) = *self.calculus.arena.get(body) {
            return self.before(class, negated);
        }
        match (body, negated) {
            (NOTHING, true) | (EMPTY, false) => return Ok(EMPTY),
            (NOTHING, false) | (EMPTY, true) => return Ok(NOTHING),
            _ => {}
        }
        let end = self.calculus.arena.concat(body, DONE);
        let tracker = self.calculus.arena.concat(ANYTHING, end);
        let number = match self.trackers.iter().position(|&t| t == tracker) {
            Some(number) => number,
            None if self.trackers.len() == 64 => {
                let construct = "more than 64 lookbehinds".into();
                return Err(Error::NotRegular { construct, position: self.looking_from });
            }
            None => {
                self.trackers.push(tracker);
                self.trackers.len() - 1
            }
        };
        Ok(self.calculus.arena.intern(Expr::Behind { negated, tracker: number as u8 }))
    }

    fn before(&mut self, class: ClassId, negated: bool) -> Result<ExprId> {
        let set = match self.befores.iter().position(|&c| c == class) {
            Some(set) => set,
            None if self.befores.len() == 63 => {
                return Err(Error::NotRegular {
                    construct: "more than 63 one-character lookbehinds".into(),
                    position: self.looking_from,
                });
            }
            None => {
                self.befores.push(class);
                let calculus = &mut self.calculus;
                for m in calculus.partition.bits(class).iter() {
                    calculus.holds_after[usize::from(m)] |= 1 << (self.befores.len() - 1);
                }
                self.befores.len() - 1
            }
        };
        Ok(self.calculus.arena.intern(Expr::Before { set: set as u8, negated }))
    }

    fn assertion(&mut self, assertion: &Assertion, mode: Mode) -> Result<ExprId> {
        let start = |this: &mut Self, negated| this.calculus.arena.intern(Expr::Start { negated });
        let end = |this: &mut Self| this.calculus.arena.intern(Expr::End);
        Ok(match assertion {
            Assertion::TextStart | Assertion::SearchStart => start(self, false),
            Assertion::TextEnd => end(self),
            Assertion::TextEndOrFinal(set) => {
                let newline = self.class(set);
                let end = end(self);
                let newline = self.calculus.arena.repeat(newline, 0, 1, false);
                let body = self.calculus.arena.concat(newline, end);
                self.calculus.arena.intern(Expr::Ahead { negated: false, body })
            }
            Assertion::LineStart(set) => {
                let start = start(self, false);
                let after = match self.class_id(set) {
                    Some(class) => self.before(class, false)?,
                    None => NOTHING,
                };
                self.either(vec![start, after], mode)
            }
            Assertion::LineEnd(set) => {
                let end = end(self);
                let before = match self.class_id(set) {
                    Some(class) => self.calculus.arena.intern(Expr::Next { class, negated: false }),
                    None => NOTHING,
                };
                self.either(vec![end, before], mode)
            }
            Assertion::Word { word, kind } => {
                let Some(class) = self.class_id(word) else {
                    // No word's character can be written: only \B can hold.
                    return Ok(match kind {
                        WordAssertion::NotBoundary => EMPTY,
                        WordAssertion::NotBoundaryUnlessEmpty => self.unless_empty(EMPTY, mode),
                        _ => NOTHING,
                    });
                };
                let before = |this: &mut Self, negated| this.before(class, negated);
                let next = |this: &mut Self, negated| this.calculus.arena.intern(Expr::Next { class, negated });
                let pair = |this: &mut Self, b: bool, n: bool| -> Result<ExprId> {
                    let (b, n) = (before(this, !b)?, next(this, !n));
                    Ok(this.calculus.arena.concat(b, n))
                };
                match kind {
                    WordAssertion::Boundary => {
                        let ways = vec![pair(self, true, false)?, pair(self, false, true)?];
                        self.either(ways, mode)
                    }
                    WordAssertion::NotBoundary => {
                        let ways = vec![pair(self, true, true)?, pair(self, false, false)?];
                        self.either(ways, mode)
                    }
                    WordAssertion::NotBoundaryUnlessEmpty => {
                        let outside = pair(self, false, false)?;
                        let outside = self.unless_empty(outside, mode);
                        let ways = vec![pair(self, true, true)?, outside];
                        self.either(ways, mode)
                    }
                    WordAssertion::Start => pair(self, false, true)?,
                    WordAssertion::End => pair(self, true, false)?,
                }
            }
        })
    }

    /// The assertion, and the text has a character.
    fn unless_empty(&mut self, assertion: ExprId, mode: Mode) -> ExprId {
        let inside = self.calculus.arena.intern(Expr::Start { negated: true });
        let more = self.calculus.arena.intern(Expr::Next { class: crate::expression::minterms::ALL, negated: false });
        let some = self.either(vec![inside, more], mode);
        self.calculus.arena.concat(some, assertion)
    }
}

/// The number of characters of every iteration of a body that has no order of ways, if it is one number and not zero.
fn iteration_length(node: &Node) -> Option<u64> {
    match node {
        Node::Group { node, .. } => iteration_length(node),
        Node::Sequence(nodes) => {
            let mut sum = 0u64;
            for node in nodes {
                sum = sum.checked_add(match node {
                    Node::Assertion(_) | Node::Look { .. } => 0,
                    node => iteration_length(node)?,
                })?;
            }
            Some(sum).filter(|&sum| sum > 0)
        }
        Node::Alternation(nodes) => {
            let mut lengths = nodes.iter().map(iteration_length);
            let first = lengths.next()??;
            lengths.all(|length| length == Some(first)).then_some(first)
        }
        Node::Char(_) | Node::Class(_) => Some(1),
        _ => None,
    }
}

/// The number of characters that every match has, if it is one number.
fn fixed_length(node: &Node) -> Option<u64> {
    match node {
        Node::Empty | Node::Assertion(_) | Node::Look { .. } => Some(0),
        Node::Nothing | Node::Char(_) | Node::Class(_) => Some(1),
        Node::Sequence(nodes) => nodes.iter().map(fixed_length).sum(),
        Node::Alternation(nodes) => {
            let mut lengths = nodes.iter().map(fixed_length);
            let first = lengths.next()??;
            lengths.all(|l| l == Some(first)).then_some(first)
        }
        Node::Repeat { node, min, max, .. } => {
            let body = fixed_length(node)?;
            match (body, *max) {
                (0, _) => Some(0),
                (_, Some(max)) if max == *min => body.checked_mul(u64::from(max)),
                _ => None,
            }
        }
        // What a group captured may depend on the way.
        Node::Group { .. } => None,
        Node::Atomic(node) => fixed_length(node),
        Node::Backreference { .. } => None,
        Node::Conditional { .. } | Node::LookConditional { .. } => None,
        Node::Literal(characters) => Some(characters.len() as u64),
        Node::Marked { node, .. } => fixed_length(node),
        Node::Pattern { .. }
        | Node::Part(_)
        | Node::Intersection(_)
        | Node::Complement(_)
        | Node::Rule(_)
        | Node::Table(_)
        | Node::Members(_)
        | Node::Items(_)
        | Node::Special(_) => None,
    }
}
