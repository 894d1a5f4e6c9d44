//! The flags of `regex`.

pub const IGNORECASE: u32 = 0x2;
pub const LOCALE: u32 = 0x4;
pub const MULTILINE: u32 = 0x8;
pub const DOTALL: u32 = 0x10;
pub const UNICODE: u32 = 0x20;
pub const VERBOSE: u32 = 0x40;
pub const ASCII: u32 = 0x80;
pub const VERSION1: u32 = 0x100;
pub const DEBUG: u32 = 0x200;
pub const REVERSE: u32 = 0x400;
pub const WORD: u32 = 0x800;
pub const BESTMATCH: u32 = 0x1000;
pub const VERSION0: u32 = 0x2000;
pub const FULLCASE: u32 = 0x4000;
pub const ENHANCEMATCH: u32 = 0x8000;
pub const POSIX: u32 = 0x1_0000;

pub const VERSIONS: u32 = VERSION0 | VERSION1;
pub const ENCODINGS: u32 = ASCII | LOCALE | UNICODE;
/// Flags that count for the whole pattern wherever they are turned on.
pub const GLOBAL: u32 = VERSIONS | BESTMATCH | DEBUG | ENHANCEMATCH | POSIX | REVERSE;
pub const FULL_IGNORECASE: u32 = FULLCASE | IGNORECASE;
pub const KNOWN: u32 = 0x1_FFFF;

/// The flag of a letter in `(?…)`; `V` has its digit behind it.
pub fn of_letter(c: char, next: Option<char>) -> Option<u32> {
    Some(match (c, next) {
        ('a', _) => ASCII,
        ('b', _) => BESTMATCH,
        ('e', _) => ENHANCEMATCH,
        ('f', _) => FULLCASE,
        ('i', _) => IGNORECASE,
        ('L', _) => LOCALE,
        ('m', _) => MULTILINE,
        ('p', _) => POSIX,
        ('r', _) => REVERSE,
        ('s', _) => DOTALL,
        ('u', _) => UNICODE,
        ('V', Some('0')) => VERSION0,
        ('V', Some('1')) => VERSION1,
        ('w', _) => WORD,
        ('x', _) => VERBOSE,
        _ => return None,
    })
}

/// How case counts for an item, of the flags where it stands.
pub fn case(flags: u32) -> u32 {
    let case = if flags & ASCII != 0 { flags & IGNORECASE } else { flags & FULL_IGNORECASE };
    if case & IGNORECASE == 0 { 0 } else { case }
}
