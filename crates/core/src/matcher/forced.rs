//! Forced text: the bytes and tokens that every continuation begins with.

use crate::automaton::StateId;
use crate::codepoints::CodePoints;
use crate::cut_characters::may_become;
use crate::error::Result;
use crate::mask::{Engine, Step};
use crate::symbols;

/// The most bytes of forced text.
const FORCED_AT_MOST: usize = 4096;

/// The characters that may come next; `begun` are the first bytes of an incomplete one.
pub(super) fn next_characters(engine: &mut Engine, state: StateId, begun: &[u8]) -> Result<CodePoints> {
    let next = engine.next_characters(state)?;
    if begun.is_empty() {
        return Ok(next);
    }
    // A state may stand for several incomplete characters, so restrict the set to those that `begun` can become.
    Ok(next.intersection(&CodePoints::from_ranges([may_become(begun)])))
}

/// The bytes that every continuation of `state` begins with; `begun` are the written bytes of an incomplete character.
pub(super) fn forced(engine: &mut Engine, mut state: StateId, begun: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut begun, mut started) = (begun, begun.len());
    while bytes.len() < FORCED_AT_MOST && !engine.is_accepting(state) {
        let next = next_characters(engine, state, begun)?;
        if !engine.next_specials(state)?.is_empty() {
            break;
        }
        let (Some(&(first, _)), Some(&(_, last))) = (next.ranges().first(), next.ranges().last()) else { break };
        let (Some(first), Some(last)) = (char::from_u32(first), char::from_u32(last)) else { break };
        let (mut low, mut high) = ([0; 4], [0; 4]);
        let (low, high) = (first.encode_utf8(&mut low).as_bytes(), last.encode_utf8(&mut high).as_bytes());
        // UTF-8 sorts as code points do: a common prefix of the first and the last character is one of all of them.
        let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
        let more = low.get(started..shared).unwrap_or_default();
        // A prefix of every text of the language is a prefix of every text that tokens can spell.
        let (Step::To(after) | Step::NotSpelled(after)) = engine.step(state, more)? else { break };
        bytes.extend_from_slice(more);
        if first != last {
            break;
        }
        (state, begun, started) = (after, &[], 0);
    }
    Ok(bytes)
}

/// The tokens that every continuation of `state` begins with, its text in the fewest tokens; `begun` is as for [`forced`].
pub(super) fn forced_tokens(engine: &mut Engine, mut state: StateId, mut begun: &[u8]) -> Result<Vec<u32>> {
    let (mut tokens, mut count) = (Vec::new(), 0);
    while count < FORCED_AT_MOST {
        let text = forced(engine, state, begun)?;
        let spelled = engine.spelled(&text)?;
        // An irregular vocabulary may only be able to spell this text in tokens that extend beyond it.
        let is_spelled = text.is_empty() || !spelled.is_empty();
        tokens.extend(spelled);
        let (true, Step::To(after)) = (is_spelled, engine.step(state, &text)?) else { break };
        let special = match engine.next_specials(after)?[..] {
            [id] if !engine.is_accepting(after) && engine.next_characters(after)?.is_empty() => id,
            _ => break,
        };
        tokens.push(special);
        let Step::To(behind) = engine.step(after, &symbols::encode(special))? else { break };
        count += text.len() + 1;
        (state, begun) = (behind, &[]);
    }
    Ok(tokens)
}
