use super::*;

fn fields(members: &[(&str, &str)]) -> RowFields {
    let mut fields = RowFields::default();
    for (name, value) in [("fleetId", "flt_0123456789abcdef"), ("vin", "WVWZZZ3CZEE140287")].iter().chain(members) {
        assert!(fields.set(name, value), "{name}");
    }
    fields
}

fn fault(members: &[(&str, &str)]) -> (&'static str, &'static str) {
    let invalid = MappingRow::check(fields(members)).unwrap_err();
    (invalid.member.unwrap_or_default(), invalid.fault.code())
}

#[test]
fn row_requires_only_fleet_and_vin() {
    let row = MappingRow::check(fields(&[])).unwrap();
    assert_eq!((row.removed, &row.details), (false, &MappedDetails::default()));
    let all = [("make", " VW "), ("modelYear", "2014"), ("fuelType", ""), ("externalId", "bus:7:a"), ("removed", "true")];
    let row = MappingRow::check(fields(&all)).unwrap();
    assert!(row.removed);
    assert_eq!((row.details.make.as_deref(), row.details.fuel_type.as_deref()), (Some("VW"), None));
    assert_eq!(row.details.external_id, Some(ExternalId::new("bus", "7:a").unwrap()));
}

#[test]
fn removed_is_a_boolean_in_any_case() {
    for (text, removed) in [("TRUE", true), ("True", true), ("true", true), ("FALSE", false), ("False", false), ("", false)]
    {
        assert_eq!(MappingRow::check(fields(&[("removed", text)])).unwrap().removed, removed, "{text}");
    }
    for text in ["1", "WAHR", "ja", "yes"] {
        assert_eq!(fault(&[("removed", text)]), ("removed", "removed"));
    }
}

#[test]
fn text_with_a_control_character_is_invalid() {
    for text in ["V\0W", "V\u{1}", "V\u{ffff}W"] {
        assert_eq!(fault(&[("make", text)]), ("make", "character"), "{text:?}");
        assert_eq!(fault(&[("externalId", &format!("bus:{text}"))]), ("externalId", "character"), "{text:?}");
    }
}

#[test]
fn first_invalid_member_is_reported_without_its_value() {
    assert_eq!(fault(&[("fleetId", "acme")]), ("fleetId", "fleet_id"));
    assert_eq!(fault(&[("fleetId", "")]), ("fleetId", "missing"));
    assert_eq!(fault(&[("vin", "")]), ("vin", "missing"));
    assert_eq!(fault(&[("vin", "WVWZZZ3CZEE14028")]), ("vin", "vin_length"));
    assert_eq!(fault(&[("vin", "WVWZZZ3CZEE14028O")]), ("vin", "vin_character"));
    assert_eq!(fault(&[("vin", "1M8GDM9A1KP042788")]), ("vin", "vin_check_digit"));
    assert_eq!(fault(&[("modelYear", "soon")]), ("modelYear", "detail"));
    assert_eq!(fault(&[("modelYear", "1700")]), ("modelYear", "detail"));
    assert_eq!(fault(&[("make", &"x".repeat(129))]), ("make", "detail"));
    assert_eq!(fault(&[("externalId", "vin:WVWZZZ3CZEE140287")]), ("externalId", "external_id"));
    assert_eq!(fault(&[("removed", "yes")]), ("removed", "removed"));
    for vin in ["WVWZZZ3CZEE14028", "1M8GDM9A1KP042788"] {
        let invalid = MappingRow::check(fields(&[("vin", vin)])).unwrap_err();
        assert!(!format!("{invalid:?} {}", invalid.fault).contains(vin));
    }
}
