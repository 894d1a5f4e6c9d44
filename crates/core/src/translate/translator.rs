//! The translation of one node after the other.

use crate::codepoints::CodePoints;
use crate::derivative::calculus::Calculus;
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::marked::{Marked, marked_rules};
use crate::expression::minterms::ClassId;
use crate::expression::node::{ALL_CHARACTERS, EMPTY, Expr, ExprId, MANY, NOTHING, START_BIT, UNBOUND};
use crate::symbols::SPECIAL;
use crate::syntax::ast::{Node, Pattern, RepeatKind, Table};
use crate::translate::asked_groups::Groups;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Where a node stands.
#[derive(Default, Clone, Copy)]
pub(super) struct Mode {
    /// Inside an atomic group: the order of ways matters.
    pub(super) ordered: bool,
    /// Inside a lookbehind.
    pub(super) behind: bool,
}

pub(super) struct Translator<'a> {
    pub(super) calculus: Calculus,
    /// Of the language of its own that is being translated.
    pub(super) groups: Groups,
    pub(super) trackers: Vec<ExprId>,
    pub(super) befores: Vec<ClassId>,
    pub(super) classes: FxHashMap<*const CodePoints, Option<ClassId>>,
    /// Where in the pool a string stands: equal strings are one expression.
    pub(super) strings: FxHashMap<Box<[ClassId]>, u32>,
    /// By place in memory: the number of an automaton.
    pub(super) tables: FxHashMap<*const Table, u32>,
    /// Where the lookaround stands that is being translated.
    pub(super) looking_from: Option<usize>,
    /// The rules that have no text.
    pub(super) unproductive: &'a FxHashSet<u32>,
    /// By rule: whether it asks for what surrounds it.
    pub(super) asking: Vec<bool>,
    /// By rule: whether it is one expression for all places, since it neither mentions rules nor asks for anything.
    pub(super) shared: Vec<bool>,
    /// The string with which all goes on behind the node that is being translated, as far as it is one.
    pub(super) following: Vec<ClassId>,
    /// Inside a fuzzy item: whether it has a character that cannot be written.
    pub(super) unwritable: Option<bool>,
    /// By pattern: the rule of the first group that it calls.
    pub(super) calling: FxHashMap<*const Pattern, u32>,
    /// The rule of the first group that the pattern calls which is being translated.
    pub(super) first_called: u32,
}

