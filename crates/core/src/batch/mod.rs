//! The masks of a batch of texts, by a parallel loop over constraints on a thread pool.

use crate::error::{Error, Result};
use crate::matcher::Matcher;
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// The most threads: more gain nothing for masks that take microseconds.
const MOST_THREADS: usize = 8;
/// The time for which the calling thread works alone: waking a thread of the pool takes 30 to 60 µs.
const ALONE: Duration = Duration::from_micros(if cfg!(test) { 0 } else { 40 });

/// A matcher, and the row for its mask.
type Row<'a> = (&'a Matcher, &'a mut [u32]);

/// The thread pool of this process, and the process that it belongs to.
static POOL: Mutex<Option<(u32, &'static ThreadPool)>> = Mutex::new(None);

/// Writes the mask of each matcher into its row, on up to `threads` threads (this one among them).
///
/// Masks that are cached are copied on this thread. Rows of one constraint are filled by one thread, because a
/// constraint's engine serves one thread at a time.
///
/// # Errors
/// [`Error::Limit`], from one of the rows that failed; other rows may or may not have been written.
pub fn fill_masks<'a>(rows: impl IntoIterator<Item = (&'a Matcher, &'a mut [u32])>, threads: usize) -> Result<()> {
    let mut waiting: Vec<Row<'_>> = rows.into_iter().collect();
    waiting.retain_mut(|(matcher, row)| !matcher.fill_mask_if_ready(row));
    let address = |row: &Row<'_>| Arc::as_ptr(row.0.constraint()) as usize;
    waiting.sort_by_key(address);
    let mut groups = waiting.chunk_by_mut(|a, b| address(a) == address(b));
    let start = Instant::now();
    while threads < 2 || start.elapsed() < ALONE {
        match groups.next() {
            Some(group) => fill(group)?,
            None => return Ok(()),
        }
    }
    let groups: Vec<&mut [Row<'_>]> = groups.collect();
    match pool() {
        Some(pool) if groups.len() > 1 => fill_in_parallel(groups, threads, pool),
        _ => groups.into_iter().try_for_each(fill),
    }
}

fn fill(group: &mut [Row<'_>]) -> Result<()> {
    group.iter_mut().try_for_each(|(matcher, row)| matcher.fill_mask(row))
}

fn fill_in_parallel(groups: Vec<&mut [Row<'_>]>, threads: usize, pool: &ThreadPool) -> Result<()> {
    let others = (threads.min(groups.len()) - 1).min(pool.current_num_threads());
    let waiting = Mutex::new(groups.into_iter());
    let failure: Mutex<Option<Error>> = Mutex::default();
    let work = || {
        while let Some(group) = { lock(&waiting).next() } {
            if let Err(error) = fill(group) {
                lock(&failure).get_or_insert(error);
                lock(&waiting).by_ref().for_each(drop);
            }
        }
    };
    pool.in_place_scope(|scope| {
        (0..others).for_each(|_| scope.spawn(|_| work()));
        work();
    });
    let failure = lock(&failure).take();
    failure.map_or(Ok(()), Err)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pool of this process; `None` where it has one processor, no thread can be made, or another thread is making it.
///
/// A forked process has none of its parent's threads, so it makes its own pool. The parent's pool is leaked, because
/// dropping it would wait for threads that do not exist here. Nor does it wait for [`POOL`]: a lock that another thread
/// held at the fork is never released.
fn pool() -> Option<&'static ThreadPool> {
    let mut known = match POOL.try_lock() {
        Ok(known) => known,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    let process = std::process::id();
    if let Some((owner, pool)) = *known
        && owner == process
    {
        return Some(pool);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let others =
        if cfg!(test) { 3 } else { processors.min(MOST_THREADS).checked_sub(1).filter(|&others| others > 0)? };
    let builder = ThreadPoolBuilder::new().num_threads(others).thread_name(|index| format!("rellm-{index}"));
    let pool: &ThreadPool = Box::leak(Box::new(builder.build().ok()?));
    *known = Some((process, pool));
    Some(pool)
}

#[cfg(test)]
mod tests;
