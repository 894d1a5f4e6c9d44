//! What a parser hands to the automaton: a tree in which flags, case folding, class escapes and set operations are
//! already resolved to sets of code points, and what depends on a position in the text is still an assertion.

use crate::codepoints::CodePoints;
use std::sync::Arc;

/// A constraint as a tree, with the rules that it refers to.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The tree.
    pub root: Node,
    /// By number, what `Rule` stands for.
    pub rules: Vec<Node>,
}

impl From<Pattern> for Tree {
    fn from(pattern: Pattern) -> Self {
        Tree { root: Node::Pattern { pattern: Arc::new(pattern), string: None }, rules: Vec::new() }
    }
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The tree.
    pub root: Node,
    /// Number of capturing groups; they are numbered from 1. A branch reset or a repeated name may use a number twice.
    pub groups: u32,
    /// The groups that are called, `(?1)`, and the whole pattern, if it calls itself: what `Call` stands for.
    pub called: Vec<Called>,
}

/// A group that a pattern calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The number of the group; 0: the whole pattern.
    pub group: u32,
    /// Where it stands first in the pattern, in code points.
    pub position: usize,
    /// What it stands for.
    pub node: Node,
}

/// A node of the tree. Order of alternatives, greediness and laziness matter only inside `Atomic`, possessive repeats
/// and where a captured text is tested later; they are kept all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// The empty string (also what has no effect on a full match, such as `\K`).
    Empty,
    /// No string at all: `(?!)`, an empty class, a name list without members.
    Nothing,
    /// One given character.
    Char(char),
    /// Exactly this text.
    Literal(Arc<[char]>),
    /// One character of a set.
    Class(Arc<CodePoints>),
    /// One after the other.
    Sequence(Vec<Node>),
    /// One of them, tried in this order.
    Alternation(Vec<Node>),
    /// A repetition.
    Repeat {
        /// What is repeated.
        node: Box<Node>,
        /// At least so often.
        min: u32,
        /// At most so often; `None`: without bound.
        max: Option<u32>,
        /// How it is tried.
        kind: RepeatKind,
    },
    /// A capturing group.
    Group {
        /// Its number, from 1.
        index: u32,
        /// What it holds.
        node: Box<Node>,
    },
    /// `(?>…)`: only the first way in which it matches counts.
    Atomic(Box<Node>),
    /// A lookaround.
    Look {
        /// Which way it looks.
        direction: Direction,
        /// Whether it must not match.
        negated: bool,
        /// What is looked for.
        node: Box<Node>,
        /// Where it stands in the pattern, in code points; `None` if no one wrote it as a lookaround.
        position: Option<usize>,
    },
    /// A condition on the characters before and after a position.
    Assertion(Assertion),
    /// The text of a group again. Without a text (the group has not matched) it fails.
    Backreference {
        /// The groups it may mean, the first that is set counts (a repeated name); one as a rule.
        groups: Vec<u32>,
        /// How its characters are compared.
        case: CaseMapping,
        /// Where it stands in the pattern, in code points.
        position: usize,
    },
    /// `(?(1)yes|no)`.
    Conditional {
        /// The groups that are asked for: true if any is set.
        groups: Vec<u32>,
        /// If it has matched.
        yes: Box<Node>,
        /// If it has not.
        no: Box<Node>,
        /// Where it stands in the pattern, in code points.
        position: usize,
    },
    /// `(?(?=test)yes|no)` of `regex`: `test` is always a `Look`.
    LookConditional {
        /// The lookaround.
        test: Box<Node>,
        /// If it holds.
        yes: Box<Node>,
        /// If it does not.
        no: Box<Node>,
    },
    /// A pattern as a language of its own: its groups are numbered, and its anchors and lookarounds see, inside it.
    Pattern {
        /// The pattern.
        pattern: Arc<Pattern>,
        /// The number of the string that it was read from, for error messages.
        string: Option<usize>,
    },
    /// A language of its own: the anchors and lookarounds inside see nothing outside of it.
    Part(Box<Node>),
    /// The texts of all of these languages of their own.
    Intersection(Vec<Node>),
    /// The texts that are not of this language of its own.
    Complement(Box<Node>),
    /// A node whose borders in the text are asked for.
    Marked {
        /// The number of the mark.
        number: u32,
        /// What is marked.
        node: Box<Node>,
    },
    /// A reference to a rule of the tree.
    Rule(u32),
    /// A call of a group of the pattern that it stands in.
    Call {
        /// The number of what is called in [`Pattern::called`].
        called: u32,
        /// Where it stands in the pattern, in code points.
        position: usize,
    },
    /// What may be matched with errors.
    Fuzzy(Box<Fuzzy>),
    /// A deterministic automaton over characters.
    Table(Arc<Table>),
    /// One of these special tokens, by id.
    Special(Arc<[u32]>),
    /// Unordered members, with their close.
    Members(Box<Members>),
    /// Items in a row that are counted, with their close.
    Items(Box<Items>),
}

