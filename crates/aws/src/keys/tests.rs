#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use serde_norway::Value;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");

fn table(resource: &str) -> Value {
    let template: Value = serde_norway::from_str(&std::fs::read_to_string(TEMPLATE).unwrap()).unwrap();
    template["Resources"][resource]["Properties"].clone()
}

/// The key's attribute names must be the table's key schema, partition key first, and texts.
fn check(resource: &str, key: &Key) {
    let table = table(resource);
    let schema: Vec<(&str, &str)> = table["KeySchema"]
        .as_sequence()
        .expect(resource)
        .iter()
        .map(|part| (part["AttributeName"].as_str().unwrap(), part["KeyType"].as_str().unwrap()))
        .collect();
    let mut ours = vec![(key.partition.0, "HASH")];
    ours.extend(key.sort.as_ref().map(|(name, _)| (*name, "RANGE")));
    assert_eq!(schema, ours, "{resource}");
    for attribute in table["AttributeDefinitions"].as_sequence().unwrap() {
        assert_eq!(attribute["AttributeType"].as_str(), Some("S"), "{resource}");
    }
}

#[test]
fn keys_have_the_attributes_that_the_template_gives_their_tables() {
    let (vid, fleet, subscription) = (VehicleId::from_random(1), FleetId::from_random(2), SubscriptionId::from_random(3));
    let (client, external) = (ClientId::new("c"), ExternalId::new("bus", "1").unwrap());
    check("Vehicles", &Key::vehicle(&vid));
    check("VehicleEvents", &Key::event_item(&vid, Eid::MIN.to_string()));
    check("VehicleState", &Key::state(&vid));
    check("FeedIndex", &Key::feed_pointer(&fleet, Eid::MIN));
    for key in [
        Key::fleet(&fleet),
        Key::listed_fleet(&fleet),
        Key::subscription(&fleet, &subscription),
        Key::grant_by_vehicle(&vid, &fleet, &subscription),
        Key::grant_by_fleet(&fleet, &vid, &subscription),
        Key::epoch_by_vehicle(&vid, &fleet),
        Key::epoch_by_fleet(&fleet, &vid),
        Key::change(&fleet, Eid::MIN),
        Key::client(&client),
        Key::owned_vehicle(&client, &vid),
        Key::vin(&"WVWZZZ3CZEE140287".parse().unwrap()),
        Key::external_id(&external),
        Key::package("tyres"),
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
fn items_expire_by_the_attribute_that_the_template_names() {
    for resource in ["FeedIndex", "Reference"] {
        let table = table(resource);
        assert_eq!(table["TimeToLiveSpecification"]["AttributeName"].as_str(), Some(EXPIRES_AT), "{resource}");
    }
}

#[test]
fn a_vin_is_in_no_key() {
    let key = format!("{:?}", Key::vin(&"WVWZZZ3CZEE140287".parse().unwrap()));
    assert!(!key.contains("WVWZZZ3CZEE140287"), "{key}");
}

fn holds(range: &KeyRange, key: &Key) -> bool {
    let (name, sort) = key.sort.as_ref().unwrap();
    range.partition == key.partition && range.sort == *name && (&range.from..=&range.to).contains(&sort)
}

#[test]
fn a_fleets_grants_after_a_vehicle_skip_all_of_that_vehicles_items_and_no_other() {
    let fleet = FleetId::from_random(2);
    let [first, second] = [1, 2].map(VehicleId::from_random);
    let subscription = SubscriptionId::from_random(u128::MAX);
    let rest = KeyRange::grants_of_fleet(&fleet, Some(&first));
    assert!(!holds(&rest, &Key::epoch_by_fleet(&fleet, &first)));
    assert!(!holds(&rest, &Key::grant_by_fleet(&fleet, &first, &subscription)));
    assert!(holds(&rest, &Key::epoch_by_fleet(&fleet, &second)));
    assert!(holds(&rest, &Key::grant_by_fleet(&fleet, &second, &subscription)));
    assert!(!holds(&rest, &Key::subscription(&fleet, &subscription)));
    assert!(!holds(&rest, &Key::fleet(&fleet)));
}

#[test]
fn versions_of_a_schema_come_in_order_and_the_counter_is_no_schema() {
    let tyre = "com.example.tyre.v1".parse().unwrap();
    let versions = KeyRange::schema_versions(&tyre);
    assert!([1, 9, 10, u32::MAX].iter().all(|version| holds(&versions, &Key::schema(&tyre, *version))));
    assert!(Key::schema(&tyre, 9) < Key::schema(&tyre, 10));
    assert!(!holds(&versions, &Key::schema(&"com.example.tyre.v10".parse().unwrap(), 1)));
    assert!(holds(&KeyRange::schemas(), &Key::listed_schema(&tyre)));
    assert!(!holds(&KeyRange::schemas(), &Key::schemas_version()));
}

#[test]
fn a_pairs_grants_are_no_other_fleets() {
    let vid = VehicleId::from_random(1);
    let [ours, theirs] = [0, u128::MAX].map(FleetId::from_random);
    let subscription = SubscriptionId::from_random(3);
    let pair = KeyRange::grants_of_pair(&ours, &vid);
    assert!(holds(&pair, &Key::epoch_by_vehicle(&vid, &ours)));
    assert!(holds(&pair, &Key::grant_by_vehicle(&vid, &ours, &subscription)));
    assert!(!holds(&pair, &Key::grant_by_vehicle(&vid, &theirs, &subscription)));
    assert!(holds(&KeyRange::grants_to_vehicle(&vid), &Key::grant_by_vehicle(&vid, &theirs, &subscription)));
}

#[test]
fn a_feeds_partition_is_the_fleet_and_the_hour_of_the_stamp() {
    let fleet = FleetId::from_random(2);
    let stamp = Eid::first_at(Timestamp::parse_rfc3339("2026-11-03T09:59:59.999Z").unwrap());
    assert_eq!(Key::feed_pointer(&fleet, stamp).partition, (FEED, format!("{fleet}#2026-11-03T09")));
}
