//! Where the marked parts of a text begin and end.
//!
//! The text is read once, by threads in the order of preference: an earlier part takes as much as it can, the first
//! alternative that leads to a match counts. A thread is a stack of what is still to be matched, interned, and the list of
//! the borders that it passed. Of threads with the same stack only the first one can win, so there are never more of them
//! than stacks, and the time is linear in the text. (Thompson's simulation with priorities, as in Pike's virtual machine;
//! here over terms, which derivatives keep few.)

use crate::derivative::calculus::{Calculus, STEP};
use crate::error::{Error, Result};
use crate::expression::info::flag;
use crate::expression::marked::{Marked, Piece, PieceId};
use crate::expression::minterms::Minterm;
use crate::expression::node::{EMPTY, ExprId, MANY, NOTHING};
use rustc_hash::{FxHashMap, FxHashSet};

/// A marked part of a text: the number of the mark, and the bytes from its start to its end.
pub type Span = (u32, usize, usize);

/// Something that is still to be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Frame {
    Piece(PieceId),
    /// The parts of a sequence from one on.
    Rest(PieceId, u32),
    /// What is left of a language.
    Language(ExprId),
    /// A repetition of which so many iterations are behind, no more than matter.
    Again(PieceId, u32),
    /// The end of a marked part.
    Close(u32),
}

/// The empty stack, and the empty list of borders.
const NONE: u32 = u32::MAX;

/// A thread: its stack, and the last of its borders.
type Thread = (u32, u32);

struct Run<'a> {
    calculus: &'a mut Calculus,
    marked: &'a Marked,
    /// A frame and the stack below it.
    stacks: Vec<(Frame, u32)>,
    numbers: FxHashMap<(Frame, u32), u32>,
    /// A mark's number, whether it opens, where, and the border before it.
    borders: Vec<(u32, bool, usize, u32)>,
    derived: FxHashMap<(ExprId, Minterm), ExprId>,
}

/// The spans of the marked parts of a text of `length` bytes, given as its symbols with the places where they stand, in the
/// order in which they begin. Of a text that is not whole: of those parts
/// that are.
///
/// # Errors
/// [`Error::Limit`]; `fuel` is what 256 characters may cost, `memory` what all may hold.
pub fn borders(
    calculus: &mut Calculus,
    marked: &Marked,
    text: &[(usize, u32)],
    length: usize,
    (fuel, memory): (u64, u64),
) -> Result<Vec<Span>> {
    calculus.fuel = fuel;
    let mut run = Run {
        calculus,
        marked,
        stacks: Vec::new(),
        numbers: FxHashMap::default(),
        borders: Vec::new(),
        derived: FxHashMap::default(),
    };
    let start = run.push(Frame::Piece(marked.root), NONE);
    let mut threads: Vec<Thread> = vec![(start, NONE)];
    for (index, &(at, symbol)) in text.iter().enumerate() {
        if index % 256 == 0 {
            run.calculus.fuel = fuel;
            run.check_memory(memory)?;
        }
        threads = run.read(&threads, at, symbol)?;
    }
    let (whole, first) = run.finish(&threads, length)?;
    Ok(run.spans(whole.or(first).unwrap_or(NONE)))
}

