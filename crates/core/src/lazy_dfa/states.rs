//! Character states: how they are told apart, and what is known of one.

use crate::derivative::situation::Life;
use crate::expression::node::ExprId;
use crate::mask::hints::CharLoop;

/// A transition that is not known yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// Set on a transition whose target has not been proven alive.
pub(crate) const UNPROVEN: u32 = 1 << 31;
/// The dead character state.
pub(crate) const DEAD: u32 = 0;

/// A character state's number.
pub(crate) type CharState = u32;

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) term: ExprId,
    pub(crate) before: u64,
    pub(crate) trackers: u32,
    pub(crate) buffer: u32,
    pub(crate) life: Life,
    pub(crate) accepting: Option<bool>,
    /// Whether the minterms that cannot begin its term have been marked dead; see `CharDfa::sift`.
    pub(crate) sifted: bool,
    /// Whether it may compare the next character with a captured one: its transitions then go by character.
    pub(crate) compares: bool,
    /// Whether its plain term begins with a string.
    pub(crate) begins_with_string: bool,
    pub(crate) char_loop: Option<Option<CharLoop>>,
}
