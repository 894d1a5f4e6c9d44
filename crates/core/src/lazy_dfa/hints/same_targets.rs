//! Where characters lead: back to where they began, or to the same states from two.

use crate::error::Result;
use crate::expression::info::flag;
use crate::expression::minterms::{Bits, Minterm};
use crate::expression::node::Expr;
use crate::lazy_dfa::char_dfa::CharDfa;
use crate::lazy_dfa::hints::char_loop::CharLoops;
use crate::lazy_dfa::states::CharState;
use crate::lazy_dfa::utf8::{Decoder, Target};

/// Of more kinds of characters it is not worth asking where each leads.
const MOST_KINDS: usize = 64;

/// See [`crate::mask::hints::MaskHints::loop_exit`]: of a repetition that may end after each of its characters, what
/// follows it.
pub(crate) fn exit_of_loop(dfa: &mut CharDfa, loops: &mut CharLoops, state: CharState) -> Result<Option<Vec<u8>>> {
    let term = dfa.states[state as usize].term;
    if !dfa.calculus.arena.is(term, flag::PLAIN) {
        return Ok(None);
    }
    let Some(found) = loops.find_char_loop(dfa, state)? else { return Ok(None) };
    let (head, tail) = dfa.calculus.arena.split(term);
    let Expr::Repeat { body, min: 0, .. } = *dfa.calculus.arena.get(head) else { return Ok(None) };
    let mut whole = Bits::default();
    let alternatives = match dfa.calculus.arena.get(body) {
        Expr::Union(ids) => ids.to_vec(),
        _ => vec![body],
    };
    for id in alternatives {
        if let Expr::Class(class) = *dfa.calculus.arena.get(id) {
            whole.extend(dfa.calculus.partition.bits(class));
        }
    }
    let partition = &dfa.calculus.partition;
    let is_inside = |m: Minterm| whole.has(m) || !found.sets.class.contains(partition.representative(m));
    if !(1..partition.len() as Minterm).all(is_inside) {
        return Ok(None);
    }
    let mut text = Vec::new();
    dfa.cheapest.write_cheapest(&mut dfa.calculus, tail, &mut text)?;
    Ok(Some(text))
}

/// Whether all characters that begin with `byte` lead from both states to the same. It does not hold where it matters
/// which characters were read.
pub(crate) fn meet_behind(
    dfa: &mut CharDfa,
    decoder: &mut Decoder,
    one: CharState,
    other: CharState,
    byte: u8,
) -> Result<bool> {
    let first = decoder.first(&dfa.calculus.partition, byte);
    let mut meet = |m| Ok(dfa.walk_any(one, m)? == dfa.walk_any(other, m)?);
    match first {
        Target::Dead => Ok(true),
        Target::Minterm(m) => meet(m),
        Target::Node(node) => {
            for m in decoder.reach(node) {
                if !meet(m)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// See [`crate::mask::hints::MaskHints::is_self_loop`].
pub(crate) fn leads_back(dfa: &mut CharDfa, loops: &mut CharLoops, state: CharState) -> Result<bool> {
    if dfa.captures {
        return Ok(false);
    }
    let Some(found) = loops.find_char_loop(dfa, state)?.filter(|found| found.reach == u32::MAX) else {
        return Ok(false);
    };
    let partition = &dfa.calculus.partition;
    let kinds: Vec<Minterm> =
        (1..partition.len() as Minterm).filter(|&m| found.sets.class.contains(partition.representative(m))).collect();
    if kinds.len() > MOST_KINDS {
        return Ok(false);
    }
    for m in kinds {
        if dfa.walk_any(state, m)? != state {
            return Ok(false);
        }
    }
    Ok(true)
}
