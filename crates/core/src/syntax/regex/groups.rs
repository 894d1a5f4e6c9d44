//! The numbers and names of groups while a pattern is read.

use super::tree::GroupName;
use std::collections::{HashMap, HashSet};

/// Groups that were opened, and calls of them.
#[derive(Default)]
pub struct Groups {
    /// The highest number so far; a branch reset sets it back.
    pub count: u32,
    names: HashMap<Vec<u32>, u32>,
    named: HashSet<u32>,
    open: Vec<u32>,
    /// How often each number was opened.
    opened: HashMap<u32, u32>,
    /// The first group that stands inside another one of its name.
    pub nested_namesake: Option<usize>,
    /// The calls, and where they stand.
    pub calls: Vec<(GroupName, usize)>,
}

impl Groups {
    /// Opens a group; a name that was used before has its number again.
    pub fn open(&mut self, name: Option<Vec<u32>>, start: usize) -> u32 {
        let known = name.as_ref().and_then(|name| self.names.get(name)).copied();
        let index = known.unwrap_or_else(|| {
            self.count += 1;
            while name.is_some() && self.named.contains(&self.count) {
                self.count += 1;
            }
            if let Some(name) = name {
                self.names.insert(name, self.count);
                self.named.insert(self.count);
            }
            self.count
        });
        if self.open.contains(&index) {
            // The library gives such a group a number of its own, which no call can mean.
            self.nested_namesake.get_or_insert(start);
        } else {
            *self.opened.entry(index).or_default() += 1;
        }
        self.open.push(index);
        index
    }

    pub fn close(&mut self) {
        self.open.pop();
    }

    pub fn is_open(&self, name: &GroupName) -> bool {
        self.number(name).is_some_and(|number| self.open.iter().any(|&o| u64::from(o) == number))
    }

    /// The number of a group, whether there is one of that number or not; `None` for an unknown name.
    pub fn number(&self, name: &GroupName) -> Option<u64> {
        match name {
            GroupName::Number(number) => Some(*number),
            GroupName::Name(name) => self.names.get(name).map(|&n| u64::from(n)),
        }
    }

    /// Whether a call of the group could mean several groups.
    pub fn is_ambiguous(&self, number: u64) -> bool {
        u32::try_from(number).is_ok_and(|number| self.opened.get(&number).copied().unwrap_or(0) > 1)
    }
}
