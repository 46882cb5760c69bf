#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use roadcast_signals::{Presence, Resolution, SignalPath};

use super::*;

/// Writes a sequence, checks that it is read back, and returns the number of bits.
fn encoded_bits(values: &[i64], first: FirstValue) -> usize {
    encoded_bits_after(&[], values, first)
}

/// Like [`encoded_bits`], for a sequence that may refer to the first of `earlier`.
fn encoded_bits_after(earlier: &[Column], values: &[i64], first: FirstValue) -> usize {
    let reference = earlier.first().and_then(|column| match &column.values {
        Values::Grid { points, .. } => Some(Reference { distance: earlier.len() as u64, numbers: points }),
        _ => None,
    });
    let mut bits = BitWriter::default();
    let mut writer = SequenceWriter::default();
    // The buffers of a longer sequence must not affect the next one.
    writer.write(&mut BitWriter::default(), &[1, 5, 5, 5, 2, 9, 1 << 60, 3], FirstValue::Signed, None);
    writer.write(&mut bits, values, first, reference);
    bits.write(1, 1);
    let bytes = bits.finish();
    let mut bits = BitReader::new(&bytes);
    assert_eq!(read(&mut bits, Version::Two, values.len(), first, earlier).unwrap(), values);
    assert!(bits.read_bit().unwrap(), "the reader must stop where the writer stopped");
    bytes.len() * 8 - bits.remaining()
}

/// Signals with these points.
fn signals<const N: usize>(points: [&[i64]; N]) -> [Column; N] {
    points.map(|points| Column {
        path: SignalPath::Unknown("acme.a".into()),
        presence: Presence::All,
        values: Values::Grid { resolution: Resolution::from_decimals(0).unwrap(), points: points.to_vec() },
    })
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

#[test]
fn numbers_proportional_to_an_earlier_signal_take_about_two_bits() {
    let fuel: Vec<i64> = (0..60).map(|n| 90 + (n * n * 7919) % 900).collect();
    let carbon_dioxide: Vec<i64> = fuel.iter().map(|fuel| (fuel * 235 + 50) / 100).collect();
    let alone = encoded_bits(&carbon_dioxide, FirstValue::Unsigned);
    let predicted = encoded_bits_after(&signals([&fuel, &[1]]), &carbon_dioxide, FirstValue::Unsigned);
    assert!(predicted < 60 * 2 && alone > 60 * 9, "{predicted} and {alone}");
}

#[test]
fn reference_to_a_signal_that_does_not_fit_is_malformed() {
    let mut bits = BitWriter::default();
    SequenceWriter::default().write(
        &mut bits,
        &[20, 40, 60, 200, 80, 1000],
        FirstValue::Signed,
        Some(Reference { distance: 2, numbers: &[10, 20, 30, 100, 40, 500] }),
    );
    let bytes = bits.finish();
    let read = |earlier: &[Column]| read(&mut BitReader::new(&bytes), Version::Two, 6, FirstValue::Signed, earlier);
    let [reference, other] = signals([&[10, 20, 30, 100, 40, 500], &[7; 6]]);
    assert_eq!(read(&[reference.clone(), other.clone()]), Ok(vec![20, 40, 60, 200, 80, 1000]));
    assert_eq!(read(&[]), Err(DecodeError::Malformed));
    assert_eq!(read(std::slice::from_ref(&other)), Err(DecodeError::Malformed));
    let shorter = Column { values: reference.values.slice(0..5), ..reference.clone() };
    assert_eq!(read(&[shorter, other.clone()]), Err(DecodeError::Malformed));
    let numbers = Column { values: Values::Numbers(vec![1.5; 6]), ..reference };
    assert_eq!(read(&[numbers, other]), Err(DecodeError::Malformed));
}

#[test]
fn wide_numbers_take_few_bits_more_than_their_width() {
    let mut state = 1_u64;
    let mut next = |width: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> (64 - width)).cast_signed()
    };
    for width in [1, 8, 14, 15, 16, 20, 31, 40, 52] {
        let values: Vec<i64> = (0..200).map(|_| next(width)).collect();
        let bits = encoded_bits(&values, FirstValue::Unsigned);
        assert!(bits < 200 * (width as usize + 3) + 100, "{bits} bits of width {width}");
    }
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
    fn sequences_with_a_reference_round_trip(
        pairs in prop_oneof![
            prop::collection::vec(any::<(i64, i64)>(), 1..40),
            prop::collection::vec((0_i64..2000, -3_i64..3), 1..100),
            prop::collection::vec((-3_i64..3, -3_i64..3), 1..100),
        ],
        factor in 1_i64..400,
    ) {
        let reference: Vec<i64> = pairs.iter().map(|(reference, _)| *reference).collect();
        let value = |(reference, noise): &(i64, i64)| (reference.wrapping_mul(factor) / 100).wrapping_add(*noise);
        let values: Vec<i64> = pairs.iter().map(value).collect();
        encoded_bits_after(&signals([&reference, &[]]), &values, FirstValue::Signed);
    }

    #[test]
    fn reading_arbitrary_bytes_never_panics(mut bytes: Vec<u8>, is_proportional: bool, length in 0_usize..200) {
        if is_proportional {
            // The first value 0, the form, distance 1.
            bytes.splice(..0, [0b1111_0001, 0b1_0000_0000_u16.to_le_bytes()[1]]);
        }
        let earlier = signals([&[5; 100], &[i64::MIN; 10]]);
        for version in [Version::One, Version::Two] {
            let _ = read(&mut BitReader::new(&bytes), version, length, FirstValue::Signed, &earlier);
        }
    }
}
