//! How the texts of a language are spelled inside the quotes of a JSON string, each in one way.
//!
//! A character stands for itself, but for the quote, the backslash and the control characters below U+0020: those are
//! escaped as `json.dumps(text, ensure_ascii=False)` does it. No spelling of a character is the beginning of another's, so
//! a tree is spelled by spelling its characters: a text is in the language if and only if its spelling is in the spelled
//! one, and lookaheads hold where they held. What looks back has to know where characters begin, since `n` is the end of
//! `\n`, too: it counts from the start of the part. A complement is taken among spellings.

use super::ast::{Assertion, Direction, Node, Pattern, RepeatKind, Table, WordAssertion};
use crate::codepoints::CodePoints;
use std::sync::Arc;

/// The characters that have an escape of two characters, and its second one.
const SHORT: [(char, char); 7] =
    [('"', '"'), ('\\', '\\'), ('\u{8}', 'b'), ('\u{c}', 'f'), ('\n', 'n'), ('\r', 'r'), ('\t', 't')];

/// All characters that do not stand for themselves.
fn escaped() -> CodePoints {
    CodePoints::from_ranges([(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C)])
}

/// Appends the spelling of a character.
fn spell(c: char, out: &mut Vec<char>) {
    match SHORT.iter().find(|short| short.0 == c) {
        Some(&(_, letter)) => out.extend(['\\', letter]),
        None if c < ' ' => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
        None => out.push(c),
    }
}

fn spelled_text(text: impl IntoIterator<Item = char>) -> Node {
    let mut out = Vec::new();
    text.into_iter().for_each(|c| spell(c, &mut out));
    Node::Literal(out.into())
}

/// What can be written between a backslash and the end of an escape, for the members of a set.
fn escapes_of(set: &CodePoints) -> Vec<Node> {
    let mut ways = Vec::new();
    let class = |members: Vec<char>| {
        Node::Class(Arc::new(CodePoints::from_ranges(members.into_iter().map(|c| (u32::from(c), u32::from(c))))))
    };
    let short: Vec<char> = SHORT.iter().filter(|short| set.contains(short.0.into())).map(|short| short.1).collect();
    if !short.is_empty() {
        ways.push(class(short));
    }
    for high in 0..2u32 {
        let is_long = |&c: &u32| set.contains(c) && !SHORT.iter().any(|short| u32::from(short.0) == c);
        let low: Vec<char> = (high * 16..high * 16 + 16).filter(is_long).map(|c| hexadecimal(c % 16)).collect();
        if !low.is_empty() {
            let begin = ['u', '0', '0', hexadecimal(high)];
            ways.push(Node::Sequence(vec![Node::Literal(Arc::from(begin)), class(low)]));
        }
    }
    ways
}

fn hexadecimal(digit: u32) -> char {
    char::from_digit(digit, 16).unwrap_or('0')
}

fn spelled_class(set: &Arc<CodePoints>) -> Node {
    let escaped = escaped();
    let escapes = escapes_of(set);
    if escapes.is_empty() {
        return Node::Class(Arc::clone(set));
    }
    let mut ways = Vec::new();
    let plain = set.difference(&escaped);
    if !plain.is_empty() {
        ways.push(Node::Class(Arc::new(plain)));
    }
    ways.push(Node::Sequence(vec![Node::Char('\\'), Node::Alternation(escapes)]));
    Node::Alternation(ways)
}

/// Any text, spelled.
fn anything() -> Node {
    let node = Box::new(spelled_class(&Arc::new(CodePoints::scalars())));
    Node::Repeat { node, min: 0, max: None, kind: RepeatKind::Greedy }
}

/// The tree of all spellings. `Err` names what cannot be spelled.
pub fn spelled(node: &Node) -> Result<Node, &'static str> {
    let all = |nodes: &[Node]| nodes.iter().map(spelled).collect::<Result<Vec<_>, _>>();
    let boxed = |node: &Node| spelled(node).map(Box::new);
    Ok(match node {
        Node::Empty | Node::Nothing => node.clone(),
        Node::Char(c) => spelled_text([*c]),
        Node::Literal(text) => spelled_text(text.iter().copied()),
        Node::Class(set) => spelled_class(set),
        Node::Sequence(nodes) => Node::Sequence(all(nodes)?),
        Node::Alternation(nodes) => Node::Alternation(all(nodes)?),
        Node::Intersection(nodes) => Node::Intersection(all(nodes)?),
        Node::Complement(node) => Node::Intersection(vec![anything(), Node::Complement(boxed(node)?)]),
        Node::Repeat { node, min, max, kind } => Node::Repeat { node: boxed(node)?, min: *min, max: *max, kind: *kind },
        Node::Group { index, node } => Node::Group { index: *index, node: boxed(node)? },
        Node::Atomic(node) => Node::Atomic(boxed(node)?),
        Node::Part(node) => Node::Part(boxed(node)?),
        Node::Marked { number, node } => Node::Marked { number: *number, node: boxed(node)? },
        Node::Pattern { pattern, string } => {
            let mut pattern = Pattern { root: spelled(&pattern.root)?, ..(**pattern).clone() };
            for called in &mut pattern.called {
                called.node = spelled(&called.node)?;
            }
            Node::Pattern { pattern: Arc::new(pattern), string: *string }
        }
        Node::Look { direction, negated, node, position } => look(*direction, *negated, spelled(node)?, *position),
        Node::Assertion(assertion) => spelled_assertion(assertion),
        Node::Backreference { .. } | Node::Call { .. } => node.clone(),
        Node::Conditional { groups, yes, no, position } => {
            Node::Conditional { groups: groups.clone(), yes: boxed(yes)?, no: boxed(no)?, position: *position }
        }
        Node::LookConditional { test, yes, no } => {
            Node::LookConditional { test: boxed(test)?, yes: boxed(yes)?, no: boxed(no)? }
        }
        Node::Table(table) => Node::Table(Arc::new(spelled_table(table))),
        Node::Rule(_) => return Err("a reference to a rule"),
        Node::Fuzzy(_) => return Err("a fuzzy item"),
        Node::Members(_) | Node::Items(_) => return Err("a collection"),
        Node::Special(_) => return Err("a special token"),
    })
}

