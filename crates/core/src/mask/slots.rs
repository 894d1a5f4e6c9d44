//! Slots: the states of all matchers of a constraint, in one table, so that they can be renumbered.

use crate::automaton::StateId;
use std::sync::{Arc, Mutex, PoisonError};

/// The index of one matcher's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// The slots of all matchers of a constraint.
pub(super) struct Slots {
    /// The state of each slot; `DEAD`: the slot is free.
    states: Vec<StateId>,
    free: Vec<u32>,
    /// Slots that were returned while the engine was busy.
    closed: Arc<Mutex<Vec<Slot>>>,
}

impl Slots {
    pub(super) fn new(closed: Arc<Mutex<Vec<Slot>>>) -> Self {
        Slots { states: Vec::new(), free: Vec::new(), closed }
    }

    pub(super) fn bytes(&self) -> usize {
        self.states.capacity() * 4
    }

    /// A new slot with a state.
    pub(super) fn open(&mut self, state: StateId) -> Slot {
        self.close_waiting();
        if let Some(index) = self.free.pop() {
            self.states[index as usize] = state;
            return Slot(index);
        }
        self.states.push(state);
        Slot(self.states.len() as u32 - 1)
    }

    /// Frees the slots that were returned while the engine was busy.
    pub(super) fn close_waiting(&mut self) {
        let waiting = std::mem::take(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(|slot| self.close(slot));
    }

    pub(super) fn close(&mut self, slot: Slot) {
        self.states[slot.0 as usize] = StateId::DEAD;
        self.free.push(slot.0);
    }

    #[inline]
    pub(super) fn state(&self, slot: Slot) -> StateId {
        self.states[slot.0 as usize]
    }

    pub(super) fn set(&mut self, slot: Slot, state: StateId) {
        self.states[slot.0 as usize] = state;
    }

    /// The states of all matchers, without duplicates, ascending.
    pub(super) fn states(&self) -> Vec<StateId> {
        let mut states: Vec<StateId> = self.states.iter().copied().filter(|&state| state != StateId::DEAD).collect();
        states.sort_unstable();
        states.dedup();
        states
    }

    /// Renumbers the states of [`Slots::states`].
    pub(super) fn renumber(&mut self, old: &[StateId], new: &[StateId]) {
        for state in self.states.iter_mut().filter(|state| **state != StateId::DEAD) {
            if let Ok(index) = old.binary_search(state) {
                *state = new[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_renumbered() {
        let closed = Arc::default();
        let mut slots = Slots::new(Arc::clone(&closed));
        let (a, b, c) = (slots.open(StateId(5)), slots.open(StateId(3)), slots.open(StateId(5)));
        assert_eq!(slots.states(), [StateId(3), StateId(5)]);
        slots.renumber(&[StateId(3), StateId(5)], &[StateId(1), StateId(2)]);
        assert_eq!([a, b, c].map(|slot| slots.state(slot)), [StateId(2), StateId(1), StateId(2)]);
        closed.lock().unwrap().push(b);
        slots.close(c);
        slots.close_waiting();
        assert_eq!(slots.states(), [StateId(2)]);
        assert_eq!([slots.open(StateId(7)), slots.open(StateId(8))], [b, c]);
        slots.set(a, StateId(9));
        assert_eq!(slots.states(), [StateId(7), StateId(8), StateId(9)]);
    }
}
