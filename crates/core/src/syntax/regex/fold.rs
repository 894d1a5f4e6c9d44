//! Which characters a pattern of `regex` compares together. The library flattens sequences, moves common beginnings
//! out of alternatives, turns alternatives of one character into sets, and packs runs of characters into strings; under
//! full case folding (`ss` matches `ß`) and for properties with case ignored, the language depends on each of these
//! steps, so they are taken here as the library takes them. Inside fuzzy items it takes none.

use super::class::{Classes, flattened};
use super::flags::{FULL_IGNORECASE, IGNORECASE};
use super::tree::{Any, Node, Place, Set, SetKind, sequence};
use crate::error::Result;
use crate::syntax::ast::Direction;

/// The tree as the library compiles it.
pub fn optimised(tree: Node, classes: &Classes<'_>) -> Result<Node> {
    Ok(pack(optimise(tree, false, classes)?, classes))
}

fn optimise(node: Node, reverse: bool, classes: &Classes<'_>) -> Result<Node> {
    let boxed = |node: Box<Node>, reverse: bool| optimise(*node, reverse, classes).map(Box::new);
    Ok(match node {
        Node::Sequence(items) => {
            let mut flat = Vec::with_capacity(items.len());
            for item in items {
                match optimise(item, reverse, classes)? {
                    Node::Sequence(inner) => flat.extend(inner),
                    item => flat.push(item),
                }
            }
            sequence(flat)
        }
        Node::Branch(branches) => optimise_branches(branches, reverse, classes)?,
        Node::Set { set, case, at } => with_foldings(set, case, at, classes)?,
        Node::Repeat { min, max, kind, body } => Node::Repeat { min, max, kind, body: boxed(body, reverse)? },
        Node::Group { index, body } => Node::Group { index, body: boxed(body, reverse)? },
        Node::Atomic(body) => {
            let body = boxed(body, reverse)?;
            if body.is_empty() { *body } else { Node::Atomic(body) }
        }
        Node::Look { direction, negated, body, at } => {
            let body = boxed(body, direction == Direction::Behind)?;
            if !negated && body.is_empty() { *body } else { Node::Look { direction, negated, body, at } }
        }
        Node::Conditional { group, yes, no, position } => {
            Node::Conditional { group, yes: boxed(yes, reverse)?, no: boxed(no, reverse)?, position }
        }
        Node::LookConditional { direction, negated, test, yes, no, at } => {
            let behind = direction == Direction::Behind;
            let (test, yes, no) = (boxed(test, behind)?, boxed(yes, behind)?, boxed(no, behind)?);
            Node::LookConditional { direction, negated, test, yes, no, at }
        }
        node => node,
    })
}

/// Whether something is compared with a text of another number of characters.
pub fn folds_to_several(node: &Node, classes: &Classes<'_>) -> bool {
    let any = |nodes: &[&Node]| nodes.iter().any(|node| folds_to_several(node, classes));
    match node {
        Node::Folded(_) => true,
        Node::Char { c, case } => *case == FULL_IGNORECASE && classes.folded(*c).len() > 1,
        Node::Sequence(items) | Node::Branch(items) => items.iter().any(|item| folds_to_several(item, classes)),
        Node::Repeat { body, .. } | Node::Group { body, .. } | Node::Atomic(body) | Node::Look { body, .. } => {
            folds_to_several(body, classes)
        }
        Node::Conditional { yes, no, .. } => any(&[yes, no]),
        Node::LookConditional { test, yes, no, .. } => any(&[test, yes, no]),
        _ => false,
    }
}

