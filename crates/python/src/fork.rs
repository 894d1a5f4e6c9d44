//! Forks: no thread is inside a call of ours while the process is forked.
//!
//! A forked child has only the thread that forked. A lock that any other thread holds at that moment is never released in
//! the child, and whoever waits for it hangs. So every call that takes a lock passes a gate, and a fork waits until all
//! calls have left it. The work of a call is bounded by its fuel, so that wait is bounded too.

use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

/// Read by every call, written by a fork.
static GATE: RwLock<()> = RwLock::new(());

thread_local! {
    /// Whether this thread is inside a call: one that asks Python, and is called by it again, passes the gate once.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The closed gate, while this thread forks.
    static CLOSED: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Does `work` inside the gate, while other Python threads run.
pub(crate) fn detach<T: Send>(py: Python<'_>, work: impl Send + FnOnce() -> T) -> T {
    py.detach(|| {
        if INSIDE.get() || CLOSED.with_borrow(Option::is_some) {
            return work();
        }
        let _open = GATE.read().unwrap_or_else(PoisonError::into_inner);
        INSIDE.set(true);
        let _leave = Leave;
        work()
    })
}

/// Leaves the gate, even where the work panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Waits until no other thread is inside a call, and keeps it so until [`after_fork`]; for `os.register_at_fork`.
/// Registered twice, it closes the gate once.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(|| {
        if !INSIDE.get() && CLOSED.with_borrow(Option::is_none) {
            CLOSED.set(Some(GATE.write().unwrap_or_else(PoisonError::into_inner)));
        }
    });
}

/// Opens the gate, in parent and child, on the thread that forked; for `os.register_at_fork`.
#[pyfunction]
pub(crate) fn after_fork() {
    drop(CLOSED.take());
}
