//! The threads that help with batches.
//!
//! They sleep, and are woken by the first text of a batch that goes on. Then they stay awake for a while, for the call that
//! is expected, and meanwhile make the masks of texts that have gone on: of those that they had last time, which are the
//! ones they will have next. Nothing but time follows from it. What takes much fuel is left, and made when it is asked for.
//!
//! PERF: to be woken takes a thread 30 to 60 µs, half as long as the cold masks of 64 constraints take two of them. Masks
//! made ahead make two threads 1.8 times as fast as one; without them it is 1.6.

use crate::mask::{CompiledConstraint, Slot};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More helpers than this gain nothing for masks of microseconds.
const MOST_HELPERS: usize = 7;
/// How many of them wait awake for a call that is expected, and how long.
const MOST_AWAKE: usize = 3;
const WAIT: Duration = Duration::from_micros(500);
/// How many texts wait for a helper at most.
const MOST_TEXTS: usize = 256;

/// Whether a call for several threads is likely when texts have gone on.
static EXPECTED: AtomicBool = AtomicBool::new(false);
/// Whether masks are made ahead.
static AHEAD: AtomicBool = AtomicBool::new(false);
/// By helper: the texts of its own that have gone on. None is added unless [`AHEAD`].
static TEXTS: [Mutex<VecDeque<Text>>; MOST_HELPERS] = [const { Mutex::new(VecDeque::new()) }; MOST_HELPERS];
/// The helpers, and the process whose they are.
static HELPERS: Mutex<Known> = Mutex::new(None);
/// By helper: held while it works ahead.
static WORKING: [Mutex<()>; MOST_HELPERS] = [const { Mutex::new(()) }; MOST_HELPERS];

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text.
type Text = (Arc<CompiledConstraint>, Slot);
type Known = Option<(u32, Option<Arc<Helpers>>)>;

/// The helpers of this process.
pub(crate) struct Helpers {
    pub(crate) threads: ThreadPool,
    /// How many calls went to several threads.
    calls: AtomicUsize,
    /// How many helpers are awake and wait for a call.
    awake: AtomicUsize,
}

impl Helpers {
    /// Those of this process; `None`: it has one processor, or no thread can be made. A process that was forked has none of
    /// its parent's, and gets its own.
    pub(crate) fn get() -> Option<Arc<Self>> {
        let mut known = lock(&HELPERS);
        let process = std::process::id();
        match &*known {
            Some((owner, helpers)) if *owner == process => helpers.clone(),
            _ => {
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                let helpers = Self::new(if cfg!(test) { 3 } else { MOST_HELPERS.min(processors - 1) });
                // Taking down threads that are in another process would wait for them for ever.
                std::mem::forget(known.replace((process, helpers.clone())));
                helpers
            }
        }
    }

    fn new(count: usize) -> Option<Arc<Self>> {
        if count == 0 {
            return None;
        }
        let builder = ThreadPoolBuilder::new().num_threads(count).thread_name(|index| format!("rellm-{index}"));
        let threads = builder.build().ok()?;
        Some(Arc::new(Helpers { threads, calls: AtomicUsize::new(0), awake: AtomicUsize::new(0) }))
    }

    pub(crate) fn count(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// How many are awake.
    pub(crate) fn awake(&self) -> usize {
        self.awake.load(Ordering::Acquire)
    }

    /// Ends the wait of those that are awake: the call has come, and what it needs of them has been spawned.
    pub(crate) fn begin_call(&self) {
        stop_ahead();
        self.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// Says that another call is likely.
    pub(crate) fn expect_call() {
        EXPECTED.store(true, Ordering::Release);
    }

    /// Wakes some, which then wait for a call.
    pub(crate) fn wake(self: &Arc<Self>, count: usize) {
        let calls = self.calls.load(Ordering::Acquire);
        for _ in 0..count.min(self.count()) {
            let helpers = Arc::clone(self);
            self.threads.spawn(move || helpers.wait(calls));
        }
    }

    /// Waits for the call that follows the first `calls`.
    fn wait(&self, calls: usize) {
        let Some(index) = rayon_core::current_thread_index() else { return };
        let until = Instant::now() + WAIT;
        self.awake.fetch_add(1, Ordering::AcqRel);
        while self.calls.load(Ordering::Acquire) == calls {
            if Instant::now() > until {
                stop_ahead();
                break;
            }
            if !make_next(index) {
                std::hint::spin_loop();
            }
        }
        self.awake.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Tells that a text has gone on. If the masks of many were asked for before, they will be again: the first wakes the
/// helpers for that, and the one whose text it is makes its mask.
#[inline]
pub(crate) fn goes_on(constraint: &Arc<CompiledConstraint>, slot: Slot) {
    if EXPECTED.load(Ordering::Relaxed) && EXPECTED.swap(false, Ordering::AcqRel) {
        AHEAD.store(true, Ordering::Release);
        Helpers::get().into_iter().for_each(|helpers| helpers.wake(MOST_AWAKE));
    }
    if AHEAD.load(Ordering::Relaxed) {
        add_text(constraint, slot);
    }
}

fn add_text(constraint: &Arc<CompiledConstraint>, slot: Slot) {
    let Some(texts) = constraint.helper().and_then(|helper| TEXTS.get(helper)) else { return };
    let mut texts = lock(texts);
    // Asked again, since what was there when it became false has been dropped.
    if AHEAD.load(Ordering::Acquire) && texts.len() < MOST_TEXTS {
        texts.push_back((Arc::clone(constraint), slot));
    }
}

/// Makes the mask of the next text of a helper; returns whether there was one.
fn make_next(helper: usize) -> bool {
    thread_local! {
        static ROW: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    }
    // Until the constraint is done with: see `before_fork`.
    let _working = lock(&WORKING[helper]);
    let Some((constraint, slot)) = lock(&TEXTS[helper]).pop_front() else { return false };
    let make = || ROW.with_borrow_mut(|row| constraint.make_ahead(slot, row));
    // If it panics, it will do so as well when it is asked for, and that is the call to tell it.
    let _ = catch_unwind(AssertUnwindSafe(make));
    true
}

/// Drops the texts whose masks were to be made.
fn stop_ahead() {
    if AHEAD.swap(false, Ordering::AcqRel) {
        TEXTS.iter().for_each(|texts| lock(texts).clear());
    }
}

/// What is held while a process is forked.
struct Held {
    _working: Vec<MutexGuard<'static, ()>>,
    _texts: Vec<MutexGuard<'static, VecDeque<Text>>>,
    _helpers: MutexGuard<'static, Known>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Waits until no helper works ahead, and keeps it so until [`after_fork`]: what another thread holds while a process is
/// forked is held in the new process for ever. Once more is as good as once.
pub fn before_fork() {
    if HELD.with_borrow(Option::is_some) {
        return;
    }
    EXPECTED.store(false, Ordering::Release);
    stop_ahead();
    // A helper takes the second while it has the first.
    let _working = WORKING.iter().map(lock).collect();
    let _texts = TEXTS.iter().map(lock).collect();
    HELD.set(Some(Held { _working, _texts, _helpers: lock(&HELPERS) }));
}

/// Ends what [`before_fork`] began, in both processes, in the thread that has forked.
pub fn after_fork() {
    drop(HELD.take());
    stop_ahead();
}
