use proptest::prelude::*;
use roadcast_blocks::{Block, BlockEvent};
use roadcast_domain::ids::Eid;
use roadcast_domain::selection::Selection;
use roadcast_ports::event_log::{StoredBlock, StoredTelemetry};
use roadcast_signals::{Sample, SignalPath, Value};

use super::*;
use crate::query::visibility::Visibility;

/// The sample times of an item in milliseconds.
type Times = Vec<i64>;

fn signals(at: i64) -> Signals {
    let speed = SignalPath::parse("Vehicle.Speed").unwrap();
    let mut signals = Signals::from([(speed, Value::Number(f64::from(i32::try_from(at).unwrap()) / 10.0))]);
    if at % 3 == 0 {
        signals.insert(SignalPath::parse("acme.note").unwrap(), Value::from("x".repeat(200).as_str()));
    }
    signals
}

fn item(number: usize, times: &Times) -> StoredTelemetry {
    let samples = times.iter().map(|at| Sample { at: Timestamp::from_ms(*at), signals: signals(*at) }).collect();
    let event = BlockEvent { eid: number as u128, received: Timestamp::from_ms(0), samples };
    StoredTelemetry::Block(StoredBlock { bytes: Block::from_events(&[event]).unwrap().encode(), hashes: Vec::new() })
}

/// Reads all rows with at most `max_bytes`: rows that were removed are read again.
fn read_all(items: &[Times], max_bytes: usize) -> Vec<(SamplePosition, Signals)> {
    let selection = Selection::default();
    let mut coverages = Coverages::new(&Visibility::Everything, &selection);
    let now = Timestamp::from_ms(0);
    let coverage = coverages.index_of(now, now).unwrap();
    let (mut found, mut start) = (Vec::new(), None);
    loop {
        let mut rows = OrderedRows::new(max_bytes);
        for (number, times) in items.iter().enumerate() {
            let source = Source::open(item(number, times), &mut coverages, now).unwrap();
            let position = |(index, at): (u32, &i64)| SamplePosition {
                at: Timestamp::from_ms(*at),
                eid: Eid::from_bits(number as u128),
                index,
            };
            let positions = (0..).zip(times).map(position).filter(|position| start.is_none_or(|start| *position >= start));
            let own = positions.map(|position| Row::new(position, position.index as usize, coverage)).collect();
            rows.add(source, own);
        }
        rows.complete_before(None, &mut coverages);
        while let Some(run) = rows.next_run(&mut coverages).unwrap() {
            found.extend(run.rows.iter().map(|row| (row.position, run.signals(row))));
        }
        match rows.removed() {
            Some(removed) => start = Some(removed),
            None => return found,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_are_returned_once_in_order_within_any_bytes(
        items in prop::collection::vec(prop::collection::vec(0_i64..1000, 1..30), 1..8),
        max_bytes in 0_usize..20_000,
    ) {
        let found = read_all(&items, max_bytes);
        prop_assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert_eq!(found.len(), items.iter().map(Vec::len).sum::<usize>());
        for (position, found) in found {
            prop_assert_eq!(found, signals(position.at.ms()));
        }
    }
}
