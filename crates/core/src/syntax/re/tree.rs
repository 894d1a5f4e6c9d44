//! A pattern of `re` as its own parser sees it, before flags are applied.
//!
//! The shape matters: under IGNORECASE `ß|a` is read as the set `[ßa]`, which folds differently from `ß` alone, so
//! alternatives are factored and merged here exactly as the library does it.

use crate::syntax::ast::{Direction, RepeatKind};

/// One after the other.
pub type Sequence = Vec<Item>;

/// An element of a sequence.
#[derive(Debug, Clone)]
pub enum Item {
    /// One character.
    Literal(u32),
    /// Any character but one: `[^a]`.
    NotLiteral(u32),
    /// `.`
    Any,
    /// A set, or a category outside of one.
    In(Class),
    /// A position.
    At(At),
    /// Alternatives.
    Branch(Vec<Sequence>, Width),
    /// A repetition, and where its quantifier stands.
    Repeat { min: u32, max: Option<u32>, kind: RepeatKind, body: Sequence, width: Width, position: usize },
    /// A group, with the flags it turns on and off.
    Group { index: Option<u32>, on: u32, off: u32, body: Sequence, width: Width },
    /// `(?>…)`
    Atomic(Sequence, Width),
    /// A lookaround, with the width of its body and where it stands.
    Look { direction: Direction, negated: bool, body: Sequence, width: Width, position: usize },
    /// The text of a group again; the width is the group's.
    Reference { group: u32, width: Width, position: usize },
    /// `(?(1)yes|no)`
    Conditional { group: u32, yes: Sequence, no: Sequence, width: Width, position: usize },
}

/// A position in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `^`
    Beginning,
    /// `\A`
    BeginningOfText,
    /// `$`
    End,
    /// `\Z`
    EndOfText,
    /// `\b`
    Boundary,
    /// `\B`
    NotBoundary,
}

/// The least and the greatest length of what matches; lookbehinds need them equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// The least.
    pub min: u64,
    /// The greatest.
    pub max: u64,
}

/// What the library takes for infinite.
const INFINITE: u64 = u64::MAX;

impl Width {
    pub const ZERO: Width = Width { min: 0, max: 0 };

    fn then(self, other: Width) -> Width {
        Width { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub fn or(self, other: Width) -> Width {
        Width { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    pub fn times(self, min: u32, max: Option<u32>) -> Width {
        let greatest = match max {
            None if self.max > 0 => INFINITE,
            None => 0,
            Some(max) => self.max.saturating_mul(u64::from(max)),
        };
        Width { min: self.min.saturating_mul(u64::from(min)), max: greatest }
    }

    pub fn of(sequence: &[Item]) -> Width {
        sequence.iter().fold(Width::ZERO, |sum, item| sum.then(item.width()))
    }
}

impl Item {
    fn width(&self) -> Width {
        match self {
            Item::Literal(_) | Item::NotLiteral(_) | Item::Any | Item::In(_) => Width { min: 1, max: 1 },
            Item::At(_) | Item::Look { .. } => Width::ZERO,
            Item::Branch(_, width)
            | Item::Repeat { width, .. }
            | Item::Group { width, .. }
            | Item::Atomic(_, width)
            | Item::Reference { width, .. }
            | Item::Conditional { width, .. } => *width,
        }
    }

    /// Whether the library finds two items equal: those with a body never are.
    fn equals(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Literal(a), Item::Literal(b)) | (Item::NotLiteral(a), Item::NotLiteral(b)) => a == b,
            (Item::Any, Item::Any) => true,
            (Item::In(a), Item::In(b)) => a == b,
            (Item::At(a), Item::At(b)) => a == b,
            (Item::Reference { group: a, .. }, Item::Reference { group: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// Puts alternatives together: a common beginning is taken out, single characters and sets are merged to one set.
pub fn alternatives(mut branches: Vec<Sequence>) -> Sequence {
    if branches.len() == 1 {
        return branches.pop().unwrap_or_default();
    }
    let (first, others) = branches.split_first().expect("there are at least two alternatives");
    let mut common = first.len();
    for other in others {
        common = first.iter().zip(other).take(common).take_while(|(a, b)| a.equals(b)).count();
    }
    let mut sequence: Sequence = first[..common].to_vec();
    if common > 0 {
        for branch in &mut branches {
            branch.drain(..common);
        }
    }
    let mut members = Vec::new();
    for branch in &branches {
        match &branch[..] {
            [Item::Literal(c)] => members.push(Member::Literal(*c)),
            [Item::In(class)] if !class.negated => members.extend_from_slice(&class.members),
            _ => {
                let width = branches.iter().map(|b| Width::of(b)).reduce(Width::or).unwrap_or(Width::ZERO);
                sequence.push(Item::Branch(branches, width));
                return sequence;
            }
        }
    }
    sequence.push(Item::In(Class { negated: false, members }));
    sequence
}

/// A set as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// Whether it begins with `^`.
    pub negated: bool,
    /// What stands in it.
    pub members: Vec<Member>,
}

/// A member of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Member {
    /// One character.
    Literal(u32),
    /// Both ends belong to it.
    Range(u32, u32),
    /// `\d \D \s \S \w \W`
    Category(Category, bool),
}

/// A class of characters that has an escape of its own; the flag beside it says whether it is negated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// `\d`
    Digit,
    /// `\s`
    Space,
    /// `\w`
    Word,
}

/// What the dialect's cache of sets is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClassKey {
    Literal(u32, bool),
    Set(Class, bool, bool),
}
