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

use crate::derivative::calculus::{Calculus, STEP};
use crate::derivative::captures::OPAQUE;
use crate::derivative::rewrite::{Change, Rewriting};
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::node::{EMPTY, Expr, ExprId, NOTHING, UNBOUND};
use rustc_hash::FxHashMap;

impl Calculus {
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
        let keep = self.opens(tail, group, &mut FxHashMap::default());
        let bound = self.rewrite(tail, &mut Binding { group, content, keep, done: FxHashMap::default() })?;
        Ok(bound.unwrap_or(NOTHING))
    }

    /// Whether the group can begin again.
    fn opens(&self, id: ExprId, group: u32, known: &mut FxHashMap<ExprId, bool>) -> bool {
        self.has(id, &|item| matches!(*item, Expr::Open(opened) if opened == group), known)
    }

    /// Whether a backreference asks for the group's text.
    pub(super) fn asks(&self, id: ExprId, group: u32, known: &mut FxHashMap<ExprId, bool>) -> bool {
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

    /// A sequence; captured texts side by side become one, so that it does not matter which group took which part.
    pub(super) fn joined(&mut self, head: ExprId, tail: ExprId) -> ExprId {
        let (next, rest) = self.arena.split(tail);
        if let (&Expr::Text { reference, content, left }, &Expr::Text { reference: other, content: more, left: also }) =
            (self.arena.get(head), self.arena.get(next))
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
}

/// Puts the text of a group where it is asked for.
struct Binding {
    group: u32,
    content: u32,
    /// Whether the group can begin again.
    keep: bool,
    done: FxHashMap<ExprId, ExprId>,
}

impl Rewriting for Binding {
    const FLAG: u32 = flag::GROUPS;

    fn item(&mut self, calculus: &mut Calculus, item: &Expr) -> Result<Change> {
        Ok(match *item {
            Expr::Backref { reference, .. } if calculus.captures.group(reference) == self.group => {
                Change::To(if self.keep {
                    calculus.arena.intern(Expr::Backref { reference, content: self.content })
                } else {
                    calculus.content(reference, self.content).unwrap_or(NOTHING)
                })
            }
            Expr::Cond { groups, yes, .. } if calculus.captures.conditions[groups as usize].contains(&self.group) => {
                Change::To(calculus.rewrite(yes, self)?.unwrap_or(NOTHING))
            }
            _ => Change::Parts,
        })
    }

    fn done(&mut self) -> &mut FxHashMap<ExprId, ExprId> {
        &mut self.done
    }
}
