//! The hash of the paths of the catalogue.

use std::hash::{BuildHasherDefault, Hasher};

/// Creates hashers for the paths of the catalogue.
///
/// The table is never extended, so that a sender who knows the hash cannot make it slower. The hash of the standard library
/// prevents that for tables that grow, and takes several times as long.
pub(crate) type PathHash = BuildHasherDefault<PathHasher>;

/// Combines eight bytes at a time by multiplication.
#[derive(Default)]
pub(crate) struct PathHasher(u64);

/// An odd number without a pattern: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl PathHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    }
}

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (last, byte) in last.iter_mut().zip(rest) {
            *last = *byte;
        }
        self.add(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, _: u8) {
        // The end of a text, whose length is hashed already.
    }

    fn finish(&self) -> u64 {
        // The table uses the highest bits and the lowest ones; those of a product depend on fewer bits of its factors.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use super::*;
    use crate::Catalogue;

    #[test]
    fn paths_of_the_catalogue_have_different_hashes() {
        let hashes: HashSet<u64> = Catalogue::get().iter().map(|def| PathHash::default().hash_one(def.path)).collect();
        assert_eq!(hashes.len(), Catalogue::get().iter().len());
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0xFF).collect();
        assert!(low.len() * 2 > hashes.len().min(0xFF), "{} different low bytes of {} hashes", low.len(), hashes.len());
    }
}
