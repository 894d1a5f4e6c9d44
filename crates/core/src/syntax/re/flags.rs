//! The flags of `re`.

pub const TEMPLATE: u32 = 0x1;
pub const IGNORECASE: u32 = 0x2;
pub const LOCALE: u32 = 0x4;
pub const MULTILINE: u32 = 0x8;
pub const DOTALL: u32 = 0x10;
pub const UNICODE: u32 = 0x20;
pub const VERBOSE: u32 = 0x40;
pub const DEBUG: u32 = 0x80;
pub const ASCII: u32 = 0x100;

/// Flags that exclude each other.
pub const TYPES: u32 = ASCII | LOCALE | UNICODE;

/// Flags of `re` as this version knows them.
pub fn known(minor: u8) -> u32 {
    let template = if minor < 13 { TEMPLATE } else { 0 };
    IGNORECASE | LOCALE | MULTILINE | DOTALL | UNICODE | VERBOSE | DEBUG | ASCII | template
}

/// The flag of a letter in `(?…)`.
pub fn of_letter(c: u32, minor: u8) -> Option<u32> {
    match char::from_u32(c)? {
        'i' => Some(IGNORECASE),
        'L' => Some(LOCALE),
        'm' => Some(MULTILINE),
        's' => Some(DOTALL),
        'x' => Some(VERBOSE),
        'a' => Some(ASCII),
        't' if minor < 13 => Some(TEMPLATE),
        'u' => Some(UNICODE),
        _ => None,
    }
}

/// The flags inside a group that turns `on` and `off`.
pub fn combined(flags: u32, on: u32, off: u32) -> u32 {
    let kept = if on & TYPES != 0 { flags & !TYPES } else { flags };
    (kept | on) & !off
}
