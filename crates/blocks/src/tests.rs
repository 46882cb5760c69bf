#![allow(clippy::unwrap_used, clippy::cast_sign_loss, clippy::format_collect)]

use proptest::prelude::*;
use roadcast_signals::{Catalogue, Resolution, Sample, SignalPath, Signals, Timestamp, Value};

use super::*;

fn signals<'p>(values: impl IntoIterator<Item = (&'p str, Value)>) -> Signals {
    values.into_iter().map(|(path, value)| (SignalPath::parse(path).unwrap(), value)).collect()
}

fn check(events: &[BlockEvent]) -> Vec<u8> {
    let block = Block::of_events(events).unwrap();
    assert_same(&block.events(), events);
    let bytes = block.encode();
    assert!(bytes.len() <= block.most_bytes());
    let back = Block::decode(&bytes).unwrap();
    assert_eq!(back, block);
    assert_same(&back.events(), events);
    assert_eq!(back.encode(), bytes);
    bytes
}

/// Equal down to the bits of the numbers.
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
fn every_kind_of_value_comes_back_to_the_bit() {
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
    // Out of order, and one time twice: both are as they were sent.
    let samples = vec![sample(500, &first), sample(0, &second), sample(0, &second)];
    check(&[event(7, samples.clone()), event(8, samples)]);
}

#[test]
fn one_value_off_the_grid_turns_its_column_to_exact_numbers_and_no_other() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let sample = |n: i64, speed: f64| Sample {
        at: at.plus_ms(n * 1000),
        signals: signals([("Vehicle.Speed", Value::Number(speed)), ("Vehicle.IsMoving", Value::Bool(true))]),
    };
    let block = Block::of_samples(&[sample(0, 50.1), sample(1, 50.15), sample(2, 50.2)]).unwrap();
    assert!(block.columns().iter().any(|column| matches!(column.values, Values::Numbers(_))));
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
}

#[test]
fn a_block_of_bare_samples_has_no_events() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let samples = [Sample { at, signals: signals([("Vehicle.Speed", Value::Number(1.0))]) }];
    let back = Block::decode(&Block::of_samples(&samples).unwrap().encode()).unwrap();
    assert!(back.events().is_empty());
    assert_eq!(back.samples(), samples);
    assert!(Block::decode(&Block::of_samples(&[]).unwrap().encode()).unwrap().samples().is_empty());
}

#[test]
fn what_is_no_block_says_what_it_is() {
    assert_eq!(Block::decode(b"").unwrap_err(), DecodeError::NotABlock);
    assert_eq!(Block::decode(b"{}").unwrap_err(), DecodeError::NotABlock);
    assert_eq!(Block::decode(&[0xB2, 0, 0, 0, 0]).unwrap_err(), DecodeError::Version(2));
    let at = Timestamp::from_ms(1_793_000_000_000);
    let mut bytes = check(&[event(1, vec![Sample { at, signals: signals([("Vehicle.Speed", Value::Number(1.0))]) }])]);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    assert_eq!(Block::decode(&bytes).unwrap_err(), DecodeError::Checksum);
}

#[test]
fn an_event_without_samples_is_refused() {
    let empty = BlockEvent { eid: 1, received: Timestamp::from_ms(0), samples: Vec::new() };
    assert_eq!(Block::of_events(&[empty]).unwrap_err(), EncodeError::NoSamples);
}

