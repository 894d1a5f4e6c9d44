//! The nodes of expressions. A node names its parts by their ids.

use crate::expression::minterms::ClassId;

/// The id of an expression.
pub type ExprId = u32;

/// No text at all.
pub const NOTHING: ExprId = 0;
/// The empty text.
pub const EMPTY: ExprId = 1;
/// Every text: `Σ*`.
pub const ANYTHING: ExprId = 2;
/// Marks where a lookbehind's body ends: "now".
pub const DONE: ExprId = 3;

/// One character, whichever.
pub const ALL_CHARACTERS: ExprId = 4;

/// No upper bound of a repetition.
pub const MANY: u32 = u32::MAX;
/// A group that is not being captured, a backreference without a text.
pub const UNBOUND: u32 = u32::MAX;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// `∅`
    Nothing,
    /// `ε`
    Empty,
    /// See [`DONE`].
    Done,
    /// One character of a class.
    Class(ClassId),
    /// `len ≥ 2` classes of the pool, one after the other.
    Str { at: u32, len: u32 },
    /// One of the strings `lo..hi` of a table, from their element `depth` on. They agree before it.
    Literals { table: u32, lo: u32, hi: u32, depth: u32 },
    /// The head, which is no sequence, and what follows.
    Concat(ExprId, ExprId),
    /// Any of them.
    Union(Box<[ExprId]>),
    /// Any of them, tried in this order: inside atomic groups.
    Ordered(Box<[ExprId]>),
    /// All of them. A term.
    Inter(Box<[ExprId]>),
    /// Every other text. A term.
    Not(ExprId),
    /// `body{min,max}`; `lazy` is false outside atomic groups.
    Repeat { body: ExprId, min: u32, max: u32, lazy: bool },
    /// Stands after one iteration of a repetition of which so much is left. Reached without a character having been
    /// read since, it is an iteration that consumed nothing; `dead`: and one before it did so too.
    Mark { body: ExprId, min: u32, max: u32, lazy: bool, dead: bool },
    /// Whether the character before is in a set (by number); at the start of the text it is in none.
    Before { set: u8, negated: bool },
    /// Whether this is the start of the text.
    Start { negated: bool },
    /// The end of the text.
    End,
    /// Whether the next character is in a class; at the end of the text it is in none.
    Next { class: ClassId, negated: bool },
    /// A lookahead.
    Ahead { negated: bool, body: ExprId },
    /// Whether a lookbehind (by number) holds.
    Behind { negated: bool, tracker: u8 },
    /// A group that a backreference may ask for begins.
    Open(u32),
    /// A group that something may ask for ends; `start`: where it began, as a position in the state's buffer.
    Close { group: u32, start: u32 },
    /// The text of a group: `reference` tells which and how it is compared; `content`: the text, if there is one yet.
    Backref { reference: u32, content: u32 },
    /// The last `left ≥ 1` characters of a captured text, compared as `reference` tells.
    Text { reference: u32, content: u32, left: u32 },
    /// `(?(group)yes|no)` while the group has not matched.
    Cond { groups: u32, yes: ExprId, no: ExprId },
    /// The ways in which an atomic group may go on, the preferred first, each with the term under which it exists.
    Atomic(Box<[(ExprId, ExprId)]>),
    /// A reference to a rule, unfolded when it is derived: what follows it is the parser's stack.
    Rule(u32),
    /// A language of its own that has to know its own past, by the number of the situation it is in (see `parts.rs`).
    Part(u32),
    /// What is left of an item that may be matched with errors; see `fuzzy_items.rs`.
    Fuzzy(u32),
    /// What is left from a state of a table on; see `transition_table.rs`.
    Table { table: u32, state: u32 },
    /// What is left of a collection of unordered members, its close included (see `collections.rs`).
    Members { spec: u32, seen: u32 },
    /// The rest, from element `depth` on, of one of the keys `lo..hi` of a collection, and of the collection.
    Keys { spec: u32, seen: u32, lo: u32, hi: u32, depth: u32 },
    /// A collection of members of which is forgotten what was seen: whether it may be closed, and the letters with which
    /// the keys begin that may come (see `truncate.rs`).
    Top { spec: u32, begun: bool, closes: bool, letters: Option<ClassId> },
    /// What was cut off.
    Opaque,
    /// What is left of a row of counted items, its close included.
    Items { spec: u32, seen: u32 },
}

/// The start of the text, in `front` and in the context of a state.
pub const START_BIT: u64 = 1 << 63;

impl Expr {
    /// Adds the expressions that it is made of.
    pub fn children(&self, into: &mut Vec<ExprId>) {
        match self {
            Expr::Concat(a, b) => into.extend([*a, *b]),
            Expr::Union(ids) | Expr::Ordered(ids) | Expr::Inter(ids) => into.extend(ids),
            Expr::Not(body) | Expr::Repeat { body, .. } | Expr::Mark { body, .. } | Expr::Ahead { body, .. } => {
                into.push(*body);
            }
            Expr::Cond { yes, no, .. } => into.extend([*yes, *no]),
            Expr::Atomic(threads) => into.extend(threads.iter().flat_map(|thread| [thread.0, thread.1])),
            _ => {}
        }
    }
}
