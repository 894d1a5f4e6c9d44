//! Items that may be matched with errors.

use crate::error::{Error, Result};
use crate::expression::fuzzy_items::{FuzzySpec, LIMITS, Spent};
use crate::expression::minterms::ALL;
use crate::expression::node::{ExprId, NOTHING};
use crate::syntax::ast::Fuzzy;
use crate::translate::translator::{Mode, Translator};

impl Translator<'_> {
    pub(super) fn fuzzy(&mut self, fuzzy: &Fuzzy, mode: Mode) -> Result<ExprId> {
        // The parser lets none pass where it cannot be held.
        let not_held = || {
            Err(Error::NotRegular { construct: "a fuzzy item in this place".into(), position: Some(fuzzy.position) })
        };
        if mode.behind || mode.ordered || fuzzy.limits.len() > LIMITS {
            return not_held();
        }
        let allowed = match &fuzzy.characters {
            None => ALL,
            Some(set) => match self.class_id(set) {
                Some(class) => class,
                None => self.calculus.partition.union([]),
            },
        };
        // Ordered, alternatives stay apart: `a|b` has an error for each of two characters where `[ab]` has none for either.
        self.unwritable = Some(false);
        let pattern = self.node(&fuzzy.node, Mode { ordered: true, behind: false });
        let is_writable = self.unwritable.take() == Some(false);
        let pattern = pattern?;
        if pattern == NOTHING {
            return not_held();
        }
        let mut spec = FuzzySpec {
            most: [u32::MAX; LIMITS],
            substitution: Spent::default(),
            insertion: Spent::default(),
            deletion: Spent::default(),
            allowed,
            is_writable,
        };
        for (index, limit) in fuzzy.limits.iter().enumerate() {
            spec.most[index] = limit.most;
            spec.substitution[index] = limit.substitution;
            spec.insertion[index] = limit.insertion;
            spec.deletion[index] = limit.deletion;
        }
        let spec = self.calculus.arena.fuzzy.spec(spec);
        self.calculus.fuzzy(spec, pattern)
    }
}