impl Run<'_> {
    fn push(&mut self, frame: Frame, below: u32) -> u32 {
        let stacks = &mut self.stacks;
        *self.numbers.entry((frame, below)).or_insert_with(|| {
            stacks.push((frame, below));
            stacks.len() as u32 - 1
        })
    }

    fn border(&mut self, number: u32, opens: bool, at: usize, before: u32) -> u32 {
        self.borders.push((number, opens, at, before));
        self.borders.len() as u32 - 1
    }

    fn check_memory(&self, allowed: u64) -> Result<()> {
        let held = self.stacks.len() * 40 + self.borders.len() * 24 + self.derived.len() * 16;
        if (held + self.calculus.memory_bytes()) as u64 <= allowed {
            return Ok(());
        }
        Err(Error::Limit {
            limit: "memory_bytes",
            allowed,
            message: format!(
                "the parts of the text cannot be told apart within memory_bytes={allowed}: raise \
                 Limits(memory_bytes=...)"
            ),
        })
    }

    /// The threads after a character.
    fn read(&mut self, threads: &[Thread], at: usize, symbol: u32) -> Result<Vec<Thread>> {
        let m = self.calculus.partition.minterm(symbol);
        self.calculus.context.character = symbol;
        let mut after: Vec<Thread> = Vec::new();
        let mut known: FxHashSet<u32> = FxHashSet::default();
        self.reachable(threads, at, |run, language, below, borders| {
            let rest = run.after(language, m)?;
            if rest != NOTHING {
                let stack = run.push(Frame::Language(rest), below);
                if known.insert(stack) {
                    after.push((stack, borders));
                }
            }
            Ok(())
        })?;
        Ok(after)
    }

    fn after(&mut self, language: ExprId, m: Minterm) -> Result<ExprId> {
        let by_character = self.calculus.arena.is(language, flag::FRONT_TEXT);
        if !by_character && let Some(&known) = self.derived.get(&(language, m)) {
            return Ok(known);
        }
        let rest = self.calculus.derive(language, m)?;
        if !by_character {
            self.derived.insert((language, m), rest);
        }
        Ok(rest)
    }

    /// The borders of the first thread that may end, and those of the first one that may go on.
    fn finish(&mut self, threads: &[Thread], at: usize) -> Result<(Option<u32>, Option<u32>)> {
        let mut first = None;
        let whole = self.reachable(threads, at, |_, language, _, borders| {
            if language != EMPTY {
                first = first.or(Some(borders));
            }
            Ok(())
        })?;
        Ok((whole, first))
    }

    /// Goes through all that threads can do without reading: calls `read` with each language that may read, in the order of
    /// preference, and returns the borders of the first thread with nothing left to match.
    fn reachable(
        &mut self,
        threads: &[Thread],
        at: usize,
        mut read: impl FnMut(&mut Self, ExprId, u32, u32) -> Result<()>,
    ) -> Result<Option<u32>> {
        let mut seen: FxHashSet<u32> = FxHashSet::default();
        let mut ended = None;
        let mut jobs: Vec<Thread> = threads.iter().rev().copied().collect();
        while let Some((stack, borders)) = jobs.pop() {
            if stack == NONE {
                ended = ended.or(Some(borders));
                continue;
            }
            if !seen.insert(stack) {
                continue;
            }
            self.calculus.spend(STEP)?;
            let (frame, below) = self.stacks[stack as usize];
            match frame {
                Frame::Language(language) => {
                    read(self, language, below, borders)?;
                    let may_end = self.calculus.arena.is(language, flag::SKIPS)
                        || (self.calculus.arena.is(language, flag::MAY_SKIP) && self.calculus.accepts(language)?);
                    if may_end {
                        jobs.push((below, borders));
                    }
                }
                Frame::Rest(piece, next) => {
                    let Piece::Sequence(parts) = &self.marked.pieces[piece as usize] else { continue };
                    let (part, is_last) = (parts[next as usize], next as usize + 1 == parts.len());
                    let below = if is_last { below } else { self.push(Frame::Rest(piece, next + 1), below) };
                    let stack = self.push(Frame::Piece(part), below);
                    jobs.push((stack, borders));
                }
                Frame::Close(number) => {
                    let borders = self.border(number, false, at, borders);
                    jobs.push((below, borders));
                }
                Frame::Again(piece, count) => {
                    let Piece::Repeat { body, min, max } = self.marked.pieces[piece as usize] else { continue };
                    if count >= min {
                        jobs.push((below, borders));
                    }
                    if max == MANY || count < max {
                        let next = if max == MANY { (count + 1).min(min) } else { count + 1 };
                        let again = self.push(Frame::Again(piece, next), below);
                        let stack = self.push(Frame::Piece(body), again);
                        jobs.push((stack, borders));
                    }
                }
                Frame::Piece(piece) => match &self.marked.pieces[piece as usize] {
                    Piece::Language(language) => {
                        if *language != NOTHING {
                            let stack = self.push(Frame::Language(*language), below);
                            jobs.push((stack, borders));
                        }
                    }
                    Piece::Sequence(parts) if parts.is_empty() => jobs.push((below, borders)),
                    Piece::Sequence(_) => {
                        let stack = self.push(Frame::Rest(piece, 0), below);
                        jobs.push((stack, borders));
                    }
                    Piece::Union(ways) => {
                        for way in ways.clone().into_iter().rev() {
                            let stack = self.push(Frame::Piece(way), below);
                            jobs.push((stack, borders));
                        }
                    }
                    Piece::Repeat { .. } => {
                        let stack = self.push(Frame::Again(piece, 0), below);
                        jobs.push((stack, borders));
                    }
                    Piece::Mark { number, body } => {
                        let (number, body) = (*number, *body);
                        let below = self.push(Frame::Close(number), below);
                        let stack = self.push(Frame::Piece(body), below);
                        let borders = self.border(number, true, at, borders);
                        jobs.push((stack, borders));
                    }
                    Piece::Rule(rule) => {
                        if let Some(body) = self.marked.rules[*rule as usize] {
                            let stack = self.push(Frame::Piece(body), below);
                            jobs.push((stack, borders));
                        }
                    }
                },
            }
        }
        Ok(ended)
    }

    fn spans(&self, borders: u32) -> Vec<Span> {
        let mut list = Vec::new();
        let mut at = borders;
        while at != NONE {
            let (number, opens, place, before) = self.borders[at as usize];
            list.push((number, opens, place));
            at = before;
        }
        let mut spans: Vec<(u32, usize, Option<usize>)> = Vec::new();
        let mut open = Vec::new();
        for (number, opens, place) in list.into_iter().rev() {
            if opens {
                open.push(spans.len());
                spans.push((number, place, None));
            } else if let Some(index) = open.pop() {
                spans[index].2 = Some(place);
            }
        }
        spans.into_iter().filter_map(|(number, start, end)| Some((number, start, end?))).collect()
    }
}
