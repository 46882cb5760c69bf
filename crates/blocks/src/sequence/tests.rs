#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

/// Writes a sequence, checks that it is read back, and returns the number of bits.
fn encoded_bits(values: &[i64], first: FirstValue) -> usize {
    let mut bits = BitWriter::default();
    write(&mut bits, values, first);
    bits.write(1, 1);
    let bytes = bits.finish();
    let mut bits = BitReader::new(&bytes);
    assert_eq!(read(&mut bits, values.len(), first).unwrap(), values);
    assert!(bits.read_bit().unwrap(), "the reader must stop where the writer stopped");
    bytes.len() * 8 - bits.remaining()
}

#[test]
fn constant_and_linear_sequences_are_small() {
    assert!(encoded_bits(&[500; 60], FirstValue::Signed) < 20);
    let line: Vec<i64> = (0..60).map(|n| 1_000_000 + n * 997).collect();
    assert!(encoded_bits(&line, FirstValue::Signed) < 60 * 6, "{}", encoded_bits(&line, FirstValue::Signed));
}

#[test]
fn rarely_changing_values_take_less_than_a_bit_each() {
    let steps: Vec<i64> = (0..120).map(|n| 90 + n / 30).collect();
    assert!(encoded_bits(&steps, FirstValue::Unsigned) < 60);
}

#[test]
fn extreme_values_round_trip() {
    let values = [i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MIN, 1, i64::MAX, i64::MAX];
    for first in [FirstValue::Signed, FirstValue::within(i64::MIN, i64::MAX)] {
        encoded_bits(&values, first);
        encoded_bits(&values[1..], first);
    }
    encoded_bits(&values[1..], FirstValue::Unsigned);
}

proptest! {
    #[test]
    fn sequences_round_trip(
        values in prop_oneof![
            prop::collection::vec(any::<i64>(), 0..40),
            prop::collection::vec(-3_i64..3, 0..200),
            prop::collection::vec(prop_oneof![9 => Just(7_i64), 1 => -1000_i64..1000], 0..200),
        ],
        unsigned: bool,
    ) {
        let is_unsigned = unsigned && values.first().is_none_or(|first| *first >= 0);
        encoded_bits(&values, if is_unsigned { FirstValue::Unsigned } else { FirstValue::Signed });
    }

    #[test]
    fn reading_arbitrary_bytes_never_panics(bytes: Vec<u8>, length in 0_usize..200) {
        let _ = read(&mut BitReader::new(&bytes), length, FirstValue::Signed);
    }
}
