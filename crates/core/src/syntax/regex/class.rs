//! Sets of characters of `regex`. Under IGNORECASE each member of a set is asked about all cases of the text's
//! character; the answers are then combined as the set says.

use super::flags;
use super::tree::{ClassKey, Encoding, PropertyRef, Set, SetKind};
use crate::codepoints::CodePoints;
use crate::error::{Error, Result};
use crate::syntax::ast::CaseMapping;
use crate::syntax::dialect::{Dialect, PropertyEncoding};
use crate::syntax::re::class::ascii_case_sets;
use std::borrow::Cow;
use std::sync::Arc;

/// The sets of a pattern.
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    pub dialect: &'a Dialect,
    /// Whether the pattern as a whole is ASCII.
    is_ascii: bool,
    /// Whether the flags of the pattern as a whole fold case in full.
    folds_in_full: bool,
}

impl<'a> Classes<'a> {
    /// `flags`: those of the pattern as a whole.
    pub fn new(dialect: &'a Dialect, flags: u32) -> Self {
        let is_ascii = flags & flags::ASCII != 0;
        let folds_in_full = !is_ascii && flags::case(flags) == flags::FULL_IGNORECASE;
        Classes { dialect, is_ascii, folds_in_full }
    }

    /// The other cases of a character.
    fn other_cases(&self, c: u32) -> Cow<'a, [u32]> {
        if !self.is_ascii {
            return Cow::Borrowed(self.dialect.tables.cases.get(c));
        }
        match char::from_u32(c) {
            Some(letter) if letter.is_ascii_alphabetic() => Cow::Owned(vec![c ^ 0x20]),
            _ => Cow::Borrowed(&[]),
        }
    }

    pub fn is_cased(&self, c: u32) -> bool {
        !self.other_cases(c).is_empty()
    }

    /// Whether a run of characters with `c` in it is compared with case ignored. Where the whole pattern folds in full,
    /// the library takes `ﬀ` for cased, which has no other case, but folds to two characters.
    pub fn is_cased_in_run(&self, c: u32) -> bool {
        self.is_cased(c) || (self.folds_in_full && self.folded(c).len() > 1)
    }

    /// Whether a part folds in full that the pattern as a whole does not.
    pub fn folds_in_parts_only(&self) -> bool {
        !self.folds_in_full
    }

    /// Whether two characters are the same when case is ignored.
    pub fn same(&self, a: u32, b: u32) -> bool {
        a == b || self.other_cases(a).contains(&b)
    }

    /// A character with its other cases; `None` if it has none.
    pub fn cases(&self, c: u32) -> Option<Arc<CodePoints>> {
        if !self.is_cased(c) {
            return None;
        }
        let make = |_: &ClassKey| -> Result<CodePoints> { Ok(self.all_cases(&CodePoints::single(c))) };
        self.dialect.regex_classes.get_or_make(ClassKey::Char { c, is_ascii: self.is_ascii }, make).ok()
    }

    /// What separates lines under WORD.
    pub fn separators(&self) -> CodePoints {
        let beyond: &[(u32, u32)] = if self.is_ascii { &[] } else { &[(0x85, 0x85), (0x2028, 0x2029)] };
        CodePoints::from_ranges([(0x0A, 0x0D)].iter().chain(beyond).copied())
    }

    /// The characters that have a case in `set`.
    fn all_cases(&self, set: &CodePoints) -> CodePoints {
        let mut ranges = set.ranges().to_vec();
        for &(lo, hi) in set.ranges() {
            if self.is_ascii {
                for c in lo.max(0x41)..=hi.min(0x7A) {
                    ranges.extend(self.other_cases(c).iter().map(|&o| (o, o)));
                }
            } else {
                for (_, others) in self.dialect.tables.cases.within(lo, hi) {
                    ranges.extend(others.iter().map(|&o| (o, o)));
                }
            }
        }
        CodePoints::from_ranges(ranges)
    }

    /// What a set matches.
    pub fn set(&self, set: &Set, ignore_case: bool) -> Result<Arc<CodePoints>> {
        if let (true, SetKind::Property(property)) = (set.positive, &set.kind) {
            return self.property(property, ignore_case);
        }
        let key = ClassKey::Set { set: set.clone(), ignore_case, is_ascii: self.is_ascii };
        self.dialect.regex_classes.get_or_make(key, |_| match &set.kind {
            // A property alone is compared in its own way.
            SetKind::Property(property) => Ok(self.property(property, ignore_case)?.complement()),
            _ => self.evaluated(set, ignore_case),
        })
    }

    /// Whether a set is a property such as `\p{Lu}`, which alone ignores case in another way than in a set.
    pub fn compares_in_its_own_way(&self, set: &Set) -> Result<bool> {
        let SetKind::Property(property @ PropertyRef::Named(_)) = &set.kind else { return Ok(false) };
        Ok(*self.property(property, true)? != self.all_cases(&*self.property(property, false)?))
    }

    /// Under IGNORECASE the members of the set are asked about each case of a character; sets inside of it are not
    /// opened for that, only their outcome counts.
    fn evaluated(&self, set: &Set, ignore_case: bool) -> Result<CodePoints> {
        if !ignore_case {
            return self.exact(set);
        }
        let members = match &set.kind {
            SetKind::Char(_) | SetKind::Range(..) | SetKind::Property(_) => self.raw_ignoring_case(&set.kind)?,
            SetKind::Union(items) => {
                let mut ranges = Vec::new();
                for item in flattened(items, &|kind| match kind {
                    SetKind::Union(items) => Some(items),
                    _ => None,
                }) {
                    ranges.extend_from_slice(self.member(item)?.ranges());
                }
                CodePoints::from_ranges(ranges)
            }
            SetKind::Difference(items) => {
                let (first, others) = items.split_first().expect("a difference has members");
                let excluded = match others {
                    [other] => self.member(other)?,
                    // The library makes one set of the others.
                    others => self.member(&Set::of(SetKind::Union(others.to_vec())))?,
                };
                self.member(first)?.difference(&excluded)
            }
            SetKind::Intersection(items) => {
                let items = flattened(items, &|kind| match kind {
                    SetKind::Intersection(items) => Some(items),
                    _ => None,
                });
                self.folded_members(&items, CodePoints::intersection)?
            }
            SetKind::SymmetricDifference(items) => {
                let items = flattened(items, &|kind| match kind {
                    SetKind::SymmetricDifference(items) => Some(items),
                    _ => None,
                });
                self.folded_members(&items, CodePoints::symmetric_difference)?
            }
        };
        Ok(if set.positive { members } else { members.complement() })
    }

    fn folded_members(
        &self,
        items: &[&Set],
        operation: fn(&CodePoints, &CodePoints) -> CodePoints,
    ) -> Result<CodePoints> {
        let mut result = self.member(items[0])?;
        for item in &items[1..] {
            result = operation(&result, &self.member(item)?);
        }
        Ok(result)
    }

    /// A member of a set that ignores case.
    fn member(&self, item: &Set) -> Result<CodePoints> {
        let members = self.raw_ignoring_case(&item.kind)?;
        Ok(if item.positive { members } else { members.complement() })
    }

    fn raw_ignoring_case(&self, kind: &SetKind) -> Result<CodePoints> {
        Ok(self.all_cases(&match kind {
            // The encoding of the property itself is not looked at.
            SetKind::Property(property) => (*self.property(&property.in_pattern_encoding(), false)?).clone(),
            kind => self.exact(&Set::of(kind.clone()))?,
        }))
    }

    /// What a set holds, case not ignored.
    fn exact(&self, set: &Set) -> Result<CodePoints> {
        let combined = |items: &[Set], operation: fn(&CodePoints, &CodePoints) -> CodePoints| -> Result<CodePoints> {
            let mut result = self.exact(&items[0])?;
            for item in &items[1..] {
                result = operation(&result, &self.exact(item)?);
            }
            Ok(result)
        };
        let members = match &set.kind {
            SetKind::Char(c) => CodePoints::single(*c),
            SetKind::Range(lo, hi) => CodePoints::from_ranges([(*lo, *hi)]),
            SetKind::Property(property) => (*self.property(property, false)?).clone(),
            SetKind::Union(items) => {
                let mut ranges = Vec::new();
                for item in items {
                    match (&item.kind, item.positive) {
                        (SetKind::Char(c), true) => ranges.push((*c, *c)),
                        (SetKind::Range(lo, hi), true) => ranges.push((*lo, *hi)),
                        _ => ranges.extend_from_slice(self.exact(item)?.ranges()),
                    }
                }
                CodePoints::from_ranges(ranges)
            }
            SetKind::Difference(items) => combined(items, CodePoints::difference)?,
            SetKind::Intersection(items) => combined(items, CodePoints::intersection)?,
            SetKind::SymmetricDifference(items) => combined(items, CodePoints::symmetric_difference)?,
        };
        Ok(if set.positive { members } else { members.complement() })
    }

    fn is_ascii(&self, encoding: Encoding) -> bool {
        encoding == Encoding::Ascii || (encoding == Encoding::Pattern && self.is_ascii)
    }

    pub fn word(&self, encoding: Encoding) -> Arc<CodePoints> {
        let tables = &self.dialect.tables;
        if self.is_ascii(encoding) { tables.ascii_word.clone() } else { tables.word.clone() }
    }

    fn property(&self, property: &PropertyRef, ignore_case: bool) -> Result<Arc<CodePoints>> {
        let tables = &self.dialect.tables;
        let choose = |encoding: Encoding, ascii: &Arc<CodePoints>, unicode: &Arc<CodePoints>| {
            if self.is_ascii(encoding) { ascii.clone() } else { unicode.clone() }
        };
        Ok(match property {
            PropertyRef::Word(encoding) => self.word(*encoding),
            PropertyRef::Digit(encoding) => choose(*encoding, &tables.ascii_digit, &tables.digit),
            PropertyRef::Space(encoding) => choose(*encoding, &tables.ascii_space, &tables.space),
            PropertyRef::Blank if self.is_ascii => {
                Arc::new(tables.blank.intersection(&CodePoints::from_ranges([(0, 0x7F)])))
            }
            PropertyRef::Blank => tables.blank.clone(),
            PropertyRef::Named(named) => {
                let encoding = match (named.encoding, self.is_ascii) {
                    (Encoding::Ascii | Encoding::Pattern, true) => PropertyEncoding::Ascii,
                    (Encoding::Ascii, false) => PropertyEncoding::AsciiPart,
                    _ => PropertyEncoding::Unicode,
                };
                if ignore_case && encoding != PropertyEncoding::Unicode {
                    return Err(Error::NotRegular {
                        construct: "a property outside of a set, in ASCII with case ignored".into(),
                        position: None,
                    });
                }
                let found = if encoding == named.asked {
                    named.found.clone()
                } else {
                    self.dialect.resolver.property(named.query(encoding))?.unwrap_or_else(|| named.found.clone())
                };
                if ignore_case { found.members_ignoring_case } else { found.members }
            }
        })
    }

    /// What a character folds to in full.
    pub fn folded(&self, c: u32) -> Cow<'a, [u32]> {
        match self.dialect.tables.folding.get(c) {
            [] => Cow::Owned(vec![c]),
            folded => Cow::Borrowed(folded),
        }
    }

    /// The characters that the library takes to fold to more than one, with what they fold to (`İ` to itself).
    pub fn expanding(&self) -> impl Iterator<Item = (u32, Cow<'a, [u32]>)> {
        self.dialect.tables.expanding.iter().map(|&c| (c, self.folded(c)))
    }

    /// Whether a character is written in a set, case not ignored.
    pub fn is_member(&self, set: &Set, c: u32) -> Result<bool> {
        Ok(self.set(set, false)?.contains(c))
    }

    /// The characters that fold to one character which is the same as `c` when case is ignored.
    pub fn folding_to(&self, c: u32) -> Arc<CodePoints> {
        let mut points = vec![c];
        points.extend_from_slice(&self.other_cases(c));
        let inverse = self.dialect.folding_inverse();
        let expands = |point: u32| !self.dialect.tables.folding.get(point).is_empty();
        let mut ranges = Vec::new();
        for point in points {
            if !expands(point) {
                ranges.push((point, point));
            }
            ranges.extend(inverse.get(point).iter().map(|&source| (source, source)));
        }
        Arc::new(CodePoints::from_ranges(ranges))
    }

    /// How a backreference compares when case is ignored.
    pub fn case_mapping(&self) -> CaseMapping {
        let made = self.dialect.case_sets[usize::from(!self.is_ascii)].get_or_init(|| {
            if self.is_ascii {
                return Arc::new(ascii_case_sets());
            }
            let set = |(c, others): &(u32, Box<[u32]>)| (*c, others.iter().chain([c]).map(|&c| (c, c)).collect());
            Arc::new(self.dialect.tables.cases.entries().iter().map(set).collect())
        });
        CaseMapping::Sets(made.clone())
    }
}

/// The members of a set, with those of sets of the same kind inside of it, which the library opens.
pub fn flattened<'s>(items: &'s [Set], inside: &impl Fn(&'s SetKind) -> Option<&'s Vec<Set>>) -> Vec<&'s Set> {
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match inside(&item.kind).filter(|_| item.positive) {
            Some(items) => flat.extend(flattened(items, inside)),
            None => flat.push(item),
        }
    }
    flat
}
