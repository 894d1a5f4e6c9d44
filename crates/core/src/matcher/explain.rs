//! Explains why a token, or bytes, cannot come next.

use crate::cut_characters::{begun_bytes, cut_bytes};
use crate::error::Result;
use crate::mask::Step;
use crate::matcher::describe::expectation;
use crate::matcher::error::{MatchError, Rejection};
use crate::matcher::forced::next_characters;
use crate::matcher::{Matcher, plain};

impl Matcher {
    /// The reason why `token` is not allowed; `None` if it is.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn explain(&self, token: u32) -> Result<Option<Rejection>> {
        if self.allows(token)? {
            return Ok(None);
        }
        match self.constraint.vocabulary().token_bytes(token) {
            Some(bytes) if !self.ended && !bytes.is_empty() => self.rejection(Some(token), bytes).map(Some),
            _ => self.unwritable(token).map(Some),
        }
    }

    pub(super) fn text_before(&self) -> String {
        String::from_utf8_lossy(&self.text()).into_owned()
    }

    pub(super) fn expected_after_end(&self) -> String {
        "nothing but the end: an EOS token was taken".to_owned()
    }

    pub(super) fn rejected(&self, token: Option<u32>, bytes: &[u8]) -> Result<MatchError> {
        Ok(MatchError::Rejected(Box::new(self.rejection(token, bytes)?)))
    }

    /// The rejection of a token that is not text here: special, empty, out of range, an early EOS, or after EOS.
    pub(super) fn unwritable(&self, token: u32) -> Result<Rejection> {
        let vocabulary = self.constraint.vocabulary();
        let token_bytes = vocabulary.token_bytes(token).unwrap_or_default().to_vec();
        let nature = match token as usize {
            id if id >= vocabulary.len() => {
                format!("which is not in the vocabulary (ids 0 to {})", vocabulary.len() - 1)
            }
            _ if vocabulary.is_eos(token) => "which ends the text".to_owned(),
            _ if token_bytes.is_empty() => "which is not text".to_owned(),
            _ => String::new(),
        };
        let expected = if self.ended {
            self.expected_after_end()
        } else {
            let begun = begun_bytes(&self.text);
            let alphabet = vocabulary.alphabet();
            self.constraint.engine().attempt(|engine| {
                let state = engine.state(self.slot);
                let accepting = engine.is_accepting(state);
                let next = next_characters(engine, state, begun)?;
                let specials = engine.next_specials(state)?;
                Ok(expectation(&next, alphabet, &specials, !begun.is_empty(), accepting))
            })?
        };
        let text_before = self.text_before();
        Ok(Rejection { token_id: Some(token), token_bytes, failed_at: 0, text_before, expected, nature })
    }

    /// The rejection of `bytes`. They are stepped over again, because the states may have been renumbered since.
    pub(super) fn rejection(&self, token: Option<u32>, bytes: &[u8]) -> Result<Rejection> {
        let bytes = &plain(bytes)[..];
        let engine = &mut *self.constraint.engine();
        let step = engine.step_long(engine.state(self.slot), bytes)?;
        let (failed_at, expected) = match step {
            Step::FailedAt(index, last) => {
                let mut written = self.text[self.text.len().saturating_sub(3)..].to_vec();
                written.extend_from_slice(&bytes[..index]);
                let mut started = cut_bytes(&written);
                let mut from = last;
                if (1..=index).contains(&started) {
                    // The character began in these bytes, and messages name whole characters.
                    if let Step::To(before) | Step::NotSpelled(before) =
                        engine.step(engine.state(self.slot), &bytes[..index - started])?
                    {
                        (from, started) = (before, 0);
                    }
                }
                let accepting = engine.is_accepting(from);
                let begun = if started > 0 { begun_bytes(&written) } else { &[] };
                let next = next_characters(engine, from, begun)?;
                let alphabet = self.constraint.vocabulary().alphabet();
                let specials = engine.next_specials(from)?;
                (index, expectation(&next, alphabet, &specials, started > 0, accepting))
            }
            Step::To(_) | Step::NotSpelled(_) => {
                (bytes.len(), "other tokens: after this one, no sequence of tokens spells a way to a match".to_owned())
            }
        };
        Ok(Rejection {
            token_id: token,
            token_bytes: bytes.to_vec(),
            failed_at,
            text_before: self.text_before(),
            expected,
            nature: String::new(),
        })
    }
}
