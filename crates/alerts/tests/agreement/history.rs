//! Random histories of a vehicle. All times are whole seconds, so that the reference can evaluate each second.

use proptest::prelude::*;
use roadcast_domain::diagnostic::{Diagnostic, Dtc, DtcStatus, TroubleCode};
use roadcast_domain::event::{Body, Event, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::{Sample, SamplesBuilder, SignalPath, Timestamp, Value};

/// The length of a history in seconds.
pub(crate) const SPAN_S: i64 = 40 * 60;
/// Maximum time between samples of an event in seconds.
const EVENT_SPAN_S: i64 = 5 * 60;

pub(crate) const SPEED: &str = "Vehicle.Speed";
pub(crate) const CHARGE: &str = "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current";
pub(crate) const MOVING: &str = "Vehicle.IsMoving";
pub(crate) const FIX: &str = "Vehicle.CurrentLocation.GNSSReceiver.FixType";

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    /// The time up to which the silence is evaluated.
    pub(crate) until: Timestamp,
}

pub(crate) fn vid() -> VehicleId {
    VehicleId::from_random_bits(7)
}

/// Ten minutes before the quiet hours of the rules.
pub(crate) fn start() -> Timestamp {
    "2026-11-27T20:50:00Z".parse().unwrap()
}

pub(crate) fn times(event: &Event) -> Vec<Timestamp> {
    let times = match &event.body {
        Body::Telemetry(telemetry) => telemetry.samples.times().to_vec(),
        Body::Diagnostic(diagnostic) => vec![diagnostic.at],
        Body::Alert(_) | Body::Custom(_) => Vec::new(),
    };
    times.into_iter().map(|at| at.min(event.received)).collect()
}

pub(crate) fn first_time(event: &Event) -> Timestamp {
    times(event).into_iter().min().unwrap()
}

type Reading = (i64, Option<u8>, Option<u8>, Option<bool>, Option<(i8, i8)>, Option<bool>);

fn any_reading() -> impl Strategy<Value = Reading> {
    let often = |seconds| prop_oneof![3 => Just(0_i64), 3 => 1..5_i64, 1 => 0..seconds];
    (
        often(EVENT_SPAN_S),
        prop::option::weighted(0.8, prop_oneof![Just(50), Just(60), 0..130_u8]),
        prop::option::weighted(0.4, 0..100_u8),
        prop::option::weighted(0.3, any::<bool>()),
        prop::option::weighted(0.6, (-6..6_i8, -6..6_i8)),
        prop::option::weighted(0.2, any::<bool>()),
    )
}

fn sample(at: Timestamp, (_, speed, charge, moving, position, fix): Reading) -> Sample {
    let mut signals: Vec<(&str, Value)> = Vec::new();
    signals.extend(speed.map(|speed| (SPEED, Value::Number(f64::from(speed)))));
    signals.extend(charge.map(|charge| (CHARGE, Value::Number(f64::from(charge)))));
    signals.extend(moving.map(|moving| (MOVING, Value::Bool(moving))));
    // Each sample has a signal.
    let fix = fix.or_else(|| signals.is_empty().then_some(false));
    signals.extend(fix.map(|fix| (FIX, Value::from(if fix { "NONE" } else { "TWO_D" }))));
    if let Some((x, y)) = position {
        signals.push(("Vehicle.CurrentLocation.Longitude", coordinate(x)));
        // Some samples have only one coordinate.
        if x != 5 {
            signals.push(("Vehicle.CurrentLocation.Latitude", coordinate(y)));
        }
    }
    Sample { at, signals: signals.into_iter().map(|(path, value)| (SignalPath::parse(path).unwrap(), value)).collect() }
}

/// A position on a grid of a thousandth of a degree, around 0.
fn coordinate(grid: i8) -> Value {
    Value::Number(f64::from(grid) / 1000.0)
}

#[derive(Clone, Debug)]
enum Content {
    Samples(Vec<Reading>),
    Diagnostic(Option<bool>, Vec<(u16, bool)>),
}

fn any_content() -> impl Strategy<Value = Content> {
    let code = (prop::sample::select(vec![0x0301_u16, 0x0302, 0x0420, 0xC100]), any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(any_reading(), 1..6).prop_map(Content::Samples),
        1 => (prop::option::of(any::<bool>()), prop::collection::vec(code, 0..3)).prop_map(|(mil, dtcs)| Content::Diagnostic(mil, dtcs)),
    ]
}

fn body(start: Timestamp, content: Content) -> Body {
    match content {
        Content::Samples(readings) => {
            let mut builder = SamplesBuilder::default();
            let mut seconds = 0;
            for reading in readings {
                seconds = (seconds + reading.0).min(EVENT_SPAN_S);
                let Sample { at, signals } = sample(start.plus_ms(seconds * 1000), reading);
                builder.start_row(at);
                for (path, value) in signals {
                    assert!(builder.push(path, value));
                }
            }
            Body::Telemetry(Telemetry { samples: builder.finish() })
        }
        Content::Diagnostic(mil, dtcs) => {
            let dtcs = dtcs.into_iter().map(|(raw, is_active)| TroubleCode {
                code: Dtc::from_bytes(raw),
                status: if is_active { DtcStatus::Active } else { DtcStatus::Pending },
            });
            Body::Diagnostic(Diagnostic { at: start, mil, dtcs: dtcs.collect() })
        }
    }
}

pub(crate) fn any_history() -> impl Strategy<Value = History> {
    // Most events follow one another; some overlap, or have equal times.
    let gap = prop_oneof![2 => Just(0_i64), 4 => 1..20_i64, 2 => 20..90_i64, 1 => 90..600_i64];
    // A clock can be ahead, so that the received time counts.
    let delay = prop_oneof![4 => EVENT_SPAN_S..2 * EVENT_SPAN_S, 1 => 0..EVENT_SPAN_S];
    let event = (gap, delay, any_content());
    (prop::collection::vec(event, 1..16), 0..900_i64).prop_map(|(events, silence)| {
        let mut at = 0;
        let mut last = 0;
        let event = |(index, (gap, delay, content)): (usize, (i64, i64, Content))| {
            at = (at + gap).min(SPAN_S - EVENT_SPAN_S);
            let time = start().plus_ms(at * 1000);
            let eid = Eid::for_event(&vid(), "test", &index.to_string(), time);
            let event = Event { eid, vid: vid(), received: time.plus_ms(delay * 1000), body: body(time, content) };
            last = last.max(times(&event).into_iter().map(|time| time.ms_since(start()) / 1000).max().unwrap());
            event
        };
        let events: Vec<Event> = events.into_iter().enumerate().map(event).collect();
        History { events, until: start().plus_ms((last + silence) * 1000) }
    })
}
