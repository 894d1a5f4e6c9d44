//! Expression tree → expressions.
//!
//! Outside atomic groups the order of alternatives and greediness say nothing about the language, so they are dropped
//! and more expressions become equal. Groups leave a trace only where something asks for them.
//!
//! What the automaton cannot hold is found here and named with its position: captures made in a lookaround or an
//! atomic group and asked for outside of it, captures that a lookbehind asks for, atomic groups of variable length in
//! a lookbehind, which the library matches from right to left.

pub(crate) mod asked_groups;
pub(crate) mod conditions;
pub(crate) mod fuzzy_node;
mod letters;
pub(crate) mod members_items;
pub(crate) mod one_way;
pub(crate) mod strings;
pub(crate) mod translation;
pub(crate) mod translator;

pub(crate) use translation::translate;
