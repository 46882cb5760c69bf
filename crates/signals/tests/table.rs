//! Checks the table of the catalogue against its rules and, if the data is available, against VSS and the real recordings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use roadcast_signals::{Catalogue, Origin, Resolution, SignalDef, SignalPath};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const TABLE: &str = include_str!("../catalogue.csv");

/// The number of published rows, which stored blocks rely on, and the FNV-1a hash of their text. Appended rows do not change
/// the hash. Raise both after a release, never to make an edit pass.
const GOLDEN_ROWS: usize = 1436;
const GOLDEN_HASH: u64 = 0x208d_8fd3_6268_e458;

/// The units of VSS 6.0 that the catalogue uses.
const VSS_UNITS: &str = include_str!("fixtures/units.txt");
/// Units of our overlay that VSS does not define.
const OWN_UNITS: [&str; 1] = ["kg/h"];

/// Signals whose range is wider than in VSS, each with its reason. None so far.
const WIDER_THAN_VSS: [&str; 0] = [];

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn every_line_is_an_entry_and_numbers_have_no_gaps() {
    let catalogue = Catalogue::get();
    assert_eq!(catalogue.iter().len(), TABLE.lines().count() - 1);
    for (position, def) in catalogue.iter().enumerate() {
        assert_eq!(usize::from(def.number), position + 1, "{}", def.path);
        assert_eq!(catalogue.by_number(def.number), Some(def));
        assert_eq!(catalogue.by_path(def.path), Some(def), "duplicate path {}", def.path);
    }
    assert_eq!(catalogue.version(), catalogue.iter().last().unwrap().number);
    assert_eq!(catalogue.by_number(0), None);
    assert_eq!(catalogue.by_number(catalogue.version() + 1), None);
}

#[test]
fn published_rows_are_unchanged() {
    let lines: Vec<&str> = TABLE.lines().take(GOLDEN_ROWS + 1).collect();
    assert_eq!(lines.len(), GOLDEN_ROWS + 1, "rows may only be appended");
    assert_eq!(fnv1a(&lines.join("\n")), GOLDEN_HASH, "rows may only be appended");
}

#[test]
fn paths_are_well_formed_and_none_is_a_branch() {
    for def in Catalogue::get().iter() {
        assert!(SignalPath::parse(def.path).unwrap().def().is_some());
        assert!(def.path.starts_with("Vehicle."), "{}", def.path);
        assert!(def.path.split('.').all(|segment| !segment.is_empty()), "{}", def.path);
        for (end, _) in def.path.match_indices('.') {
            assert_eq!(Catalogue::get().by_path(&def.path[..end]), None, "{}", def.path);
        }
    }
}

#[test]
fn ranges_are_ordered_and_end_on_the_grid() {
    for def in Catalogue::get().iter() {
        let ends = [def.min, def.max].into_iter().flatten();
        assert!(def.datatype.is_numeric() || ends.clone().count() == 0, "{}", def.path);
        assert!(ends.clone().is_sorted(), "{}", def.path);
        for end in ends {
            assert!(def.contains(end), "{}", def.path);
            let rounded = def.resolution.map_or(end, |resolution| resolution.round(end));
            assert_eq!(rounded.to_bits(), end.to_bits(), "{} ends between two grid points", def.path);
        }
    }
}

#[test]
fn resolutions_match_datatypes() {
    for def in Catalogue::get().iter() {
        let decimals = def.resolution.map(Resolution::decimals);
        if def.datatype.is_integer() {
            assert_eq!(decimals, Some(0), "{}", def.path);
        } else if !def.datatype.is_numeric() {
            assert_eq!(decimals, None, "{}", def.path);
        }
        assert!(def.allowed.is_empty() || def.datatype.name() == "string", "{}", def.path);
    }
}

#[test]
fn resolutions_of_important_signals_are_as_designed() {
    for (path, decimals) in [
        ("Vehicle.CurrentLocation.Latitude", 6),
        ("Vehicle.CurrentLocation.Longitude", 6),
        ("Vehicle.CurrentLocation.Altitude", 1),
        ("Vehicle.CurrentLocation.HorizontalAccuracy", 1),
        ("Vehicle.CurrentLocation.VerticalAccuracy", 1),
        ("Vehicle.CurrentLocation.Heading", 1),
        ("Vehicle.CurrentLocation.HorizontalDilution", 1),
        ("Vehicle.CurrentLocation.Speed", 1),
        ("Vehicle.Speed", 1),
        ("Vehicle.OBD.Speed", 1),
        ("Vehicle.OBD.EngineSpeed", 0),
        ("Vehicle.OBD.EngineLoad", 1),
        ("Vehicle.OBD.IntakeTemp", 1),
        ("Vehicle.OBD.MAP", 0),
        ("Vehicle.OBD.MAF", 2),
        ("Vehicle.OBD.CalculatedMAF", 2),
        ("Vehicle.OBD.FuelRate", 2),
        ("Vehicle.OBD.ControlModuleVoltage", 2),
        ("Vehicle.Powertrain.CombustionEngine.CO2EmissionRate", 2),
        ("Vehicle.Powertrain.TractionBattery.StateOfCharge.Current", 2),
        ("Vehicle.Powertrain.Transmission.TravelledDistance", 3),
        ("Vehicle.TraveledDistance", 0),
    ] {
        let def = Catalogue::get().by_path(path).unwrap();
        assert_eq!(def.resolution.map(Resolution::decimals), Some(decimals), "{path}");
    }
}

