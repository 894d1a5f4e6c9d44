//! The masks of many texts at once.
//!
//! Each thread has a share of the rows, those at the same places in every call, and helps the others when it is done with
//! it. The others are woken when the first text of a batch goes on, and are awake, for a while, when the next call comes;
//! if they are not, this thread begins alone, and they join it once they are. So it never waits for a thread to begin.
//!
//! PERF: with a thread that is awake, the cold masks of 64 constraints take 1.6 times less than without. When rows went to
//! whichever thread was free they took longer on two threads than on one: each then begins with fetching what the other
//! processor has written.

use super::Matcher;
use crate::error::{Error, Result};
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use rustc_hash::{FxBuildHasher, FxHashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More threads than this gain nothing for masks of microseconds.
const MOST_THREADS: usize = 8;
/// How many of the other threads wait awake for a call that is expected, and how long.
const MOST_AWAKE: usize = 3;
const WAIT: Duration = Duration::from_micros(500);
/// A call that has taken so long is worth waking all threads for.
const LONG: Duration = Duration::from_millis(1);
/// How long this thread watches the others end what they have begun, before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);
/// How long a thread that is done takes to be gone.
const PARTING: Duration = Duration::from_nanos(700);

/// How many calls went to several threads.
static CALLS: AtomicUsize = AtomicUsize::new(0);
/// How many of the other threads are awake and wait for a call.
static AWAKE: AtomicUsize = AtomicUsize::new(0);
/// Whether another such call is likely when texts have gone on.
static EXPECTED: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A row: its place, whose it is, and where its mask goes.
type Row<'a> = (usize, &'a Matcher, &'a mut [u32]);

fn fill(group: &mut [Row<'_>]) -> Result<()> {
    group.iter_mut().try_for_each(|(_, matcher, row)| matcher.fill_mask(row))
}

/// Work on several threads, each of which has a share of its own, and helps the others when it is done with that.
struct Shares<'g, 'a> {
    groups: Vec<Mutex<&'g mut [Row<'a>]>>,
    /// By thread: which of the groups are its own and not yet taken.
    left: Vec<Mutex<Range<usize>>>,
    failure: Mutex<Option<Error>>,
    busy: AtomicUsize,
}

impl<'g, 'a> Shares<'g, 'a> {
    /// Shares out `groups`, which stand in the order of the rows, of which there are `rows`.
    fn new(groups: Vec<&'g mut [Row<'a>]>, rows: usize, threads: usize) -> Self {
        let mut start = 0;
        let range_of = |thread| {
            let end = groups.partition_point(|group| group[0].0 * threads < rows * thread);
            Mutex::new(std::mem::replace(&mut start, end)..end)
        };
        let left = (1..=threads).map(range_of).collect();
        let groups = groups.into_iter().map(Mutex::new).collect();
        Shares { groups, left, failure: Mutex::default(), busy: AtomicUsize::new(0) }
    }

    /// The next group of a thread: one of its own, or the last of another.
    fn take(&self, thread: usize) -> Option<usize> {
        let mine = lock(&self.left[thread]).next();
        mine.or_else(|| self.left.iter().find_map(|left| lock(left).next_back()))
    }

    /// Waits for what the other threads have begun, and for them to say so to the scope, if that does not take long.
    ///
    /// PERF: it is a few microseconds as a rule, and to be put to sleep and woken takes 40.
    fn wait(&self) {
        let start = Instant::now();
        while self.busy.load(Ordering::Acquire) > 0 && start.elapsed() < PATIENCE {
            std::hint::spin_loop();
        }
        let done = Instant::now();
        while done.elapsed() < PARTING {
            std::hint::spin_loop();
        }
    }

    /// What a thread does.
    fn work(&self, thread: usize, is_over: impl Fn() -> bool) {
        self.busy.fetch_add(1, Ordering::AcqRel);
        while !is_over()
            && let Some(index) = self.take(thread)
        {
            if let Err(error) = fill(&mut lock(&self.groups[index])) {
                lock(&self.failure).get_or_insert(error);
                self.left.iter().for_each(|left| *lock(left) = 0..0);
            }
        }
        self.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Writes the mask of each matcher into its row, on up to `threads` threads (this one among them).
///
/// Rows are grouped by constraint, so that no two threads wait for one another. Masks that are ready are copied on this
/// thread; only where two constraints or more have work to do, others help.
///
/// # Errors
/// [`Error::Limit`], from the first row that failed; other rows may or may not have been written.
pub fn fill_masks<'a>(rows: impl IntoIterator<Item = (&'a Matcher, &'a mut [u32])>, threads: usize) -> Result<()> {
    let pool = if threads > 1 { pool() } else { None };
    // PERF: even to see whether a mask is ready takes its constraint's memory from the processor that used it last.
    let awake = pool.is_some() && AWAKE.load(Ordering::Acquire) > 0;
    let mut count = 0;
    let rows = rows.into_iter();
    let mut waiting: Vec<Row<'_>> = Vec::with_capacity(rows.size_hint().0);
    for (matcher, row) in rows {
        if awake || !matcher.fill_mask_if_ready(row) {
            waiting.push((count, matcher, row));
        }
        count += 1;
    }
    let place = |matcher: &Matcher| Arc::as_ptr(matcher.constraint()) as usize;
    let mut constraints = FxHashSet::with_capacity_and_hasher(waiting.len(), FxBuildHasher);
    let groups: Vec<&mut [Row<'_>]> = if waiting.iter().all(|(_, matcher, _)| constraints.insert(place(matcher))) {
        waiting.chunks_mut(1).collect()
    } else {
        waiting.sort_unstable_by_key(|(index, matcher, _)| (place(matcher), *index));
        let mut groups: Vec<&mut [Row<'_>]> = waiting.chunk_by_mut(|a, b| place(a.1) == place(b.1)).collect();
        groups.sort_unstable_by_key(|group| group[0].0);
        groups
    };
    let threads = threads.min(groups.len());
    let Some(pool) = pool.filter(|_| threads > 1) else {
        return groups.into_iter().try_for_each(fill);
    };
    fill_groups(groups, count, threads.min(pool.current_num_threads() + 1), &pool)
}

/// Fills `groups`, which stand in the order of the rows, of which there are `rows`, on up to `threads` threads.
fn fill_groups(groups: Vec<&mut [Row<'_>]>, rows: usize, threads: usize, pool: &ThreadPool) -> Result<()> {
    let start = Instant::now();
    let shares = Shares::new(groups, rows, threads);
    if AWAKE.load(Ordering::Acquire) == 0 {
        wake(pool, threads - 1);
        shares.work(0, || AWAKE.load(Ordering::Acquire) > 0);
    }
    if shares.left.iter().any(|left| !lock(left).is_empty()) {
        let others = if start.elapsed() > LONG { threads - 1 } else { AWAKE.load(Ordering::Acquire) };
        pool.in_place_scope(|scope| {
            for _ in 0..others.min(threads - 1) {
                let help = |index| shares.work(index % (threads - 1) + 1, || false);
                scope.spawn(move |_| rayon_core::current_thread_index().into_iter().for_each(help));
            }
            CALLS.fetch_add(1, Ordering::AcqRel);
            shares.work(0, || false);
            shares.wait();
        });
    }
    EXPECTED.store(true, Ordering::Release);
    let failure = lock(&shares.failure).take();
    failure.map_or(Ok(()), Err)
}

/// Tells that a text goes on: if the masks of many were asked for before, they will be again, and the other threads are
/// woken for that.
///
/// PERF: to be woken takes a thread 30 to 60 µs, half as long as the cold masks of 64 constraints take two of them.
#[inline]
pub(super) fn goes_on() {
    if EXPECTED.load(Ordering::Relaxed)
        && EXPECTED.swap(false, Ordering::AcqRel)
        && let Some(pool) = pool()
    {
        wake(&pool, MOST_AWAKE.min(pool.current_num_threads()));
    }
}

/// Wakes some of the other threads, which then wait for a call.
fn wake(pool: &ThreadPool, others: usize) {
    let calls = CALLS.load(Ordering::Acquire);
    for _ in 0..others {
        pool.spawn(move || {
            let until = Instant::now() + WAIT;
            AWAKE.fetch_add(1, Ordering::AcqRel);
            while CALLS.load(Ordering::Acquire) == calls && Instant::now() < until {
                std::hint::spin_loop();
            }
            AWAKE.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// The other threads. A process that was forked has none of its parent's, and gets its own.
fn pool() -> Option<Arc<ThreadPool>> {
    static POOL: Mutex<Option<(u32, Option<Arc<ThreadPool>>)>> = Mutex::new(None);
    let mut pool = lock(&POOL);
    let process = std::process::id();
    match &*pool {
        Some((owner, pool)) if *owner == process => pool.clone(),
        _ => {
            AWAKE.store(0, Ordering::Release);
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            let others = if cfg!(test) { 3 } else { processors.min(MOST_THREADS) - 1 };
            let builder = ThreadPoolBuilder::new().num_threads(others).thread_name(|index| format!("rellm-{index}"));
            let made = if others > 0 { builder.build().ok().map(Arc::new) } else { None };
            // Taking down a pool whose threads are in another process would wait for them for ever.
            std::mem::forget(pool.replace((process, made.clone())));
            made
        }
    }
}
