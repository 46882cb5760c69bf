//! Changes of valid encodings: flipped bits, truncation, parts repeated or removed, and numbers set to extremes.

use proptest::prelude::*;
use proptest::sample::Index;

/// One change of bytes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    /// The bytes from the index on are overwritten.
    Overwrite(Index, &'static [u8]),
    Insert(Index, Vec<u8>),
    Truncate(Index),
    /// The bytes between the first two indices are inserted at the third.
    Splice(Index, Index, Index),
    Remove(Index, Index),
}

/// Numbers at their limits: as LEB128, as plain bytes and as digits.
const EXTREMES: [&[u8]; 8] = [
    &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
    &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    &[0x80, 0x80, 0x04],
    &[0; 8],
    &[0xFF; 8],
    &[0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    b"9223372036854775808",
    b"1e400",
];

pub(crate) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let change = prop_oneof![
        4 => (at(), 0_u8..8).prop_map(|(index, bit)| Change::Flip(index, bit)),
        3 => (at(), any::<u8>()).prop_map(|(index, byte)| Change::Set(index, byte)),
        2 => (at(), prop::sample::select(EXTREMES.to_vec())).prop_map(|(index, bytes)| Change::Overwrite(index, bytes)),
        1 => (at(), any::<Vec<u8>>()).prop_map(|(index, bytes)| Change::Insert(index, bytes)),
        1 => at().prop_map(Change::Truncate),
        1 => (at(), at(), at()).prop_map(|(a, b, to)| Change::Splice(a, b, to)),
        1 => (at(), at()).prop_map(|(a, b)| Change::Remove(a, b)),
    ];
    prop::collection::vec(change, 1..6)
}

pub(crate) fn apply(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let position = |index: &Index| index.index(bytes.len() + 1);
        let range = |a: &Index, b: &Index| position(a).min(position(b))..position(a).max(position(b));
        match change {
            Change::Flip(index, bit) => {
                let at = position(index);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Change::Set(index, value) => {
                let at = position(index);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *value;
                }
            }
            Change::Overwrite(index, new) => {
                let at = position(index);
                bytes.iter_mut().skip(at).zip(*new).for_each(|(byte, new)| *byte = *new);
            }
            Change::Insert(index, new) => {
                let at = position(index);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Truncate(index) => bytes.truncate(position(index)),
            Change::Splice(a, b, to) => {
                let (part, at) = (bytes[range(a, b)].to_vec(), position(to));
                bytes.splice(at..at, part);
            }
            Change::Remove(a, b) => {
                let removed = range(a, b);
                bytes.drain(removed);
            }
        }
    }
    bytes
}
