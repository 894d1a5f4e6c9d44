//! The masks of many texts at once.

use super::Matcher;
use crate::error::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes the mask of each matcher into its row, on up to `threads` threads (this one among them).
///
/// Rows are grouped by constraint, so that no two threads wait for one another. Masks that are ready are copied on this
/// thread; only where two constraints or more have work to do, threads are started.
///
/// # Errors
/// [`Error::Limit`], from the first row that failed; other rows may or may not have been written.
pub fn fill_masks<'a>(rows: impl IntoIterator<Item = (&'a Matcher, &'a mut [u32])>, threads: usize) -> Result<()> {
    let mut cold: Vec<(&Matcher, &mut [u32])> = rows
        .into_iter()
        .filter_map(|(matcher, row)| (!matcher.fill_mask_if_ready(row)).then_some((matcher, row)))
        .collect();
    cold.sort_by_key(|(matcher, _)| Arc::as_ptr(matcher.constraint()) as usize);
    let mut groups: Vec<Vec<(&Matcher, &mut [u32])>> = Vec::new();
    for (matcher, row) in cold {
        match groups.last_mut() {
            Some(group) if Arc::ptr_eq(group[0].0.constraint(), matcher.constraint()) => group.push((matcher, row)),
            _ => groups.push(vec![(matcher, row)]),
        }
    }
    let threads = threads.min(groups.len());
    if threads <= 1 {
        return groups.into_iter().flatten().try_for_each(|(matcher, row)| matcher.fill_mask(row));
    }
    let queue = Mutex::new(groups);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || {
        loop {
            let group = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(group) = group else { return };
            if let Err(error) = group.into_iter().try_for_each(|(matcher, row)| matcher.fill_mask(row)) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
