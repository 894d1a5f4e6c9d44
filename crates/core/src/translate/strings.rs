//! Strings, and alternations of them.

use crate::error::Result;
use crate::expression::minterms::ClassId;
use crate::expression::node::{EMPTY, ExprId, NOTHING};
use crate::syntax::ast::Node;
use crate::translate::translator::{Mode, Translator};

/// The most characters of a string behind a repetition that are looked at.
const MOST_FOLLOWING: usize = 64;

impl Translator<'_> {
    /// A sequence; runs of characters become strings of the pool.
    pub(super) fn run(&mut self, nodes: &[Node], mode: Mode) -> Result<ExprId> {
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
    pub(super) fn string_at(&mut self, nodes: &[Node], outer: &[ClassId]) -> Vec<ClassId> {
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

    pub(super) fn string(&mut self, classes: Vec<ClassId>) -> ExprId {
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
    pub(super) fn alternation(&mut self, nodes: &[Node], mode: Mode) -> Result<ExprId> {
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
    pub(super) fn literal(&mut self, node: &Node) -> Option<Option<Vec<ClassId>>> {
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
}