impl Translator<'_> {
    pub(super) fn class_id(&mut self, set: &Arc<CodePoints>) -> Option<ClassId> {
        let partition = &mut self.calculus.partition;
        let class = *self.classes.entry(Arc::as_ptr(set)).or_insert_with(|| partition.class(set));
        self.calculus.arena.learn(&self.calculus.partition);
        self.or_without_characters(class)
    }

    pub(super) fn class(&mut self, set: &Arc<CodePoints>) -> ExprId {
        match self.class_id(set) {
            Some(class) => self.calculus.arena.class(class),
            None => NOTHING,
        }
    }

    pub(super) fn char_class(&mut self, c: char) -> Option<ClassId> {
        let class = self.calculus.partition.class_of(c.into());
        self.calculus.arena.learn(&self.calculus.partition);
        self.or_without_characters(class)
    }

    /// In a fuzzy item, what cannot be written can still be wrong or left out: a class without characters stands for it.
    fn or_without_characters(&mut self, class: Option<ClassId>) -> Option<ClassId> {
        if class.is_some() || self.unwritable.is_none() {
            return class;
        }
        self.unwritable = Some(true);
        let class = self.calculus.partition.union([]);
        self.calculus.arena.learn(&self.calculus.partition);
        Some(class)
    }

    pub(super) fn sequence(&mut self, ids: Vec<ExprId>) -> ExprId {
        ids.into_iter().rev().fold(EMPTY, |tail, head| self.calculus.arena.concat(head, tail))
    }

    pub(super) fn either(&mut self, ids: Vec<ExprId>, mode: Mode) -> ExprId {
        if mode.ordered {
            self.calculus.arena.ordered(ids)
        } else {
            self.calculus.arena.union(ids, &mut self.calculus.partition)
        }
    }

    pub(super) fn node(&mut self, node: &Node, mode: Mode) -> Result<ExprId> {
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
            Node::Pattern { pattern, string } => self.pattern(pattern).map_err(|error| error.in_string(*string))?,
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
            Node::Fuzzy(fuzzy) => self.fuzzy(fuzzy, mode)?,
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
            Node::Rule(rule) => self.reference(*rule),
            Node::Call { position, .. } if mode.ordered || mode.behind => {
                // The parser lets none pass.
                let construct = "a call of a group in this place".to_owned();
                return Err(Error::NotRegular { construct, position: Some(*position) });
            }
            Node::Call { called, .. } => self.reference(self.first_called + called),
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
    pub(super) fn marked(&mut self, root: &Node, rules: &[Node]) -> Result<Marked> {
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

    /// A reference to a rule.
    fn reference(&mut self, rule: u32) -> ExprId {
        let index = rule as usize;
        if self.unproductive.contains(&rule) {
            return NOTHING;
        }
        if self.shared[index] {
            self.calculus.arena.rules[index].body
        } else {
            self.calculus.arena.rule(rule, self.asking[index])
        }
    }

    /// A pattern as a language of its own.
    fn pattern(&mut self, pattern: &Arc<Pattern>) -> Result<ExprId> {
        if pattern.called.is_empty() {
            return self.language(&pattern.root);
        }
        let groups = std::mem::take(&mut self.groups);
        let trackers = std::mem::take(&mut self.trackers);
        let (outer, looking_from) = (self.first_called, self.looking_from.take());
        let term = self.whole_pattern(pattern);
        (self.groups, self.first_called, self.looking_from) = (groups, outer, looking_from);
        let own = std::mem::replace(&mut self.trackers, trackers);
        self.own(term?, &own)
    }

    /// A pattern with the groups that it calls, in the place of the language that is being translated.
    pub(super) fn whole_pattern(&mut self, pattern: &Arc<Pattern>) -> Result<ExprId> {
        self.groups = Groups::of(&pattern.root)?;
        self.first_called = self.calling.get(&Arc::as_ptr(pattern)).copied().unwrap_or_default();
        // Shared ones first, as with rules.
        for is_shared in [true, false] {
            for (number, called) in (self.first_called..).zip(&pattern.called) {
                if self.shared[number as usize] == is_shared && !self.unproductive.contains(&number) {
                    let body = self.node(&called.node, Mode::default())?;
                    self.calculus.arena.rules[number as usize].body = body;
                }
            }
        }
        self.node(&pattern.root, Mode::default())
    }

    /// A node as a language of its own.
    pub(super) fn language(&mut self, node: &Node) -> Result<ExprId> {
        let groups = std::mem::replace(&mut self.groups, Groups::of(node)?);
        let trackers = std::mem::take(&mut self.trackers);
        let looking_from = self.looking_from.take();
        let term = self.node(node, Mode::default());
        (self.groups, self.looking_from) = (groups, looking_from);
        let own = std::mem::replace(&mut self.trackers, trackers);
        self.own(term?, &own)
    }

    /// A term that runs to the end of a language of its own, as an item.
    pub(super) fn own(&mut self, term: ExprId, trackers: &[ExprId]) -> Result<ExprId> {
        let numbered: Vec<(u8, ExprId)> = (0u8..).zip(trackers.iter().copied()).collect();
        let situation = self.calculus.situation(term, START_BIT, &numbered, 0);
        if self.calculus.arena.is(term, flag::RULES) {
            return self.calculus.unproven_part(situation);
        }
        self.calculus.part(situation)
    }
}

/// Which rules ask for what surrounds them: those with a lookaround or an anchor of their own, or a reference to such a
/// rule.
pub(super) fn asking_rules(rules: &[&Node]) -> Vec<bool> {
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
        Node::Rule(rule) | Node::Call { called: rule, .. } => asking[*rule as usize],
        Node::Sequence(nodes) | Node::Alternation(nodes) => nodes.iter().any(|node| asks(node, asking)),
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Marked { node, .. } => asks(node, asking),
        // Whether it may be passed over depends on what follows.
        Node::Fuzzy(_) => true,
        _ => false,
    }
}

/// Whether a node holds a reference to a rule, or a call of a group.
pub(super) fn mentions_rules(node: &Node) -> bool {
    match node {
        Node::Rule(_) | Node::Call { .. } => true,
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
        Node::Fuzzy(fuzzy) => mentions_rules(&fuzzy.node),
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
