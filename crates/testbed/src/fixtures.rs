//! Events of a driving vehicle, for tests of formats and storage.

// Fixtures are constant: a panic is a failure of the test.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

mod subscriptions;

use std::collections::BTreeMap;

use roadcast_domain::Timestamp;
use roadcast_domain::alert::{Alert, AlertChange, AlertRule, AlertSignal, Cause, Severity};
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::diagnostic::Diagnostic;
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{AlertId, Eid, FleetId, RuleId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_signals::{Sample, SignalPath, Signals, Value};

pub use subscriptions::{store_fleet, store_subscription, subscription};

/// Noon of the day of the fixtures, in milliseconds since the epoch.
pub const NOON: i64 = 1_793_016_000_000;

/// Returns the time `s` seconds after [`NOON`].
pub fn at(s: i64) -> Timestamp {
    Timestamp::from_ms(NOON + s * 1000)
}

/// Returns deterministic noise between -1 and 1.
fn noise(t: f64, salt: f64) -> f64 {
    (t * 12.9898 + salt * 78.233).sin() * 43_758.545 % 1.0
}

/// Returns a telemetry event with samples one second apart. Its readings are noisy, like real ones.
pub fn driving_event(vid: u128, n: i64, start_s: i64, samples: i64) -> StoredEvent {
    let vid = VehicleId::from_random_bits(vid);
    let sample = |s: i64| {
        #[allow(clippy::cast_precision_loss)]
        let t = (start_s + s) as f64;
        let number = |path: &str, value: f64, decimals: f64| {
            (SignalPath::parse(path).expect("test fixture"), Value::Number((value * decimals).round() / decimals))
        };
        let signals: Signals = [
            number("Vehicle.Speed", 50.0 + 8.0 * (t / 7.0).sin(), 10.0),
            number("Vehicle.CurrentLocation.Latitude", 51.5 + t * 1e-4, 1e6),
            number("Vehicle.CurrentLocation.Longitude", 7.4 - t * 7e-5, 1e6),
            number("Vehicle.OBD.EngineSpeed", 1800.0 + 300.0 * noise(t, 1.0), 1.0),
            number("Vehicle.OBD.EngineLoad", 40.0 + 30.0 * noise(t, 2.0), 10.0),
            number("Vehicle.OBD.MAF", 20.0 + 15.0 * noise(t, 3.0), 100.0),
            number("Vehicle.OBD.ThrottlePosition", 20.0 + 15.0 * noise(t, 4.0), 10.0),
            number("Vehicle.CurrentLocation.Altitude", 120.0 + 5.0 * noise(t, 5.0), 10.0),
        ]
        .into();
        Sample { at: at(start_s + s), signals }
    };
    let samples: Vec<Sample> = (0..samples).map(sample).collect();
    let origin = Origin { source: "urn:test:car".to_owned(), id: format!("trip-{n:06}"), extensions: BTreeMap::new() };
    let eid = Eid::for_event(&vid, &origin.source, &origin.id, samples[0].at);
    let received = samples.last().expect("test fixture").at.plus_ms(800 + n % 300);
    StoredEvent { event: Event { eid, vid, received, body: Body::Telemetry(Telemetry { samples: samples.into() }) }, origin }
}

/// Returns a diagnostic event of a vehicle, `s` seconds after [`NOON`].
pub fn diagnostic_event(vid: u128, s: i64) -> StoredEvent {
    let mut stored = driving_event(vid, s, s, 1);
    stored.event.body = Body::Diagnostic(Diagnostic { at: at(s), mil: Some(true), dtcs: Vec::new() });
    stored
}

/// Returns an alert of the operator about the speed of a vehicle, raised `s` seconds after [`NOON`].
pub fn speed_alert(vid: &VehicleId, s: i64) -> Alert {
    let rule_id = RuleId::from_random_bits(1);
    let path = SignalPath::parse("Vehicle.Speed").expect("test fixture");
    Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, vid, at(s)),
        change: AlertChange::Raised,
        withdraws: None,
        rule: AlertRule { fleet_id: None, rule_id, version: 1, name: "Too fast".to_owned(), severity: Severity::Warning },
        at: at(s),
        raised_at: at(s),
        revision: 1,
        late: false,
        cause: Some(Cause { eid: Eid::for_event(vid, "urn:test:car", "cause", at(s)), received: at(s + 1) }),
        signals: vec![AlertSignal { path, value: Some(Value::Number(131.5)), at: Some(at(s)) }],
        diagnostic: None,
    }
}

/// Returns the event of a [`speed_alert`].
pub fn alert_event(vid: u128, s: i64) -> StoredEvent {
    let vid = VehicleId::from_random_bits(vid);
    let alert = speed_alert(&vid, s);
    alert.into_event(vid)
}

/// Returns the audit entry of a new client.
pub fn client_creation(client: &Client) -> Change {
    Change::client_changed(Author::Provisioning, None, client, client.created_at)
}

/// Returns an audit entry of a fleet, for tests that store a resource and do not read the audit trail.
pub fn change(fleet_id: &FleetId) -> Change {
    let fleet = Fleet::new(fleet_id.clone(), "A fleet".to_owned(), "bus".to_owned(), Plan::Standard, at(0));
    Change::fleet_changed(Author::Provisioning, None, &fleet, at(0))
}
