#![allow(clippy::unwrap_used, clippy::expect_used)]
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::{ClientKind, ClientPosition};
use roadcast_domain::ids::{ArrivalStamp, BackTestId, ChangeId, ClientId, Eid, FleetId, RuleId, SubscriptionId, VehicleId};
use roadcast_domain::secret::Secret;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::alert_state::EvaluationKey;
use roadcast_signals::Timestamp;
use serde_norway::Value;
use sha2::{Digest as _, Sha256};

use super::{EXPIRES_AT, FEED, Key, KeyRange};

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");

fn table(resource: &str) -> Value {
    let template: Value = serde_norway::from_str(&std::fs::read_to_string(TEMPLATE).unwrap()).unwrap();
    template["Resources"][resource]["Properties"].clone()
}

/// Checks that the key's attributes match the table's key schema, partition key first, and are of type `S`.
fn check(resource: &str, key: &Key) {
    let table = table(resource);
    let schema: Vec<(&str, &str)> = table["KeySchema"]
        .as_sequence()
        .expect(resource)
        .iter()
        .map(|part| (part["AttributeName"].as_str().unwrap(), part["KeyType"].as_str().unwrap()))
        .collect();
    let mut attributes = vec![(key.partition.0, "HASH")];
    attributes.extend(key.sort.as_ref().map(|(name, _)| (*name, "RANGE")));
    assert_eq!(schema, attributes, "{resource}");
    for attribute in table["AttributeDefinitions"].as_sequence().unwrap() {
        assert_eq!(attribute["AttributeType"].as_str(), Some("S"), "{resource}");
    }
}

#[test]
fn keys_match_the_key_schemas_of_the_template() {
    let (vid, fleet, subscription) =
        (VehicleId::from_random_bits(1), FleetId::from_random_bits(2), SubscriptionId::from_random_bits(3));
    let (client, external) = (ClientId::new("c"), ExternalId::new("bus", "1").unwrap());
    check("Vehicles", &Key::vehicle(&vid));
    check("VehicleEvents", &Key::event_item(&vid, Eid::MIN.to_string()));
    check("VehicleState", &Key::state(&vid));
    let evaluation = EvaluationKey { vid: vid.clone(), owner: RuleOwner::Fleet(fleet.clone()) };
    check("AlertState", &Key::alert_checkpoint(&evaluation));
    check("AlertState", &Key::shard_instance("shardId-000000000000"));
    check("AlertState", &Key::watched_evaluation("shardId-000000000000", &evaluation));
    check("AlertState", &Key::sent_notice(Eid::MIN));
    check("FeedIndex", &Key::feed_pointer(&fleet, ArrivalStamp::MIN));
    for key in [
        Key::fleet(&fleet),
        Key::listed_fleet(&fleet),
        Key::subscription(&fleet, &subscription),
        Key::grant_by_vehicle(&vid, &fleet, &subscription),
        Key::grant_by_fleet(&fleet, &vid, &subscription),
        Key::epoch_by_vehicle(&vid, &fleet),
        Key::epoch_by_fleet(&fleet, &vid),
        Key::change(&fleet, ChangeId::MIN),
        Key::alert_rule(&RuleOwner::Operator, &RuleId::from_random_bits(4)),
        Key::alert_rules_version_of(&RuleOwner::Fleet(fleet.clone())),
        Key::alert_rules_version(),
        Key::operator_change(ChangeId::MIN),
        Key::back_test(&RuleOwner::Operator, &BackTestId::from_random_bits(5)),
        Key::back_test_alerts(&BackTestId::from_random_bits(5), "0"),
        Key::client(&client),
        Key::client_of_fleet(&fleet, &client),
        Key::listed_client(&ClientPosition { kind: ClientKind::Ingest, client_id: client.clone() }),
        Key::client_change(&client, ChangeId::MIN),
        Key::owned_vehicle(&client, &vid),
        Key::vin(&"WVWZZZ3CZEE140287".parse().unwrap(), &secret(1)),
        Key::external_id(&external),
        Key::package(&"tyres".parse().unwrap()),
        Key::schema(&"com.example.tyre.v1".parse().unwrap(), 1),
        Key::listed_schema(&"com.example.tyre.v1".parse().unwrap()),
        Key::schemas_version(),
        Key::mapping(&fleet, &vid),
        Key::bulk_checkpoint(&FileVersion::new(Timestamp::from_ms(0), "", "digest")),
        Key::bulk_ledger(),
        Key::request_count(&fleet, Timestamp::from_ms(0)),
        Key::keyed_request("digest"),
    ] {
        check("Reference", &key);
    }
}

#[test]
fn expiry_attribute_matches_the_template() {
    for resource in ["FeedIndex", "Reference", "AlertState"] {
        let table = table(resource);
        assert_eq!(table["TimeToLiveSpecification"]["AttributeName"].as_str(), Some(EXPIRES_AT), "{resource}");
    }
}

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32]).unwrap()
}

