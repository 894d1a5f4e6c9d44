//! `[…]`, with nested sets and set operations under VERSION1, and `[:…:]`.

use super::class::Classes;
use super::flags;
use super::fold::{has_opposites, is_everything};
use super::parser::Parser;
use super::source::as_char;
use super::tree::{Encoding, NamedProperty, Node, Place, PropertyRef, Set, SetKind};
use crate::error::Result;
use crate::syntax::dialect::{PropertyEncoding, PropertyQuery};
use crate::syntax::failure::{refused, shown, unsupported};

const OPERATORS: [&str; 4] = ["||", "~~", "&&", "--"];

impl Parser<'_> {
    /// A set; the source stands behind its `[`, which is at `start`.
    pub(super) fn set(&mut self, start: usize) -> Result<Node> {
        let saved_ignore = std::mem::replace(&mut self.source.ignore_space, false);
        let negate = self.source.take("^");
        let set = if self.is_version_1() { self.set_union(start)? } else { self.set_members(start)? };
        self.close_set(start)?;
        self.source.ignore_space = saved_ignore;
        let set = if negate { set.negated() } else { set };
        self.refuse_misread(&set, start)?;
        Ok(self.set_node(set, start))
    }

    /// The library takes a set with a property and its opposite for everything, also where it is negated or stands
    /// inside another one (`[^\s\S]`). It is asked about such sets, so that a version without the fault serves them.
    fn refuse_misread(&mut self, set: &Set, start: usize) -> Result<()> {
        if !has_opposites(set) || (set.positive && is_everything(set)) {
            return Ok(());
        }
        let flags = self.flags & !(flags::VERBOSE | flags::GLOBAL) | self.flags & flags::VERSIONS;
        let members = Classes::new(self.dialect, flags).set(set, flags & flags::IGNORECASE != 0)?;
        // A lone surrogate is in no text, and in no string that can be handed over.
        let points = &self.source.text[start..self.source.position];
        let written: String = points.iter().filter_map(|&c| char::from_u32(c)).collect();
        match self.dialect.resolver.misreading(&written, flags, &members)? {
            None => Ok(()),
            Some(fault) => Err(unsupported(
                format!("the set {written}, which the library misreads: {fault}"),
                Some(start),
                r"write (?!) for nothing, [\s\S] for any character, or the set without what covers everything",
            )),
        }
    }

    /// A set as an item of the pattern: one character alone is that character.
    pub(super) fn set_node(&mut self, set: Set, start: usize) -> Node {
        let case = self.case();
        self.shape_matters |= case != 0 && !set.is_plain();
        match set {
            Set { positive: true, kind: SetKind::Char(c) } => Node::Char { c, case },
            set => Node::Set { set, case, at: Place(Some(start)) },
        }
    }

    fn close_set(&mut self, start: usize) -> Result<()> {
        if self.source.take("]") {
            return Ok(());
        }
        Err(refused("unterminated character set", start, r#"add "]" or escape "[" as "\[""#))
    }

    fn set_union(&mut self, start: usize) -> Result<Set> {
        self.operands("||", SetKind::Union, start, |parser| {
            parser.operands("~~", SetKind::SymmetricDifference, start, |parser| {
                parser.operands("&&", SetKind::Intersection, start, |parser| {
                    parser.operands("--", SetKind::Difference, start, |parser| parser.set_members(start))
                })
            })
        })
    }

    fn operands(
        &mut self,
        operator: &str,
        kind: fn(Vec<Set>) -> SetKind,
        _start: usize,
        mut operand: impl FnMut(&mut Self) -> Result<Set>,
    ) -> Result<Set> {
        let first = operand(self)?;
        if !self.source.take(operator) {
            return Ok(first);
        }
        let mut items = vec![first, operand(self)?];
        while self.source.take(operator) {
            items.push(operand(self)?);
        }
        Ok(Set::of(kind(items)))
    }

    /// Members side by side.
    fn set_members(&mut self, start: usize) -> Result<Set> {
        let mut items = Vec::new();
        self.set_member(start, &mut items)?;
        loop {
            let saved = self.source.position;
            if self.source.take("]") {
                self.source.position = saved;
                break;
            }
            if self.is_version_1() && OPERATORS.iter().any(|operator| self.source.take(operator)) {
                self.source.position = saved;
                break;
            }
            self.set_member(start, &mut items)?;
        }
        Ok(if items.len() == 1 { items.remove(0) } else { Set::of(SetKind::Union(items)) })
    }

    /// One member or one range; a hyphen that makes no range is a member of its own.
    fn set_member(&mut self, start: usize, items: &mut Vec<Set>) -> Result<()> {
        let low_position = self.source.position;
        let low = self.set_item(start)?;
        let before_hyphen = self.source.position;
        let Set { positive: true, kind: SetKind::Char(lo) } = low else {
            items.push(low);
            return Ok(());
        };
        if !self.source.take("-") {
            items.push(low);
            return Ok(());
        }
        let after_hyphen = self.source.position;
        if self.is_version_1() && self.source.take("-") {
            // The operator `--`.
            self.source.position = before_hyphen;
            items.push(low);
            return Ok(());
        }
        let hyphen = Set::of(SetKind::Char(u32::from('-')));
        if self.source.take("]") {
            self.source.position = after_hyphen;
            items.extend([low, hyphen]);
            return Ok(());
        }
        let high = self.set_item(start)?;
        let Set { positive: true, kind: SetKind::Char(hi) } = high else {
            items.extend([low, hyphen, high]);
            return Ok(());
        };
        if lo > hi {
            let range = shown(&self.source.text[low_position..self.source.position]);
            let message = format!("bad character range {range}");
            return Err(refused(message, low_position, "write the lower character first"));
        }
        items.push(if lo == hi { low } else { Set::of(SetKind::Range(lo, hi)) });
        Ok(())
    }

    fn set_item(&mut self, start: usize) -> Result<Set> {
        let saved = self.source.position;
        if self.source.take("\\") {
            return self.set_escape(saved);
        }
        if self.source.take("[:") {
            if let Some(set) = self.posix_class(saved)? {
                return Ok(set);
            }
            self.source.position = saved;
        }
        if self.is_version_1() && self.source.take("[") {
            self.enter(saved)?;
            let negate = self.source.take("^");
            let set = self.set_union(saved)?;
            self.close_set(saved)?;
            self.leave();
            return Ok(if negate { set.negated() } else { set });
        }
        match self.source.get() {
            Some(c) => Ok(Set::of(SetKind::Char(c))),
            None => Err(refused("unterminated character set", start, r#"add "]" or escape "[" as "\[""#)),
        }
    }

    fn posix_class(&mut self, start: usize) -> Result<Option<Set>> {
        let negate = self.source.take("^");
        let (name, value) = self.property_name();
        if !self.source.take(":]") {
            return Ok(None);
        }
        self.lookup(name.as_deref(), &value, !negate, true, start).map(Some)
    }

    /// `\p{…}` and `\pL`; `None` if it is just the letter.
    pub(super) fn property(&mut self, positive: bool, start: usize) -> Result<Option<Set>> {
        let saved = self.source.position;
        match self.source.get().map(as_char) {
            Some('{') => {
                let negate = self.source.take("^");
                let (name, value) = self.property_name();
                if self.source.take("}") {
                    return self.lookup(name.as_deref(), &value, positive != negate, false, start).map(Some);
                }
            }
            Some(c) if "CLMNPSZ".contains(c) => {
                return self.lookup(None, &c.to_string(), positive, false, start).map(Some);
            }
            _ => {}
        }
        self.source.position = saved;
        Ok(None)
    }

    fn property_name(&mut self) -> (Option<String>, String) {
        let part = |c: char| c.is_ascii_alphanumeric() || " &_-.".contains(c);
        let text = |points: Vec<u32>| points.into_iter().map(as_char).collect::<String>();
        let name = text(self.source.get_while(false, part));
        let saved = self.source.position;
        if matches!(self.source.get().map(as_char), Some(':' | '=')) {
            let value = text(self.source.get_while(false, |c| part(c) || c == '/'));
            let value = value.trim_matches(' ');
            if !value.is_empty() {
                return (Some(name), value.to_string());
            }
        }
        self.source.position = saved;
        (None, name)
    }

    fn lookup(&mut self, name: Option<&str>, value: &str, positive: bool, posix: bool, start: usize) -> Result<Set> {
        let encoding = if posix { Encoding::Pattern } else { self.encoding() };
        let asked = if encoding == Encoding::Ascii { PropertyEncoding::AsciiPart } else { PropertyEncoding::Unicode };
        // An empty name before `:` counts as none.
        let name = name.filter(|n| !n.is_empty());
        self.pay_for_property(name, value)?;
        let query = PropertyQuery { name, value, posix, encoding: asked };
        let Some(found) = self.dialect.resolver.property(query)? else {
            let full = name.map_or_else(|| value.to_string(), |name| format!("{name}={value}"));
            let remedy =
                "name a general category, script, block or property that regex knows, as in \\p{Lu} or \\p{Greek}";
            return Err(refused(format!("unknown property {full}"), start, remedy));
        };
        let negated = found.negated;
        let (name, value) = (name.map(str::to_string), value.to_string());
        let property = NamedProperty { name, value, posix, encoding, found, asked };
        let set = Set::of(SetKind::Property(PropertyRef::Named(property)));
        Ok(if positive == negated { set.negated() } else { set })
    }
}
