//! Describes sets of characters in words, for messages: `a digit, or "."`.

use crate::codepoints::CodePoints;

/// The most characters or ranges that are listed; the others are counted.
const LISTED: usize = 8;

/// The allowed continuations in words: characters, special tokens, the end. `started`: in the middle of a character.
pub fn expectation(next: &CodePoints, alphabet: &CodePoints, specials: &[u32], started: bool, may_end: bool) -> String {
    let mut words = if next.is_empty() { Vec::new() } else { items(next, alphabet) };
    words.extend(specials.iter().take(LISTED).map(|id| format!("the special token {id}")));
    if specials.len() > LISTED {
        words.push(format!("one of {} other special tokens", grouped((specials.len() - LISTED) as u64)));
    }
    if may_end {
        words.push("the end of the text".to_owned());
    }
    let joined = joined(&words);
    if started { format!("the rest of a character: {joined}") } else { joined }
}

/// A set of characters in words. A set that lacks few characters of `alphabet` is described by its complement.
pub fn describe(set: &CodePoints, alphabet: &CodePoints) -> String {
    joined(&items(set, alphabet))
}

fn joined(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}, or {last}", first.join(", ")),
    }
}

fn items(set: &CodePoints, alphabet: &CodePoints) -> Vec<String> {
    let missing = alphabet.difference(set);
    if missing.is_empty() && set.count() > LISTED as u64 {
        return vec!["any character".to_owned()];
    }
    if !missing.is_empty() && missing.count() <= 6 && missing.count() * 4 < set.count() {
        let names: Vec<String> = listed(&missing, usize::MAX);
        return vec![format!("any character except {}", joined(&names).replace(", or ", " and "))];
    }
    let mut rest = set.clone();
    let mut words = Vec::new();
    let mut take = |ranges: &[(u32, u32)], name: &str, rest: &mut CodePoints| {
        let all = CodePoints::from_ranges(ranges.iter().copied());
        let known = all.intersection(alphabet);
        // The name of a class would be wrong for a vocabulary that can spell few of its characters.
        if known.count() * 2 > all.count() && known.is_subset(rest) {
            *rest = rest.difference(&known);
            words.push(name.to_owned());
        }
    };
    const DIGITS: (u32, u32) = (0x30, 0x39);
    const UPPER: (u32, u32) = (0x41, 0x5A);
    const LOWER: (u32, u32) = (0x61, 0x7A);
    let letters = CodePoints::from_ranges([UPPER, LOWER]);
    let hexadecimal = CodePoints::from_ranges([DIGITS, (0x41, 0x46), (0x61, 0x66)]);
    let without = |part: &CodePoints| letters.difference(&hexadecimal).intersection(part).is_empty();
    if without(set) && !hexadecimal.intersection(&letters).intersection(set).is_empty() {
        take(hexadecimal.ranges(), "a hexadecimal digit", &mut rest);
    }
    take(&[DIGITS], "a digit", &mut rest);
    take(&[UPPER, LOWER], "a letter from A to Z or a to z", &mut rest);
    take(&[UPPER], "an uppercase letter from A to Z", &mut rest);
    take(&[LOWER], "a lowercase letter from a to z", &mut rest);
    let beyond = CodePoints::from_ranges([(0x80, crate::codepoints::MAX)]);
    let all_beyond = beyond.intersection(alphabet);
    let far = rest.intersection(&beyond);
    let mut last = None;
    if all_beyond.count() > LISTED as u64 && all_beyond.is_subset(&far) {
        last = Some("any character beyond ASCII".to_owned());
        rest = rest.difference(&beyond);
    } else if far.ranges().len() > LISTED {
        last = Some(format!("one of {} characters beyond ASCII", grouped(far.count())));
        rest = rest.difference(&beyond);
    }
    words.extend(listed(&rest, LISTED));
    words.extend(last);
    words
}

/// The members, one by one or in ranges; beyond `limit` they are counted.
fn listed(set: &CodePoints, limit: usize) -> Vec<String> {
    let mut words = Vec::new();
    let mut named = 0;
    for &(lo, hi) in set.ranges() {
        if words.len() >= limit {
            words.push(format!("one of {} other characters", grouped(set.count() - named)));
            break;
        }
        named += u64::from(hi - lo) + 1;
        match hi - lo {
            0 => words.push(name(lo)),
            1 => words.extend([name(lo), name(hi)]),
            _ => words.push(format!("{} to {}", name(lo), name(hi))),
        }
    }
    words
}

/// One character, readable.
fn name(code: u32) -> String {
    match char::from_u32(code) {
        Some(' ') => "a space".to_owned(),
        Some('\n') => "a newline".to_owned(),
        Some('\t') => "a tab".to_owned(),
        Some('\r') => "a carriage return".to_owned(),
        Some('"') => "'\"'".to_owned(),
        // Characters that Rust escapes (controls, combining marks, unassigned code points) are shown by their number.
        Some(c) if c == '\\' || c == '\'' || c.escape_debug().len() == 1 => format!("\"{c}\""),
        _ => format!("U+{code:04X}"),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> CodePoints {
        CodePoints::from_ranges(text.chars().map(|c| (u32::from(c), u32::from(c))))
    }

    fn words(set: &CodePoints) -> String {
        describe(set, &CodePoints::scalars())
    }

    #[test]
    fn sets_read_as_a_person_would_say_them() {
        let digits = CodePoints::single(0x30).union(&CodePoints::from_ranges([(0x30, 0x39)]));
        assert_eq!(words(&digits.union(&of("."))), "a digit, or \".\"");
        assert_eq!(words(&digits), "a digit");
        assert_eq!(words(&of("\"")), "'\"'");
        assert_eq!(words(&of("\n \\'")), "a newline, a space, \"'\", or \"\\\"");
        assert_eq!(words(&of("0123456789abcdefABCDEF")), "a hexadecimal digit");
        assert_eq!(words(&of("abcd\u{301}\u{0}")), "U+0000, \"a\" to \"d\", or U+0301");
        assert_eq!(words(&CodePoints::scalars()), "any character");
        assert_eq!(words(&CodePoints::scalars().difference(&of("\n"))), "any character except a newline");
        assert_eq!(words(&CodePoints::scalars().difference(&of("\"\\"))), "any character except '\"' and \"\\\"");
        assert_eq!(words(&CodePoints::empty()), "nothing");
        assert_eq!(words(&CodePoints::from_ranges([(0x80, 0x10_FFFF)])), "any character beyond ASCII");
        assert_eq!(
            words(&CodePoints::from_ranges((0..20).map(|i| (33 + 4 * i, 33 + 4 * i)))),
            "\"!\", \"%\", \")\", \"-\", \"1\", \"5\", \"9\", \"=\", or one of 12 other characters"
        );
    }

    #[test]
    fn the_end_and_a_started_character_are_named() {
        let all = CodePoints::scalars();
        assert_eq!(expectation(&of("."), &all, &[], false, true), "\".\", or the end of the text");
        assert_eq!(expectation(&CodePoints::empty(), &all, &[], false, true), "the end of the text");
        assert_eq!(expectation(&CodePoints::empty(), &all, &[7], false, false), "the special token 7");
        let many: Vec<u32> = (0..1010).collect();
        let words = expectation(&of("."), &all, &many, false, true);
        assert!(words.starts_with("\".\", the special token 0, the special token 1, "), "{words}");
        assert!(
            words.ends_with("the special token 7, one of 1,002 other special tokens, or the end of the text"),
            "{words}"
        );
        assert_eq!(expectation(&of("é"), &all, &[], true, false), "the rest of a character: \"é\"");
    }
}
