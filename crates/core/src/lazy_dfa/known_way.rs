//! Ways to a match that are known without a search for the shortest.
//!
//! A state that is alive has a way: its structure shows one, or it was found when the state was proven alive (`liveness.rs`),
//! and is kept then. So a text can always be ended, whatever a search for a shorter way would take.

use crate::derivative::captures::Captures;
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::node::{EMPTY, Expr, ExprId, MANY, NOTHING, UNBOUND};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, State};
use crate::lazy_dfa::ways::Onward;
use crate::symbols::push;

/// Items of a sequence that are looked at for a way that the structure shows.
const MOST_ITEMS: u32 = 400;
/// Iterations of a repetition with groups that are written one by one.
const MOST_ITERATIONS: u32 = 64;

/// Stands in a draft for characters that are not known; it is no byte of a text.
const READ: u8 = 0xFE;

/// A way that is being written down from a term's structure.
#[derive(Clone)]
struct Draft {
    text: Vec<u8>,
    /// The texts of the groups that are closed.
    closed: Vec<(u32, Vec<u8>)>,
    /// Where in `text` groups were opened.
    opened: Vec<(u32, usize)>,
}

fn push_all(characters: &[u32], text: &mut Vec<u8>) {
    characters.iter().for_each(|&character| push(character, text));
}

/// The bytes that an open group has captured since position `start` of a buffer.
fn captured(captures: &Captures, buffer: u32, start: u32) -> Vec<u8> {
    let mut text = Vec::new();
    push_all(&captures.read(buffer, start), &mut text);
    text
}

impl CharDfa {
    /// The text of a way that is known; `None`: none is.
    pub(crate) fn known_way(&mut self, state: CharState) -> Result<Option<Vec<u8>>> {
        let (mut at, mut text) = (state, Vec::new());
        loop {
            self.calculus.spend(1)?;
            if self.accepting(at)? {
                return Ok(Some(text));
            }
            if self.ways.nearest.contains_key(&at) {
                self.follow(at, &mut text)?;
                return Ok(Some(text));
            }
            let State { term, buffer, .. } = self.states[at as usize];
            if self.calculus.arena.is(term, flag::PLAIN) {
                self.cheapest.write_cheapest(&mut self.calculus, term, &mut text)?;
                return Ok(Some(text));
            }
            if let Some(rest) = self.structural_way(term, buffer)? {
                text.extend(rest);
                return Ok(Some(text));
            }
            match self.ways.onward.get(&at) {
                Some(&Onward::Step { character, next }) => {
                    push_all(&[character], &mut text);
                    at = next;
                }
                Some(&Onward::Like(other)) => at = other,
                Some(Onward::Text(rest)) => {
                    text.extend_from_slice(rest);
                    return Ok(Some(text));
                }
                None => return Ok(None),
            }
        }
    }

    /// A way that the structure shows: no conditions but on groups that are closed by then.
    fn structural_way(&mut self, term: ExprId, buffer: u32) -> Result<Option<Vec<u8>>> {
        if !self.calculus.captures_texts && !self.calculus.arena.is(term, flag::GROUPS | flag::FUZZY) {
            return Ok(None);
        }
        let mut draft = Draft { text: Vec::new(), closed: Vec::new(), opened: Vec::new() };
        let mut budget = MOST_ITEMS;
        let found = self.write_sequence(term, EMPTY, buffer, &mut draft, &mut budget)?;
        Ok(found.then_some(draft.text))
    }

    /// How the text may end after some characters of the class that a term captures without end: these pieces, and between
    /// each two of them the characters once more.
    pub(crate) fn looping_way(&mut self, state: CharState) -> Result<Option<Vec<Vec<u8>>>> {
        let State { term, buffer, .. } = self.states[state as usize];
        if !self.calculus.captures_texts || !self.calculus.arena.is(term, flag::GROUPS) {
            return Ok(None);
        }
        let mut draft = Draft { text: vec![READ], closed: Vec::new(), opened: Vec::new() };
        let (mut head, mut tail) = self.calculus.arena.split(term);
        while let Expr::Open(group) = *self.calculus.arena.get(head) {
            draft.opened.push((group, 0));
            (head, tail) = self.calculus.arena.split(tail);
        }
        let Expr::Repeat { body, min: 0 | 1, max: MANY, .. } = *self.calculus.arena.get(head) else { return Ok(None) };
        let Expr::Class(_) = self.calculus.arena.get(body) else { return Ok(None) };
        let mut budget = MOST_ITEMS;
        if !self.write_sequence(tail, EMPTY, buffer, &mut draft, &mut budget)? {
            return Ok(None);
        }
        Ok(Some(draft.text[1..].split(|&byte| byte == READ).map(<[u8]>::to_vec).collect()))
    }

