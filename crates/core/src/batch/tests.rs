use super::*;
use crate::mask::tests::ids;
use crate::matcher::tests::{mask, sample};

#[test]
fn a_batch_gets_the_masks_of_its_rows() {
    let texts: [&[u8]; 4] = [b"", b"a", b"\xC3", b"ab"];
    let matchers: Vec<Matcher> = (0..40)
        .map(|index| {
            let mut matcher = sample();
            matcher.advance_bytes(texts[index % 4]).unwrap();
            matcher
        })
        .collect();
    let expected: Vec<Vec<u32>> = matchers.iter().take(4).map(mask).collect();
    for threads in [1, 2, 7] {
        let mut out = [u32::MAX; 80];
        fill_masks(matchers.iter().zip(out.chunks_mut(2)), threads).unwrap();
        for (row, chunk) in out.chunks(2).enumerate() {
            assert_eq!(ids(chunk), expected[row % 4]);
        }
    }
}
