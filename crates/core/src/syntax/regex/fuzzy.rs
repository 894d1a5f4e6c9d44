//! Fuzzy constraints, `{e<=1}`.

use super::parser::Parser;
use super::source::as_char;
use super::tree::Node;
use crate::error::Result;
use crate::syntax::ast::ErrorLimit;
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

/// A constraint as it is written.
#[derive(Default)]
pub(super) struct FuzzyCosts {
    /// Bounds of `d e i s`.
    bounds: [Option<(u64, Option<u64>)>; 4],
    /// The costs of `d e i s` and the most of them.
    equation: Option<([Option<u64>; 4], u64)>,
    /// The characters that may be wrong.
    test: Option<Node>,
}

const KINDS: &str = "deis";

/// As much as a limit tells apart.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl FuzzyCosts {
    pub fn is_fuzzy(&self) -> bool {
        let zero = Some((0, Some(0)));
        let [d, e, i, s] = self.bounds;
        e != zero && !(d == zero && i == zero && s == zero)
    }

    /// The limits, as the library completes them: where a kind of error is named, those that are not are forbidden.
    fn limits(&self) -> Vec<ErrorLimit> {
        let mut most = self.bounds.map(|bound| bound.map(|bound| bound.1));
        if let Some((costs, _)) = &self.equation {
            for (most, cost) in most.iter_mut().zip(costs) {
                if cost.is_some() {
                    most.get_or_insert(None);
                }
            }
        }
        if [0, 2, 3].iter().any(|&kind| most[kind].is_some()) {
            for kind in [0, 2, 3] {
                most[kind].get_or_insert(Some(0));
            }
        }
        let of_kind = |kind: usize| {
            let one = |other: usize| u32::from(kind == other || kind == 1);
            let most = short(most[kind]??);
            Some(ErrorLimit { deletion: one(0), insertion: one(2), substitution: one(3), most })
        };
        let equation = self.equation.as_ref().map(|(costs, most)| {
            let cost = |kind: usize| short(costs[kind].unwrap_or(0));
            ErrorLimit { deletion: cost(0), insertion: cost(2), substitution: cost(3), most: short(*most) }
        });
        (0..KINDS.len()).filter_map(of_kind).chain(equation).collect()
    }

    fn has_least(&self) -> bool {
        self.bounds.iter().any(|bound| bound.is_some_and(|bound| bound.0 > 0))
    }
}

impl Parser<'_> {
    /// The node of an item with a constraint, which stands at `position`.
    pub(super) fn with_errors(&mut self, body: Node, costs: FuzzyCosts, position: usize) -> Node {
        if costs.has_least() {
            self.not_regular("a least number of errors", position);
        }
        self.fuzzy_at.get_or_insert(position);
        let limits = costs.limits();
        Node::Fuzzy { body: Box::new(body), limits, test: costs.test.map(Box::new), position }
    }

    /// A constraint, behind its `{`; `None` if it is none, with the source where it was.
    pub(super) fn fuzzy(&mut self) -> Result<Option<FuzzyCosts>> {
        let saved = self.source.position;
        let mut constraints = FuzzyCosts::default();
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
            constraints.test = Some(self.fuzzy_test()?);
        }
        if !self.source.take("}") {
            let remedy = r#"end the constraint with "}", or escape "{" as "\{""#;
            return Err(refused("missing } of a fuzzy constraint", self.source.position, remedy));
        }
        Ok(Some(constraints))
    }

    fn fuzzy_item(&mut self, constraints: &mut FuzzyCosts) -> Attempt<()> {
        let saved = self.source.position;
        match self.cost_constraint(constraints) {
            Err(Failed::NotOne) => {
                self.source.position = saved;
                self.cost_equation(constraints)
            }
            other => other,
        }
    }

    fn cost_constraint(&mut self, constraints: &mut FuzzyCosts) -> Attempt<()> {
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

    fn cost_equation(&mut self, constraints: &mut FuzzyCosts) -> Attempt<()> {
        if constraints.equation.is_some() {
            let remedy = "write one equation, such as 2i+1d<=4";
            return Err(refused("more than one cost equation", self.source.position, remedy).into());
        }
        let mut costs = [None; 4];
        loop {
            let cost = self.digits().unwrap_or(1);
            match self.source.get_char() {
                Some(c) if "dis".contains(c) => {
                    let kind = KINDS.find(c).unwrap_or(0);
                    if costs[kind].is_some() {
                        let remedy = "name each kind of error once";
                        return Err(refused("repeated fuzzy cost", self.source.position, remedy).into());
                    }
                    costs[kind] = Some(cost);
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
        let most = limit.filter(|&l| l <= 0xFFFF_FFFF).ok_or_else(|| bad_limit(at))?;
        constraints.equation = Some((costs, most));
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

    fn fuzzy_test(&mut self) -> Result<Node> {
        let saved = self.source.position;
        match self.source.get() {
            Some(c) if as_char(c) == '\\' => self.escape(saved),
            Some(c) if as_char(c) == '[' => self.set(saved),
            Some(c) if as_char(c) == '.' => Ok(Node::Any(self.dot())),
            Some(c) if !"()|?*+{^$#".contains(as_char(c)) => Ok(self.literal(c)),
            _ => {
                let remedy = "name the characters that may be wrong, as in {e<=1:[a-z]}";
                Err(refused("expected character set", saved, remedy))
            }
        }
    }
}

fn constraint_kind(constraints: &FuzzyCosts, c: char) -> Attempt<usize> {
    match KINDS.find(c) {
        Some(kind) if constraints.bounds[kind].is_none() => Ok(kind),
        _ => Err(Failed::NotOne),
    }
}

fn bad_limit(at: usize) -> Failed {
    Failed::Refused(refused("bad fuzzy cost limit", at, "write a number from 0 to 4294967295"))
}
