//! The outcome of importing a row, and the comparison of a row with the stored mapping.

use std::cmp::Ordering;

use roadcast_domain::ids::VehicleId;
use roadcast_domain::vehicle_mapping::{ConfirmedVersions, InvalidRow, RowFault, VehicleMapping};
use roadcast_ports::bulk::BulkFile;

use super::reader::NumberedRow;

/// The row's external id belongs to another vehicle.
pub(super) const EXTERNAL_ID_TAKEN: InvalidRow = InvalidRow::new("externalId", RowFault::ExternalIdTaken);

/// The outcome of a row of a file. Each kind of file has its own type of faults.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum RowOutcome<Fault> {
    Loaded,
    Unchanged,
    Superseded,
    Invalid(Fault),
}

/// The outcome of a row that assigns a vehicle to a fleet.
pub(super) type MappingOutcome = RowOutcome<InvalidRow>;

/// Returns the mapping that a row of the file describes.
pub(super) fn mapping_of(file: &BulkFile, numbered: &NumberedRow, vid: VehicleId) -> VehicleMapping {
    let row = &numbered.row;
    VehicleMapping {
        fleet_id: row.fleet_id.clone(),
        vid,
        details: row.details.clone(),
        removed: row.removed,
        version: file.version.clone(),
        line: numbered.line,
    }
}

/// Compares a new mapping with the stored one. Returns whether to write the new mapping, and the outcome of its row.
pub(super) fn compare_with_stored(
    stored: &VehicleMapping,
    new: &VehicleMapping,
    confirmed: &ConfirmedVersions,
) -> (bool, MappingOutcome) {
    let is_same = stored.has_same_content(new);
    match confirmed.version_of(stored).cmp(&new.version) {
        Ordering::Greater => (false, RowOutcome::Superseded),
        // The same row, written before this run resumed from an older checkpoint.
        Ordering::Equal if stored.line == new.line && stored.version == new.version => (false, RowOutcome::Loaded),
        Ordering::Equal if is_same => (false, RowOutcome::Unchanged),
        Ordering::Equal => (false, RowOutcome::Invalid(InvalidRow::entire_row(RowFault::Contradicts { line: stored.line }))),
        // Even the same content is written, to store the newer version: a file with a version in between may follow.
        Ordering::Less => (true, if is_same { RowOutcome::Unchanged } else { RowOutcome::Loaded }),
    }
}
