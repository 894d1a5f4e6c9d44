//! Deterministic automata over characters, given as tables, as items of expressions.
//!
//! `Expr::Table { table, state }` is what is left of a text from a state on. States from which no end can be reached are
//! dead, so an item is alive by construction. How far each state is from an end is found once, in characters by a search
//! from the ends backwards, in bytes by Dijkstra's algorithm. Costs: linear in states × classes, up to a logarithm.

use crate::expression::arena::Arena;
use crate::expression::minterms::{Bits, ClassId, Minterm, Partition};
use crate::expression::node::{EMPTY, Expr, ExprId, NOTHING};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// No state.
const DEAD: u32 = u32::MAX;

/// An automaton over the minterms of a partition.
#[derive(Debug, Clone)]
pub struct TransitionTable {
    /// By minterm: its class; that of no class is one past the last.
    class_of: Vec<u16>,
    /// By class: its minterms.
    classes: Vec<Bits>,
    /// By state and class.
    next: Vec<u32>,
    accepting: Vec<bool>,
    /// By state: the characters and the bytes to the nearest end.
    least: Vec<u32>,
    bytes: Vec<u64>,
    /// By state: the class of the first character of the cheapest way.
    way: Vec<u16>,
    /// By class: its cheapest character.
    cheapest: Vec<u32>,
}

impl TransitionTable {
    /// A table over a partition that respects its classes; `None` stands for a class without a character that can be
    /// written.
    pub fn new(
        partition: &Partition,
        classes: &[Option<ClassId>],
        states: &[(bool, Box<[Option<u32>]>)],
    ) -> TransitionTable {
        let width = classes.len();
        let mut class_of = vec![width as u16; partition.len()];
        let mut bits = Vec::with_capacity(width);
        let mut cheapest = Vec::with_capacity(width);
        for (index, class) in classes.iter().enumerate() {
            let members = class.map(|class| partition.bits(class).clone()).unwrap_or_default();
            members.iter().for_each(|m| class_of[usize::from(m)] = index as u16);
            cheapest.push(class.map_or(0, |class| partition.cheapest(class)));
            bits.push(members);
        }
        let mut next = Vec::with_capacity(states.len() * width);
        for (_, targets) in states {
            next.extend(
                targets.iter().zip(classes).map(|(target, class)| target.filter(|_| class.is_some()).unwrap_or(DEAD)),
            );
        }
        let accepting = states.iter().map(|state| state.0).collect();
        let count = states.len();
        let mut table = TransitionTable {
            class_of,
            classes: bits,
            next,
            accepting,
            least: vec![u32::MAX; count],
            bytes: vec![u64::MAX; count],
            way: vec![0; count],
            cheapest,
        };
        table.measure();
        table
    }

    fn measure(&mut self) {
        let width = self.classes.len();
        let mut sources: Vec<Vec<(u32, u16)>> = vec![Vec::new(); self.accepting.len()];
        for (index, &target) in self.next.iter().enumerate().filter(|(_, target)| **target != DEAD) {
            sources[target as usize].push(((index / width) as u32, (index % width) as u16));
        }
        let ends = (0u32..).zip(&self.accepting).filter(|(_, accepting)| **accepting).map(|(state, _)| state);
        let mut near: VecDeque<u32> = ends.collect();
        let mut cheap: BinaryHeap<Reverse<(u64, u32)>> = near.iter().map(|&state| Reverse((0, state))).collect();
        for &state in &near {
            (self.least[state as usize], self.bytes[state as usize]) = (0, 0);
        }
        while let Some(state) = near.pop_front() {
            for &(source, _) in &sources[state as usize] {
                if self.least[source as usize] == u32::MAX {
                    self.least[source as usize] = self.least[state as usize] + 1;
                    near.push_back(source);
                }
            }
        }
        while let Some(Reverse((bytes, state))) = cheap.pop() {
            if self.bytes[state as usize] < bytes {
                continue;
            }
            for &(source, class) in &sources[state as usize] {
                let width = char::from_u32(self.cheapest[usize::from(class)]).map_or(1, char::len_utf8) as u64;
                if bytes + width < self.bytes[source as usize] {
                    self.bytes[source as usize] = bytes + width;
                    self.way[source as usize] = class;
                    cheap.push(Reverse((bytes + width, source)));
                }
            }
        }
        for target in &mut self.next {
            if *target != DEAD && self.least[*target as usize] == u32::MAX {
                *target = DEAD;
            }
        }
    }

    fn targets(&self, state: u32) -> &[u32] {
        let width = self.classes.len();
        &self.next[state as usize * width..(state as usize + 1) * width]
    }

    /// The state after a character of a minterm.
    pub fn after(&self, state: u32, m: Minterm) -> Option<u32> {
        self.targets(state).get(usize::from(self.class_of[usize::from(m)])).copied().filter(|&next| next != DEAD)
    }

    /// Whether the text may end.
    pub fn is_accepting(&self, state: u32) -> bool {
        self.accepting[state as usize]
    }

    /// No text from a state on has fewer characters; `u32::MAX`: there is none.
    pub fn least(&self, state: u32) -> u32 {
        self.least[state as usize]
    }

    /// The bytes of the cheapest text from a state on.
    pub fn cost(&self, state: u32) -> u64 {
        self.bytes[state as usize]
    }

    /// The cheapest text from a state on.
    pub fn cheapest(&self, state: u32) -> Vec<u32> {
        let (mut text, mut at) = (Vec::new(), state);
        while self.bytes[at as usize] > 0 {
            let class = self.way[at as usize];
            text.push(self.cheapest[usize::from(class)]);
            at = self.targets(at)[usize::from(class)];
        }
        text
    }

    /// Adds the minterms with which a text from a state on begins.
    pub fn first(&self, state: u32, into: &mut Bits) {
        let live = self.targets(state).iter().zip(&self.classes).filter(|(target, _)| **target != DEAD);
        live.for_each(|(_, class)| into.extend(class));
    }

    /// Adds the minterms that the texts have anywhere.
    pub fn anywhere(&self, into: &mut Bits) {
        self.classes.iter().for_each(|class| into.extend(class));
    }

    /// The bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.next.len() * 4 + self.accepting.len() * 15 + self.class_of.len() * 2 + self.classes.len() * 40
    }
}

impl Arena {
    /// What is left of a text from a state of a table on.
    pub fn table_state(&mut self, table: u32, state: u32) -> ExprId {
        let automaton = &self.automata[table as usize];
        if automaton.least(state) == u32::MAX {
            return NOTHING;
        }
        if automaton.targets(state).iter().all(|&target| target == DEAD) {
            return EMPTY;
        }
        self.intern(Expr::Table { table, state })
    }

    /// The same after a character.
    pub fn after_in_table(&mut self, table: u32, state: u32, m: Minterm) -> ExprId {
        match self.automata[table as usize].after(state, m) {
            Some(next) => self.table_state(table, next),
            None => NOTHING,
        }
    }
}
