//! Checks the paths that the readers produce against the signal catalogue.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use super::{LATITUDE, LONGITUDE, SPEED};
use crate::{capmetro, envirocar, twizy};

/// Reads the paths of the catalogue from its CSV file.
pub(crate) fn catalogue_paths() -> HashSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../signals/catalogue.csv");
    csv::Reader::from_path(path).unwrap().records().map(|record| record.unwrap()[1].to_owned()).collect()
}

#[test]
fn every_path_of_a_reader_is_in_the_catalogue() {
    let catalogue = catalogue_paths();
    let tables = [envirocar::PHENOMENA, capmetro::TEXTS, twizy::NUMBERS];
    let single = [LATITUDE, LONGITUDE, SPEED, twizy::WEATHER, twizy::TRAFFIC, twizy::GEAR];
    for path in tables.into_iter().flatten().map(|(_, path)| *path).chain(single) {
        assert!(catalogue.contains(path), "{path}");
    }
}

#[test]
fn columns_have_distinct_paths() {
    for table in [envirocar::PHENOMENA, capmetro::TEXTS, twizy::NUMBERS] {
        let paths: HashSet<&str> = table.iter().map(|(_, path)| *path).collect();
        assert_eq!(paths.len(), table.len());
    }
}
