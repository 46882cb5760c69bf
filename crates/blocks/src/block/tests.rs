#![allow(clippy::unwrap_used, clippy::cast_sign_loss, clippy::format_collect)]

mod properties;

use roadcast_signals::{Resolution, Sample, SignalPath, Signals, Timestamp, Value};

use super::*;
use crate::DecodeError;
use crate::limits::DecodeLimits;

fn signals<'p>(values: impl IntoIterator<Item = (&'p str, Value)>) -> Signals {
    values.into_iter().map(|(path, value)| (SignalPath::parse(path).unwrap(), value)).collect()
}

/// Checks that events round-trip through a block and its bytes. Returns the bytes.
fn check_round_trip(events: &[BlockEvent]) -> Vec<u8> {
    let block = Block::from_events(events).unwrap();
    assert_same(&block.events(), events);
    let bytes = block.encode();
    assert!(bytes.len() <= block.max_bytes());
    let back = Block::decode(&bytes).unwrap();
    assert_eq!(back, block);
    assert_same(&back.events(), events);
    assert_eq!(back.encode(), bytes);
    bytes
}

/// Asserts that events are equal, including the bits of their numbers.
fn assert_same(a: &[BlockEvent], b: &[BlockEvent]) {
    assert_eq!(a, b);
    let values = |events: &[BlockEvent]| {
        events.iter().flat_map(|e| &e.samples).flat_map(|s| s.signals.values().cloned()).collect::<Vec<_>>()
    };
    assert!(values(a).iter().zip(values(b)).all(|(a, b)| a.bits_eq(&b)));
}

fn event(n: u128, samples: Vec<Sample>) -> BlockEvent {
    let at = samples.iter().map(|sample| sample.at.ms()).min().unwrap();
    let time = u128::from(at.cast_unsigned()) & ((1 << 48) - 1);
    BlockEvent { eid: time << 80 | n, received: Timestamp::from_ms(at).plus_ms(950), samples }
}

#[test]
fn values_of_every_type_round_trip_bit_for_bit() {
    let at = Timestamp::from_ms(1_793_000_000_123);
    let first = signals([
        ("Vehicle.Speed", Value::Number(45.4)),
        ("Vehicle.CurrentLocation.Latitude", Value::Number(-51.477_928)),
        ("Vehicle.IsMoving", Value::Bool(true)),
        ("Vehicle.OBD.DTCList", Value::List([Value::from("P0301"), Value::from("P0420")].into())),
        ("acme.door-3.open_1", Value::from("leicht geöffnet \"½\"\n")),
        ("acme.exact", Value::Number(0.1 + 0.2)),
        ("acme.tiny", Value::Number(f64::MIN_POSITIVE)),
        ("acme.huge", Value::Number(-1.797_693_134_862_315_7e308)),
        ("acme.whole", Value::Number(9_007_199_254_740_991.0)),
        ("acme.empty", Value::from("")),
    ]);
    let second = signals([("Vehicle.Speed", Value::Number(0.0)), ("acme.exact", Value::from("not a number now"))]);
    let sample = |ms, signals: &Signals| Sample { at: at.plus_ms(ms), signals: signals.clone() };
    // Samples out of order and with equal times remain in the order in which they were sent.
    let samples = vec![sample(500, &first), sample(0, &second), sample(0, &second)];
    check_round_trip(&[event(7, samples.clone()), event(8, samples)]);
}

#[test]
fn value_off_the_grid_makes_only_its_column_exact() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let sample = |n: i64, speed: f64| Sample {
        at: at.plus_ms(n * 1000),
        signals: signals([("Vehicle.Speed", Value::Number(speed)), ("Vehicle.IsMoving", Value::Bool(true))]),
    };
    let block = Block::from_samples(&[sample(0, 50.1), sample(1, 50.15), sample(2, 50.2)]).unwrap();
    assert!(block.columns().iter().any(|column| matches!(column.values, Values::Numbers(_))));
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
}

#[test]
fn block_of_samples_has_no_events() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let samples = [Sample { at, signals: signals([("Vehicle.Speed", Value::Number(1.0))]) }];
    let back = Block::decode(&Block::from_samples(&samples).unwrap().encode()).unwrap();
    assert!(back.events().is_empty());
    assert_eq!(back.samples(), samples);
    assert!(Block::decode(&Block::from_samples(&[]).unwrap().encode()).unwrap().samples().is_empty());
}