#[test]
fn units_are_defined_by_vss_or_listed() {
    let known: BTreeSet<&str> = VSS_UNITS.lines().collect();
    let mut unused = known.clone();
    for def in Catalogue::get().iter() {
        let Some(unit) = def.unit else { continue };
        let is_ours = def.origin == Origin::Roadcast && OWN_UNITS.contains(&unit);
        assert!(is_ours || known.contains(unit), "{} {unit}", def.path);
        unused.remove(unit);
    }
    assert!(unused.is_empty(), "no signal has the units {unused:?}");
}

#[test]
fn listed_units_are_defined_by_vss() {
    let Some(path) = roadcast_test_data::find("vss/units.yaml") else { return };
    let units = fs::read_to_string(path).unwrap();
    let defined: BTreeSet<&str> =
        units.lines().filter(|line| !line.starts_with([' ', '#'])).filter_map(|line| line.strip_suffix(':')).collect();
    assert!(defined.len() > 50);
    assert!(VSS_UNITS.lines().all(|unit| defined.contains(unit)));
}

fn datatype(def: &SignalDef) -> String {
    format!("{}{}", def.datatype, if def.is_array { "[]" } else { "" })
}

fn number(column: &str) -> Option<f64> {
    (!column.is_empty()).then(|| column.parse().unwrap())
}

/// Parses the allowed texts of VSS: `['A', 'B']`.
fn texts(column: &str) -> Vec<&str> {
    column.split('\'').skip(1).step_by(2).collect()
}

/// Checks that the catalogue has each leaf of a table of VSS. Returns the signals of the same origin that the table lacks.
fn check_leaves(table: &str, origin: Origin) -> Vec<&'static str> {
    let mut ours: BTreeMap<&str, &SignalDef> =
        Catalogue::get().iter().filter(|def| def.origin == origin).map(|def| (def.path, def)).collect();
    for row in csv::Reader::from_reader(table.as_bytes()).deserialize::<BTreeMap<String, String>>() {
        let row = row.unwrap();
        if row["Type"] == "branch" {
            continue;
        }
        let signal = row["Signal"].as_str();
        let def = ours.remove(signal).unwrap_or_else(|| panic!("{signal} is missing"));
        assert_eq!(datatype(def), row["DataType"], "{signal}");
        assert_eq!(def.unit.unwrap_or(""), row["Unit"], "{signal}");
        assert_eq!(def.allowed.to_vec(), texts(&row["Allowed"]), "{signal}");
        let is_narrower = number(&row["Min"]).is_none_or(|theirs| def.min.is_some_and(|ours| ours >= theirs))
            && number(&row["Max"]).is_none_or(|theirs| def.max.is_some_and(|ours| ours <= theirs));
        assert_ne!(is_narrower, WIDER_THAN_VSS.contains(&signal), "{signal}");
    }
    ours.into_keys().collect()
}

#[test]
fn selected_leaves_of_vss_are_in_the_catalogue() {
    assert_eq!(check_leaves(include_str!("fixtures/vss_leaves.csv"), Origin::Vss).len(), 1267 - 11);
    assert_eq!(check_leaves(include_str!("fixtures/obd_leaves.csv"), Origin::Obd).len(), 119 - 6);
}

#[test]
fn every_leaf_of_vss_is_in_the_catalogue() {
    for (file, origin) in [("vss/vss_v6.0.csv", Origin::Vss), ("vss/vss_v6.0_obd_overlay.csv", Origin::Obd)] {
        let Some(path) = roadcast_test_data::find(file) else { continue };
        let surplus = check_leaves(&fs::read_to_string(path).unwrap(), origin);
        assert!(surplus.is_empty(), "not in {file}: {surplus:?}");
    }
}

#[test]
fn every_path_of_the_truck_recordings_is_in_the_catalogue() {
    for file in ["signalsFmsRecording.csv.gz", "signalsCovesaCvRecording.csv.gz"] {
        let Some(path) = roadcast_test_data::find(&format!("fms_vss_recording/{file}")) else { continue };
        let plain = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
        for row in csv::Reader::from_reader(plain).deserialize::<BTreeMap<String, String>>() {
            let signal = &row.unwrap()["signal"];
            assert!(Catalogue::get().by_path(signal).is_some(), "{signal}");
        }
    }
}
