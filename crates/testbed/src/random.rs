use std::sync::atomic::{AtomicU64, Ordering};

use roadcast_ports::clock::Randomness;

/// Pseudorandom bits. The same seed returns the same bits.
#[derive(Debug)]
pub struct SeededRandomness(AtomicU64);

impl SeededRandomness {
    /// Returns a generator with this seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns the next 64 bits.
    pub fn bits64(&self) -> u64 {
        /// The odd increment of `SplitMix64`: 2^64 over the golden ratio.
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }
}

impl Randomness for SeededRandomness {
    fn bits(&self) -> u128 {
        u128::from(self.bits64()) << 64 | u128::from(self.bits64())
    }
}

/// Hashes a number to 64 bits (the finalizer of `SplitMix64`; Steele, Lea and Flood, 2014).
pub(crate) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_depend_on_the_seed_only() {
        let draw = |seed| {
            let random = SeededRandomness::new(seed);
            [random.bits(), random.bits()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let [first, second] = draw(7);
        assert_ne!(first, second);
    }
}
