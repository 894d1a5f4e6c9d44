//! Groups that something asks for later: what they captured is put into the continuation when they close.
//!
//! `Open` writes into its `Close` where the capture begins, as an index into the state's buffer, the characters read
//! since the first open group. `Close` cuts the text out of the buffer and binds every backreference to the group in
//! the tail, and takes the `yes` of every conditional on it. A tail in which the group can open again keeps the bound
//! backreference, since it may be bound anew; in any other it becomes the text itself.
//!
//! A captured text is compared character by character, not minterm by minterm: its characters would cut the minterms
//! ever finer. So where a state may compare a character, its transitions go by character. Of the characters of one
//! minterm, those that it would compare with stand for themselves, and one other for all the rest: an automorphism of
//! the alphabet maps any of these to any other and leaves the state as it is.
//!
//! A text may also be left open (`OPAQUE`): of it only its least length is known, and a backreference to it takes any text of
//! the group's characters that is as long. That is too much where more may match, and just right for a bound from below
//! where the backreference stands in what must not match: one state then stands for all texts (`Calculus::lowered`).
//!
//! Costs: a group is captured only where something in its tail asks for its text. While it is open, each text is a state
//! of its own; k groups side by side can be open or closed at each of n characters in n^k ways, but texts that are asked
//! for side by side are joined to one, so that it does not matter where they were divided, and about kn ways are left.
//! Texts that are asked for in another order, or apart, stay apart.

use crate::codepoints::CodePoints;
use crate::derivative::derive::{Calculus, STEP};
use crate::error::Result;
use crate::expression::arena::{ANYTHING, EMPTY, Expr, ExprId, MANY, NOTHING, UNBOUND};
use crate::expression::facts::flag;
use crate::expression::minterms::{ALL, Bits};
use crate::syntax::ast::CaseMapping;
use rustc_hash::FxHashMap;

/// Stands for a character that is not known, in texts that are left open.
const OPAQUE: u32 = 0x11_0000;
/// Texts that are left open are counted up to so many characters.
const MOST_OPAQUE: u32 = 16;

/// Backreferences of the pattern, texts that were captured, and texts that are being captured.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    references: Vec<(u32, CaseMapping)>,
    conditions: Vec<Box<[u32]>>,
    /// By group: the minterms of which its text can be.
    letters: FxHashMap<u32, Bits>,
    contents: Vec<Box<[u32]>>,
    content_ids: FxHashMap<Box<[u32]>, u32>,
    /// Parent and last character; number 0 is the empty buffer.
    buffers: Vec<(u32, u32, u32)>,
    buffer_ids: FxHashMap<(u32, u32), u32>,
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

    /// Whether a kind of backreference compares characters as they are.
    pub fn is_exact(&self, reference: u32) -> bool {
        matches!(self.references[reference as usize].1, CaseMapping::Exact)
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

    /// The buffer after the character that was read; of one that is left open, only the length is known.
    pub(crate) fn extend(&mut self, buffer: u32, c: u32) -> u32 {
        if !self.is_opaque(buffer) {
            return self.push(buffer, c);
        }
        if self.buffer_len(buffer) < MOST_OPAQUE { self.push(buffer, OPAQUE) } else { buffer }
    }

    /// The buffer without its first characters.
    pub(crate) fn without_first(&mut self, buffer: u32, count: u32) -> u32 {
        self.read(buffer, count).into_iter().fold(0, |buffer, c| self.push(buffer, c))
    }

    /// Whether a buffer's characters are left open.
    pub(crate) fn is_opaque(&self, buffer: u32) -> bool {
        buffer != 0 && self.buffers[buffer as usize - 1].1 == OPAQUE
    }

    /// A buffer that stands for one of so many characters, or more, whichever they are.
    pub(crate) fn opaque(&mut self, length: u32) -> u32 {
        (0..length.clamp(1, MOST_OPAQUE)).fold(0, |buffer, _| self.push(buffer, OPAQUE))
    }

    /// The least length of a text that is left open; `None`: it is not.
    fn opaque_length(&self, content: u32) -> Option<u32> {
        let text = self.text(content);
        (text.first() == Some(&OPAQUE)).then_some(text.len() as u32 - 1)
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
        Captures {
            references: self.references.clone(),
            conditions: self.conditions.clone(),
            letters: self.letters.clone(),
            ..Captures::default()
        }
    }

    /// Whether a character is the next one of a text of which so many are left.
    pub fn agrees(&self, reference: u32, content: u32, left: u32, c: u32) -> bool {
        let text = self.text(content);
        let wanted = text[text.len() - left as usize];
        self.class(reference, wanted).map_or(wanted == c, |class| class.contains(c))
    }

    /// The characters that are compared as equal to one.
    fn class(&self, reference: u32, c: u32) -> Option<&CodePoints> {
        match &self.references[reference as usize].1 {
            CaseMapping::Sets(sets) => {
                sets.binary_search_by_key(&c, |entry| entry.0).ok().and_then(|i| sets.get(i)).map(|entry| &entry.1)
            }
            CaseMapping::Exact => None,
        }
    }

    /// Adds the characters that are compared as equal to the next one of a text.
    fn add_next(&self, reference: u32, content: u32, left: u32, out: &mut Vec<u32>) {
        let text = self.text(content);
        let Some(&wanted) = text.len().checked_sub(left as usize).and_then(|i| text.get(i)) else { return };
        out.push(wanted);
        if let Some(class) = self.class(reference, wanted) {
            out.extend(class.ranges().iter().flat_map(|r| r.0..=r.1));
        }
    }

    /// A text by its id.
    pub fn text(&self, content: u32) -> &[u32] {
        &self.contents[content as usize]
    }
}