#[test]
fn a_signal_that_the_catalogue_has_learnt_since_is_read_as_its_writer_wrote_it() {
    // A writer that knows speed only: the rest goes by path, in the order of the paths.
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
        times: vec![0, 1000, 2000],
        columns: vec![
            Column { values: Values::Grid { resolution, points: vec![10, 20, 30] }, ..speed },
            unknown("Acme.A", &[125, 250, 40_100]),
            // Off the grid that the catalogue gives it now, and beyond its range.
            unknown("Vehicle.OBD.EngineSpeed", &[125, 250, 2_000_000]),
            unknown("Vehicle.OBD.CoolantTemperature", &[120, 250, -40]),
            unknown("Zeta.Z", &[125, 250, 40_100]),
        ],
    };
    let read = Block::decode(&block.encode()).unwrap();
    assert_eq!(Block::of_samples(&read.samples()).unwrap(), read, "as if it had been written by number");
    assert_eq!(Block::decode(&read.encode()).unwrap(), read);
    let values = |block: &Block, path: &str| {
        let column = block.columns.iter().find(|column| column.path.as_str() == path).unwrap();
        (0..3).filter_map(|row| column.values.get(row)).collect::<Vec<_>>()
    };
    for column in &block.columns {
        let path = column.path.as_str();
        assert_eq!(values(&read, path), values(&block, path), "{path}");
    }
    assert_eq!(values(&read, "Acme.A"), rows.map(Value::Number));
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let sample = |value| Sample { at: Timestamp::from_ms(0), signals: signals([("acme.a", value)]) };
    let refused = |value| Block::of_samples(&[sample(value)]).is_err();
    let text = |bytes: usize| Value::from("x".repeat(bytes).as_str());
    assert!(!refused(text(limits::TEXT)) && refused(text(limits::TEXT + 1)));
    let list = |entries: usize, entry: Value| Value::List(vec![entry; entries].into());
    assert!(!refused(list(limits::LIST, text(1))) && refused(list(limits::LIST + 1, text(1))));
    assert!(refused(list(1, text(limits::TEXT + 1))));

    // Different texts, so that each is written: a thousand are read, and some more are too many bytes.
    let note = |n: usize| sample(Value::from(format!("{n:04}{}", "x".repeat(limits::TEXT - 4)).as_str()));
    let notes: Vec<Sample> = (0..1100).map(note).collect();
    let block = Block::of_samples(&notes[..1000]).unwrap();
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
    assert_eq!(Block::of_samples(&notes), Err(EncodeError::TooMany { what: "bytes", limit: limits::BYTES }));
}

#[test]
fn what_a_block_holds_is_told_before_it_is_unpacked() {
    let text = Value::from("abc");
    let list = Value::List(vec![Value::Bool(true); 5].into());
    let row = |n: i64| Sample {
        at: Timestamp::from_ms(n),
        signals: signals([("acme.a", text.clone()), ("acme.b", list.clone()), ("Vehicle.Speed", Value::Number(1.0))]),
    };
    let block = Block::of_samples(&[row(1), row(2)]).unwrap();
    let bytes = block.encode();
    assert_eq!(Block::count_samples(&bytes), Ok(2));
    assert_eq!(block.unpacked_bytes(), 2 * (8 * limits::VALUE_BYTES + 3));
    assert_eq!(Block::decode_at_most(&bytes, 6), Ok(block));
    assert_eq!(Block::decode_at_most(&bytes, 5), Err(DecodeError::TooMany { what: "values", limit: 5 }));
    assert_eq!(Block::count_samples(&bytes[1..]), Err(DecodeError::NotABlock));
}

/// A value that `accept` could let through for that path.
fn value_of(path: &str) -> BoxedStrategy<Value> {
    let def = SignalPath::parse(path).unwrap().def();
    let number = prop_oneof![
        4 => (-2000_i32..2000).prop_map(|n| Value::Number(f64::from(n) / 10.0 + 0.0)),
        1 => any::<f64>().prop_filter_map("a reading", Value::number),
    ];
    let other = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        ".{0,8}".prop_map(|text| Value::from(text.as_str())),
        prop::collection::vec(any::<bool>().prop_map(Value::Bool), 0..3).prop_map(|list| Value::List(list.into())),
    ];
    // The last weight: a value of a kind that the catalogue of today would not take.
    let likely = if def.is_some_and(|def| def.datatype.is_numeric()) { 30 } else { 1 };
    prop_oneof![likely => number, 1 => other].boxed()
}

const PATHS: [&str; 7] = [
    "Vehicle.Speed",
    "Vehicle.CurrentLocation.Latitude",
    "Vehicle.OBD.EngineSpeed",
    "Vehicle.IsMoving",
    "Vehicle.OBD.DTCList",
    "acme.a",
    "acme.b",
];

