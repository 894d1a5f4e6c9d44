//! The least number of tokens that spell a text.

use crate::error::Result;
use crate::mask::token_liveness::{FAR, prefixes};
use crate::mask::trie_walk::Fuel;
use crate::vocabulary::Vocabulary;

/// Of longer texts only this prefix is spelled; each byte of the rest counts as a token.
const MOST_SPELLED: usize = 1 << 14;

/// The last text that was spelled. Completions of neighbouring states usually have a common suffix, and the number of
/// tokens from a place on is independent of the text before it.
#[derive(Default)]
pub(crate) struct Spelled {
    text: Vec<u8>,
    /// For each place in the text, its end included, the least number of tokens that spell the rest.
    counts: Vec<u32>,
}

impl Spelled {
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity() + self.counts.capacity() * 4
    }

    /// For each place in `text`, its end included, the least number of tokens that spell the rest, [`FAR`] if none do:
    /// exact, or an upper bound in a long text.
    pub(crate) fn counts(&mut self, vocabulary: &Vocabulary, text: &[u8], fuel: &mut Fuel) -> Result<&[u32]> {
        let shared = text.iter().rev().zip(self.text.iter().rev()).take_while(|(a, b)| a == b).count();
        let fresh = text.len() - shared;
        fuel.spend(fresh.min(MOST_SPELLED) as u64 + text.len() as u64 / 64 + 4)?;
        let mut counts = vec![FAR; fresh];
        if self.counts.is_empty() {
            self.counts.push(0);
        }
        counts.extend_from_slice(&self.counts[self.counts.len() - 1 - shared..]);
        for place in (0..fresh).rev() {
            if place >= MOST_SPELLED && vocabulary.is_regular() {
                counts[place] = counts[place + 1].saturating_add(1);
                continue;
            }
            let mut steps = 0;
            let ends = prefixes(vocabulary, &text[place..]).inspect(|_| steps += 1);
            counts[place] = ends.map(|(length, _)| counts[place + length]).min().unwrap_or(FAR).saturating_add(1);
            fuel.spend(steps)?;
        }
        self.text.clear();
        self.text.extend_from_slice(text);
        self.counts = counts;
        Ok(&self.counts)
    }

    /// The least number of tokens that spell `text`, [`FAR`] if none do; see [`Spelled::counts`].
    pub(crate) fn count(&mut self, vocabulary: &Vocabulary, text: &[u8], fuel: &mut Fuel) -> Result<u32> {
        Ok(self.counts(vocabulary, text, fuel)?[0])
    }

    /// A lower bound on the number of tokens of any text that begins with `prefix`.
    pub(crate) fn least_after(vocabulary: &Vocabulary, prefix: &[u8]) -> u32 {
        let mut counts = vec![FAR; prefix.len() + 1];
        counts[0] = 0;
        let mut least = FAR;
        for place in 0..prefix.len() {
            if counts[place] == FAR {
                continue;
            }
            for (length, _) in prefixes(vocabulary, &prefix[place..]) {
                counts[place + length] = counts[place + length].min(counts[place] + 1);
            }
            // One token may cover the rest of the prefix, and more.
            if vocabulary.trie().has_path(&prefix[place..]) || !vocabulary.trie().long().is_empty() {
                least = least.min(counts[place] + 1);
            }
        }
        least.min(counts[prefix.len()])
    }

    /// The first token of a spelling of `text` in the fewest tokens (the longest such token), and their number; `None`
    /// if no tokens spell it, or the text is empty.
    pub(crate) fn first(
        &mut self,
        vocabulary: &Vocabulary,
        text: &[u8],
        fuel: &mut Fuel,
    ) -> Result<Option<(u32, u32)>> {
        let counts = self.counts(vocabulary, text, fuel)?;
        let fewest = prefixes(vocabulary, text).min_by_key(|&(length, _)| (counts[length], usize::MAX - length));
        Ok(fewest.filter(|_| counts[0] != FAR).map(|(_, token)| (token, counts[0])))
    }
}