fn look(direction: Direction, negated: bool, body: Node, position: Option<usize>) -> Node {
    let body = match direction {
        Direction::Ahead => body,
        Direction::Behind => Node::Sequence(vec![Node::Assertion(Assertion::TextStart), anything(), body]),
    };
    Node::Look { direction, negated, node: Box::new(body), position }
}

fn spelled_assertion(assertion: &Assertion) -> Node {
    let behind = |set, negated| look(Direction::Behind, negated, spelled_class(set), None);
    let ahead = |set, negated| look(Direction::Ahead, negated, spelled_class(set), None);
    match assertion {
        Assertion::TextStart | Assertion::TextEnd | Assertion::SearchStart => Node::Assertion(assertion.clone()),
        Assertion::TextEndOrFinal(set) => {
            let node = Box::new(spelled_class(set));
            let last = Node::Repeat { node, min: 0, max: Some(1), kind: RepeatKind::Greedy };
            let end = Node::Sequence(vec![last, Node::Assertion(Assertion::TextEnd)]);
            look(Direction::Ahead, false, end, None)
        }
        Assertion::LineStart(set) => Node::Alternation(vec![Node::Assertion(Assertion::TextStart), behind(set, false)]),
        Assertion::LineEnd(set) => Node::Alternation(vec![Node::Assertion(Assertion::TextEnd), ahead(set, false)]),
        Assertion::Word { word, kind } => {
            let pair = |before: bool, after: bool| Node::Sequence(vec![behind(word, !before), ahead(word, !after)]);
            match kind {
                WordAssertion::Boundary => Node::Alternation(vec![pair(true, false), pair(false, true)]),
                WordAssertion::NotBoundary => Node::Alternation(vec![pair(true, true), pair(false, false)]),
                WordAssertion::NotBoundaryUnlessEmpty => {
                    let any = Arc::new(CodePoints::scalars());
                    let some = Node::Alternation(vec![behind(&any, false), ahead(&any, false)]);
                    let ways = Node::Alternation(vec![pair(true, true), pair(false, false)]);
                    Node::Sequence(vec![some, ways])
                }
                WordAssertion::Start => pair(false, true),
                WordAssertion::End => pair(true, false),
            }
        }
    }
}

/// A table over spellings: escapes lead through states of their own.
fn spelled_table(table: &Table) -> Table {
    let escaped_members = escaped();
    // A class of the new table for each character that occurs in escapes, and what is left of the old ones.
    let letters: Vec<char> = "\\\"bfnrtu0123456789acde".chars().collect();
    let letter_set = CodePoints::from_ranges(letters.iter().map(|&c| (u32::from(c), u32::from(c))));
    let single = |&c: &char| Arc::new(CodePoints::single(c.into()));
    let mut classes: Vec<Arc<CodePoints>> = letters.iter().map(single).collect();
    let rest = |class: &Arc<CodePoints>| Arc::new(class.difference(&escaped_members).difference(&letter_set));
    classes.extend(table.classes.iter().map(rest));
    let width = classes.len();
    let place = |c: char| letters.iter().position(|&letter| letter == c);
    let target = |state: usize, c: char| {
        let class = table.classes.iter().position(|class| class.contains(c.into()))?;
        table.states[state].1[class]
    };
    let mut states: Vec<(bool, Box<[Option<u32>]>)> =
        table.states.iter().map(|(accepting, _)| (*accepting, vec![None; width].into())).collect();
    for state in 0..table.states.len() {
        for (index, &c) in letters.iter().enumerate() {
            if !escaped_members.contains(c.into()) {
                states[state].1[index] = target(state, c);
            }
        }
        states[state].1[letters.len()..].copy_from_slice(&table.states[state].1);
        for code in (0..0x20u32).chain([0x22, 0x5C]) {
            let Some(c) = char::from_u32(code) else { continue };
            let Some(to) = target(state, c) else { continue };
            let mut spelling = Vec::new();
            spell(c, &mut spelling);
            let mut at = state;
            for (index, &letter) in spelling.iter().enumerate() {
                let Some(class) = place(letter) else { break };
                if index + 1 == spelling.len() {
                    states[at].1[class] = Some(to);
                    break;
                }
                at = match states[at].1[class] {
                    Some(next) => next as usize,
                    None => {
                        let next = states.len();
                        states.push((false, vec![None; width].into()));
                        states[at].1[class] = Some(next as u32);
                        next
                    }
                };
            }
        }
    }
    Table { classes, states }
}
