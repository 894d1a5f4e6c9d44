//! Rows of a mask: bit `i % 32` of word `i / 32` is token `i`.

#[inline]
pub(crate) fn set(row: &mut [u32], token: u32) {
    row[token as usize / 32] |= 1 << (token % 32);
}

#[inline]
pub(crate) fn unset(row: &mut [u32], token: u32) {
    row[token as usize / 32] &= !(1 << (token % 32));
}

#[inline]
pub(crate) fn is_set(row: &[u32], token: u32) -> bool {
    row[token as usize / 32] >> (token % 32) & 1 == 1
}