/// A set together with the strings that its members fold to.
fn with_foldings(set: Set, case: u32, at: Place, classes: &Classes<'_>) -> Result<Node> {
    if set.positive && is_everything(&set) {
        return Ok(Node::Any(Any::All));
    }
    let foldable = match set.kind {
        SetKind::Property(_) | SetKind::Char(_) => false,
        _ => set.positive && case == FULL_IGNORECASE,
    };
    let mut strings: Vec<Node> = Vec::new();
    if foldable {
        for (c, folded) in classes.expanding() {
            let string = Node::Folded(folded.into_owned());
            if classes.is_member(&set, c)? && !strings.contains(&string) {
                strings.push(string);
            }
        }
    }
    let node = match set {
        Set { positive: true, kind: SetKind::Char(c) } => Node::Char { c, case },
        set => Node::Set { set, case, at },
    };
    if strings.is_empty() {
        return Ok(node);
    }
    strings.insert(0, node);
    Ok(Node::Branch(strings))
}

/// Whether the library sees that a set holds a property and its opposite.
pub fn is_everything(set: &Set) -> bool {
    let SetKind::Union(items) = &set.kind else { return false };
    let items = flattened(items, &|kind| match kind {
        SetKind::Union(items) => Some(items),
        _ => None,
    });
    let opposite = |a: &Set| items.iter().any(|b| a.positive != b.positive && a.kind == b.kind);
    items.iter().any(|item| matches!(item.kind, SetKind::Property(_)) && opposite(item))
}

/// Whether a part of a set holds a property and its opposite.
pub fn has_opposites(set: &Set) -> bool {
    match &set.kind {
        SetKind::Union(items) => is_everything(set) || items.iter().any(has_opposites),
        SetKind::Difference(items) | SetKind::Intersection(items) | SetKind::SymmetricDifference(items) => {
            items.iter().any(has_opposites)
        }
        SetKind::Char(_) | SetKind::Range(..) | SetKind::Property(_) => false,
    }
}

fn optimise_branches(branches: Vec<Node>, reverse: bool, classes: &Classes<'_>) -> Result<Node> {
    let mut flat = Vec::with_capacity(branches.len());
    for branch in branches {
        match optimise(branch, reverse, classes)? {
            Node::Branch(inner) => flat.extend(inner),
            branch => flat.push(branch),
        }
    }
    if flat.is_empty() {
        return Ok(Node::EMPTY);
    }
    let mut alternatives: Vec<Vec<Node>> = flat
        .into_iter()
        .map(|branch| match branch {
            Node::Sequence(items) => items,
            branch => vec![branch],
        })
        .collect();
    let count = common(&alternatives, reverse, classes);
    let mut shared = Vec::new();
    if count > 0 {
        for alternative in &mut alternatives {
            let at = if reverse { alternative.len() - count } else { count };
            let rest = alternative.split_off(at);
            let (common, own) =
                if reverse { (rest, std::mem::take(alternative)) } else { (std::mem::take(alternative), rest) };
            *alternative = own;
            shared = common;
        }
    }
    let mut branches = merged_characters(alternatives.into_iter().map(sequence).collect(), classes)?;
    let middle = if branches.len() == 1 { branches.remove(0) } else { Node::Branch(branches) };
    let mut items = Vec::with_capacity(shared.len() + 1);
    if reverse {
        items.push(middle);
        items.extend(shared);
    } else {
        items.extend(shared);
        items.push(middle);
    }
    Ok(sequence(items))
}

/// How many items all alternatives begin with, or end with.
fn common(alternatives: &[Vec<Node>], reverse: bool, classes: &Classes<'_>) -> usize {
    let at = |items: &[Node], index: usize| if reverse { items.len() - 1 - index } else { index };
    let first = &alternatives[0];
    let longest = alternatives.iter().map(Vec::len).min().unwrap_or(0);
    let is_common = |&index: &usize| {
        let item = &first[at(first, index)];
        can_be_affix(item) && alternatives.iter().all(|a| a[at(a, index)] == *item)
    };
    let mut count = (0..longest).take_while(is_common).count();
    let splits = |items: &Vec<Node>, count: usize| {
        if reverse { can_split_behind(items, count, classes) } else { can_split(items, count, classes) }
    };
    while count > 0 && !alternatives.iter().all(|a| splits(a, count)) {
        count -= 1;
    }
    count
}

