//! Search in sorted sequences by galloping.

/// How many of the first of `count` sorted things are as asked for. Runs are short as a rule: gallop, then halve.
pub(crate) fn run_length(count: usize, is_same: impl Fn(usize) -> bool) -> usize {
    let mut most = 1;
    while most <= count && is_same(most - 1) {
        most *= 2;
    }
    let (mut from, mut to) = (most / 2, count.min(most - 1));
    while from < to {
        let middle = from + (to - from) / 2;
        if is_same(middle) { from = middle + 1 } else { to = middle }
    }
    from
}
