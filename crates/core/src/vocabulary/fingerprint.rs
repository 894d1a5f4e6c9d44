//! A 128-bit hash of content: equal content has equal fingerprints; it detects accidents, not attacks.

/// A running fingerprint.
pub(crate) struct Fingerprint {
    a: u64,
    b: u64,
}

const P: u64 = 0x9E37_79B9_7F4A_7C15;
const Q: u64 = 0xD6E8_FEB8_6659_FD93;

fn fold(x: u64, y: u64) -> u64 {
    let product = u128::from(x) * u128::from(y);
    product as u64 ^ (product >> 64) as u64
}

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Fingerprint { a: 0x243F_6A88_85A3_08D3, b: 0x1319_8A2E_0370_7344 }
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.a = fold(self.a ^ value, P).wrapping_add(self.b);
        self.b = fold(self.b.rotate_left(23) ^ value, Q) ^ self.a.rotate_left(41);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn finish(mut self) -> u128 {
        self.number(P);
        self.number(Q);
        u128::from(self.a) << 64 | u128::from(self.b)
    }
}