    /// Writes a shortest text of a sequence followed by another, as far as single parts show it; whether there is one.
    fn write_sequence(
        &mut self,
        sequence: ExprId,
        behind: ExprId,
        buffer: u32,
        draft: &mut Draft,
        budget: &mut u32,
    ) -> Result<bool> {
        let (mut rest, mut behind) = (sequence, behind);
        loop {
            if rest == EMPTY {
                if behind == EMPTY {
                    return Ok(true);
                }
                (rest, behind) = (behind, EMPTY);
            }
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            self.calculus.spend(1)?;
            let (head, tail) = self.calculus.arena.split(rest);
            match self.calculus.arena.get(head).clone() {
                _ if self.calculus.arena.is(head, flag::PLAIN) && head != NOTHING => {
                    self.cheapest.write_cheapest(&mut self.calculus, head, &mut draft.text)?;
                }
                Expr::Repeat { min: 0, .. } => {}
                Expr::Repeat { body, min, .. } => {
                    if min > MOST_ITERATIONS {
                        return Ok(false);
                    }
                    for _ in 0..min {
                        if !self.write_sequence(body, EMPTY, buffer, draft, budget)? {
                            return Ok(false);
                        }
                    }
                }
                Expr::Union(ids) | Expr::Ordered(ids) => {
                    if behind != EMPTY {
                        return Ok(false);
                    }
                    let mut best: Option<Draft> = None;
                    for &id in &ids {
                        let mut one = draft.clone();
                        let least = self.calculus.arena.info(id).min_len as usize + draft.text.len();
                        let is_worse = best.as_ref().is_some_and(|best| best.text.len() <= least);
                        if !is_worse
                            && self.write_sequence(id, tail, buffer, &mut one, budget)?
                            && best.as_ref().is_none_or(|best| one.text.len() < best.text.len())
                        {
                            best = Some(one);
                        }
                    }
                    let Some(best) = best else { return Ok(false) };
                    *draft = best;
                    return Ok(true);
                }
                Expr::Open(group) => draft.opened.push((group, draft.text.len())),
                Expr::Close { group, start } => {
                    let text = if start != UNBOUND {
                        let mut text = captured(&self.calculus.captures, buffer, start);
                        text.extend_from_slice(&draft.text);
                        Some(text)
                    } else {
                        let opened = draft.opened.iter().rev().find(|opened| opened.0 == group);
                        opened.map(|&(_, from)| draft.text[from..].to_vec())
                    };
                    draft.closed.retain(|closed| closed.0 != group);
                    if let Some(text) = text {
                        draft.closed.push((group, text));
                    }
                }
                Expr::Backref { reference, content } => {
                    let group = self.calculus.captures.group(reference);
                    if let Some((_, text)) = draft.closed.iter().find(|closed| closed.0 == group) {
                        draft.text.extend_from_slice(text);
                    } else if content != UNBOUND {
                        push_all(self.calculus.captures.text(content), &mut draft.text);
                    } else {
                        return Ok(false);
                    }
                }
                Expr::Part(number) if self.calculus.is_proven(number) => {
                    self.cheapest.write_cheapest(&mut self.calculus, head, &mut draft.text)?;
                }
                // Without an error.
                Expr::Fuzzy(state) if self.calculus.arena.is_writable(state) => {
                    let ways = self.calculus.arena.fuzzy.states[state as usize].ways.clone();
                    let mut best = (u64::MAX, EMPTY);
                    for &(position, _) in &ways {
                        best = best.min((self.cheapest.cost(&mut self.calculus, position)?, position));
                    }
                    self.cheapest.write_cheapest(&mut self.calculus, best.1, &mut draft.text)?;
                }
                Expr::Rule(rule) => {
                    let body = self.calculus.arena.rules[rule as usize].body;
                    if !self.write_sequence(body, EMPTY, buffer, draft, budget)? {
                        return Ok(false);
                    }
                }
                Expr::Text { content, left, .. } => {
                    let text = self.calculus.captures.text(content);
                    push_all(&text[text.len() - left as usize..], &mut draft.text);
                }
                _ => return Ok(false),
            }
            rest = tail;
        }
    }
}
