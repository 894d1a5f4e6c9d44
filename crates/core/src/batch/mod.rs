//! The masks of many texts at once.
//!
//! Each thread has a share of the rows, those at the same places in every call, and helps the others when it is done with
//! it. As a rule the [helpers](crate::batch::helpers) are awake when a call comes, and have begun; if they are not, this thread
//! begins alone, and they join it once they are. So it never waits for a thread to begin.
//!
//! PERF: when rows went to whichever thread was free, two threads took longer than one: each then begins with fetching what
//! the other processor has written.

pub(crate) mod helpers;

pub use helpers::{after_fork, before_fork};

use crate::error::{Error, Result};
use crate::matcher::Matcher;
use helpers::{Helpers, lock};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A call that has taken so long is worth waking all threads for.
const LONG: Duration = Duration::from_millis(1);
/// How long this thread watches the others end what they have begun, before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);
/// How long a thread that is done takes to be gone.
const PARTING: Duration = Duration::from_nanos(700);

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
    /// Shares out `groups`: each thread has those whose first row is at one of its places, every `threads`-th.
    fn new(mut groups: Vec<&'g mut [Row<'a>]>, threads: usize) -> Self {
        let thread_of = |group: &&mut [Row<'_>]| group[0].0 % threads;
        groups.sort_unstable_by_key(|group| (thread_of(group), group[0].0));
        let mut start = 0;
        let left = (0..threads).map(|thread| {
            let end = groups.partition_point(|group| thread_of(group) <= thread);
            Mutex::new(std::mem::replace(&mut start, end)..end)
        });
        let left = left.collect();
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
            let mut group = lock(&self.groups[index]);
            // Where several texts have one constraint, they would wait for the mask that is made ahead for one of them.
            let helper = if group.len() == 1 { rayon_core::current_thread_index() } else { None };
            group[0].1.constraint().set_helper(helper);
            if let Err(error) = fill(&mut group) {
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
    let helpers = if threads > 1 { Helpers::get() } else { None };
    let mut waiting: Vec<Row<'_>> =
        rows.into_iter().enumerate().map(|(at, (matcher, row))| (at, matcher, row)).collect();
    waiting.retain_mut(|(_, matcher, row)| !matcher.fill_mask_if_ready(row));
    let place = |matcher: &Matcher| Arc::as_ptr(matcher.constraint()) as usize;
    waiting.sort_unstable_by_key(|(at, matcher, _)| (place(matcher), *at));
    let groups: Vec<&mut [Row<'_>]> = waiting.chunk_by_mut(|a, b| place(a.1) == place(b.1)).collect();
    let threads = threads.min(groups.len());
    let Some(helpers) = helpers.filter(|_| threads > 1) else {
        return groups.into_iter().try_for_each(fill);
    };
    fill_groups(groups, threads.min(helpers.count() + 1), &helpers)
}

/// Fills `groups` on up to `threads` threads.
fn fill_groups(groups: Vec<&mut [Row<'_>]>, threads: usize, helpers: &Arc<Helpers>) -> Result<()> {
    let start = Instant::now();
    let shares = Shares::new(groups, threads);
    if helpers.awake() == 0 {
        helpers.wake(threads - 1);
        shares.work(0, || helpers.awake() > 0);
    }
    if shares.left.iter().any(|left| !lock(left).is_empty()) {
        let others = if start.elapsed() > LONG { threads - 1 } else { helpers.awake() };
        helpers.threads.in_place_scope(|scope| {
            for _ in 0..others.min(threads - 1) {
                let help = |index| shares.work(index % (threads - 1) + 1, || false);
                scope.spawn(move |_| rayon_core::current_thread_index().into_iter().for_each(help));
            }
            helpers.begin_call();
            shares.work(0, || false);
            shares.wait();
        });
    }
    Helpers::expect_call();
    let failure = lock(&shares.failure).take();
    failure.map_or(Ok(()), Err)
}