fn can_be_affix(node: &Node) -> bool {
    match node {
        Node::Sequence(_) | Node::Repeat { .. } | Node::Group { .. } => false,
        Node::Branch(branches) => branches.iter().all(can_be_affix),
        Node::Fuzzy { .. } => false,
        Node::Atomic(body) | Node::Look { body, .. } => can_be_affix(body),
        Node::Conditional { yes, no, .. } => can_be_affix(yes) && can_be_affix(no),
        Node::LookConditional { test, yes, no, .. } => [test, yes, no].into_iter().all(|n| can_be_affix(n)),
        _ => true,
    }
}

fn can_split(items: &[Node], count: usize, classes: &Classes<'_>) -> bool {
    let count = count as isize;
    if !is_full(items, count - 1) || !is_full(items, count) {
        return true;
    }
    !(is_folding(items, count - 1, count + 1, classes)
        || (is_full(items, count + 2) && is_folding(items, count - 1, count + 2, classes))
        || (is_full(items, count - 2) && is_folding(items, count - 2, count + 1, classes)))
}

fn can_split_behind(items: &[Node], count: usize, classes: &Classes<'_>) -> bool {
    let at = items.len() as isize - count as isize;
    if !is_full(items, at) || !is_full(items, at - 1) {
        return true;
    }
    !(is_folding(items, at - 1, at + 1, classes)
        || (is_full(items, at + 2) && is_folding(items, at - 1, at + 2, classes))
        || (is_full(items, at - 2) && is_folding(items, at - 2, at + 1, classes)))
}

fn is_full(items: &[Node], index: isize) -> bool {
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    matches!(item, Some(Node::Char { case: FULL_IGNORECASE, .. }))
}

/// Whether these characters together are what one character folds to.
fn is_folding(items: &[Node], from: isize, to: isize, classes: &Classes<'_>) -> bool {
    let Ok(from) = usize::try_from(from) else { return false };
    let slice = &items[from.min(items.len())..(to as usize).min(items.len())];
    let mut folded = Vec::new();
    for item in slice {
        match item {
            Node::Char { c, case } if *case != 0 => folded.extend_from_slice(&classes.folded(*c)),
            _ => return false,
        }
    }
    slice.len() > 1 && classes.expanding().any(|(_, expansion)| *expansion == folded[..])
}

/// Alternatives of one character side by side become one set.
fn merged_characters(branches: Vec<Node>, classes: &Classes<'_>) -> Result<Vec<Node>> {
    let mut merged = Vec::with_capacity(branches.len());
    let mut members: Vec<Set> = Vec::new();
    let (mut case, mut at) = (0, Place::default());
    for branch in branches {
        let (set, its_case) = match branch {
            Node::Char { c, case } => (Set { positive: true, kind: SetKind::Char(c) }, case),
            Node::Set { set, case, at: its_place } if !matches!(set.kind, SetKind::Range(..)) => {
                at = its_place;
                (set, case)
            }
            branch => {
                flush_members(&mut members, (case, at), &mut merged, classes)?;
                merged.push(branch);
                continue;
            }
        };
        if its_case != case {
            flush_members(&mut members, (case, at), &mut merged, classes)?;
            case = its_case;
        }
        if !members.contains(&set) {
            members.push(set);
        }
    }
    flush_members(&mut members, (case, at), &mut merged, classes)?;
    Ok(merged)
}

fn flush_members(
    members: &mut Vec<Set>,
    (case, at): (u32, Place),
    merged: &mut Vec<Node>,
    classes: &Classes<'_>,
) -> Result<()> {
    match members.len() {
        0 => {}
        1 => merged.push(with_foldings(members.remove(0), case, at, classes)?),
        _ => {
            let union = Set { positive: true, kind: SetKind::Union(std::mem::take(members)) };
            merged.push(with_foldings(union, case, at, classes)?);
        }
    }
    Ok(())
}

// --- packing ---

