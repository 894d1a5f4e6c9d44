//! Where the marked parts of a text begin and end, for a constraint that has marks.

use crate::codepoints::CodePoints;
use crate::cut_characters::whole_and_begun;
use crate::derivative::borders::{Span, borders};
use crate::derivative::calculus::Calculus;
use crate::error::Result;
use crate::expression::marked::{Marked, holds_marks, marked_rules};
use crate::limits::Limits;
use crate::mask::FindMarks;
use crate::symbols;
use crate::symbols::SPECIAL;
use crate::syntax::ast::Tree;
use crate::translate::translate;

/// A tree with marks; it is translated anew when it is first asked for them.
pub struct Marker {
    tree: Tree,
    alphabet: CodePoints,
    limits: Limits,
    ready: Option<(Calculus, Marked)>,
}

impl Marker {
    /// `None`: the tree has no marks.
    pub fn new(tree: &Tree, alphabet: &CodePoints, limits: &Limits) -> Option<Marker> {
        if !holds_marks(&tree.root, &marked_rules(&tree.rules)) {
            return None;
        }
        Some(Marker { tree: tree.clone(), alphabet: alphabet.clone(), limits: *limits, ready: None })
    }
}

impl FindMarks for Marker {
    fn marks(&mut self, text: &[u8]) -> Result<Vec<Span>> {
        let (text, specials) = symbols::split(text);
        // The last character may not be whole yet.
        let text = whole_and_begun(&text).map_or("", |(whole, _)| whole);
        let mut written: Vec<(usize, u32)> = text.char_indices().map(|(at, c)| (at, c.into())).collect();
        if !specials.is_empty() {
            let characters = std::mem::take(&mut written);
            let mut specials = specials.into_iter().map(|(at, id)| (at, SPECIAL + id)).peekable();
            for character in characters {
                while let Some(special) = specials.next_if(|special| special.0 <= character.0) {
                    written.push(special);
                }
                written.push(character);
            }
            written.extend(specials);
        }
        let (mut calculus, marked) = match self.ready.take() {
            Some(ready) => ready,
            None => {
                let alphabet = self.alphabet.intersection(&CodePoints::scalars());
                let made = translate(&self.tree.root, &self.tree.rules, &alphabet, self.limits.fuel, true)?;
                (made.calculus, made.marked)
            }
        };
        let spans = borders(&mut calculus, &marked, &written, text.len(), (self.limits.fuel, self.limits.memory_bytes));
        // What was derived on the way may be kept as long as it leaves room.
        if calculus.memory_bytes() as u64 <= self.limits.memory_bytes / 2 {
            self.ready = Some((calculus, marked));
        }
        spans
    }
}
