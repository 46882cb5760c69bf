use super::*;
use crate::ids::{FleetId, VehicleId};
use crate::vehicle_mapping::MappedDetails;

fn version(n: i64) -> FileVersion {
    FileVersion::new(Timestamp::from_ms(n), "", "")
}

fn mapping(n: i64) -> VehicleMapping {
    let (fleet_id, vid) = (FleetId::from_random_bits(1), VehicleId::from_random_bits(1));
    VehicleMapping { fleet_id, vid, details: MappedDetails::default(), removed: false, version: version(n), line: 1 }
}

const NOON: Timestamp = Timestamp::from_ms(12 * 60 * 60 * 1000);

#[test]
fn repeated_file_confirms_its_mappings_for_late_files() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    ledger.end(&version(1));
    assert_eq!(ledger.begin(&version(3), "a", NOON).version_of(&mapping(1)), &version(3));
    ledger.end(&version(3));
    let late = ledger.begin(&version(2), "b", NOON);
    assert_eq!(late.version_of(&mapping(1)), &version(3));
    ledger.end(&version(2));
    // The confirmation remains after other files.
    ledger.begin(&version(4), "c", NOON);
    ledger.end(&version(4));
    assert_eq!(ledger.begin(&version(2), "b", NOON).version_of(&mapping(1)), &version(3));
}

#[test]
fn file_is_written_again_after_or_during_another_import() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    assert_eq!(ledger.begin(&version(3), "a", NOON).version_of(&mapping(1)), &version(1), "the first import has not ended");
    ledger.end(&version(1));
    ledger.end(&version(3));
    ledger.begin(&version(2), "b", NOON);
    assert_eq!(ledger.begin(&version(4), "a", NOON).version_of(&mapping(3)), &version(3), "an older file is being imported");
    ledger.end(&version(4));
    ledger.end(&version(2));
    ledger.begin(&version(5), "b", NOON);
    ledger.end(&version(5));
    assert_eq!(
        ledger.begin(&version(6), "a", NOON).version_of(&mapping(4)),
        &version(4),
        "another file was imported in between"
    );
}

#[test]
fn resuming_a_file_changes_no_versions() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    ledger.end(&version(1));
    let first = ledger.begin(&version(2), "a", NOON);
    assert_eq!(ledger.begin(&version(2), "a", NOON), first);
    ledger.end(&version(2));
    assert_eq!(ledger.begin(&version(2), "a", NOON), first);
}

#[test]
fn import_without_recorded_end_expires() {
    let mut ledger = ImportLedger::default();
    for n in 1..1000 {
        ledger.begin(&version(n), "broken", NOON.plus_ms(n));
    }
    let later = NOON.plus_ms(60 * 60 * 1000);
    ledger.begin(&version(1000), "a", later);
    ledger.end(&version(1000));
    assert!(serde_json::to_string(&ledger).unwrap().len() < 300, "{ledger:?}");
    let confirmed = ledger.begin(&version(1001), "a", later);
    assert_eq!(confirmed.version_of(&mapping(1000)), &version(1001), "a repeated file needs no writes again");
}

#[test]
fn stored_ledger_has_the_same_member_names() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    ledger.end(&version(1));
    ledger.begin(&version(2), "a", NOON);
    let (first, second) = (version(1), version(2));
    let stored = serde_json::json!({
        "revision": 3,
        "newest": { "version": second, "writtenAs": first, "content": "a", "ended": false },
        "begun": { second.as_str(): NOON },
        "affirmed": { first.as_str(): second },
    });
    assert_eq!(serde_json::to_value(&ledger).unwrap(), stored);
}
