//! Holds what the readers and the simulator emit against the signal catalogue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use crate::{capmetro, envirocar, twizy};

/// The paths of the catalogue, from its source.
pub(crate) fn catalogue_paths() -> HashSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../signals/catalogue.csv");
    csv::Reader::from_path(path).unwrap().records().map(|record| record.unwrap()[1].to_owned()).collect()
}

#[test]
fn every_path_that_a_reader_emits_is_in_the_catalogue() {
    let known = catalogue_paths();
    let tables = [envirocar::PHENOMENA, capmetro::TEXTS, twizy::NUMBERS];
    let single = [envirocar::LATITUDE, envirocar::LONGITUDE, capmetro::SPEED, twizy::WEATHER, twizy::TRAFFIC, twizy::GEAR];
    for path in tables.into_iter().flatten().map(|(_, path)| *path).chain(single) {
        assert!(known.contains(path), "{path}");
    }
}

#[test]
fn no_two_columns_share_a_path() {
    for table in [envirocar::PHENOMENA, capmetro::TEXTS, twizy::NUMBERS] {
        let paths: HashSet<&str> = table.iter().map(|(_, path)| *path).collect();
        assert_eq!(paths.len(), table.len());
    }
}
