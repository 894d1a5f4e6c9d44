//! Sets of characters of `regex`. Under IGNORECASE each member of a set is asked about all cases of the text's
//! character; the answers are then combined as the set says.

use super::tree::{Encoding, PropertyRef, Set, SetKind};
use crate::codepoints::CodePoints;
use crate::error::Result;
use crate::syntax::ast::CaseMapping;
use crate::syntax::dialect::{Dialect, PropertyEncoding, PropertyQuery};
use crate::syntax::re::class::ascii_case_sets;
use std::borrow::Cow;
use std::sync::Arc;

/// What the dialect's cache of sets is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Char { c: u32, is_ascii: bool },
    Set { set: Set, ignore_case: bool, is_ascii: bool },
}

/// The sets of a pattern.
#[derive(Clone, Copy)]
pub struct Classes<'a> {
    pub dialect: &'a Dialect,
    /// Whether the pattern as a whole is ASCII.
    is_ascii: bool,
}

impl<'a> Classes<'a> {
    pub fn new(dialect: &'a Dialect, is_ascii: bool) -> Self {
        Classes { dialect, is_ascii }
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

    /// Whether two characters are the same when case is ignored.
    pub fn same(&self, a: u32, b: u32) -> bool {
        a == b || self.other_cases(a).contains(&b)
    }

    /// A character with its other cases; `None` if it has none.
    pub fn cases(&self, c: u32) -> Option<Arc<CodePoints>> {
        if !self.is_cased(c) {
            return None;
        }
        let make = |_: &Key| -> Result<CodePoints> { Ok(self.all_cases(&CodePoints::single(c))) };
        self.dialect.regex_classes.get_or_make(Key::Char { c, is_ascii: self.is_ascii }, make).ok()
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
        let key = Key::Set { set: set.clone(), ignore_case, is_ascii: self.is_ascii };
        self.dialect.regex_classes.get_or_make(key, |_| match &set.kind {
            // A property alone is compared in its own way.
            SetKind::Property(property) => Ok(self.property(property, ignore_case)?.complement()),
            _ => self.evaluated(set, ignore_case),
        })
    }

    fn evaluated(&self, set: &Set, ignore_case: bool) -> Result<CodePoints> {
        let leaf = |members: CodePoints| if ignore_case { self.all_cases(&members) } else { members };
        let members = match &set.kind {
            SetKind::Char(c) => leaf(CodePoints::single(*c)),
            SetKind::Range(lo, hi) => leaf(CodePoints::from_ranges([(*lo, *hi)])),
            SetKind::Property(property) => leaf((*self.property(property, false)?).clone()),
            SetKind::Union(items) => {
                let mut ranges = Vec::new();
                let mut plain = Vec::new();
                for item in items {
                    match (&item.kind, item.positive) {
                        (SetKind::Char(c), true) => plain.push((*c, *c)),
                        (SetKind::Range(lo, hi), true) => plain.push((*lo, *hi)),
                        _ => ranges.extend_from_slice(self.evaluated(item, ignore_case)?.ranges()),
                    }
                }
                ranges.extend_from_slice(leaf(CodePoints::from_ranges(plain)).ranges());
                CodePoints::from_ranges(ranges)
            }
            SetKind::Difference(items) => self.combined(items, ignore_case, |a, b| a.difference(b))?,
            SetKind::Intersection(items) => self.combined(items, ignore_case, |a, b| a.intersection(b))?,
            SetKind::SymmetricDifference(items) => {
                self.combined(items, ignore_case, |a, b| a.symmetric_difference(b))?
            }
        };
        Ok(if set.positive { members } else { members.complement() })
    }

    fn combined(
        &self,
        items: &[Set],
        ignore_case: bool,
        operation: impl Fn(&CodePoints, &CodePoints) -> CodePoints,
    ) -> Result<CodePoints> {
        let mut result: Option<CodePoints> = None;
        for item in items {
            let item = self.evaluated(item, ignore_case)?;
            result = Some(match result {
                Some(before) => operation(&before, &item),
                None => item,
            });
        }
        Ok(result.unwrap_or_default())
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
            PropertyRef::Named(named) if self.is_ascii && named.encoding != Encoding::Unicode => {
                let query = PropertyQuery {
                    name: named.name.as_deref(),
                    value: &named.value,
                    posix: named.posix,
                    encoding: PropertyEncoding::Ascii,
                };
                let found = self.dialect.resolver.property(query)?;
                found.map(|f| if ignore_case { f.members_ignoring_case } else { f.members }).unwrap_or_default()
            }
            PropertyRef::Named(named) if ignore_case => named.members_ignoring_case.clone(),
            PropertyRef::Named(named) => named.members.clone(),
        })
    }

    /// What a character folds to in full.
    pub fn folded(&self, c: u32) -> Cow<'a, [u32]> {
        match self.dialect.tables.folding.get(c) {
            [] => Cow::Owned(vec![c]),
            folded => Cow::Borrowed(folded),
        }
    }

    /// The characters that fold to more than one, with what they fold to.
    pub fn expanding(&self) -> impl Iterator<Item = (u32, &'a [u32])> {
        let tables = &self.dialect.tables;
        tables.expanding.iter().map(|&c| (c, tables.folding.get(c))).filter(|(_, folded)| folded.len() > 1)
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