impl Calculus {
    /// Remembers of which minterms a group's text can be.
    pub(crate) fn note_letters(&mut self, group: u32, body: ExprId) {
        let mut bits = self.captures.letters.remove(&group).unwrap_or_default();
        let mut stack = vec![body];
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.arena.get(id) {
                _ if id == ANYTHING => bits.extend(self.partition.bits(ALL)),
                Expr::Class(class) => bits.extend(self.partition.bits(*class)),
                Expr::Str { at, len } => {
                    let classes = &self.arena.pool[*at as usize..(at + len) as usize];
                    classes.iter().for_each(|&class| bits.extend(self.partition.bits(class)));
                }
                Expr::Literals { table, lo, hi, .. } => {
                    for &(at, len) in &self.arena.tables[*table as usize][*lo as usize..*hi as usize] {
                        let classes = &self.arena.pool[at as usize..(at + len) as usize];
                        classes.iter().for_each(|&class| bits.extend(self.partition.bits(class)));
                    }
                }
                Expr::Concat(head, tail) => stack.extend([*head, *tail]),
                Expr::Union(ids) | Expr::Ordered(ids) | Expr::Inter(ids) => stack.extend(ids),
                Expr::Repeat { body, .. } | Expr::Mark { body, .. } => stack.push(*body),
                Expr::Cond { yes, no, .. } => stack.extend([*yes, *no]),
                Expr::Atomic(threads) => stack.extend(threads.iter().map(|t| t.1)),
                Expr::Backref { .. } | Expr::Text { .. } | Expr::Not(_) => bits.extend(self.partition.bits(ALL)),
                // What a pattern does not have inside.
                Expr::Rule(_)
                | Expr::Part(_)
                | Expr::Table { .. }
                | Expr::Members { .. }
                | Expr::Keys { .. }
                | Expr::Items { .. }
                | Expr::Top { .. }
                | Expr::Opaque => bits.extend(self.partition.bits(ALL)),
                // What reads nothing.
                _ => {}
            }
        }
        self.captures.letters.insert(group, bits);
    }

    /// One character of the minterms.
    fn one_of(&mut self, bits: &Bits) -> ExprId {
        let set = self.partition.set(bits);
        let Some(class) = self.partition.class(&set) else { return NOTHING };
        self.arena.learn(&self.partition);
        self.arena.class(class)
    }

    /// One character that is compared as equal to `c`, or another of its minterm.
    fn one_like(&mut self, reference: u32, c: u32) -> ExprId {
        let mut bits = Bits::default();
        bits.add(self.partition.minterm(c));
        if let Some(class) = self.captures.class(reference, c) {
            class.ranges().iter().flat_map(|r| r.0..=r.1).for_each(|c| bits.add(self.partition.minterm(c)));
        }
        self.one_of(&bits)
    }

    /// Any text of at least so many characters that a group's text can be of, compared as the reference tells.
    fn any_text(&mut self, reference: u32, least: u32) -> ExprId {
        let (group, case) = self.captures.references[reference as usize].clone();
        let mut bits = self.captures.letters.get(&group).unwrap_or_else(|| self.partition.bits(ALL)).clone();
        if let CaseMapping::Sets(sets) = case {
            let own = bits.clone();
            for (_, class) in sets.iter().filter(|(c, _)| own.has(self.partition.minterm(*c))) {
                class.ranges().iter().flat_map(|r| r.0..=r.1).for_each(|c| bits.add(self.partition.minterm(c)));
            }
        }
        let one = self.one_of(&bits);
        self.arena.repeat(one, least, MANY, false)
    }

    /// `tail`, with the group's end told where the capture begins, if anything in it asks for the text.
    pub(crate) fn open(&mut self, group: u32, tail: ExprId) -> ExprId {
        if !self.asks(tail, group, &mut FxHashMap::default()) {
            return tail;
        }
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
            if next == EMPTY {
                return tail;
            }
            heads.push(head);
            rest = next;
        }
    }

    /// `tail`, with what the group captured put in.
    pub(crate) fn close(&mut self, group: u32, start: u32, tail: ExprId) -> Result<ExprId> {
        let content = if start == UNBOUND {
            UNBOUND
        } else {
            let mut characters = self.captures.read(self.context.buffer, start);
            if self.captures.is_opaque(self.context.buffer) {
                // Also of no length, it is told from a text by its first character.
                characters.push(OPAQUE);
            }
            self.spend(STEP + characters.len() as u64)?;
            self.captures.content(characters)
        };
        let mut again = FxHashMap::default();
        let keep = self.opens(tail, group, &mut again);
        let mut done = FxHashMap::default();
        self.bind(tail, (group, content, keep), &mut done)
    }

    /// Whether the group can begin again.
    fn opens(&self, id: ExprId, group: u32, known: &mut FxHashMap<ExprId, bool>) -> bool {
        self.has(id, &|item| matches!(*item, Expr::Open(opened) if opened == group), known)
    }

    /// Whether a backreference asks for the group's text.
    fn asks(&self, id: ExprId, group: u32, known: &mut FxHashMap<ExprId, bool>) -> bool {
        let asks =
            |item: &Expr| matches!(*item, Expr::Backref { reference, .. } if self.captures.group(reference) == group);
        self.has(id, &asks, known)
    }

    /// Whether an item that has to do with groups stands anywhere in an expression.
    fn has(&self, id: ExprId, wanted: &dyn Fn(&Expr) -> bool, known: &mut FxHashMap<ExprId, bool>) -> bool {
        if !self.arena.is(id, flag::GROUPS) {
            return false;
        }
        if let Some(&known) = known.get(&id) {
            return known;
        }
        let mut rest = id;
        let mut found = false;
        while !found && rest != EMPTY {
            let (head, tail) = self.arena.split(rest);
            found = match *self.arena.get(head) {
                Expr::Union(ref ids) | Expr::Ordered(ref ids) | Expr::Inter(ref ids) => {
                    ids.iter().any(|&id| self.has(id, wanted, known))
                }
                Expr::Not(body) | Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { body, .. } => {
                    self.has(body, wanted, known)
                }
                Expr::Cond { yes, no, .. } => self.has(yes, wanted, known) || self.has(no, wanted, known),
                Expr::Atomic(ref threads) => {
                    threads.iter().any(|&(c, t)| self.has(c, wanted, known) || self.has(t, wanted, known))
                }
                ref item => wanted(item),
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
        self.spend(STEP)?;
        let mut heads = Vec::new();
        let mut rest = id;
        // The spine is walked, not recursed into: it may be long.
        while rest != EMPTY && self.arena.is(rest, flag::GROUPS) {
            let (head, tail) = self.arena.split(rest);
            heads.push(self.bind_one(head, to, done)?);
            rest = tail;
        }
        let bound = heads.into_iter().rev().fold(rest, |tail, head| self.joined(head, tail));
        done.insert(id, bound);
        Ok(bound)
    }

    /// A sequence; captured texts side by side become one, so that it does not matter which group took which part.
    fn joined(&mut self, head: ExprId, tail: ExprId) -> ExprId {
        let (next, rest) = self.arena.split(tail);
        if let (Expr::Text { reference, content, left }, Expr::Text { reference: other, content: more, left: also }) =
            (self.arena.get(head).clone(), self.arena.get(next).clone())
            && self.captures.references[reference as usize].1 == self.captures.references[other as usize].1
        {
            let end = |text: &[u32], left: u32| text[text.len() - left as usize..].to_vec();
            let mut characters = end(self.captures.text(content), left);
            characters.extend(end(self.captures.text(more), also));
            let content = self.captures.content(characters);
            let text = self.text(reference, content, left + also);
            return self.arena.concat(text, rest);
        }
        self.arena.concat(head, tail)
    }

    /// What a term becomes if texts are compared by minterm, and those that are still to be captured may be any of the
    /// group's characters: all that it matches, and perhaps more. `None` where more inside would be less outside.
    pub(crate) fn loosened(&mut self, id: ExprId, done: &mut FxHashMap<ExprId, ExprId>) -> Result<Option<ExprId>> {
        if !self.arena.is(id, flag::GROUPS) {
            return Ok(Some(id));
        }
        if let Some(&known) = done.get(&id) {
            return Ok(Some(known));
        }
        self.spend(STEP)?;
        let mut heads = Vec::new();
        let mut rest = id;
        while rest != EMPTY && self.arena.is(rest, flag::GROUPS) {
            let (head, tail) = self.arena.split(rest);
            let Some(head) = self.loosened_item(head, done)? else { return Ok(None) };
            heads.push(head);
            rest = tail;
        }
        let loose = heads.into_iter().rev().fold(rest, |tail, head| self.arena.concat(head, tail));
        done.insert(id, loose);
        Ok(Some(loose))
    }

    fn loosened_item(&mut self, id: ExprId, done: &mut FxHashMap<ExprId, ExprId>) -> Result<Option<ExprId>> {
        if !self.arena.is(id, flag::GROUPS) {
            return Ok(Some(id));
        }
        let item = self.arena.get(id).clone();
        let mut each = |this: &mut Self, ids: &[ExprId]| -> Result<Option<Vec<ExprId>>> {
            ids.iter().map(|&id| this.loosened(id, done)).collect()
        };
        Ok(match item {
            Expr::Open(_) | Expr::Close { .. } => Some(EMPTY),
            Expr::Backref { reference, .. } => Some(self.any_text(reference, 0)),
            Expr::Text { reference, content, left } => {
                let text = self.captures.text(content);
                let characters = text[text.len() - left as usize..].to_vec();
                self.spend(u64::from(left))?;
                let like = |this: &mut Self, c| this.one_like(reference, c);
                let ones: Vec<ExprId> = characters.into_iter().map(|c| like(self, c)).collect();
                Some(ones.into_iter().rev().fold(EMPTY, |tail, one| self.arena.concat(one, tail)))
            }
            Expr::Union(ids) => each(self, &ids)?.map(|ids| self.arena.union(ids, &mut self.partition)),
            Expr::Ordered(ids) => each(self, &ids)?.map(|ids| self.arena.ordered(ids)),
            Expr::Inter(ids) => each(self, &ids)?.map(|ids| self.arena.inter(ids)),
            Expr::Cond { yes, no, .. } => each(self, &[yes, no])?.map(|ids| self.arena.union(ids, &mut self.partition)),
            Expr::Repeat { body, min, max, lazy } => {
                self.loosened(body, done)?.map(|body| self.arena.repeat(body, min, max, lazy))
            }
            Expr::Mark { body, min, max, lazy, dead } => {
                self.loosened(body, done)?.map(|body| self.arena.intern(Expr::Mark { body, min, max, lazy, dead }))
            }
            Expr::Ahead { negated: false, body } => {
                self.loosened(body, done)?.map(|body| self.arena.intern(Expr::Ahead { negated: false, body }))
            }
            // Negated lookaheads, complements, the order of ways in an atomic group.
            _ => None,
        })
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
                    self.content(reference, content).unwrap_or(NOTHING)
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
    pub(crate) fn content(&mut self, reference: u32, content: u32) -> Option<ExprId> {
        if content == UNBOUND {
            return None;
        }
        if let Some(least) = self.captures.opaque_length(content) {
            return Some(self.any_text(reference, least));
        }
        let left = self.captures.text(content).len() as u32;
        Some(self.text(reference, content, left))
    }

    fn text(&mut self, reference: u32, content: u32, left: u32) -> ExprId {
        if left == 0 { EMPTY } else { self.arena.intern(Expr::Text { reference, content, left }) }
    }

    /// What is left of a text after the character that is being read, if it agrees.
    pub(crate) fn read_text(&mut self, reference: u32, content: u32, left: u32) -> Option<ExprId> {
        let agrees = self.captures.agrees(reference, content, left, self.context.character);
        agrees.then(|| self.text(reference, content, left - 1))
    }

    /// The characters that a term with a buffer may compare the next one with, sorted.
    pub(crate) fn compared(&self, term: ExprId, buffer: u32) -> Vec<u32> {
        let mut characters = Vec::new();
        if self.arena.is(term, flag::FRONT_CAPTURE) {
            // A group that closes now may be asked for at once: any of its characters may be the first.
            let mut text = self.captures.read(buffer, 0);
            let read = text.len();
            text.sort_unstable();
            text.dedup();
            self.unpaid.set(self.unpaid.get() + (read + text.len() * self.captures.references.len()) as u64);
            for reference in 0..self.captures.references.len() as u32 {
                for &c in &text {
                    if let Some(class) = self.captures.class(reference, c) {
                        characters.extend(class.ranges().iter().flat_map(|r| r.0..=r.1));
                    }
                }
            }
            characters.extend(text);
        }
        let mut stack = vec![term];
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(id) = stack.pop() {
            if !self.arena.is(id, flag::FRONT_TEXT) || !seen.insert(id) {
                continue;
            }
            match self.arena.get(id) {
                Expr::Rule(rule) => stack.push(self.arena.rules[*rule as usize].body),
                Expr::Part(number) => characters.extend(self.compared_in(self.about_part(*number).0)),
                Expr::Text { reference, content, left } => {
                    self.captures.add_next(*reference, *content, *left, &mut characters);
                }
                Expr::Backref { reference, content } if *content != UNBOUND => {
                    let left = self.captures.text(*content).len() as u32;
                    self.captures.add_next(*reference, *content, left, &mut characters);
                }
                other => self.arena.pieces(other, &mut stack),
            }
        }
        self.unpaid.set(self.unpaid.get() + (seen.len() + characters.len()) as u64);
        characters.sort_unstable();
        characters.dedup();
        characters.retain(|&c| c != OPAQUE);
        characters
    }

    /// Where in the buffer the first group begins that a term captures.
    pub(crate) fn first_start(&mut self, term: ExprId) -> u32 {
        if let Some(&known) = self.first_starts.get(&term) {
            return known;
        }
        let mut least = u32::MAX;
        let mut stack = vec![term];
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(id) = stack.pop() {
            if !self.arena.is(id, flag::CAPTURING) || !seen.insert(id) {
                continue;
            }
            match self.arena.get(id) {
                Expr::Concat(head, tail) => stack.extend([*head, *tail]),
                Expr::Union(ids) | Expr::Ordered(ids) | Expr::Inter(ids) => stack.extend(ids),
                Expr::Not(body) | Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { body, .. } => {
                    stack.push(*body);
                }
                Expr::Cond { yes, no, .. } => stack.extend([*yes, *no]),
                Expr::Atomic(threads) => stack.extend(threads.iter().flat_map(|t| [t.0, t.1])),
                Expr::Close { start, .. } => least = least.min(*start),
                // Nothing is known of it.
                _ => least = 0,
            }
        }
        let least = if least == u32::MAX { 0 } else { least };
        self.first_starts.insert(term, least);
        least
    }

    /// A term whose groups begin so much earlier in the buffer.
    pub(crate) fn started_later(
        &mut self,
        id: ExprId,
        by: u32,
        done: &mut FxHashMap<ExprId, ExprId>,
    ) -> Result<ExprId> {
        if !self.arena.is(id, flag::CAPTURING) {
            return Ok(id);
        }
        if let Some(&known) = done.get(&id) {
            return Ok(known);
        }
        self.spend(STEP)?;
        let mut heads = Vec::new();
        let mut rest = id;
        // The spine is walked, not recursed into: it may be long.
        while rest != EMPTY && self.arena.is(rest, flag::CAPTURING) {
            let (head, tail) = self.arena.split(rest);
            heads.push(if self.arena.is(head, flag::CAPTURING) {
                self.item_started_later(head, by, done)?
            } else {
                head
            });
            rest = tail;
        }
        let moved = heads.into_iter().rev().fold(rest, |tail, head| self.arena.concat(head, tail));
        done.insert(id, moved);
        Ok(moved)
    }

    fn item_started_later(&mut self, id: ExprId, by: u32, done: &mut FxHashMap<ExprId, ExprId>) -> Result<ExprId> {
        let mut each = |this: &mut Self, ids: &[ExprId]| -> Result<Vec<ExprId>> {
            ids.iter().map(|&id| this.started_later(id, by, done)).collect()
        };
        Ok(match self.arena.get(id).clone() {
            Expr::Close { group, start } if start != UNBOUND => {
                self.arena.intern(Expr::Close { group, start: start - by })
            }
            Expr::Union(ids) => {
                let ids = each(self, &ids)?;
                self.arena.union(ids, &mut self.partition)
            }
            Expr::Ordered(ids) => {
                let ids = each(self, &ids)?;
                self.arena.ordered(ids)
            }
            Expr::Inter(ids) => {
                let ids = each(self, &ids)?;
                self.arena.inter(ids)
            }
            Expr::Not(inner) => {
                let inner = self.started_later(inner, by, done)?;
                self.arena.not(inner)
            }
            Expr::Repeat { body, min, max, lazy } => {
                let body = self.started_later(body, by, done)?;
                self.arena.repeat(body, min, max, lazy)
            }
            Expr::Mark { body, min, max, lazy, dead } => {
                let body = self.started_later(body, by, done)?;
                self.arena.intern(Expr::Mark { body, min, max, lazy, dead })
            }
            Expr::Ahead { negated, body } => {
                let body = self.started_later(body, by, done)?;
                self.arena.intern(Expr::Ahead { negated, body })
            }
            Expr::Cond { groups, yes, no } => {
                let both = each(self, &[yes, no])?;
                self.arena.intern(Expr::Cond { groups, yes: both[0], no: both[1] })
            }
            Expr::Atomic(threads) => {
                let mut moved = Vec::with_capacity(threads.len());
                for &(condition, thread) in &threads {
                    moved.push((self.started_later(condition, by, done)?, self.started_later(thread, by, done)?));
                }
                self.arena.intern(Expr::Atomic(moved.into_boxed_slice()))
            }
            _ => id,
        })
    }

    /// A term that has no text that `term` has not, once the texts that are being captured are left open; and whether
    /// something was left out of it. `None`: there is none of use.
    ///
    /// A text that is left open is compared too generously, so only what must not match may ask for it. An alternative in
    /// which something else does is left out.
    pub(crate) fn lowered(&mut self, term: ExprId) -> Option<(ExprId, bool)> {
        let lowered = self.lowered_part(term, false)?;
        Some((lowered, lowered != term)).filter(|_| lowered != NOTHING)
    }

    fn lowered_part(&mut self, id: ExprId, negated: bool) -> Option<ExprId> {
        if !self.arena.is(id, flag::CAPTURING) {
            return Some(id);
        }
        match self.arena.get(id).clone() {
            Expr::Union(ids) => {
                let mut parts = Vec::with_capacity(ids.len());
                for &id in &ids {
                    match self.lowered_part(id, negated) {
                        Some(part) => parts.push(part),
                        None if negated => return None,
                        None => {}
                    }
                }
                Some(self.any(parts))
            }
            Expr::Inter(ids) => {
                let parts: Option<Vec<ExprId>> = ids.iter().map(|&id| self.lowered_part(id, negated)).collect();
                parts.map(|parts| self.arena.inter(parts))
            }
            Expr::Not(inner) => self.lowered_part(inner, !negated).map(|inner| self.arena.not(inner)),
            _ => self.may_be_left_open(id, negated).then_some(id),
        }
    }

    /// Whether all that asks for the texts that a sequence captures stands where it must not match; the sequence itself
    /// stands there if `negated`.
    fn may_be_left_open(&self, sequence: ExprId, negated: bool) -> bool {
        let mut rest = sequence;
        while rest != EMPTY {
            let (head, tail) = self.arena.split(rest);
            match *self.arena.get(head) {
                Expr::Close { group, start } if start != UNBOUND && !self.all_ask(tail, group, !negated) => {
                    return false;
                }
                Expr::Close { .. } => {}
                _ if self.arena.is(head, flag::CAPTURING) => return false,
                _ => {}
            }
            rest = tail;
        }
        true
    }

    /// Whether whatever asks for a group's text in a sequence is `negated`, or whether none of it is.
    fn all_ask(&self, sequence: ExprId, group: u32, negated: bool) -> bool {
        if !self.asks(sequence, group, &mut FxHashMap::default()) {
            return true;
        }
        let mut rest = sequence;
        while rest != EMPTY {
            let (head, tail) = self.arena.split(rest);
            let agrees = match *self.arena.get(head) {
                Expr::Union(ref ids) | Expr::Inter(ref ids) => ids.iter().all(|&id| self.all_ask(id, group, negated)),
                Expr::Not(body) | Expr::Ahead { negated: true, body } => self.all_ask(body, group, !negated),
                Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { negated: false, body } => {
                    self.all_ask(body, group, negated)
                }
                Expr::Cond { yes, no, .. } => self.all_ask(yes, group, negated) && self.all_ask(no, group, negated),
                Expr::Backref { reference, .. } => self.captures.group(reference) != group || !negated,
                // Of ways in an order, more may mean less.
                _ => !self.asks(head, group, &mut FxHashMap::default()),
            };
            if !agrees {
                return false;
            }
            rest = tail;
        }
        true
    }
}
