//! The matcher: the state of one text under a constraint, its masks, and rollback.

mod describe;
mod error;
mod explain;
mod forced;

pub use describe::{describe, expectation};
pub use error::{MatchError, Rejection};

use crate::automaton::StateId;
use crate::bits::set;
use crate::codepoints::CodePoints;
use crate::cut_characters::begun_bytes;
use crate::error::Result;
use crate::mask::{CHUNK, CompiledConstraint, Slot, Step};
use crate::symbols;
use std::borrow::Cow;
use std::sync::Arc;

/// A call of `advance` or `advance_bytes`, for rollback.
#[derive(Debug, Clone, Copy)]
struct Call {
    /// The state before it, in the numbers of the matcher's generation.
    state: StateId,
    /// The length of the text before it.
    length: usize,
    /// Whether the text had ended before it.
    ended: bool,
}

/// One text being written under a constraint. Its state depends only on the text so far.
pub struct Matcher {
    constraint: Arc<CompiledConstraint>,
    slot: Slot,
    text: Vec<u8>,
    calls: Vec<Call>,
    /// An EOS token was taken.
    ended: bool,
    /// The generation of the states in `calls`.
    generation: u64,
}

impl Matcher {
    /// A matcher at the start of a text.
    pub fn new(constraint: Arc<CompiledConstraint>) -> Self {
        let (slot, generation) = {
            let mut engine = constraint.engine();
            (engine.open(None), engine.generation())
        };
        Matcher { constraint, slot, text: Vec::new(), calls: Vec::new(), ended: false, generation }
    }

    /// The constraint.
    pub fn constraint(&self) -> &Arc<CompiledConstraint> {
        &self.constraint
    }

    /// The number of 32-bit words of a mask.
    pub fn mask_words(&self) -> usize {
        self.constraint.vocabulary().mask_words()
    }

