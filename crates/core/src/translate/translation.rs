//! The translation of a whole tree, its rules included.

use crate::codepoints::CodePoints;
use crate::derivative::calculus::Calculus;
use crate::derivative::captures::Captures;
use crate::error::{Error, Result};
use crate::expression::arena::Rule;
use crate::expression::marked::Marked;
use crate::expression::minterms::Partition;
use crate::expression::node::ExprId;
use crate::syntax::ast::{Node, Pattern};
use crate::translate::asked_groups::Groups;
use crate::translate::letters::Letters;
use crate::translate::translator::{Mode, Translator, asking_rules, mentions_rules};
use rustc_hash::{FxHashMap, FxHashSet};
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
    let mut bodies: Vec<&Node> = rules.iter().collect();
    let mut asking = asking_rules(&bodies);
    let mut calling = FxHashMap::default();
    for (pattern, _) in &letters.calling {
        calling.insert(Arc::as_ptr(pattern), bodies.len() as u32);
        let called: Vec<&Node> = pattern.called.iter().map(|called| &called.node).collect();
        asking.extend(asking_rules(&called));
        bodies.extend(called);
    }
    calculus.arena.rules = vec![Rule::unknown(); bodies.len()];
    calculus.arena.unsettled = !bodies.is_empty();
    let shared: Vec<bool> = bodies.iter().zip(&asking).map(|(rule, asks)| !asks && !mentions_rules(rule)).collect();
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
        unwritable: None,
        calling,
        first_called: 0,
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
            translator.whole_pattern(pattern).map_err(|error| error.in_string(*string))?
        }
        _ => {
            translator.groups = Groups::of(root)?;
            translator.node(root, Mode::default())?
        }
    };
    let Translator { mut calculus, trackers, .. } = translator;
    if !calculus.arena.rules.is_empty() {
        let work = calculus.arena.settle();
        calculus.arena.unsettled = false;
        calculus.spend(work)?;
        let (found, work) = calculus.arena.unproductive();
        calculus.spend(work)?;
        let found: Vec<u32> = found.into_iter().filter(|rule| !unproductive.contains(rule)).collect();
        if !found.is_empty() {
            return Ok(Err(found));
        }
        calculus.find_first_letters().map_err(|error| of_calls(error, rules.len(), &letters.calling))?;
    }
    let captures = calculus.captures_texts;
    Ok(Ok(Translation { root, trackers, captures, calculus, marked }))
}

/// The failure of rules that begin with themselves, in the words of the pattern whose calls they are. The rules of calls
/// come behind those of the tree.
fn of_calls(error: Error, rules: usize, calling: &[(Arc<Pattern>, Option<usize>)]) -> Error {
    let Error::LeftRecursion { rules: way } = &error else { return error };
    let Some(mut number) = way.first().and_then(|&rule| (rule as usize).checked_sub(rules)) else { return error };
    for (pattern, string) in calling {
        let Some(called) = pattern.called.get(number) else {
            number -= pattern.called.len();
            continue;
        };
        let name = if called.group == 0 { "the pattern".to_owned() } else { format!("group {}", called.group) };
        return Error::Unsupported {
            message: format!("{name} calls itself before it reads a character: the call"),
            remedy: "put a character before it, or write the repetition with *; the regex library never ends on it"
                .to_owned(),
            position: Some(called.position),
        }
        .in_string(*string);
    }
    error
}
