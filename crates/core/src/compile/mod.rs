//! Compiles a parsed pattern to a constraint over a vocabulary.

mod static_bound;

use crate::automaton::{Automaton, StateId};
use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::lazy_dfa::{self, Marker, RegexAutomaton};
use crate::limits::Limits;
use crate::mask::{CompiledConstraint, FindMarks, unspelled};
use crate::syntax::ast::{Node, Pattern, Tree};
use crate::vocabulary::Vocabulary;
use std::sync::Arc;

/// The constraint of a parsed pattern.
///
/// # Errors
/// Those of [`lazy_dfa::compile`] and of [`CompiledConstraint::new`].
pub fn compile(pattern: &Pattern, vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<CompiledConstraint>> {
    over(|alphabet| lazy_dfa::compile(pattern, alphabet, limits), &pattern.root, vocabulary, limits)
}

/// The constraint of a tree of parts.
///
/// # Errors
/// Those of [`lazy_dfa::compile_tree`] and of [`CompiledConstraint::new`].
pub fn compile_tree(tree: &Tree, vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<CompiledConstraint>> {
    let marker = Marker::new(tree, vocabulary.alphabet(), limits);
    let constraint = over(|alphabet| lazy_dfa::compile_tree(tree, alphabet, limits), &tree.root, vocabulary, limits)?;
    Ok(constraint.with_marker(marker.map(|marker| Box::new(marker) as Box<dyn FindMarks>)))
}

/// The constraint of the automaton that `compiled` builds over an alphabet, with an upper bound on the distance to a
/// match, computed from `root`.
fn over(
    compiled: impl Fn(&CodePoints) -> Result<RegexAutomaton>,
    root: &Node,
    vocabulary: Arc<Vocabulary>,
    limits: &Limits,
) -> Result<Arc<CompiledConstraint>> {
    let automaton = compiled(vocabulary.alphabet())?;
    // An empty language and an unspellable one have different errors, because their remedies differ.
    if automaton.start() == StateId::DEAD && compiled(&CodePoints::scalars())?.start() != StateId::DEAD {
        return Err(unspelled("texts match, but each has a character that no token of this vocabulary spells"));
    }
    let longest_way = static_bound::longest_way(root, &vocabulary);
    CompiledConstraint::new(Box::new(automaton), vocabulary, limits, longest_way)
}

/// The constraint that allows exactly `texts`, each given in code points.
///
/// # Errors
/// As [`compile`].
pub fn choice(texts: &[Vec<u32>], vocabulary: Arc<Vocabulary>, limits: &Limits) -> Result<Arc<CompiledConstraint>> {
    limits.check_texts(texts.len() as u64, texts.iter().map(|text| text.len() as u64).sum())?;
    // A lone surrogate occurs in no text, so a string with one can never be written.
    let written = |text: &Vec<u32>| match text.iter().map(|&c| char::from_u32(c)).collect::<Option<Arc<[char]>>>() {
        Some(characters) if characters.is_empty() => Node::Empty,
        Some(characters) => Node::Literal(characters),
        None => Node::Nothing,
    };
    let root = Node::Alternation(texts.iter().map(written).collect());
    compile(&Pattern { root, groups: 0, called: Vec::new() }, vocabulary, limits)
}
