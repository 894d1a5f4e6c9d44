//! Expressions: hash-consed terms over minterms, and how the tree of a parsed pattern becomes one.

pub(crate) mod arena;
pub(crate) mod collection_facts;
pub(crate) mod collections;
pub(crate) mod facts;
pub(crate) mod fuzzy_items;
pub(crate) mod info;
pub(crate) mod marked;
pub(crate) mod minterms;
pub(crate) mod node;
pub(crate) mod rules;
pub(crate) mod transition_table;
pub(crate) mod unions;
