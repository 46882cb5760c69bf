//! What the runs begin with: rules, uploads and stored drives.

use roadcast_domain::Timestamp;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::alert_rule::AlertRuleRecord;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::event::{Body, Event, Origin, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, RuleId, VehicleId};
use roadcast_event_log::SegmentedLog;
use roadcast_ports::alerts::AlertRules;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_testbed::Memory;
use serde_json::{Value, json};

use crate::deployment::Deployment;

/// The start of the runs.
pub(super) const START_MS: i64 = 1_767_225_600_000;
/// The drive before a restoration: minutes, and samples per segment of the log.
pub(super) const DRIVE_MINUTES: i64 = 40;
const SEGMENT_SAMPLES: i64 = 90;

/// Puts an upload of ten samples of now.
pub(super) fn upload(deployment: &Deployment, vid: &VehicleId, round: u32, speed: f64) {
    let now = deployment.clock.now();
    let sample = |n: i64| json!({"at": now.plus_ms(n * 1000 - 10_000), "signals": {"Vehicle.Speed": speed}});
    let samples: Vec<Value> = (0..10).map(sample).collect();
    let event = json!({
        "specversion": "1.0", "id": format!("{round} {now}"), "source": "urn:example:unit", "type": "roadcast.telemetry.v1",
        "subject": vid, "time": samples[0]["at"], "data": {"samples": samples},
    });
    deployment.memory.stream().put_bytes(vid.as_str(), event.to_string().as_bytes());
}

/// Stores the segments of a drive, as the stream processor does.
pub(super) async fn store_drive(deployment: &Deployment, vid: &VehicleId) {
    let log = SegmentedLog { items: deployment.items.clone() };
    for segment in 0..DRIVE_MINUTES * 60 / SEGMENT_SAMPLES {
        let events: Vec<StoredEvent> =
            (0..SEGMENT_SAMPLES / 10).map(|n| stored_event(vid, segment * SEGMENT_SAMPLES + n * 10)).collect();
        for stored in log.append(&events).await {
            debug_assert!(stored.is_ok(), "{stored:?}");
        }
    }
}

/// An event of ten samples with the signals of a usual upload.
fn stored_event(vid: &VehicleId, second: i64) -> StoredEvent {
    let at = Timestamp::from_ms(START_MS + second * 1000);
    let mut event = roadcast_testbed::fixtures::driving_event(1, second, second, 10);
    let shift_ms = at.ms_since(event.event.time());
    if let Body::Telemetry(telemetry) = &event.event.body {
        let mut rows = telemetry.samples.to_rows();
        for row in &mut rows {
            row.at = row.at.plus_ms(shift_ms);
        }
        event.event.body = Body::Telemetry(Telemetry { samples: rows.into_iter().collect() });
    }
    let origin = Origin { id: second.to_string(), ..event.origin };
    let eid = Eid::for_event(vid, &origin.source, &origin.id, at);
    let received = at.plus_ms(10_000);
    StoredEvent { event: Event { eid, vid: vid.clone(), received, ..event.event }, origin }
}

/// Creates a rule. Only the first one raises alerts in these runs.
pub(super) async fn create_rule(memory: &Memory, owner: &RuleOwner, number: u32, now: Timestamp) {
    let limit = 170 + number;
    let condition = match number % 5 {
        _ if number == 0 => json!({"threshold": {"signal": "Vehicle.Speed", "above": 170, "hysteresis": 10}}),
        0 => json!({"threshold": {"signal": "Vehicle.Speed", "above": 200 + number, "hysteresis": 10}, "forS": 10}),
        1 => json!({"threshold": {"signal": "Vehicle.OBD.EngineSpeed", "above": 9000 + number}}),
        2 => json!({"harshBraking": {"aboveMps2": 20}}),
        3 => {
            json!({"geofence": {"event": "enter", "circle": {"center": [-170.0, 0.0], "radiusM": limit}, "hysteresisM": 50}})
        }
        _ => json!({"all": [
            {"threshold": {"signal": "Vehicle.OBD.EngineLoad", "above": 99}},
            {"threshold": {"signal": "Vehicle.Speed", "above": 200 + number}},
        ]}),
    };
    let rule = json!({"name": "A rule", "severity": "warning", "condition": condition});
    let record = AlertRuleRecord {
        owner: owner.clone(),
        rule_id: RuleId::from_random_bits(u128::from(number) + 1),
        version: 1,
        enabled: true,
        active_from: now,
        created_at: now,
        updated_at: now,
        definition: rule.to_string(),
    };
    let change = Change::alert_rule_changed(Author::Fleet, None, &record);
    let version = memory.owner_version(owner).await.unwrap_or_default();
    let created = AlertRules::create(memory, &record, version, &change).await;
    debug_assert!(created.is_ok(), "{created:?}");
}