#[test]
fn key_of_a_vin_contains_neither_the_vin_nor_its_plain_digest() {
    let vin = "WVWZZZ3CZEE140287";
    let key = Key::vin(&vin.parse().unwrap(), &secret(1)).partition.1;
    assert!(!key.contains(vin) && !key.contains(&hex::encode(Sha256::digest(vin))), "{key}");
    assert_eq!(key.len(), "vin#".len() + 64);
}

#[test]
fn key_of_a_vin_differs_between_stacks() {
    let vin = "WVWZZZ3CZEE140287".parse().unwrap();
    assert_eq!(Key::vin(&vin, &secret(1)), Key::vin(&vin, &secret(1)));
    assert_ne!(Key::vin(&vin, &secret(1)), Key::vin(&vin, &secret(2)));
}

fn contains(range: &KeyRange, key: &Key) -> bool {
    let (name, sort) = key.sort.as_ref().unwrap();
    range.partition == key.partition && range.sort == *name && (&range.from..=&range.to).contains(&sort)
}

#[test]
fn fleet_grants_after_a_vehicle_skip_only_the_items_of_that_vehicle() {
    let fleet = FleetId::from_random_bits(2);
    let [first, second] = [1, 2].map(VehicleId::from_random_bits);
    let subscription = SubscriptionId::from_random_bits(u128::MAX);
    let rest = KeyRange::grants_of_fleet(&fleet, Some(&first));
    assert!(!contains(&rest, &Key::epoch_by_fleet(&fleet, &first)));
    assert!(!contains(&rest, &Key::grant_by_fleet(&fleet, &first, &subscription)));
    assert!(contains(&rest, &Key::epoch_by_fleet(&fleet, &second)));
    assert!(contains(&rest, &Key::grant_by_fleet(&fleet, &second, &subscription)));
    assert!(!contains(&rest, &Key::subscription(&fleet, &subscription)));
    assert!(!contains(&rest, &Key::fleet(&fleet)));
}

#[test]
fn watched_evaluations_after_one_are_the_following_ones() {
    let key = |vehicle, owner| EvaluationKey { vid: VehicleId::from_random_bits(vehicle), owner };
    let fleet = RuleOwner::Fleet(FleetId::from_random_bits(2));
    let keys = [key(1, fleet.clone()), key(1, RuleOwner::Operator), key(2, fleet)];
    let watched = |key: &EvaluationKey| Key::watched_evaluation("shard", key);
    let after = KeyRange::watched_evaluations("shard", Some(&keys[0]));
    assert_eq!(keys.each_ref().map(|key| contains(&after, &watched(key))), [false, true, true]);
    assert!(contains(&KeyRange::watched_evaluations("shard", None), &watched(&keys[0])));
    for key in keys {
        assert_eq!(super::parse_watched(&watched(&key).sort.unwrap().1), Some(key));
    }
}

#[test]
fn schema_versions_are_ordered_and_exclude_the_counter() {
    let tyre = "com.example.tyre.v1".parse().unwrap();
    let versions = KeyRange::schema_versions(&tyre);
    assert!([1, 9, 10, u32::MAX].iter().all(|version| contains(&versions, &Key::schema(&tyre, *version))));
    assert!(Key::schema(&tyre, 9) < Key::schema(&tyre, 10));
    assert!(!contains(&versions, &Key::schema(&"com.example.tyre.v10".parse().unwrap(), 1)));
    assert!(contains(&KeyRange::schemas(), &Key::listed_schema(&tyre)));
    assert!(!contains(&KeyRange::schemas(), &Key::schemas_version()));
}

#[test]
fn grants_of_a_pair_exclude_other_fleets() {
    let vid = VehicleId::from_random_bits(1);
    let [fleet, other] = [0, u128::MAX].map(FleetId::from_random_bits);
    let subscription = SubscriptionId::from_random_bits(3);
    let pair = KeyRange::grants_of_pair(&fleet, &vid);
    assert!(contains(&pair, &Key::epoch_by_vehicle(&vid, &fleet)));
    assert!(contains(&pair, &Key::grant_by_vehicle(&vid, &fleet, &subscription)));
    assert!(!contains(&pair, &Key::grant_by_vehicle(&vid, &other, &subscription)));
    assert!(contains(&KeyRange::grants_to_vehicle(&vid), &Key::grant_by_vehicle(&vid, &other, &subscription)));
}

#[test]
fn feed_partition_is_the_fleet_and_the_hour_of_the_stamp() {
    let fleet = FleetId::from_random_bits(2);
    let stamp = ArrivalStamp::lower_bound(Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap());
    assert_eq!(Key::feed_pointer(&fleet, stamp).partition, (FEED, format!("{fleet}#2026-11-03T09")));
}
