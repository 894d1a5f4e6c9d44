//! The escapes that name a control character: the same in both dialects.

/// The character of `\a \b \f \n \r \t \v`.
pub(super) fn control(c: char) -> Option<u32> {
    Some(match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0C,
        'n' => 0x0A,
        'r' => 0x0D,
        't' => 0x09,
        'v' => 0x0B,
        _ => return None,
    })
}
