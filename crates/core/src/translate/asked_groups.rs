//! Which groups are asked for, and whether they can be.

use crate::error::{Error, Result};
use crate::syntax::ast::{Direction, Node, RepeatKind};
use rustc_hash::{FxHashMap, FxHashSet};

/// The groups of one language of its own: which are asked for, and where.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) backreferences: FxHashSet<u32>,
    pub(super) conditionals: FxHashSet<u32>,
    /// By group: the confined places (lookarounds, atomic groups) it stands in, outermost first.
    places: FxHashMap<u32, Vec<u32>>,
    /// The group, where it is asked for, and the confined places there.
    questions: Vec<(u32, usize, Vec<u32>, bool)>,
    path: Vec<(u32, bool)>,
    count: u32,
}

impl Groups {
    pub(super) fn of(root: &Node) -> Result<Self> {
        let mut groups = Groups::default();
        groups.walk(root)?;
        for (group, position, path, behind) in std::mem::take(&mut groups.questions) {
            let Some(place) = groups.places.get(&group) else { continue };
            if behind || !path.starts_with(place) {
                return Err(Error::NotRegular {
                    construct: if behind {
                        "a group that a lookbehind asks for".into()
                    } else {
                        "a group set inside a lookaround or an atomic group and asked for outside of it".into()
                    },
                    position: Some(position),
                });
            }
        }
        Ok(groups)
    }

    fn confined(&mut self, node: &Node, behind: bool) -> Result<()> {
        self.count += 1;
        self.path.push((self.count, behind));
        let result = self.walk(node);
        self.path.pop();
        result
    }

    fn question(&mut self, groups: &[u32], position: usize) {
        let path: Vec<u32> = self.path.iter().map(|p| p.0).collect();
        let behind = self.path.iter().any(|p| p.1);
        for &group in groups {
            self.questions.push((group, position, path.clone(), behind));
        }
    }

    fn walk(&mut self, node: &Node) -> Result<()> {
        match node {
            Node::Empty
            | Node::Nothing
            | Node::Char(_)
            | Node::Literal(_)
            | Node::Class(_)
            | Node::Assertion(_)
            | Node::Rule(_)
            | Node::Call { .. }
            | Node::Table(_)
            // Languages of their own.
            | Node::Members(_)
            | Node::Items(_)
            | Node::Special(_)
            | Node::Pattern { .. }
            | Node::Part(_)
            | Node::Intersection(_)
            | Node::Complement(_) => {}
            Node::Sequence(nodes) | Node::Alternation(nodes) => {
                for node in nodes {
                    self.walk(node)?;
                }
            }
            Node::Repeat { node, kind: RepeatKind::Possessive, .. } | Node::Atomic(node) => {
                self.confined(node, false)?;
            }
            Node::Repeat { node, .. } | Node::Marked { node, .. } => self.walk(node)?,
            Node::Group { index, node } => {
                let path: Vec<u32> = self.path.iter().map(|p| p.0).collect();
                let common = match self.places.get(index) {
                    // A number used twice: only what confines both matters; the stricter is kept.
                    Some(other) if other.len() >= path.len() => other.clone(),
                    _ => path,
                };
                self.places.insert(*index, common);
                self.walk(node)?;
            }
            Node::Fuzzy(fuzzy) => self.walk(&fuzzy.node)?,
            Node::Look { direction, node, .. } => self.confined(node, *direction == Direction::Behind)?,
            Node::Backreference { groups, position, .. } => {
                if groups.len() != 1 {
                    return Err(Error::NotRegular {
                        construct: "a backreference to several groups of one name".into(),
                        position: Some(*position),
                    });
                }
                self.backreferences.extend(groups);
                self.question(groups, *position);
            }
            Node::Conditional { groups, yes, no, position } => {
                self.conditionals.extend(groups);
                self.question(groups, *position);
                self.walk(yes)?;
                self.walk(no)?;
            }
            Node::LookConditional { test, yes, no } => {
                self.walk(test)?;
                self.walk(yes)?;
                self.walk(no)?;
            }
        }
        Ok(())
    }
}