    /// The text written so far, without special tokens.
    pub fn text(&self) -> Cow<'_, [u8]> {
        if symbols::has_special(&self.text) { symbols::split(&self.text).0.into() } else { (&self.text[..]).into() }
    }

    /// Writes the mask of the tokens that may come next: bit `i % 32` of word `i / 32` is token `i`.
    ///
    /// `out` has at least [`Matcher::mask_words`] words; those beyond are cleared.
    ///
    /// # Errors
    /// [`Error::Limit`]; `out` then holds no mask.
    pub fn fill_mask(&self, out: &mut [u32]) -> Result<()> {
        if self.ended {
            self.fill_ended(out);
            return Ok(());
        }
        self.constraint.engine().fill(self.slot, out)
    }

    /// Writes the mask if it is cached; returns whether it was.
    pub fn fill_mask_if_ready(&self, out: &mut [u32]) -> bool {
        if self.ended {
            self.fill_ended(out);
            return true;
        }
        self.constraint.engine_if_free().is_some_and(|mut engine| engine.fill_ready(self.slot, out))
    }

    fn fill_ended(&self, out: &mut [u32]) {
        out.fill(0);
        for &id in self.constraint.vocabulary().eos_token_ids() {
            set(out, id);
        }
    }

    /// An upper bound on the number of tokens needed to reach a match from any live state; `None`: unknown.
    pub fn longest_way(&self) -> Option<u32> {
        self.constraint.longest_way()
    }

    /// Writes the mask of the tokens after which the text needs at most `tokens_left - 1` more to match; EOS costs nothing.
    /// `out` is as for [`Matcher::fill_mask`].
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn fill_mask_within(&self, out: &mut [u32], tokens_left: u32) -> Result<()> {
        if self.ended {
            self.fill_ended(out);
            return Ok(());
        }
        if self.longest_way().is_some_and(|longest| longest < tokens_left) {
            return self.fill_mask(out);
        }
        self.constraint.engine().fill_within(self.slot, out, tokens_left)
    }

    /// The least number of tokens, EOS not counted, after which the text matches; `None` if it is more than `at_most`.
    /// If a search for it would need more than half of the fuel or memory, an upper bound on it.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn tokens_to_match(&self, at_most: u32) -> Result<Option<u32>> {
        if self.ended {
            return Ok(Some(0));
        }
        self.constraint.engine().tokens_to_match(self.slot, at_most)
    }

    /// Whether a match with at most `at_most` more tokens, EOS not counted, is known to exist. Cheaper than
    /// [`Matcher::tokens_to_match`]: bounds decide most cases. If a search would need too much work, `false`.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn matches_within(&self, at_most: u32) -> Result<bool> {
        if self.ended || self.longest_way().is_some_and(|longest| longest <= at_most) {
            return Ok(true);
        }
        self.constraint.engine().is_within(self.slot, at_most)
    }

    /// Whether `token` may come next. An id out of range may not.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn allows(&self, token: u32) -> Result<bool> {
        let symbols = symbols_of(&self.constraint, token);
        let mut engine = self.constraint.engine();
        if self.constraint.vocabulary().is_eos(token) {
            let state = engine.state(self.slot);
            if self.ended || engine.is_accepting(state) {
                return Ok(true);
            }
        }
        match symbols {
            Some(bytes) if !self.ended => {
                Ok(matches!(engine.attempt(|engine| engine.step(engine.state(self.slot), &bytes))?, Step::To(_)))
            }
            _ => Ok(false),
        }
    }

    /// Takes `token`.
    ///
    /// # Errors
    /// [`MatchError::Rejected`] if it is not allowed, [`MatchError::Core`] if a limit was reached; the state is unchanged.
    pub fn advance(&mut self, token: u32) -> std::result::Result<(), MatchError> {
        let constraint = Arc::clone(&self.constraint);
        let is_eos = constraint.vocabulary().is_eos(token);
        if is_eos && (self.ended || self.is_accepting()) {
            return self.advance_eos(token);
        }
        match symbols_of(&constraint, token) {
            Some(bytes) if !self.ended => match self.take(&bytes)? {
                Step::To(_) => Ok(()),
                _ => match constraint.vocabulary().token_bytes(token) {
                    Some(bytes) if !bytes.is_empty() => Err(self.rejected(Some(token), bytes)?),
                    _ => Err(MatchError::Rejected(Box::new(self.unwritable(token)?))),
                },
            },
            _ => Err(MatchError::Rejected(Box::new(self.unwritable(token)?))),
        }
    }

    fn advance_eos(&mut self, token: u32) -> std::result::Result<(), MatchError> {
        let state = {
            let mut engine = self.constraint.engine();
            let state = engine.state(self.slot);
            (self.ended || engine.is_accepting(state)).then_some((state, engine.generation()))
        };
        match state {
            Some((state, generation)) => {
                self.record(state, generation);
                self.ended = true;
                Ok(())
            }
            None => Err(MatchError::Rejected(Box::new(self.unwritable(token)?))),
        }
    }

    /// Takes `bytes`, which need not be tokens, as one call for [`Matcher::rollback`].
    ///
    /// # Errors
    /// As [`Matcher::advance`].
    pub fn advance_bytes(&mut self, bytes: &[u8]) -> std::result::Result<(), MatchError> {
        if self.ended && !bytes.is_empty() {
            return Err(MatchError::Rejected(Box::new(Rejection {
                token_id: None,
                token_bytes: bytes.to_vec(),
                failed_at: 0,
                text_before: self.text_before(),
                expected: self.expected_after_end(),
                nature: String::new(),
            })));
        }
        match self.take(&plain(bytes))? {
            Step::To(_) => Ok(()),
            _ => Err(self.rejected(None, bytes)?),
        }
    }

    /// Steps over `bytes`, and keeps the new state if it is alive.
    fn take(&mut self, bytes: &[u8]) -> Result<Step> {
        let slot = self.slot;
        let (before, step, generation) = {
            let mut engine = self.constraint.engine();
            let step = if bytes.len() <= CHUNK {
                engine.attempt(|engine| engine.step(engine.state(slot), bytes))?
            } else {
                let from = engine.state(slot);
                engine.step_long(from, bytes)?
            };
            let before = engine.state(slot);
            if let Step::To(after) = step {
                engine.set_state(slot, after);
            }
            (before, step, engine.generation())
        };
        if let Step::To(_) = step {
            self.record(before, generation);
            self.text.extend_from_slice(bytes);
        }
        Ok(step)
    }

    fn record(&mut self, state: StateId, generation: u64) {
        if generation != self.generation {
            // The state ids of earlier calls are invalid; a rollback replays the text.
            self.calls.iter_mut().for_each(|call| call.state = StateId::DEAD);
            self.generation = generation;
        }
        self.calls.push(Call { state, length: self.text.len(), ended: self.ended });
    }

    /// Takes back the last `n` calls of [`Matcher::advance`] and [`Matcher::advance_bytes`].
    ///
    /// # Errors
    /// [`MatchError::NothingToTakeBack`] if there were fewer; [`MatchError::Core`]. The state is unchanged.
    pub fn rollback(&mut self, n: usize) -> std::result::Result<(), MatchError> {
        let Some(keep) = self.calls.len().checked_sub(n) else {
            return Err(MatchError::NothingToTakeBack { asked: n, taken: self.calls.len() });
        };
        let Some(&call) = self.calls.get(keep) else { return Ok(()) };
        {
            let mut engine = self.constraint.engine();
            let state = if call.state != StateId::DEAD && self.generation == engine.generation() {
                call.state
            } else {
                let start = engine.start();
                match engine.step_long(start, &self.text[..call.length])? {
                    // This text was accepted before, so its state is live.
                    Step::To(state) | Step::NotSpelled(state) | Step::FailedAt(_, state) => state,
                }
            };
            engine.set_state(self.slot, state);
        }
        self.calls.truncate(keep);
        self.text.truncate(call.length);
        self.ended = call.ended;
        Ok(())
    }

    /// Goes back to the start of the text.
    pub fn reset(&mut self) {
        let mut engine = self.constraint.engine();
        let start = engine.start();
        engine.set_state(self.slot, start);
        self.generation = engine.generation();
        drop(engine);
        self.text.clear();
        self.calls.clear();
        self.ended = false;
    }

    /// The length of the longest prefix of `tokens` that would be accepted. The state is unchanged.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn validate(&self, tokens: &[u32]) -> Result<usize> {
        let vocabulary = self.constraint.vocabulary();
        let symbols: Vec<Option<Cow<'_, [u8]>>> =
            tokens.iter().map(|&token| symbols_of(&self.constraint, token)).collect();
        let mut engine = self.constraint.engine();
        engine.attempt(|engine| {
            let mut state = engine.state(self.slot);
            let mut ended = self.ended;
            for (index, &token) in tokens.iter().enumerate() {
                // If the text does not match yet, an EOS id may be a symbol of the language.
                if vocabulary.is_eos(token) && (ended || engine.is_accepting(state)) {
                    ended = true;
                    continue;
                }
                let step = match &symbols[index] {
                    Some(bytes) if !ended => engine.step(state, bytes)?,
                    _ => return Ok(index),
                };
                let Step::To(next) = step else { return Ok(index) };
                state = next;
            }
            Ok(tokens.len())
        })
    }

    /// Whether the text so far matches.
    pub fn is_accepting(&self) -> bool {
        let mut engine = self.constraint.engine();
        let state = engine.state(self.slot);
        engine.is_accepting(state)
    }

    /// Whether an EOS token was taken, or the text matches and nothing can follow.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn is_finished(&self) -> Result<bool> {
        Ok(self.ended || self.constraint.engine().is_finished(self.slot)?)
    }

    /// The forced bytes, which every continuation begins with; empty where there is a choice, or the text may end.
    /// At most 4,096 at a time.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn forced_bytes(&self) -> Result<Vec<u8>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let begun = begun_bytes(&self.text);
        self.constraint.engine().attempt(|engine| forced::forced(engine, engine.state(self.slot), begun))
    }

    /// A shortest text, spelled by tokens, with which the text matches; empty if it does already.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn shortest_completion(&self) -> Result<Vec<u8>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let mut completion = self.completion()?;
        // Stop at a special token: it has no bytes.
        completion.truncate(completion.iter().position(|&b| b == symbols::MARKER).unwrap_or(completion.len()));
        Ok(completion)
    }

    fn completion(&self) -> Result<Vec<u8>> {
        self.constraint.engine().attempt(|engine| engine.shortest_completion(engine.state(self.slot)))
    }

    /// The fewest tokens that spell a shortest text with which the text matches, special tokens included.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn shortest_completion_tokens(&self) -> Result<Vec<u32>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let completion = self.completion()?;
        self.constraint.engine().attempt(|engine| engine.spelled(&completion))
    }

    /// The forced tokens: forced text in the fewest tokens, forced special tokens after it, and the forced text beyond
    /// these, up to 4,096 bytes and special tokens.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn forced_tokens(&self) -> Result<Vec<u32>> {
        if self.ended {
            return Ok(Vec::new());
        }
        self.constraint
            .engine()
            .attempt(|engine| forced::forced_tokens(engine, engine.state(self.slot), begun_bytes(&self.text)))
    }

    /// The characters that may come next; within a character, those that it may become.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn next_characters(&self) -> Result<CodePoints> {
        if self.ended {
            return Ok(CodePoints::empty());
        }
        let begun = begun_bytes(&self.text);
        self.constraint.engine().attempt(|engine| forced::next_characters(engine, engine.state(self.slot), begun))
    }

    /// The special tokens of the text, each with the number of bytes of text before it.
    pub fn specials(&self) -> Vec<(usize, u32)> {
        if symbols::has_special(&self.text) { symbols::split(&self.text).1 } else { Vec::new() }
    }

    /// The spans of the marked parts of the text; see [`CompiledConstraint::marks`].
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn marks(&self) -> Result<Vec<(u32, usize, usize)>> {
        self.constraint.marks(&self.text)
    }
}

