//! Crockford's base32.

/// The alphabet: no I, L, O, U.
pub(super) const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Returns the symbol of five bits. `symbol` counts from the lowest bits.
pub(super) fn symbol_at(bits: u128, symbol: usize) -> char {
    char::from(ALPHABET[(bits >> (5 * symbol) & 31) as usize])
}
