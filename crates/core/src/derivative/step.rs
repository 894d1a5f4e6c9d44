//! Steps from one situation to the next, and which of the past a situation keeps.

use crate::derivative::calculus::{Calculus, Context};
use crate::derivative::situation::Situation;
use crate::error::Result;
use crate::expression::info::flag::CAPTURING;
use crate::expression::minterms::Minterm;
use crate::expression::node::{ExprId, NOTHING};

impl Calculus {
    /// The situation of a term, with only those trackers that it, or a tracker that it needs, can still ask for.
    pub fn situation(&mut self, term: ExprId, before: u64, trackers: &[(u8, ExprId)], buffer: u32) -> Situation {
        if term == NOTHING {
            return Situation::DEAD;
        }
        let info = self.arena.info(term);
        let (mut needed, mut front) = (info.trackers, info.front);
        loop {
            let mut more = needed;
            for &(number, tracker) in trackers {
                if needed >> number & 1 == 1 {
                    more |= self.arena.info(tracker).trackers;
                }
            }
            if more == needed {
                break;
            }
            needed = more;
        }
        let mut set = 0;
        if needed != 0 {
            let kept: Box<[(u8, ExprId)]> = trackers.iter().filter(|t| needed >> t.0 & 1 == 1).copied().collect();
            for &(_, tracker) in &kept {
                front |= self.arena.info(tracker).front;
            }
            set = self.tracker_sets.intern(kept);
        }
        Situation { term, before: before & front, trackers: set, buffer }
    }

    /// Makes a situation's past the one that derivatives ask for.
    fn enter(&mut self, situation: Situation, character: u32) {
        let context: &mut Context = &mut self.context;
        (context.before, context.buffer, context.character) = (situation.before, situation.buffer, character);
        context.trackers.clear();
        for &(number, tracker) in self.tracker_sets.get(situation.trackers) {
            if context.trackers.len() <= usize::from(number) {
                context.trackers.resize(usize::from(number) + 1, NOTHING);
            }
            context.trackers[usize::from(number)] = tracker;
        }
    }

    /// The situation after the character `c`, which is of the minterm `m`. It may have no text left without being
    /// [`Situation::DEAD`]: see `liveness.rs`.
    pub fn step(&mut self, situation: Situation, m: Minterm, c: u32) -> Result<Situation> {
        self.enter(situation, c);
        let derived = self.derive(situation.term, m)?;
        let mut trackers = Vec::new();
        if derived != NOTHING && situation.trackers != 0 {
            for (number, tracker) in self.tracker_sets.get(situation.trackers).to_vec() {
                trackers.push((number, self.derive(tracker, m)?));
            }
        }
        let capturing = self.arena.is(derived, CAPTURING);
        let mut buffer = if capturing { self.captures.extend(situation.buffer, c) } else { 0 };
        let mut derived = derived;
        if capturing && situation.buffer != 0 {
            // PERF: `(?!.*(\w)\1)` always has a group open, and asks for its last character alone: without this, each text
            // is a state of its own, and the first mask of 131,072 tokens takes 70 ms.
            let start = self.first_start(derived);
            if start > 0 {
                derived = self.started_later(derived, start)?;
                buffer = self.captures.without_first(buffer, start);
            }
        }
        Ok(self.situation(derived, self.holds_after[usize::from(m)], &trackers, buffer))
    }

    /// Whether the text may end in a situation.
    pub fn may_end(&mut self, situation: Situation) -> Result<bool> {
        self.enter(situation, 0);
        self.accepts(situation.term)
    }
}
