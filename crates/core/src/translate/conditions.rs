//! Lookarounds and anchors.

use crate::error::{Error, Result};
use crate::expression::minterms::ClassId;
use crate::expression::node::{ANYTHING, DONE, EMPTY, Expr, ExprId, NOTHING};
use crate::syntax::ast::{Assertion, Direction, Node, WordAssertion};
use crate::translate::translator::{Mode, Translator};

impl Translator<'_> {
    pub(super) fn look(&mut self, direction: Direction, negated: bool, node: &Node) -> Result<ExprId> {
        if direction == Direction::Ahead {
            let body = self.node(node, Mode::default())?;
            return Ok(match (body, negated) {
                (NOTHING, true) | (EMPTY, false) => EMPTY,
                (NOTHING, false) | (EMPTY, true) => NOTHING,
                _ => match *self.calculus.arena.get(body) {
                    Expr::Class(class) => self.calculus.arena.intern(Expr::Next { class, negated }),
                    _ => self.calculus.arena.intern(Expr::Ahead { negated, body }),
                },
            });
        }
        let body = self.node(node, Mode { behind: true, ordered: false })?;
        if let Expr::Class(class) = *self.calculus.arena.get(body) {
            return self.before(class, negated);
        }
        match (body, negated) {
            (NOTHING, true) | (EMPTY, false) => return Ok(EMPTY),
            (NOTHING, false) | (EMPTY, true) => return Ok(NOTHING),
            _ => {}
        }
        let end = self.calculus.arena.concat(body, DONE);
        let tracker = self.calculus.arena.concat(ANYTHING, end);
        let number = match self.trackers.iter().position(|&t| t == tracker) {
            Some(number) => number,
            None if self.trackers.len() == 64 => {
                let construct = "more than 64 lookbehinds".into();
                return Err(Error::NotRegular { construct, position: self.looking_from });
            }
            None => {
                self.trackers.push(tracker);
                self.trackers.len() - 1
            }
        };
        Ok(self.calculus.arena.intern(Expr::Behind { negated, tracker: number as u8 }))
    }

    pub(super) fn before(&mut self, class: ClassId, negated: bool) -> Result<ExprId> {
        let set = match self.befores.iter().position(|&c| c == class) {
            Some(set) => set,
            None if self.befores.len() == 63 => {
                return Err(Error::NotRegular {
                    construct: "more than 63 one-character lookbehinds".into(),
                    position: self.looking_from,
                });
            }
            None => {
                self.befores.push(class);
                let calculus = &mut self.calculus;
                for m in calculus.partition.bits(class).iter() {
                    calculus.holds_after[usize::from(m)] |= 1 << (self.befores.len() - 1);
                }
                self.befores.len() - 1
            }
        };
        Ok(self.calculus.arena.intern(Expr::Before { set: set as u8, negated }))
    }

    pub(super) fn assertion(&mut self, assertion: &Assertion, mode: Mode) -> Result<ExprId> {
        let start = |this: &mut Self, negated| this.calculus.arena.intern(Expr::Start { negated });
        let end = |this: &mut Self| this.calculus.arena.intern(Expr::End);
        Ok(match assertion {
            Assertion::TextStart | Assertion::SearchStart => start(self, false),
            Assertion::TextEnd => end(self),
            Assertion::TextEndOrFinal(set) => {
                let newline = self.class(set);
                let end = end(self);
                let newline = self.calculus.arena.repeat(newline, 0, 1, false);
                let body = self.calculus.arena.concat(newline, end);
                self.calculus.arena.intern(Expr::Ahead { negated: false, body })
            }
            Assertion::LineStart(set) => {
                let start = start(self, false);
                let after = match self.class_id(set) {
                    Some(class) => self.before(class, false)?,
                    None => NOTHING,
                };
                self.either(vec![start, after], mode)
            }
            Assertion::LineEnd(set) => {
                let end = end(self);
                let before = match self.class_id(set) {
                    Some(class) => self.calculus.arena.intern(Expr::Next { class, negated: false }),
                    None => NOTHING,
                };
                self.either(vec![end, before], mode)
            }
            Assertion::Word { word, kind } => {
                let Some(class) = self.class_id(word) else {
                    // No word's character can be written: only \B can hold.
                    return Ok(match kind {
                        WordAssertion::NotBoundary => EMPTY,
                        WordAssertion::NotBoundaryUnlessEmpty => self.unless_empty(EMPTY, mode),
                        _ => NOTHING,
                    });
                };
                let before = |this: &mut Self, negated| this.before(class, negated);
                let next = |this: &mut Self, negated| this.calculus.arena.intern(Expr::Next { class, negated });
                let pair = |this: &mut Self, b: bool, n: bool| -> Result<ExprId> {
                    let (b, n) = (before(this, !b)?, next(this, !n));
                    Ok(this.calculus.arena.concat(b, n))
                };
                match kind {
                    WordAssertion::Boundary => {
                        let ways = vec![pair(self, true, false)?, pair(self, false, true)?];
                        self.either(ways, mode)
                    }
                    WordAssertion::NotBoundary => {
                        let ways = vec![pair(self, true, true)?, pair(self, false, false)?];
                        self.either(ways, mode)
                    }
                    WordAssertion::NotBoundaryUnlessEmpty => {
                        let outside = pair(self, false, false)?;
                        let outside = self.unless_empty(outside, mode);
                        let ways = vec![pair(self, true, true)?, outside];
                        self.either(ways, mode)
                    }
                    WordAssertion::Start => pair(self, false, true)?,
                    WordAssertion::End => pair(self, true, false)?,
                }
            }
        })
    }

    /// The assertion, and the text has a character.
    pub(super) fn unless_empty(&mut self, assertion: ExprId, mode: Mode) -> ExprId {
        let inside = self.calculus.arena.intern(Expr::Start { negated: true });
        let more = self.calculus.arena.intern(Expr::Next { class: crate::expression::minterms::ALL, negated: false });
        let some = self.either(vec![inside, more], mode);
        self.calculus.arena.concat(some, assertion)
    }
}