fn pack(node: Node, classes: &Classes<'_>) -> Node {
    let boxed = |node: Box<Node>| Box::new(pack(*node, classes));
    match node {
        Node::Sequence(items) => pack_sequence(items, classes),
        Node::Branch(branches) => Node::Branch(branches.into_iter().map(|b| pack(b, classes)).collect()),
        Node::Repeat { min, max, kind, body } => Node::Repeat { min, max, kind, body: boxed(body) },
        Node::Group { index, body } => Node::Group { index, body: boxed(body) },
        Node::Atomic(body) => Node::Atomic(boxed(body)),
        Node::Look { direction, negated, body, at } => Node::Look { direction, negated, body: boxed(body), at },
        Node::Conditional { group, yes, no, position } => {
            Node::Conditional { group, yes: boxed(yes), no: boxed(no), position }
        }
        Node::LookConditional { direction, negated, test, yes, no, at } => {
            Node::LookConditional { direction, negated, test: boxed(test), yes: boxed(yes), no: boxed(no), at }
        }
        node => node,
    }
}

fn pack_sequence(nodes: Vec<Node>, classes: &Classes<'_>) -> Node {
    let mut items = Vec::with_capacity(nodes.len());
    let mut characters: Vec<u32> = Vec::new();
    let mut case = 0;
    for node in nodes {
        match node {
            Node::Char { c, case: its_case } => {
                if its_case != case && (its_case != 0 || classes.is_cased_in_run(c)) {
                    flush_characters(&mut characters, case, &mut items, classes);
                    case = its_case;
                }
                characters.push(c);
            }
            node => {
                flush_characters(&mut characters, case, &mut items, classes);
                items.push(pack(node, classes));
            }
        }
    }
    flush_characters(&mut characters, case, &mut items, classes);
    sequence(items)
}

fn flush_characters(characters: &mut Vec<u32>, case: u32, items: &mut Vec<Node>, classes: &Classes<'_>) {
    let characters = std::mem::take(characters);
    let cased = case & IGNORECASE != 0 && characters.iter().any(|&c| classes.is_cased_in_run(c));
    if case != FULL_IGNORECASE || !cased {
        let case = if cased { case } else { 0 };
        items.extend(characters.into_iter().map(|c| Node::Char { c, case }));
        return;
    }
    let mut position = 0;
    for (start, end) in chunks(&characters, classes) {
        // Positions are those of the folded text, as in the library: behind a character that folds to two, they lag.
        let clip = |index: usize| index.min(characters.len());
        items.extend(
            characters[clip(position)..clip(start).max(clip(position))]
                .iter()
                .map(|&c| Node::Char { c, case: IGNORECASE }),
        );
        match &characters[clip(start)..clip(end)] {
            [] => {}
            [c] => items.push(Node::Char { c: *c, case: FULL_IGNORECASE }),
            run => items.push(Node::Folded(run.iter().flat_map(|&c| classes.folded(c).into_owned()).collect())),
        }
        position = end;
    }
    let rest = characters.get(position..).unwrap_or_default();
    items.extend(rest.iter().map(|&c| Node::Char { c, case: IGNORECASE }));
}

/// Where the folded text holds what a character folds to.
fn chunks(characters: &[u32], classes: &Classes<'_>) -> Vec<(usize, usize)> {
    let mut folded: Vec<u32> = characters.iter().flat_map(|&c| classes.folded(c).into_owned()).collect();
    // The library looks at the lower case, where `İ` has two characters.
    while let Some(index) = folded.iter().position(|&c| c == 0x130) {
        folded.splice(index..=index, [0x69, 0x307]);
    }
    let expansions: Vec<_> = classes.expanding().map(|(_, folded)| folded).filter(|f| f.len() > 1).collect();
    let mut chunks: Vec<(usize, usize)> = Vec::new();
    for start in 0..folded.len() {
        for expansion in &expansions {
            if folded[start..].starts_with(expansion) {
                chunks.push((start, start + expansion.len()));
            }
        }
    }
    chunks.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in chunks {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}