/// A fuzzy item of `regex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuzzy {
    /// What is matched.
    pub node: Node,
    /// Limits on the errors, five at most: of each kind, of all, and of their costs.
    pub limits: Vec<ErrorLimit>,
    /// The characters that may be substituted and inserted; `None`: all.
    pub characters: Option<Arc<CodePoints>>,
    /// Where its constraint stands in the pattern, in code points.
    pub position: usize,
}

/// A limit on errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorLimit {
    /// What a substitution adds.
    pub substitution: u32,
    /// What an insertion adds.
    pub insertion: u32,
    /// What a deletion adds.
    pub deletion: u32,
    /// The most of it.
    pub most: u32,
}

/// Members of a collection, which may come in any order, each declared key at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The fewest members.
    pub min: u32,
    /// The most members.
    pub max: Option<u32>,
    /// Whether declared keys come in their order, and other members behind them.
    pub ordered: bool,
    /// Before the first member.
    pub first: Node,
    /// Between two members.
    pub between: Node,
    /// Behind the last member, or in place of any.
    pub close: Node,
    /// The declared keys.
    pub keys: Vec<Member>,
    /// Classes of other members: their keys, and what follows.
    pub others: Vec<(Node, Node)>,
    /// If all of the first have been seen, one of the second has to be. Numbers of keys, then of classes.
    pub guards: Vec<(Vec<u32>, Vec<u32>)>,
}

/// A declared member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key; `None`: it cannot be written.
    pub key: Option<Arc<[char]>>,
    /// Whether it has to be written.
    pub required: bool,
    /// What follows the key.
    pub follow: Node,
}

/// Items in a row, some of which are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    /// The fewest items.
    pub min: u32,
    /// The most items.
    pub max: Option<u32>,
    /// By counter: the least and the most that it has to count.
    pub counters: Vec<(u32, Option<u32>)>,
    /// Before the first item.
    pub first: Node,
    /// Between two items.
    pub between: Node,
    /// Behind the last item, or in place of any.
    pub close: Node,
    /// By place, the last for all later ones: the ways to write an item, and the counters that each adds to.
    pub groups: Vec<Vec<(Vec<u32>, Node)>>,
}

/// A deterministic automaton over characters, as a table. Its start is state 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Disjoint sets of characters; a character of none is dead.
    pub classes: Vec<Arc<CodePoints>>,
    /// Whether the text may end, and, by class, the next state; `None`: dead.
    pub states: Vec<(bool, Box<[Option<u32>]>)>,
}

/// How a repetition is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatKind {
    /// The longest first.
    Greedy,
    /// The shortest first.
    Lazy,
    /// The longest only: `X*+` is `(?>X*)`.
    Possessive,
}

/// Which way a lookaround looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// At the text to come.
    Ahead,
    /// At the text before.
    Behind,
}

/// A condition on one position of the text, decided by the character before it and what comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assertion {
    /// `\A`, or `^` without MULTILINE.
    TextStart,
    /// `\Z` of `re`, `\Z` of `regex`, `\z`.
    TextEnd,
    /// `$` without MULTILINE: at the end, or before one final character of the set (a newline) that ends the text.
    TextEndOrFinal(Arc<CodePoints>),
    /// `^` with MULTILINE: at the start, or after a character of the set.
    LineStart(Arc<CodePoints>),
    /// `$` with MULTILINE: at the end, or before a character of the set.
    LineEnd(Arc<CodePoints>),
    /// Depends on whether the character before, and the one after, is in `word` (start and end of the text: it is not).
    Word {
        /// What counts as a word's character.
        word: Arc<CodePoints>,
        /// Which combinations hold.
        kind: WordAssertion,
    },
    /// Never true in a full match from the start (`\G` elsewhere than at the start has no other meaning here).
    SearchStart,
}

/// Which combinations of "before is a word's character" and "after is" hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordAssertion {
    /// `\b`: they differ.
    Boundary,
    /// `\B`: they are equal.
    NotBoundary,
    /// `\B` of `re` before Python 3.14: they are equal, and the text is not empty.
    NotBoundaryUnlessEmpty,
    /// `\m`: before is not, after is.
    Start,
    /// `\M`: before is, after is not.
    End,
}

/// How the characters of a backreference are compared.
#[derive(Debug, Clone)]
pub enum CaseMapping {
    /// As they are.
    Exact,
    /// A character matches every member of its set; a character without a set only itself. Sorted by character.
    /// (Not classes: `regex` takes `i` for `İ` and `I` for `ı`, but not `i` for `ı`.)
    Sets(Arc<Vec<(u32, CodePoints)>>),
}

impl PartialEq for CaseMapping {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (CaseMapping::Exact, CaseMapping::Exact) => true,
            (CaseMapping::Sets(a), CaseMapping::Sets(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

impl Eq for CaseMapping {}
