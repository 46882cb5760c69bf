//! An alert about the vehicle of a fleet, wherever the fleet can read it.

use roadcast_codec::bus_entry;
use roadcast_domain::alert::{Alert, AlertRule, Cause, RuleOwner};
use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestProgress, BackTestState};
use roadcast_domain::ids::{AlertId, BackTestId, FleetId, RuleId, VehicleId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::alerts::BackTests;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::event_log::EventLog as _;
use roadcast_testbed::fixtures;

use crate::deployment::{Deployment, FleetIds};
use crate::webhooks::store_delivery_of;

/// The type of alerts.
pub(crate) const TYPE: &str = "roadcast.alert.v1";
/// The speed that the alert states.
pub(crate) const ALERT_SPEED: &str = "131.5";
/// The start of the response to the attempt to deliver it.
pub(crate) const ALERT_EXCERPT: &str = "the receiver of alerts is full";

/// Where the alert is.
pub(crate) struct AlertIds {
    pub(crate) eid: String,
    pub(crate) delivery_id: String,
    pub(crate) back_test_id: String,
}

/// Raises an alert of a rule of the fleet: in the log, the feed, the arrivals, a webhook delivery with an attempt, and a back-test.
pub(crate) async fn raise(deployment: &Deployment, fleet: &FleetIds) -> AlertIds {
    let Deployment { memory, clock, .. } = deployment;
    let (vid, fleet_id): (VehicleId, FleetId) = (fleet.vid.parse().unwrap(), fleet.fleet_id.parse().unwrap());
    let (now, rule_id) = (clock.now(), RuleId::from_random_bits(5));
    let alert = fixtures::speed_alert(&vid, 0);
    let alert = Alert {
        alert_id: AlertId::for_alert(&rule_id, 1, &vid, now),
        rule: AlertRule { fleet_id: Some(fleet_id.clone()), rule_id: rule_id.clone(), ..alert.rule },
        at: now,
        raised_at: now,
        cause: Some(Cause { eid: fleet.eid.parse().unwrap(), received: now }),
        ..alert
    };
    let stored = alert.clone().into_event(vid.clone());
    memory.append(std::slice::from_ref(&stored)).await.into_iter().collect::<Result<(), _>>().unwrap();
    let entry = bus_entry::encode(&[&stored.event], DeliveryFormat::Json, None).unwrap().remove(0);
    deployment.apis.enrichment.deliver(&[entry.json.as_str()]).await.unwrap();
    let eid = stored.event.eid.to_string();
    let of = (fleet.fleet_id.as_str(), fleet.vid.as_str(), eid.as_str(), fleet.webhook.endpoint_id.as_str());
    let delivery_id = store_delivery_of(memory, of, TYPE, ALERT_EXCERPT).await;
    let back_test = BackTest {
        back_test_id: BackTestId::from_random_bits(6),
        owner: RuleOwner::Fleet(fleet_id),
        rule_id,
        version: 1,
        definition: r#"{"name":"A back-test"}"#.to_owned(),
        vehicles: vec![vid.clone()],
        from: now.plus_ms(-1000),
        until: now,
        progress: BackTestProgress { vehicles: 1, pages: vec!["page".to_owned()], alerts: 1, ..Default::default() },
        state: BackTestState::Finished,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    BackTests::create(memory, &back_test).await.unwrap();
    let found = [BackTestAlert { vid, alert }];
    memory.store_alerts(&back_test.back_test_id, "page", &found, back_test.expires_at()).await.unwrap();
    AlertIds { eid, delivery_id, back_test_id: back_test.back_test_id.to_string() }
}
