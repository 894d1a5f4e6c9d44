//! A static upper bound on the number of tokens from any live state to a match, computed from the pattern alone.
//!
//! While a budget has more tokens left than this bound, it removes no token from a mask, and no distance is computed.

use crate::codepoints::CodePoints;
use crate::syntax::ast::{Assertion, Node, RepeatKind};
use crate::vocabulary::Vocabulary;

/// Upper bounds on the tokens of a node's texts.
#[derive(Debug, Clone, Copy)]
struct Ways {
    /// An upper bound on the tokens of its shortest text.
    least: u64,
    /// An upper bound on the tokens that end it, after any prefix of its texts.
    begun: u64,
    /// Whether the vocabulary can certainly spell some text of it.
    sure: bool,
}

const NONE: Ways = Ways { least: 0, begun: 0, sure: true };

/// An upper bound on the number of tokens needed to reach a match from any live state. `None`: unknown.
///
/// Only patterns without intersections are analysed: in an intersection, such as a lookaround, the distance can be the
/// product of the parts' distances.
pub(crate) fn longest_way(root: &Node, vocabulary: &Vocabulary) -> Option<u32> {
    if !vocabulary.is_regular() {
        return None;
    }
    let ways = match root {
        Node::Pattern { pattern, .. } => return longest_way(&pattern.root, vocabulary),
        Node::Sequence(parts) => {
            let parts = match parts.as_slice() {
                [Node::Assertion(Assertion::TextStart), rest @ ..] => rest,
                rest => rest,
            };
            let parts = match parts {
                [rest @ .., Node::Assertion(Assertion::TextEnd | Assertion::TextEndOrFinal(_))] => rest,
                rest => rest,
            };
            sequence(parts, vocabulary.alphabet())?
        }
        root => node_ways(root, vocabulary.alphabet())?,
    };
    u32::try_from(ways.begun).ok()
}

fn sequence(parts: &[Node], alphabet: &CodePoints) -> Option<Ways> {
    let mut ways = NONE;
    for part in parts.iter().rev() {
        let of_part = node_ways(part, alphabet)?;
        ways.begun = ways.begun.max(of_part.begun.saturating_add(ways.least));
        ways.least = ways.least.saturating_add(of_part.least);
        ways.sure &= of_part.sure;
    }
    ways.begun = ways.begun.max(ways.least);
    Some(ways)
}

fn node_ways(node: &Node, alphabet: &CodePoints) -> Option<Ways> {
    match node {
        Node::Empty => Some(NONE),
        Node::Nothing => Some(Ways { sure: false, ..NONE }),
        Node::Char(c) => {
            let bytes = c.len_utf8() as u64;
            Some(Ways { least: bytes, begun: bytes, sure: alphabet.contains(u32::from(*c)) })
        }
        Node::Class(class) => {
            let spelled = class.intersection(alphabet);
            // A character has at most four bytes, and each token spells at least one of them.
            let least = spelled.ranges().first().map_or(0, |&(first, _)| if first < 0x80 { 1 } else { 4 });
            let begun = spelled.ranges().last().map_or(0, |&(_, last)| if last < 0x80 { 1 } else { 4 });
            Some(Ways { least, begun, sure: !spelled.is_empty() })
        }
        Node::Sequence(parts) => sequence(parts, alphabet),
        Node::Alternation(branches) => {
            let mut all = Ways { sure: false, ..NONE };
            let mut shortest_sure: Option<u64> = None;
            for branch in branches {
                let ways = node_ways(branch, alphabet)?;
                all.begun = all.begun.max(ways.begun);
                all.least = all.least.max(ways.least);
                if ways.sure {
                    shortest_sure = Some(shortest_sure.map_or(ways.least, |least| least.min(ways.least)));
                }
            }
            all.sure = shortest_sure.is_some();
            all.least = shortest_sure.unwrap_or(all.least);
            Some(all)
        }
        Node::Repeat { max: Some(0), .. } => Some(NONE),
        Node::Repeat { kind: RepeatKind::Possessive, .. } => None,
        Node::Repeat { node, min, .. } => {
            let ways = node_ways(node, alphabet)?;
            let more = u64::from(min.saturating_sub(1)).saturating_mul(ways.least);
            Some(Ways {
                least: u64::from(*min).saturating_mul(ways.least),
                begun: ways.begun.saturating_add(more),
                sure: ways.sure || *min == 0,
            })
        }
        Node::Group { node, .. } | Node::Part(node) | Node::Marked { node, .. } => node_ways(node, alphabet),
        Node::Pattern { pattern, .. } => node_ways(&pattern.root, alphabet),
        Node::Literal(text) => {
            let bytes = text.iter().map(|c| c.len_utf8() as u64).sum();
            let sure = text.iter().all(|&c| alphabet.contains(u32::from(c)));
            Some(Ways { least: bytes, begun: bytes, sure })
        }
        Node::Rule(_)
        | Node::Call { .. }
        | Node::Fuzzy(_)
        | Node::Table(_)
        | Node::Members(_)
        | Node::Items(_)
        | Node::Special(_)
        | Node::Intersection(_)
        | Node::Complement(_)
        | Node::Atomic(_)
        | Node::Look { .. }
        | Node::Assertion(_)
        | Node::Backreference { .. }
        | Node::Conditional { .. }
        | Node::LookConditional { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_bytes() -> Vocabulary {
        let bytes: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
        Vocabulary::new(bytes.iter().map(|byte| Some(byte.as_slice())), &[]).unwrap()
    }

    fn letters(text: &str) -> Node {
        Node::Sequence(text.chars().map(Node::Char).collect())
    }

    fn way(root: Node) -> Option<u32> {
        longest_way(&root, &all_bytes())
    }

    #[test]
    fn a_branch_that_must_be_ended_counts_once_it_is_begun() {
        let long = Node::Repeat { node: Box::new(letters("b")), min: 50, max: Some(50), kind: RepeatKind::Greedy };
        assert_eq!(way(Node::Alternation(vec![letters("a"), long.clone()])), Some(50));
        let sequence = Node::Sequence(vec![Node::Alternation(vec![letters("a"), long]), letters("xyz")]);
        assert_eq!(way(sequence), Some(53));
    }

    #[test]
    fn what_may_go_on_for_ever_is_no_further_from_its_end() {
        let star = Node::Repeat { node: Box::new(letters("ab")), min: 0, max: None, kind: RepeatKind::Lazy };
        assert_eq!(way(star), Some(2));
    }

    #[test]
    fn nothing_is_known_of_intersections() {
        let look = Node::Atomic(Box::new(letters("a")));
        assert_eq!(way(Node::Sequence(vec![look, letters("b")])), None);
    }
}
