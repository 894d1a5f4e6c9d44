//! The bytes that may come next, all at once.

use crate::error::Result;
use crate::expression::minterms::Bits;
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::states::{CharState, DEAD};
use crate::lazy_dfa::utf8::Decoder;

/// Patterns with more characters than this in words are not looked through for which they have.
const MOST_CHARACTERS: usize = 2_048;

/// The bytes that texts from a state on have anywhere, and perhaps more: for each byte `b`, bit `b % 64`.
pub(crate) fn bytes_anywhere(dfa: &mut CharDfa, decoder: &mut Decoder, state: CharState) -> u64 {
    if dfa.captures || dfa.calculus.arena.pool.len() > MOST_CHARACTERS {
        return u64::MAX;
    }
    let all = dfa.calculus.all_minterms(dfa.states[state as usize].term, &Bits::default());
    let partition = &dfa.calculus.partition;
    let ascii = all.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
    let leads = all.iter().fold(0, |leads, m| leads | decoder.lead_bytes(partition)[usize::from(m)]);
    // Bytes from 0xC2 on lead; those from 0x80 to 0xBF follow, each of the 64 in some character.
    ascii as u64 | (ascii >> 64) as u64 | if leads == 0 { 0 } else { u64::MAX }
}

/// The bytes with which the characters begin that keep a state alive.
pub(crate) fn find_live_bytes(dfa: &mut CharDfa, decoder: &mut Decoder, state: CharState) -> Result<[u64; 4]> {
    let mut live = dfa.begins(state);
    let plain = dfa.calculus.arena.is_exact(dfa.states[state as usize].term);
    // What is plain is alive after each of its first characters; elsewhere they are those that may be.
    if !plain {
        let mut proven = Bits::default();
        for (m, c) in dfa.candidates(state) {
            if live.has(m) && !proven.has(m) && dfa.walk(state, m, c)? != DEAD {
                proven.add(m);
            }
        }
        live = proven;
    }
    let partition = &dfa.calculus.partition;
    let mut bytes = [0; 4];
    let ascii = live.iter().fold(0, |ascii, m| ascii | partition.ascii_bytes(m));
    (bytes[0], bytes[1]) = (ascii as u64, (ascii >> 64) as u64);
    let lead_bytes = decoder.lead_bytes(partition);
    let leads = live.iter().fold(0, |leads, m| leads | lead_bytes[usize::from(m)]);
    bytes[3] = leads << 2;
    Ok(bytes)
}