#[test]
fn decode_errors_state_the_reason() {
    assert_eq!(Block::decode(b"").unwrap_err(), DecodeError::NotABlock);
    assert_eq!(Block::decode(b"{}").unwrap_err(), DecodeError::NotABlock);
    assert_eq!(Block::decode(&[0xB3, 0, 0, 0, 0]).unwrap_err(), DecodeError::Version(3));
    assert_eq!(Block::decode(&[0xC2, 0, 0, 0, 0]).unwrap_err(), DecodeError::NotABlock);
    let at = Timestamp::from_ms(1_793_000_000_000);
    let mut bytes =
        check_round_trip(&[event(1, vec![Sample { at, signals: signals([("Vehicle.Speed", Value::Number(1.0))]) }])]);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    assert_eq!(Block::decode(&bytes).unwrap_err(), DecodeError::Checksum);
}

#[test]
fn event_without_samples_is_refused() {
    let empty = BlockEvent { eid: 1, received: Timestamp::from_ms(0), samples: Vec::new() };
    assert_eq!(Block::from_events(&[empty]).unwrap_err(), EncodeError::NoSamples);
}

#[test]
fn signal_added_to_the_catalogue_later_is_decoded() {
    // A writer whose catalogue only has the speed writes the other signals by path, in the order of the paths.
    let rows = [1.25, 2.5, 401.0];
    let unknown = |path: &str, points: &[i64]| Column {
        path: SignalPath::Unknown(path.into()),
        presence: Presence::All,
        values: Values::Grid { resolution: Resolution::from_decimals(2).unwrap(), points: points.to_vec() },
    };
    let speed = Column { path: SignalPath::parse("Vehicle.Speed").unwrap(), ..unknown("", &[]) };
    let resolution = speed.path.def().and_then(|def| def.resolution).unwrap();
    let block = Block {
        events: Vec::new(),
        samples: Samples::new(
            [0, 1000, 2000].map(Timestamp::from_ms).to_vec(),
            vec![
                Column { values: Values::Grid { resolution, points: vec![10, 20, 30] }, ..speed },
                unknown("Acme.A", &[125, 250, 40_100]),
                // Off the grid of the current catalogue, and outside its range.
                unknown("Vehicle.OBD.EngineSpeed", &[125, 250, 2_000_000]),
                unknown("Vehicle.OBD.CoolantTemperature", &[120, 250, -40]),
                unknown("Zeta.Z", &[125, 250, 40_100]),
            ],
        ),
    };
    let read = Block::decode(&block.encode()).unwrap();
    assert_eq!(Block::from_samples(&read.samples()).unwrap(), read, "the same block as if it had been written by number");
    assert_eq!(Block::decode(&read.encode()).unwrap(), read);
    let values = |block: &Block, path: &str| {
        let column = block.columns().iter().find(|column| column.path.as_str() == path).unwrap();
        (0..3).filter_map(|row| column.values.get(row)).collect::<Vec<_>>()
    };
    for column in block.columns() {
        let path = column.path.as_str();
        assert_eq!(values(&read, path), values(&block, path), "{path}");
    }
    assert_eq!(values(&read, "Acme.A"), rows.map(Value::Number));
}

#[test]
fn block_that_a_reader_would_refuse_is_not_created() {
    let sample = |value| Sample { at: Timestamp::from_ms(0), signals: signals([("acme.a", value)]) };
    let refused = |value| Block::from_samples(&[sample(value)]).is_err();
    let text = |bytes: usize| Value::from("x".repeat(bytes).as_str());
    assert!(!refused(text(limits::TEXT)) && refused(text(limits::TEXT + 1)));
    let list = |entries: usize, entry: Value| Value::List(vec![entry; entries].into());
    assert!(!refused(list(limits::LIST, text(1))) && refused(list(limits::LIST + 1, text(1))));
    assert!(refused(list(1, text(limits::TEXT + 1))));

    // 33 signals of distinct lists, 256 entries in each of 128 samples: more entries than a block may have values.
    let wide = |signals_of: usize| {
        let list =
            |n: usize| Value::List((0..limits::LIST).map(|entry| Value::Bool((n + entry).is_multiple_of(3))).collect());
        let row = |n: usize| Sample {
            at: Timestamp::from_ms(i64::try_from(n).unwrap()),
            signals: (0..signals_of).map(|s| (SignalPath::parse(&format!("acme.a{s}")).unwrap(), list(n))).collect(),
        };
        Block::from_samples(&(0..128).map(row).collect::<Vec<_>>())
    };
    let block = wide(31).unwrap();
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
    assert_eq!(wide(32), Err(EncodeError::TooMany { what: "values", limit: limits::VALUES }));

    // Distinct texts are all written: a block of 1,000 is within the limit, one of 1,100 exceeds it.
    let note = |n: usize| sample(Value::from(format!("{n:04}{}", "x".repeat(limits::TEXT - 4)).as_str()));
    let notes: Vec<Sample> = (0..1100).map(note).collect();
    let block = Block::from_samples(&notes[..1000]).unwrap();
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
    assert_eq!(Block::from_samples(&notes), Err(EncodeError::TooMany { what: "bytes", limit: limits::BYTES }));
}

