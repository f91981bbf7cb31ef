//! A fast hash of bytes, the same on every machine and for ever: by it images are compared and folded. It is for
//! simulation and must never be used against somebody who chooses the bytes.

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A hash that is being computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Digest {
        Digest(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn number(self, number: u64) -> Digest {
        Digest(mixed(self.0, number))
    }

    /// The bytes and how many they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Digest {
        let mut lanes = [self.0, !self.0, self.0.rotate_left(17), self.0.rotate_left(43)];
        let mut chunks = bytes.chunks_exact(32);
        for chunk in &mut chunks {
            for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
                *lane = mixed(*lane, word_of(word));
            }
        }
        let whole = lanes.into_iter().fold(Digest::new().number(bytes.len() as u64), Digest::number);
        chunks.remainder().chunks(8).fold(whole, |digest, word| digest.number(word_of(word)))
    }

    pub(crate) fn finish(self) -> u64 {
        mixed(self.0, MULTIPLIER)
    }
}

/// Every bit of the two is in many bits of this: the halves of a product, one over the other.
fn mixed(one: u64, two: u64) -> u64 {
    let product = u128::from(one ^ two) * u128::from(MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64).rotate_left(11)
}

/// Up to eight bytes as a number.
fn word_of(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Digest;

    fn of(bytes: &[u8]) -> u64 {
        Digest::new().bytes(bytes).finish()
    }

    #[test]
    fn every_flipped_bit_and_every_length_has_another_hash() {
        let whole = [0x5a_u8; 75];
        let mut seen = BTreeSet::from([of(&whole)]);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(of(&bytes)), "bit {bit}");
        }
        (0..75).for_each(|len| assert!(seen.insert(of(&whole[..len])), "{len} bytes"));
        assert!((1..75).all(|len| seen.insert(of(&vec![0; len]))));
    }

    #[test]
    fn swapped_parts_have_another_hash() {
        let (one, two) = ([1_u8; 32], [2_u8; 32]);
        assert_ne!(of(&[one, two].concat()), of(&[two, one].concat()));
        assert_ne!(Digest::new().number(1).number(2), Digest::new().number(2).number(1));
    }
}
