//! Sets of characters of `re`: what a set matches under IGNORECASE is what the library's compiler and matcher make of
//! it together, characters beyond the basic plane included.

use crate::codepoints::{CodePoints, MAX};
use crate::syntax::dialect::{CaseSets, Dialect};
use crate::syntax::re::flags;
use crate::syntax::re::tree::{Category, Class, ClassKey, Member};
use std::convert::Infallible;
use std::sync::Arc;

/// The highest code point that the library's table of a set holds.
const BASIC_PLANE: u32 = 0xFFFF;

/// The sets of patterns under given flags.
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    dialect: &'a Dialect,
    unicode: bool,
    ignore_case: bool,
}

impl<'a> Classes<'a> {
    pub fn new(dialect: &'a Dialect, flags: u32) -> Self {
        Classes { dialect, unicode: flags & flags::UNICODE != 0, ignore_case: flags & flags::IGNORECASE != 0 }
    }

    pub fn word(&self) -> &'a Arc<CodePoints> {
        self.category(Category::Word)
    }

    fn category(&self, category: Category) -> &'a Arc<CodePoints> {
        let tables = &self.dialect.tables;
        match (category, self.unicode) {
            (Category::Digit, true) => &tables.digit,
            (Category::Space, true) => &tables.space,
            (Category::Word, true) => &tables.word,
            (Category::Digit, false) => &tables.ascii_digit,
            (Category::Space, false) => &tables.ascii_space,
            (Category::Word, false) => &tables.ascii_word,
        }
    }

    /// What one character of the pattern matches: itself (`None`) or a set.
    pub fn literal(&self, c: u32) -> Option<Arc<CodePoints>> {
        if !self.ignore_case || !self.is_cased(c) {
            return None;
        }
        let key = ClassKey::Literal(c, self.unicode);
        Some(unwrap(self.dialect.re_classes.get_or_make(key, |_| {
            let low = self.lower(c);
            let mut folded = vec![(low, low)];
            self.add_same_upper(low, &mut folded);
            Ok(self.that_lower_to(&CodePoints::from_ranges(folded)))
        })))
    }

    /// What `[^c]` matches.
    pub fn all_but(&self, c: u32) -> Arc<CodePoints> {
        if c == 0x0A {
            return self.dialect.sets.not_newline.clone();
        }
        match self.literal(c) {
            Some(set) => Arc::new(set.complement()),
            None => Arc::new(CodePoints::single(c).complement()),
        }
    }

    /// What a set matches.
    pub fn set(&self, class: &Class) -> Arc<CodePoints> {
        if let (false, &[Member::Category(category, false)]) = (class.negated, &class.members[..]) {
            if !self.ignore_case {
                return self.category(category).clone();
            }
        }
        let key = ClassKey::Set(class.clone(), self.unicode, self.ignore_case);
        unwrap(self.dialect.re_classes.get_or_make(key, |_| Ok(self.make(class))))
    }

    fn make(&self, class: &Class) -> CodePoints {
        let mut ranges = Vec::new();
        let mut categories = CodePoints::empty();
        let mut fold = false;
        for &member in &class.members {
            match member {
                Member::Literal(c) if self.ignore_case => fold |= self.add_folded_literal(c, &mut ranges),
                Member::Range(lo, hi) if self.ignore_case => fold |= self.add_folded_range(lo, hi, &mut ranges),
                Member::Literal(c) => ranges.push((c, c)),
                Member::Range(lo, hi) => ranges.push((lo, hi)),
                Member::Category(category, false) => categories = categories.union(self.category(category)),
                Member::Category(category, true) => {
                    categories = categories.union(&self.category(category).complement());
                }
            }
        }
        let mut set = CodePoints::from_ranges(ranges).union(&categories);
        if fold {
            set = self.that_lower_to(&set);
        }
        if class.negated { set.complement() } else { set }
    }

    /// Adds what a literal in a set stands for; whether the text is compared in lower case because of it.
    fn add_folded_literal(&self, c: u32, ranges: &mut Vec<(u32, u32)>) -> bool {
        let low = self.lower(c);
        if low > BASIC_PLANE {
            // Kept as it is written, although the text will be lower case: `[\U00010400x]` never matches U+10400.
            ranges.push((c, c));
            return true;
        }
        ranges.push((low, low));
        self.add_same_upper(low, ranges);
        self.is_cased(c)
    }

    /// The same for a range.
    fn add_folded_range(&self, lo: u32, hi: u32, ranges: &mut Vec<(u32, u32)>) -> bool {
        let tables = &self.dialect.tables;
        let top = hi.min(BASIC_PLANE);
        let start = ranges.len();
        if lo <= top {
            let mut next = lo;
            for (source, lower) in self.lower_entries(lo, top) {
                ranges.push((next, source.wrapping_sub(1)));
                ranges.push((lower, lower));
                next = source + 1;
            }
            ranges.push((next, top));
            // A range that begins with a character that changes, or has two of them in a row, leaves empty ones.
            let mut index = start;
            while index < ranges.len() {
                let (a, b) = ranges[index];
                if a > b || b == u32::MAX {
                    ranges.swap_remove(index);
                } else {
                    index += 1;
                }
            }
            if self.unicode {
                let lowered = CodePoints::from_ranges(ranges[start..].iter().copied());
                for (source, targets) in tables.same_upper.entries() {
                    if lowered.contains(*source) {
                        ranges.extend(targets.iter().map(|&t| (t, t)));
                    }
                }
            }
        }
        if hi > BASIC_PLANE {
            // Beyond the basic plane the text's character, or its upper case, is looked for in the range itself.
            ranges.push((lo, hi));
            for (source, targets) in tables.upper.entries() {
                if targets.iter().any(|t| (lo..=hi).contains(t)) {
                    ranges.push((*source, *source));
                }
            }
            return true;
        }
        self.any_cased(lo, hi)
    }

    fn add_same_upper(&self, low: u32, ranges: &mut Vec<(u32, u32)>) {
        if self.unicode {
            ranges.extend(self.dialect.tables.same_upper.get(low).iter().map(|&c| (c, c)));
        }
    }

    /// The characters whose lower case is in `set`.
    fn that_lower_to(&self, set: &CodePoints) -> CodePoints {
        let mut ranges = Vec::with_capacity(set.ranges().len() + 8);
        if !self.unicode {
            for &(lo, hi) in set.ranges() {
                ranges.extend(without(lo, hi, 0x41, 0x5A));
                let (a, b) = (lo.max(0x61), hi.min(0x7A));
                if a <= b {
                    ranges.push((a - 0x20, b - 0x20));
                }
            }
            return CodePoints::from_ranges(ranges);
        }
        for &(lo, hi) in set.ranges() {
            let mut next = lo;
            for (source, _) in self.dialect.tables.lower.within(lo, hi) {
                if next < *source {
                    ranges.push((next, source - 1));
                }
                next = source + 1;
            }
            if next <= hi {
                ranges.push((next, hi));
            }
            for (_, sources) in self.dialect.lower_inverse().within(lo, hi) {
                ranges.extend(sources.iter().map(|&c| (c, c)));
            }
        }
        CodePoints::from_ranges(ranges)
    }

    fn lower(&self, c: u32) -> u32 {
        if self.unicode { self.dialect.tables.lower.get(c).first().copied().unwrap_or(c) } else { ascii_lower(c) }
    }

    fn lower_entries(&self, lo: u32, hi: u32) -> Vec<(u32, u32)> {
        if self.unicode {
            self.dialect.tables.lower.within(lo, hi).iter().map(|(source, target)| (*source, target[0])).collect()
        } else {
            (lo.max(0x41)..=hi.min(0x5A)).map(|c| (c, c + 0x20)).collect()
        }
    }

    fn is_cased(&self, c: u32) -> bool {
        self.any_cased(c, c)
    }

    fn any_cased(&self, lo: u32, hi: u32) -> bool {
        if !self.unicode {
            return (lo <= 0x5A && hi >= 0x41) || (lo <= 0x7A && hi >= 0x61);
        }
        let cased = self.dialect.tables.cased.ranges();
        cased.get(cased.partition_point(|r| r.1 < lo)).is_some_and(|r| r.0 <= hi)
    }

    /// What a backreference takes for the same: characters with the same lower case.
    pub fn case_sets(&self) -> Arc<CaseSets> {
        let made = self.dialect.case_sets[usize::from(self.unicode)].get_or_init(|| {
            if !self.unicode {
                return Arc::new(ascii_case_sets());
            }
            let mut sets = Vec::new();
            for (low, others) in self.dialect.lower_inverse().entries() {
                // A character that is somebody's lower case, but has another lower case itself, is not of its own set.
                let own = (self.lower(*low) == *low).then_some(*low);
                let set: CodePoints = others.iter().copied().chain(own).map(|c| (c, c)).collect();
                if set.only().is_none() {
                    sets.extend(others.iter().copied().chain(own).map(|c| (c, set.clone())));
                }
            }
            sets.sort_unstable_by_key(|entry| entry.0);
            Arc::new(sets)
        });
        made.clone()
    }
}

/// The same in ASCII.
pub fn ascii_case_sets() -> CaseSets {
    let letter = |c: u8| c.is_ascii_alphabetic();
    let both = |c: u8| CodePoints::from_ranges([c, c ^ 0x20].map(|c| (u32::from(c), u32::from(c))));
    (0..0x80).filter(|&c| letter(c)).map(|c| (u32::from(c), both(c))).collect()
}

fn ascii_lower(c: u32) -> u32 {
    if (0x41..=0x5A).contains(&c) { c + 0x20 } else { c }
}

/// `lo..=hi` without `from..=to`.
fn without(lo: u32, hi: u32, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> {
    let before = (lo, hi.min(from - 1));
    let after = (lo.max(to + 1), hi.min(MAX));
    [before, after].into_iter().filter(|r| r.0 <= r.1)
}

fn unwrap(result: Result<Arc<CodePoints>, Infallible>) -> Arc<CodePoints> {
    match result {
        Ok(set) => set,
        Err(never) => match never {},
    }
}
