//! The completion of a state: what is missing of a character, and a shortest text behind it.

use crate::automaton::{Automaton, Completion, StateId};
use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::Minterm;
use crate::lazy_dfa::dfa::RegexAutomaton;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::lazy_dfa::utf8::{Target, written};
use crate::symbols::push;
use rustc_hash::FxHashSet;

impl RegexAutomaton {
    /// See [`Automaton::shortest_completion`]; of a plain term without stepping.
    pub(crate) fn completion(&mut self, state: StateId, work: u64) -> Result<Completion> {
        let (sources, mut all_plain) = (self.finishes(state)?, true);
        for &(from, _) in &sources {
            all_plain &= self.chars.calculus.arena.is(self.chars.states[from as usize].term, flag::PLAIN);
        }
        if all_plain {
            let mut nearest = (u64::MAX, 0);
            for (index, &(from, _)) in sources.iter().enumerate().filter(|_| sources.len() > 1) {
                nearest = nearest.min((self.chars.cost_of(from)?, index));
            }
            let Some(&(from, character)) = sources.get(nearest.1) else { return Ok(Completion::default()) };
            let mut text = self.rest_of_character(state, character)?;
            self.chars.cheapest.write_cheapest(
                &mut self.chars.calculus,
                self.chars.states[from as usize].term,
                &mut text,
            )?;
            let is_only =
                self.middles.parts(state).1.is_none() && self.chars.is_one_text(self.chars.states[from as usize].term);
            return Ok(Completion { text, is_shortest: true, is_only });
        }
        let mut known: Option<(Vec<u8>, (Minterm, u32))> = None;
        let mut least = u32::MAX;
        for &(from, character) in &sources {
            least = least.min(self.chars.remaining(from)?);
            if let Some(way) = self.chars.known_way(from)?
                && known.as_ref().is_none_or(|(best, _)| way.len() < best.len())
            {
                known = Some((way, character));
            }
        }
        let most = known.as_ref().map_or(u32::MAX, |(way, _)| u32::try_from(way.len()).unwrap_or(u32::MAX));
        let mut is_shortest = most <= least;
        if !is_shortest {
            let work = if known.is_some() { work } else { self.chars.calculus.fuel };
            let (found, is_exhaustive) = self.chars.search_within(&sources, most, work)?;
            is_shortest = is_exhaustive;
            if let Some((from, rest)) = found {
                let character = sources.iter().find(|source| source.0 == from).map_or((0, 0), |source| source.1);
                known = Some((rest, character));
            }
        }
        let Some((way, character)) = known else { return Err(self.chars.calculus.spent()) };
        let mut text = self.rest_of_character(state, character)?;
        text.extend(way);
        Ok(Completion { text, is_shortest, is_only: false })
    }

    /// The states after the character that is being written, alive, and a character that leads to each.
    fn finishes(&mut self, state: StateId) -> Result<Vec<(CharState, (Minterm, u32))>> {
        let (at, middle) = self.middles.parts(state);
        let Some((node, bytes)) = middle else { return Ok(vec![(at, (0, 0))]) };
        let mut seen = FxHashSet::default();
        let mut found = Vec::new();
        for (m, c) in self.middles.inside_character(&self.chars, at, node, bytes) {
            self.chars.calculus.spend(1)?;
            let next = self.chars.walk(at, m, c)?;
            if next != DEAD && seen.insert(next) {
                found.push((next, (m, c)));
            }
        }
        Ok(found)
    }

    /// What is missing of the character that is being written, as a character of a minterm.
    fn rest_of_character(&mut self, state: StateId, (m, c): (Minterm, u32)) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        let mut at = state;
        while let (_, Some((node, bytes))) = self.middles.parts(at) {
            if self.chars.captures {
                push(c, &mut rest);
                rest.drain(..rest.len().min(written(bytes) as usize));
                break;
            }
            let leads = (0x80..0xC0).find(|&byte| match self.middles.decoder.next(node, byte) {
                Target::Minterm(found) => found == m,
                Target::Node(child) => self.middles.decoder.reach(child).any(|found| found == m),
                Target::Dead => false,
            });
            let Some(byte) = leads else { break };
            rest.push(byte);
            at = self.step(at, byte)?;
        }
        Ok(rest)
    }
}
