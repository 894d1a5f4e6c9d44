//! Sets of code points as sorted, disjoint, non-adjacent, inclusive ranges.

/// The highest code point.
pub const MAX: u32 = 0x10_FFFF;

/// A set of code points. Surrogates may be members; no text of Unicode scalar values contains them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CodePoints {
    ranges: Vec<(u32, u32)>,
}

impl CodePoints {
    /// The empty set.
    pub const fn empty() -> Self {
        CodePoints { ranges: Vec::new() }
    }

    /// All code points, surrogates included.
    pub fn all() -> Self {
        CodePoints { ranges: vec![(0, MAX)] }
    }

    /// All Unicode scalar values: what a text can contain.
    pub fn scalars() -> Self {
        CodePoints { ranges: vec![(0, 0xD7FF), (0xE000, MAX)] }
    }

    /// One code point.
    pub fn single(c: u32) -> Self {
        CodePoints { ranges: vec![(c, c)] }
    }

    /// The set of `ranges`, inclusive, in any order, overlapping or not.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut ranges: Vec<(u32, u32)> = ranges.into_iter().filter(|r| r.0 <= r.1).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (lo, hi) in ranges {
            match merged.last_mut() {
                Some(last) if lo <= last.1.saturating_add(1) => last.1 = last.1.max(hi),
                _ => merged.push((lo, hi)),
            }
        }
        CodePoints { ranges: merged }
    }

    /// The ranges: sorted, disjoint, not adjacent, inclusive.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether the set has no member.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number of members.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|&(lo, hi)| u64::from(hi - lo) + 1).sum()
    }

    /// Whether `c` is a member.
    pub fn contains(&self, c: u32) -> bool {
        let index = self.ranges.partition_point(|&(_, hi)| hi < c);
        self.ranges.get(index).is_some_and(|&(lo, _)| lo <= c)
    }

    /// The only member, if there is exactly one.
    pub fn only(&self) -> Option<u32> {
        match self.ranges[..] {
            [(lo, hi)] if lo == hi => Some(lo),
            _ => None,
        }
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        if other.is_empty() {
            return self.clone();
        }
        Self::from_ranges(self.ranges.iter().chain(&other.ranges).copied())
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(&(a, b)), Some(&(c, d))) = (self.ranges.get(i), other.ranges.get(j)) {
            let (lo, hi) = (a.max(c), b.min(d));
            if lo <= hi {
                ranges.push((lo, hi));
            }
            if b < d {
                i += 1;
            } else {
                j += 1;
            }
        }
        CodePoints { ranges }
    }

    /// All code points that are not members, surrogates included.
    pub fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut next = 0;
        for &(lo, hi) in &self.ranges {
            if next < lo {
                ranges.push((next, lo - 1));
            }
            next = hi + 1;
        }
        if next <= MAX {
            ranges.push((next, MAX));
        }
        CodePoints { ranges }
    }

    /// What is in this set but not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    /// What is in exactly one of the sets.
    pub fn symmetric_difference(&self, other: &Self) -> Self {
        self.union(other).difference(&self.intersection(other))
    }

    /// Whether every member is a member of `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.ranges.iter().all(|&(lo, hi)| {
            let index = other.ranges.partition_point(|&(_, h)| h < lo);
            other.ranges.get(index).is_some_and(|&(l, h)| l <= lo && hi <= h)
        })
    }
}

impl FromIterator<(u32, u32)> for CodePoints {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        Self::from_ranges(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_operations_agree_with_membership() {
        let a = CodePoints::from_ranges([(5, 9), (1, 2), (3, 3), (20, 30)]);
        let b = CodePoints::from_ranges([(0, 1), (8, 22), (MAX, MAX)]);
        assert_eq!(a.ranges(), &[(1, 3), (5, 9), (20, 30)]);
        for c in (0..40).chain([MAX - 1, MAX]) {
            assert_eq!(a.union(&b).contains(c), a.contains(c) || b.contains(c));
            assert_eq!(a.intersection(&b).contains(c), a.contains(c) && b.contains(c));
            assert_eq!(a.difference(&b).contains(c), a.contains(c) && !b.contains(c));
            assert_eq!(a.complement().contains(c), !a.contains(c));
            assert_eq!(a.symmetric_difference(&b).contains(c), a.contains(c) != b.contains(c));
        }
        assert!(a.intersection(&b).is_subset(&a) && !a.is_subset(&b));
        assert_eq!(a.complement().complement(), a);
    }
}
