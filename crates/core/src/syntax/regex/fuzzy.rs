//! Fuzzy constraints, `{e<=1}`: read in order to know where they end and whether they are valid. No automaton holds
//! them, so what they say is left to the search engine.

use super::parser::Parser;
use super::source::as_char;
use crate::error::Result;
use crate::syntax::failure::refused;

/// What could not be read as a constraint.
enum Failed {
    /// It is something else: a literal brace.
    NotOne,
    /// The library refuses it.
    Refused(crate::error::Error),
}

type Attempt<T> = std::result::Result<T, Failed>;

impl From<crate::error::Error> for Failed {
    fn from(error: crate::error::Error) -> Self {
        Failed::Refused(error)
    }
}

/// Bounds of `d e i s`, and whether there is a cost equation.
#[derive(Default)]
struct Constraints {
    bounds: [Option<(u64, Option<u64>)>; 4],
    has_cost: bool,
}

const KINDS: &str = "deis";

impl Constraints {
    fn is_fuzzy(&self) -> bool {
        let zero = Some((0, Some(0)));
        let [d, e, i, s] = self.bounds;
        e != zero && !(d == zero && i == zero && s == zero)
    }
}

impl Parser<'_> {
    /// Behind `{`: `Some(true)` if it is a constraint that allows errors, `Some(false)` if it allows none, `None` if it
    /// is none, with the source where it was.
    pub(super) fn fuzzy(&mut self) -> Result<Option<bool>> {
        let saved = self.source.position;
        let mut constraints = Constraints::default();
        loop {
            match self.fuzzy_item(&mut constraints) {
                Ok(()) => {}
                Err(Failed::Refused(error)) => return Err(error),
                Err(Failed::NotOne) => {
                    self.source.position = saved;
                    return Ok(None);
                }
            }
            if !self.source.take(",") {
                break;
            }
        }
        if self.source.take(":") {
            self.fuzzy_test()?;
        }
        if !self.source.take("}") {
            let remedy = r#"end the constraint with "}", or escape "{" as "\{""#;
            return Err(refused("missing } of a fuzzy constraint", self.source.position, remedy));
        }
        Ok(Some(constraints.is_fuzzy()))
    }

    fn fuzzy_item(&mut self, constraints: &mut Constraints) -> Attempt<()> {
        let saved = self.source.position;
        match self.cost_constraint(constraints) {
            Err(Failed::NotOne) => {
                self.source.position = saved;
                self.cost_equation(constraints)
            }
            other => other,
        }
    }

    fn cost_constraint(&mut self, constraints: &mut Constraints) -> Attempt<()> {
        let saved = self.source.position;
        match self.source.get_char() {
            Some(c) if c.is_ascii_alphabetic() => {
                let kind = constraint_kind(constraints, c)?;
                let maximum = match self.comparison() {
                    None => None,
                    Some(inclusive) => {
                        let at = self.source.position;
                        let cost = self.cost_limit()?;
                        let cost = if inclusive { Some(cost) } else { cost.checked_sub(1) };
                        Some(cost.filter(|&c| c <= 0xFFFF_FFFF).ok_or_else(|| bad_limit(at))?)
                    }
                };
                constraints.bounds[kind] = Some((0, maximum));
                Ok(())
            }
            Some(c) if c.is_ascii_digit() => {
                self.source.position = saved;
                let minimum = self.cost_limit()?;
                let minimum_inclusive = self.comparison().ok_or(Failed::NotOne)?;
                let c = self.source.get_char().unwrap_or('\0');
                let kind = constraint_kind(constraints, c)?;
                let maximum_inclusive = self.comparison().ok_or(Failed::NotOne)?;
                let at = self.source.position;
                let maximum = self.cost_limit()?;
                let minimum = if minimum_inclusive { minimum } else { minimum.saturating_add(1) };
                let maximum = if maximum_inclusive { Some(maximum) } else { maximum.checked_sub(1) };
                let maximum = maximum.filter(|&m| minimum <= m).ok_or_else(|| bad_limit(at))?;
                constraints.bounds[kind] = Some((minimum, Some(maximum)));
                Ok(())
            }
            _ => Err(Failed::NotOne),
        }
    }

    fn cost_equation(&mut self, constraints: &mut Constraints) -> Attempt<()> {
        if constraints.has_cost {
            let remedy = "write one equation, such as 2i+1d<=4";
            return Err(refused("more than one cost equation", self.source.position, remedy).into());
        }
        let mut seen = String::new();
        loop {
            self.digits();
            match self.source.get_char() {
                Some(c) if "dis".contains(c) => {
                    if seen.contains(c) {
                        let remedy = "name each kind of error once";
                        return Err(refused("repeated fuzzy cost", self.source.position, remedy).into());
                    }
                    seen.push(c);
                }
                // The library takes the end of the pattern for a kind of error, and then finds no comparison.
                _ => return Err(Failed::NotOne),
            }
            if !self.source.take("+") {
                break;
            }
        }
        let inclusive = self.comparison().ok_or(Failed::NotOne)?;
        let at = self.source.position;
        let limit = self.cost_limit()?;
        let limit = if inclusive { Some(limit) } else { limit.checked_sub(1) };
        limit.filter(|&l| l <= 0xFFFF_FFFF).ok_or_else(|| bad_limit(at))?;
        constraints.has_cost = true;
        Ok(())
    }

    fn cost_limit(&mut self) -> Attempt<u64> {
        let at = self.source.position;
        self.digits().ok_or_else(|| bad_limit(at))
    }

    /// `Some(true)`: `<=`; `Some(false)`: `<`.
    fn comparison(&mut self) -> Option<bool> {
        if self.source.take("<=") {
            Some(true)
        } else if self.source.take("<") {
            Some(false)
        } else {
            None
        }
    }

    fn fuzzy_test(&mut self) -> Result<()> {
        let saved = self.source.position;
        match self.source.get().map(as_char) {
            Some('\\') => {
                self.escape(saved)?;
            }
            Some('[') => {
                self.set(saved)?;
            }
            Some('.') => {}
            Some(c) if !"()|?*+{^$#".contains(c) => {}
            _ => {
                let remedy = "name the characters that may be wrong, as in {e<=1:[a-z]}";
                return Err(refused("expected character set", saved, remedy));
            }
        }
        Ok(())
    }
}

fn constraint_kind(constraints: &Constraints, c: char) -> Attempt<usize> {
    match KINDS.find(c) {
        Some(kind) if constraints.bounds[kind].is_none() => Ok(kind),
        _ => Err(Failed::NotOne),
    }
}

fn bad_limit(at: usize) -> Failed {
    Failed::Refused(refused("bad fuzzy cost limit", at, "write a number from 0 to 4294967295"))
}