#[test]
fn counts_are_checked_before_values_are_decoded() {
    let text = Value::from("abc");
    let list = Value::List(vec![Value::Bool(true); 5].into());
    let row = |n: i64| Sample {
        at: Timestamp::from_ms(n),
        signals: signals([("acme.a", text.clone()), ("acme.b", list.clone()), ("Vehicle.Speed", Value::Number(1.0))]),
    };
    let block = Block::from_samples(&[row(1), row(2)]).unwrap();
    let bytes = block.encode();
    assert_eq!(Block::count_samples(&bytes), Ok(2));
    assert_eq!(block.unpacked_bytes(), 2 * (8 * limits::VALUE_BYTES + 3));
    // Six values, and five entries of each of the two lists.
    let decode = |samples, values| Block::decode_limited(&bytes, DecodeLimits { samples, values });
    assert_eq!(decode(2, 16), Ok(block));
    assert_eq!(decode(2, 15), Err(DecodeError::TooMany { what: "values", limit: 15 }));
    assert_eq!(decode(2, 5), Err(DecodeError::TooMany { what: "values", limit: 5 }));
    assert_eq!(decode(1, 16), Err(DecodeError::TooMany { what: "samples", limit: 1 }));
    assert_eq!(Block::count_samples(&bytes[1..]), Err(DecodeError::NotABlock));
}

#[test]
fn proportional_signals_round_trip_whatever_their_reference() {
    let rows = |fuel: &[f64], without_fuel: usize| -> Vec<Sample> {
        let sample = |(n, fuel): (u16, &f64)| {
            let carbon_dioxide = ("Vehicle.Powertrain.CombustionEngine.CO2EmissionRate", (fuel * 235.0).round() / 100.0);
            let fuel = ("Vehicle.OBD.FuelRate", *fuel);
            let present = [carbon_dioxide, fuel].into_iter().take(if usize::from(n) == without_fuel { 1 } else { 2 });
            let signals = signals(present.map(|(path, value)| (path, Value::Number(value))));
            Sample { at: Timestamp::from_ms(1_793_000_000_000).plus_ms(1000 * i64::from(n)), signals }
        };
        (0..).zip(fuel).map(sample).collect()
    };
    let fuel = [3.25, 9.5, 4.75, 0.5, 12.0, 7.25, 3.5, 0.75, 20.0, 2.5];
    let off_grid = [3.25, 9.5, 4.755, 0.5, 12.0, 7.25, 3.5, 0.75, 20.0, 2.5];
    let size = |rows: Vec<Sample>| check_round_trip(&[event(1, rows)]).len();
    let predicted = size(rows(&fuel, fuel.len()));
    assert!(predicted + 6 < size(rows(&fuel, 4)), "one sample without the reference");
    // The numbers of a signal that is not written as points of its grid cannot be referred to.
    size(rows(&off_grid, off_grid.len()));
    size(rows(&fuel.map(|fuel| -fuel), fuel.len()));
}

/// The events of the example in `docs/blocks.md`.
fn golden_events() -> [BlockEvent; 2] {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let sample = |n: i64| Sample {
        at: at.plus_ms(n * 1000),
        signals: signals([
            ("Vehicle.Speed", Value::Number([50.1, 50.4, 50.4][n as usize])),
            ("Vehicle.IsMoving", Value::Bool(n > 0)),
            ("acme.note", Value::from("ok")),
        ]),
    };
    [event(7, vec![sample(0), sample(1)]), event(9, vec![sample(2)])]
}

#[test]
fn bytes_of_version_2_are_stable() {
    let hex: String = check_round_trip(&golden_events()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN, "changed bytes make stored blocks unreadable: introduce a new version instead");
}

#[test]
fn block_of_version_1_is_decoded() {
    let bytes: Vec<u8> =
        (0..GOLDEN_1.len() / 2).map(|n| u8::from_str_radix(&GOLDEN_1[2 * n..2 * n + 2], 16).unwrap()).collect();
    assert_same(&Block::decode(&bytes).unwrap().events(), &golden_events());
}

const GOLDEN: &str = "b25de300000000000000000020010000000000000000e038157a00ca2077a101145014c225256cacadccc5ed8dae4cb9ab404dc055bdad05002dfb0611";
const GOLDEN_1: &str = "b100d1e81a0700000000000000000009000000000000000000c76de8035006b90b0da08032c0425a4ad8585b998bdb1b5d19b92bd14cc055bdad0500e512edde";
