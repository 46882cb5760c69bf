#![allow(clippy::unwrap_used)]
use super::*;

fn fields(members: &[(&str, &str)]) -> RowFields {
    let mut fields = RowFields::default();
    for (name, value) in [("fleetId", "flt_0123456789abcdef"), ("vin", "WVWZZZ3CZEE140287")].iter().chain(members) {
        assert!(fields.set(name, value), "{name}");
    }
    fields
}

fn fault(members: &[(&str, &str)]) -> (&'static str, &'static str) {
    let wrong = MappingRow::check(fields(members)).unwrap_err();
    (wrong.pointer, wrong.fault.code())
}

#[test]
fn a_row_of_a_fleet_and_a_vin_is_enough_and_every_other_member_is_taken() {
    let row = MappingRow::check(fields(&[])).unwrap();
    assert_eq!((row.removed, &row.described), (false, &MappedDetails::default()));
    let all = [("make", " VW "), ("modelYear", "2014"), ("fuelType", ""), ("externalId", "bus:7:a"), ("removed", "true")];
    let row = MappingRow::check(fields(&all)).unwrap();
    assert!(row.removed);
    assert_eq!((row.described.make.as_deref(), row.described.fuel_type.as_deref()), (Some("VW"), None));
    assert_eq!(row.described.external_id, Some(ExternalId::new("bus", "7:a").unwrap()));
}

#[test]
fn the_first_wrong_member_is_named_by_pointer_and_code_and_never_quoted() {
    assert_eq!(fault(&[("fleetId", "acme")]), ("/fleetId", "fleet_id"));
    assert_eq!(fault(&[("fleetId", "")]), ("/fleetId", "missing"));
    assert_eq!(fault(&[("vin", "")]), ("/vin", "missing"));
    assert_eq!(fault(&[("vin", "WVWZZZ3CZEE14028")]), ("/vin", "vin_length"));
    assert_eq!(fault(&[("vin", "WVWZZZ3CZEE14028O")]), ("/vin", "vin_character"));
    assert_eq!(fault(&[("vin", "1M8GDM9A1KP042788")]), ("/vin", "vin_check_digit"));
    assert_eq!(fault(&[("modelYear", "soon")]), ("/modelYear", "detail"));
    assert_eq!(fault(&[("modelYear", "1700")]), ("/modelYear", "detail"));
    assert_eq!(fault(&[("make", &"x".repeat(129))]), ("/make", "detail"));
    assert_eq!(fault(&[("externalId", "vin:WVWZZZ3CZEE140287")]), ("/externalId", "external_id"));
    assert_eq!(fault(&[("removed", "yes")]), ("/removed", "removed"));
    for wrong in ["WVWZZZ3CZEE14028", "1M8GDM9A1KP042788"] {
        let wrong_row = MappingRow::check(fields(&[("vin", wrong)])).unwrap_err();
        assert!(!format!("{wrong_row:?} {}", wrong_row.fault).contains(wrong));
    }
}

fn version(n: i64) -> FileVersion {
    FileVersion::new(Timestamp::from_ms(n), "", "")
}

#[test]
fn versions_go_by_time_then_by_sequencer_of_whatever_length() {
    let at = |ms, sequencer| FileVersion::new(Timestamp::from_ms(ms), sequencer, "d");
    assert!(at(999, "ff") < at(1000, "00"));
    assert!(at(1, "0055AED6DCD9") < at(1, "0055AED6DCD90281E5"));
    assert_eq!(at(1, "0055"), at(1, "005500"));
}

fn mapping(n: i64) -> VehicleMapping {
    let (fleet_id, vid) = (FleetId::from_random(1), VehicleId::from_random(1));
    VehicleMapping { fleet_id, vid, described: MappedDetails::default(), removed: false, version: version(n), line: 1 }
}

const NOON: Timestamp = Timestamp::from_ms(12 * 60 * 60 * 1000);

#[test]
fn the_last_file_over_again_affirms_its_mappings_for_files_that_come_late() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    ledger.end(&version(1));
    assert_eq!(ledger.begin(&version(3), "a", NOON).version_of(&mapping(1)), &version(3));
    ledger.end(&version(3));
    let late = ledger.begin(&version(2), "b", NOON);
    assert_eq!(late.version_of(&mapping(1)), &version(3));
    ledger.end(&version(2));
    // And still, after others.
    ledger.begin(&version(4), "c", NOON);
    ledger.end(&version(4));
    assert_eq!(ledger.begin(&version(2), "b", NOON).version_of(&mapping(1)), &version(3));
}

#[test]
fn a_file_is_written_anew_where_another_is_being_loaded_or_came_between() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    assert_eq!(ledger.begin(&version(3), "a", NOON).version_of(&mapping(1)), &version(1), "the first one is not at its end");
    ledger.end(&version(1));
    ledger.end(&version(3));
    ledger.begin(&version(2), "b", NOON);
    assert_eq!(ledger.begin(&version(4), "a", NOON).version_of(&mapping(3)), &version(3), "an older one is being loaded");
    ledger.end(&version(4));
    ledger.end(&version(2));
    ledger.begin(&version(5), "b", NOON);
    ledger.end(&version(5));
    assert_eq!(ledger.begin(&version(6), "a", NOON).version_of(&mapping(4)), &version(4), "another one came between");
}

#[test]
fn going_on_with_a_file_changes_nothing_about_it() {
    let mut ledger = ImportLedger::default();
    ledger.begin(&version(1), "a", NOON);
    ledger.end(&version(1));
    let first = ledger.begin(&version(2), "a", NOON);
    assert_eq!(ledger.begin(&version(2), "a", NOON), first);
    ledger.end(&version(2));
    assert_eq!(ledger.begin(&version(2), "a", NOON), first);
}

#[test]
fn a_file_whose_end_nobody_told_is_forgotten_once_its_run_cannot_go_on() {
    let mut ledger = ImportLedger::default();
    for n in 1..1000 {
        ledger.begin(&version(n), "broken", NOON.plus_ms(n));
    }
    let later = NOON.plus_ms(60 * 60 * 1000);
    ledger.begin(&version(1000), "a", later);
    ledger.end(&version(1000));
    assert!(serde_json::to_string(&ledger).unwrap().len() < 300, "{ledger:?}");
    let affirmed = ledger.begin(&version(1001), "a", later);
    assert_eq!(affirmed.version_of(&mapping(1000)), &version(1001), "and a repeat needs no writes again");
}
