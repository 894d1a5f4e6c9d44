//! Groups that something asks for later: what they captured is put into the continuation when they close.
//!
//! `Open` writes into its `Close` where the capture begins, as an index into the state's buffer, the characters read
//! since the first open group. `Close` cuts the text out of the buffer and binds every backreference to the group in
//! the tail, and takes the `yes` of every conditional on it. A tail in which the group can open again keeps the bound
//! backreference, since it may be bound anew; in any other it becomes the text itself.

use super::derive::Calculus;
use super::expr::{Expr, ExprId, NOTHING, UNBOUND, flag};
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::syntax::ast::CaseMapping;
use rustc_hash::FxHashMap;

/// Backreferences of the pattern, texts that were captured, and texts that are being captured.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    references: Vec<(u32, CaseMapping)>,
    conditions: Vec<Box<[u32]>>,
    contents: Vec<Box<[u32]>>,
    content_ids: FxHashMap<Box<[u32]>, u32>,
    /// Parent and last character; number 0 is the empty buffer.
    buffers: Vec<(u32, u32, u32)>,
    buffer_ids: FxHashMap<(u32, u32), u32>,
    literals: FxHashMap<(u32, u32), ExprId>,
    memory: usize,
}

impl Captures {
    /// The number of a kind of backreference.
    pub fn reference(&mut self, group: u32, case: &CaseMapping) -> u32 {
        let wanted = (group, case.clone());
        let found = self.references.iter().position(|r| *r == wanted);
        found.unwrap_or_else(|| {
            self.references.push(wanted);
            self.references.len() - 1
        }) as u32
    }

    /// The group that a kind of backreference asks for.
    pub fn group(&self, reference: u32) -> u32 {
        self.references[reference as usize].0
    }

    /// The number of a set of groups that a conditional asks for.
    pub fn condition(&mut self, groups: &[u32]) -> u32 {
        let found = self.conditions.iter().position(|g| **g == *groups);
        found.unwrap_or_else(|| {
            self.conditions.push(groups.into());
            self.conditions.len() - 1
        }) as u32
    }

    /// The number of characters in a buffer.
    pub fn buffer_len(&self, buffer: u32) -> u32 {
        if buffer == 0 { 0 } else { self.buffers[buffer as usize - 1].2 }
    }

    /// The buffer with one more character.
    pub fn push(&mut self, buffer: u32, c: u32) -> u32 {
        if let Some(&id) = self.buffer_ids.get(&(buffer, c)) {
            return id;
        }
        let len = self.buffer_len(buffer) + 1;
        self.buffers.push((buffer, c, len));
        let id = self.buffers.len() as u32;
        self.buffer_ids.insert((buffer, c), id);
        self.memory += 32;
        id
    }

    /// The characters of a buffer.
    pub fn read(&self, mut buffer: u32, from: u32) -> Vec<u32> {
        let mut characters = Vec::new();
        while buffer != 0 && self.buffer_len(buffer) > from {
            let (parent, c, _) = self.buffers[buffer as usize - 1];
            characters.push(c);
            buffer = parent;
        }
        characters.reverse();
        characters
    }

    /// The id of a text.
    pub fn content(&mut self, characters: Vec<u32>) -> u32 {
        let characters = characters.into_boxed_slice();
        if let Some(&id) = self.content_ids.get(&characters) {
            return id;
        }
        let id = self.contents.len() as u32;
        self.memory += 8 * characters.len() + 80;
        self.contents.push(characters.clone());
        self.content_ids.insert(characters, id);
        id
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.memory
    }

    /// What depends on the pattern alone: everything that was captured is forgotten.
    pub fn blank(&self) -> Captures {
        Captures { references: self.references.clone(), conditions: self.conditions.clone(), ..Captures::default() }
    }

    /// A text by its id.
    pub fn text(&self, content: u32) -> &[u32] {
        &self.contents[content as usize]
    }
}

impl Calculus {
    /// `tail`, with the group's end told where the capture begins.
    pub(super) fn open(&mut self, group: u32, tail: ExprId) -> ExprId {
        let start = self.captures.buffer_len(self.context.buffer);
        let mut heads = Vec::new();
        let mut rest = tail;
        loop {
            let (head, next) = self.arena.split(rest);
            if let Expr::Close { group: closed, .. } = *self.arena.get(head)
                && closed == group
            {
                let close = self.arena.intern(Expr::Close { group, start });
                let end = self.arena.concat(close, next);
                return heads.into_iter().rev().fold(end, |tail, head| self.arena.concat(head, tail));
            }
            if next == super::expr::EMPTY {
                return tail;
            }
            heads.push(head);
            rest = next;
        }
    }

    /// `tail`, with what the group captured put in.
    pub(super) fn close(&mut self, group: u32, start: u32, tail: ExprId) -> Result<ExprId> {
        let content = if start == UNBOUND {
            UNBOUND
        } else {
            let characters = self.captures.read(self.context.buffer, start);
            self.spend(characters.len() as u64 / 8)?;
            self.captures.content(characters)
        };
        let mut again = FxHashMap::default();
        let keep = self.opens(tail, group, &mut again);
        let mut done = FxHashMap::default();
        self.bind(tail, (group, content, keep), &mut done)
    }

