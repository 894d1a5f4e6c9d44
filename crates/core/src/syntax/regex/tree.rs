//! A pattern of `regex` as its own parser sees it. Which characters stand side by side matters: under full case
//! folding `ss` matches `ß`, and `(s)s` does not.

use crate::syntax::ast::{Direction, ErrorLimit, RepeatKind};
use crate::syntax::dialect::{Property, PropertyEncoding, PropertyQuery};
use std::hash::{Hash, Hasher};

/// A node; `case` is a combination of IGNORECASE and FULLCASE.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// One character.
    Char { c: u32, case: u32 },
    /// One character of a set.
    Set { set: Set, case: u32, at: Place },
    /// A run of characters that folds in full, already folded.
    Folded(Vec<u32>),
    /// `.`
    Any(Any),
    /// One after the other.
    Sequence(Vec<Node>),
    /// Alternatives.
    Branch(Vec<Node>),
    /// A repetition.
    Repeat { min: u32, max: Option<u32>, kind: RepeatKind, body: Box<Node> },
    /// A capturing group.
    Group { index: u32, body: Box<Node> },
    /// What may be matched with errors, and the characters that may be wrong.
    Fuzzy { body: Box<Node>, limits: Vec<ErrorLimit>, test: Option<Box<Node>>, position: usize },
    /// `(?>…)`
    Atomic(Box<Node>),
    /// A lookaround.
    Look { direction: Direction, negated: bool, body: Box<Node>, at: Place },
    /// A position.
    At(At),
    /// `(*FAIL)`
    Failure,
    /// A call of a group, or of the whole pattern (number 0).
    Call { group: GroupName, position: usize },
    /// The text of a group again.
    Reference { group: GroupName, case: u32, position: usize },
    /// `(?(1)yes|no)`
    Conditional { group: GroupName, yes: Box<Node>, no: Box<Node>, position: usize },
    /// `(?(?=test)yes|no)`
    LookConditional { direction: Direction, negated: bool, test: Box<Node>, yes: Box<Node>, no: Box<Node>, at: Place },
}

/// Where a node stands in the pattern, if someone wrote it there. Nodes are compared without it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(pub Option<usize>);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

/// What `.` matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Any {
    /// All but a newline.
    NotNewline,
    /// All but what separates lines in Unicode.
    NotSeparator,
    /// All.
    All,
}

/// A position in the text.
#[derive(Debug, Clone, PartialEq)]
pub enum At {
    TextStart,
    TextEnd,
    TextEndOrFinal,
    TextEndOrFinalSeparator,
    LineStart,
    LineStartSeparator,
    LineEnd,
    LineEndSeparator,
    Boundary(Encoding),
    NotBoundary(Encoding),
    WordStart(Encoding),
    WordEnd(Encoding),
    SearchAnchor,
    /// `\K`: no effect on what matches.
    Keep,
}

/// How a group is referred to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupName {
    Number(u64),
    Name(Vec<u32>),
}

/// The encoding under which a property is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// That of the whole pattern.
    Pattern,
    Ascii,
    Unicode,
}

/// A set as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Set {
    pub positive: bool,
    pub kind: SetKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SetKind {
    Char(u32),
    Range(u32, u32),
    Property(PropertyRef),
    Union(Vec<Set>),
    Difference(Vec<Set>),
    Intersection(Vec<Set>),
    SymmetricDifference(Vec<Set>),
}

impl Set {
    pub fn of(kind: SetKind) -> Set {
        Set { positive: true, kind }
    }

    /// Whether it holds characters and ranges only: such sets can be put together in any order.
    pub fn is_plain(&self) -> bool {
        self.positive
            && match &self.kind {
                SetKind::Char(_) | SetKind::Range(..) => true,
                SetKind::Union(items) => items.iter().all(Set::is_plain),
                _ => false,
            }
    }

    pub fn negated(self) -> Set {
        Set { positive: !self.positive, kind: self.kind }
    }
}

/// A property that has been looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PropertyRef {
    Word(Encoding),
    Digit(Encoding),
    Space(Encoding),
    Blank,
    Named(NamedProperty),
}

impl PropertyRef {
    /// The same in the encoding of the whole pattern.
    pub fn in_pattern_encoding(&self) -> PropertyRef {
        match self {
            PropertyRef::Word(_) => PropertyRef::Word(Encoding::Pattern),
            PropertyRef::Digit(_) => PropertyRef::Digit(Encoding::Pattern),
            PropertyRef::Space(_) => PropertyRef::Space(Encoding::Pattern),
            PropertyRef::Blank => PropertyRef::Blank,
            PropertyRef::Named(named) => {
                PropertyRef::Named(NamedProperty { encoding: Encoding::Pattern, ..named.clone() })
            }
        }
    }
}

/// A property of `\p{…}`; equal if the library finds them equal.
#[derive(Debug, Clone)]
pub struct NamedProperty {
    pub name: Option<String>,
    pub value: String,
    pub posix: bool,
    pub encoding: Encoding,
    /// What the library said when it was looked up, and how it was asked.
    pub found: Property,
    pub asked: PropertyEncoding,
}

impl NamedProperty {
    /// The question for it in another encoding.
    pub fn query(&self, encoding: PropertyEncoding) -> PropertyQuery<'_> {
        PropertyQuery { name: self.name.as_deref(), value: &self.value, posix: self.posix, encoding }
    }
}

impl PartialEq for NamedProperty {
    fn eq(&self, other: &Self) -> bool {
        (self.found.id, self.encoding) == (other.found.id, other.encoding)
    }
}

impl Eq for NamedProperty {}

impl Hash for NamedProperty {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.found.id, self.encoding).hash(state);
    }
}

impl Node {
    pub const EMPTY: Node = Node::Sequence(Vec::new());

    /// Whether the library sees at once how it begins; else it looks for its first characters apart.
    pub fn has_simple_start(&self) -> bool {
        match self {
            Node::Char { .. } | Node::Set { .. } | Node::Folded(_) | Node::Any(_) => true,
            Node::Group { body, .. } | Node::Atomic(body) => body.has_simple_start(),
            Node::Sequence(items) => items.first().is_some_and(Node::has_simple_start),
            _ => false,
        }
    }

    /// Whether a quantifier behind it is dropped.
    pub fn is_empty(&self) -> bool {
        match self {
            Node::Sequence(items) | Node::Branch(items) => items.iter().all(Node::is_empty),
            Node::Atomic(body) | Node::Repeat { body, .. } => body.is_empty(),
            Node::Look { negated, body, .. } => !negated && body.is_empty(),
            Node::Conditional { yes, no, .. } => yes.is_empty() && no.is_empty(),
            Node::LookConditional { test, yes, .. } => test.is_empty() && yes.is_empty(),
            _ => false,
        }
    }
}

/// One node for a list of them.
pub fn sequence(mut items: Vec<Node>) -> Node {
    if items.len() == 1 { items.remove(0) } else { Node::Sequence(items) }
}

/// What the dialect's cache of sets is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClassKey {
    Char { c: u32, is_ascii: bool },
    Set { set: Set, ignore_case: bool, is_ascii: bool },
}
