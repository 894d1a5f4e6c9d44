//! Sets of tokens as rows of words: bit `i % 32` of word `i / 32` is token `i`.

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

/// The ids of a bit set, ascending.
pub(crate) fn members(words: &[u32]) -> impl Iterator<Item = u32> + '_ {
    words.iter().enumerate().flat_map(|(index, &word)| {
        std::iter::successors(Some(word), |&rest| Some(rest & rest.wrapping_sub(1)))
            .take_while(|&rest| rest != 0)
            .map(move |rest| index as u32 * 32 + rest.trailing_zeros())
    })
}