fn any_sample() -> impl Strategy<Value = Sample> {
    let optional = PATHS.map(|path| prop::option::weighted(0.7, value_of(path)));
    (1_700_000_000_i64..1_700_000_300, prop_oneof![3 => Just(0_i64), 1 => 0_i64..1000], optional).prop_map(
        |(s, ms, values)| {
            let present = PATHS.into_iter().zip(values).filter_map(|(path, value)| Some((path, value?)));
            let mut signals = signals(present);
            if signals.is_empty() {
                signals = self::signals([("Vehicle.Speed", Value::Number(0.0))]);
            }
            Sample { at: Timestamp::from_ms(s * 1000 + ms), signals }
        },
    )
}

fn any_event() -> impl Strategy<Value = BlockEvent> {
    let eid = prop_oneof![3 => Just(None), 1 => any::<u128>().prop_map(Some)];
    (prop::collection::vec(any_sample(), 1..12), eid, any::<u64>(), -5_000_i64..100_000).prop_map(
        |(samples, eid, hash, delay)| {
            let mut event = event(hash.into(), samples);
            event.eid = eid.unwrap_or(event.eid);
            event.received = event.received.plus_ms(delay);
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_events_come_back_to_the_bit(events in prop::collection::vec(any_event(), 1..6)) {
        check(&events);
    }

    #[test]
    fn keeping_some_signals_of_a_block_is_keeping_them_of_its_rows(
        events in prop::collection::vec(any_event(), 1..5), kept in prop::sample::subsequence(PATHS.to_vec(), 0..4),
    ) {
        let mut block = Block::of_events(&events).unwrap();
        block.retain_columns(|path| kept.contains(&path.as_str()));
        let cut = |event: &BlockEvent| {
            let mut event = event.clone();
            for sample in &mut event.samples {
                sample.signals.retain(|path, _| kept.contains(&path.as_str()));
            }
            event.samples.retain(|sample| !sample.signals.is_empty());
            (!event.samples.is_empty()).then_some(event)
        };
        let rows: Vec<BlockEvent> = events.iter().filter_map(cut).collect();
        prop_assert_eq!(block.events(), rows);
        prop_assert_eq!(&Block::decode(&block.encode()).unwrap(), &block);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(mut bytes: Vec<u8>) {
        let _ = Block::decode(&bytes);
        bytes.insert(0, 0xB1);
        let _ = Block::decode(&bytes);
        let _ = Block::decode_body(&bytes, limits::VALUES);
    }

    #[test]
    fn a_block_that_was_changed_or_cut_never_makes_the_decoder_panic(
        events in prop::collection::vec(any_event(), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Block::of_events(&events).unwrap().encode();
        prop_assert!(Block::decode(&bytes[..cut.index(bytes.len())]).is_err());
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(block) = Block::decode_body(&bytes[..bytes.len() - 4], limits::VALUES) {
            // Made up or not, it can be read and written.
            let _ = (block.events(), block.encode());
        }
    }
}

#[test]
fn the_bytes_of_version_1_stay_readable() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let sample = |n: i64| Sample {
        at: at.plus_ms(n * 1000),
        signals: signals([
            ("Vehicle.Speed", Value::Number([50.1, 50.4, 50.4][n as usize])),
            ("Vehicle.IsMoving", Value::Bool(n > 0)),
            ("acme.note", Value::from("ok")),
        ]),
    };
    let events = [event(7, vec![sample(0), sample(1)]), event(9, vec![sample(2)])];
    let hex: String = check(&events).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN, "a change here breaks what is stored: make it another version");
    let bytes: Vec<u8> = (0..GOLDEN.len() / 2).map(|n| u8::from_str_radix(&GOLDEN[2 * n..2 * n + 2], 16).unwrap()).collect();
    assert_same(&Block::decode(&bytes).unwrap().events(), &events);
    assert!(Catalogue::get().version() >= 1);
}

const GOLDEN: &str = "b100d1e81a0700000000000000000009000000000000000000c76de8035006b90b0da08032c0425a4ad8585b998bdb1b5d19b92bd14cc055bdad0500e512edde";
