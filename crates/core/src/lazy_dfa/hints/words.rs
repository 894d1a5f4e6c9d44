//! States of which it is known that their texts begin with one of many words.

use crate::expression::info::flag;
use crate::expression::node::{EMPTY, Expr};
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::CharState;
use crate::mask::hints::{Literal, WordTable, Words};
use std::sync::Arc;

/// Fewer words are as well stepped over.
const LEAST: u32 = 8;

/// The tables made so far, by number; `None`: not of single characters in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordTables(Vec<Option<Option<Arc<WordTable>>>>);

impl WordTables {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.iter().flatten().flatten().map(|table| table.memory_bytes() + 64).sum()
    }
}

impl WordTables {
    /// See [`crate::mask::hints::MaskHints::words`].
    pub(crate) fn find_words(&mut self, dfa: &CharDfa, state: CharState) -> Option<Words> {
        let term = dfa.states[state as usize].term;
        let arena = &dfa.calculus.arena;
        let (head, tail) = arena.split(term);
        let Expr::Literals { table, lo, hi, depth } = *arena.get(head) else { return None };
        if hi - lo < LEAST || !arena.is(term, flag::PLAIN) {
            return None;
        }
        let index = table as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        if self.0[index].is_none() {
            self.0[index] = Some(make_words(dfa, index));
        }
        let words = self.0[index].clone()??;
        // They share the characters that were read, and so the bytes.
        let (at, _) = dfa.calculus.arena.tables[index][lo as usize];
        let read = &dfa.calculus.arena.pool[at as usize..(at + depth) as usize];
        let depth = read.iter().filter_map(|&class| dfa.calculus.partition.single(class)).map(char::len_utf8).sum();
        Some(Words { table: words, range: lo as usize..hi as usize, depth, are_last: tail == EMPTY })
    }
}

/// See [`crate::mask::hints::MaskHints::literal`]; the state's term is plain.
pub(crate) fn find_literal(dfa: &CharDfa, state: CharState) -> Option<Literal> {
    let term = dfa.states[state as usize].term;
    let arena = &dfa.calculus.arena;
    let (head, tail) = arena.split(term);
    let Expr::Str { at, len } = *arena.get(head) else { return None };
    let mut literal = Literal::new(tail == EMPTY);
    for &class in &arena.pool[at as usize..(at + len) as usize] {
        let character = dfa.calculus.partition.single(class);
        if !character.is_some_and(|character| literal.push(character)) {
            literal.is_last = false;
            break;
        }
    }
    (literal.bytes().len() > 1).then_some(literal)
}

fn make_words(dfa: &CharDfa, index: usize) -> Option<Arc<WordTable>> {
    let arena = &dfa.calculus.arena;
    let mut words = WordTable::default();
    let (from, to) =
        arena.tables[index].iter().fold((u32::MAX, 0), |(from, to), &(at, len)| (from.min(at), to.max(at + len)));
    let classes = arena.pool.get(from as usize..to as usize).unwrap_or_default();
    let mut characters: Vec<Option<Option<char>>> = vec![None; dfa.calculus.partition.count()];
    for &class in classes {
        let known = &mut characters[class as usize];
        if known.is_none() {
            *known = Some(dfa.calculus.partition.single(class));
        }
    }
    let (mut word, mut last) = (Vec::new(), Vec::new());
    for (place, &(at, len)) in arena.tables[index].iter().enumerate() {
        word.clear();
        for &class in &arena.pool[at as usize..(at + len) as usize] {
            match characters[class as usize]?? {
                c @ '\0'..='\x7F' => word.push(c as u8),
                c => word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if (place > 0 && word <= last) || !words.push(&word) {
            return None;
        }
        std::mem::swap(&mut word, &mut last);
    }
    Some(Arc::new(words))
}