    /// Whether the group can begin again.
    fn opens(&self, id: ExprId, group: u32, known: &mut FxHashMap<ExprId, bool>) -> bool {
        if !self.arena.is(id, flag::GROUPS) {
            return false;
        }
        if let Some(&known) = known.get(&id) {
            return known;
        }
        let mut rest = id;
        let mut found = false;
        while !found && rest != super::expr::EMPTY {
            let (head, tail) = self.arena.split(rest);
            found = match *self.arena.get(head) {
                Expr::Open(opened) => opened == group,
                Expr::Union(ref ids) | Expr::Ordered(ref ids) | Expr::Inter(ref ids) => {
                    ids.iter().any(|&id| self.opens(id, group, known))
                }
                Expr::Not(body) | Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { body, .. } => {
                    self.opens(body, group, known)
                }
                Expr::Cond { yes, no, .. } => self.opens(yes, group, known) || self.opens(no, group, known),
                Expr::Atomic(ref threads) => {
                    threads.iter().any(|&(c, t)| self.opens(c, group, known) || self.opens(t, group, known))
                }
                _ => false,
            };
            rest = tail;
        }
        known.insert(id, found);
        found
    }

    fn bind(&mut self, id: ExprId, to: (u32, u32, bool), done: &mut FxHashMap<ExprId, ExprId>) -> Result<ExprId> {
        if !self.arena.is(id, flag::GROUPS) {
            return Ok(id);
        }
        if let Some(&bound) = done.get(&id) {
            return Ok(bound);
        }
        self.spend(1)?;
        let mut heads = Vec::new();
        let mut rest = id;
        // The spine is walked, not recursed into: it may be long.
        while rest != super::expr::EMPTY && self.arena.is(rest, flag::GROUPS) {
            let (head, tail) = self.arena.split(rest);
            heads.push(self.bind_one(head, to, done)?);
            rest = tail;
        }
        let bound = heads.into_iter().rev().fold(rest, |tail, head| self.arena.concat(head, tail));
        done.insert(id, bound);
        Ok(bound)
    }

    fn bind_one(&mut self, id: ExprId, to: (u32, u32, bool), done: &mut FxHashMap<ExprId, ExprId>) -> Result<ExprId> {
        if !self.arena.is(id, flag::GROUPS) {
            return Ok(id);
        }
        let (group, content, keep) = to;
        Ok(match self.arena.get(id).clone() {
            Expr::Backref { reference, .. } if self.captures.references[reference as usize].0 == group => {
                if keep {
                    self.arena.intern(Expr::Backref { reference, content })
                } else {
                    self.content(reference, content)?.unwrap_or(NOTHING)
                }
            }
            Expr::Cond { groups, yes, .. } if self.captures.conditions[groups as usize].contains(&group) => {
                self.bind(yes, to, done)?
            }
            Expr::Cond { groups, yes, no } => {
                let (yes, no) = (self.bind(yes, to, done)?, self.bind(no, to, done)?);
                self.arena.intern(Expr::Cond { groups, yes, no })
            }
            Expr::Union(ids) => {
                let bound = ids.iter().map(|&id| self.bind(id, to, done)).collect::<Result<Vec<_>>>()?;
                self.arena.union(bound, &mut self.partition)
            }
            Expr::Ordered(ids) => {
                let bound = ids.iter().map(|&id| self.bind(id, to, done)).collect::<Result<Vec<_>>>()?;
                self.arena.ordered(bound)
            }
            Expr::Inter(ids) => {
                let bound = ids.iter().map(|&id| self.bind(id, to, done)).collect::<Result<Vec<_>>>()?;
                self.arena.inter(bound)
            }
            Expr::Not(inner) => {
                let inner = self.bind(inner, to, done)?;
                self.arena.not(inner)
            }
            Expr::Repeat { body, min, max, lazy } => {
                let body = self.bind(body, to, done)?;
                self.arena.repeat(body, min, max, lazy)
            }
            Expr::Mark { body, min, max, lazy, dead } => {
                let body = self.bind(body, to, done)?;
                self.arena.intern(Expr::Mark { body, min, max, lazy, dead })
            }
            Expr::Ahead { negated, body } => {
                let body = self.bind(body, to, done)?;
                self.arena.intern(Expr::Ahead { negated, body })
            }
            Expr::Atomic(threads) => {
                let mut bound = Vec::with_capacity(threads.len());
                for &(condition, thread) in &threads {
                    bound.push((self.bind(condition, to, done)?, self.bind(thread, to, done)?));
                }
                self.arena.intern(Expr::Atomic(bound.into_boxed_slice()))
            }
            _ => id,
        })
    }

    /// The text of a backreference as an expression; `None`: its group has not matched.
    pub(super) fn content(&mut self, reference: u32, content: u32) -> Result<Option<ExprId>> {
        if content == UNBOUND {
            return Ok(None);
        }
        if let Some(&known) = self.captures.literals.get(&(reference, content)) {
            return Ok(Some(known));
        }
        let text = self.captures.contents[content as usize].clone();
        self.spend(text.len() as u64)?;
        let case = self.captures.references[reference as usize].1.clone();
        let sets: Vec<CodePoints> = text
            .iter()
            .map(|&c| match &case {
                CaseMapping::Sets(sets) => match sets.binary_search_by_key(&c, |entry| entry.0) {
                    Ok(index) => sets[index].1.clone(),
                    Err(_) => CodePoints::single(c),
                },
                CaseMapping::Exact => CodePoints::single(c),
            })
            .collect();
        let mut classes = Vec::with_capacity(sets.len());
        for set in &sets {
            self.partition.refine(set).ok_or_else(|| Error::Limit {
                limit: "memory_bytes",
                allowed: 0,
                message: "a backreference needs more than 60,000 classes of characters: make the captured text shorter"
                    .into(),
            })?;
            match self.partition.class(set) {
                Some(class) => classes.push(class),
                None => return Ok(Some(NOTHING)),
            }
        }
        let at = self.arena.pool.len() as u32;
        let len = classes.len() as u32;
        self.arena.pool.extend(classes);
        let literal = self.arena.string(at, len);
        self.captures.literals.insert((reference, content), literal);
        self.captures.memory += 32;
        Ok(Some(literal))
    }
}