impl Clone for Matcher {
    fn clone(&self) -> Self {
        let slot = {
            let mut engine = self.constraint.engine();
            let state = engine.state(self.slot);
            engine.open(Some(state))
        };
        Matcher {
            constraint: Arc::clone(&self.constraint),
            slot,
            text: self.text.clone(),
            calls: self.calls.clone(),
            ended: self.ended,
            generation: self.generation,
        }
    }
}

impl Drop for Matcher {
    fn drop(&mut self) {
        self.constraint.close(self.slot);
    }
}

/// The symbols of a token: its bytes, or, if the language has it as a special token, the encoding of that.
fn symbols_of(constraint: &CompiledConstraint, token: u32) -> Option<Cow<'_, [u8]>> {
    match constraint.vocabulary().token_bytes(token) {
        Some(bytes) if !bytes.is_empty() => Some(plain(bytes)),
        _ if constraint.engine().has_special(token) => Some(symbols::encode(token).to_vec().into()),
        _ => None,
    }
}

/// The bytes of a text, without any byte that could begin an encoded special token.
fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !symbols::has_special(bytes) {
        return bytes.into();
    }
    // Neither of these two bytes occurs in UTF-8.
    bytes.iter().map(|&byte| if byte == symbols::MARKER { 0xFE } else { byte }).collect::<Vec<u8>>().into()
}

#[cfg(test)]
pub(crate) mod tests;
