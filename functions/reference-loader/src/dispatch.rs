//! What is to be done with an object: its prefix says it. Another kind of bulk data is a prefix here, a variant, and a
//! notification in the template.

use roadcast_aws::RESUME;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_lambda_kit::s3::Arrival;
use roadcast_ports::bulk::BulkFile;
use sha2::{Digest as _, Sha256};

const VIN_MAP: &str = "vin-map/";
const SCHEMAS: &str = "schemas/";

/// What is to be done with an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// It says which customer has which vehicle.
    VinMap(BulkFile),
    /// It holds schemas of event types.
    Schemas(BulkFile),
    /// The object of that key names a file that goes on.
    Resume(String),
    /// Nobody knows what it is.
    Unknown,
}

impl Task {
    /// What is to be done with an object that arrived.
    pub(crate) fn of(arrival: Arrival) -> Self {
        if arrival.key.starts_with(RESUME) {
            return Self::Resume(arrival.key);
        }
        // Without a time nobody could say which of two files is newer.
        let Some(taken_at) = arrival.taken_at else { return Self::Unknown };
        let digest = Sha256::digest(&arrival.key).iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let version = FileVersion::new(taken_at, &arrival.sequencer, &format!("{digest:016x}"));
        let (object_version, content) = (arrival.object_version, arrival.entity_tag);
        Self::of_file(BulkFile { key: arrival.key, object_version, content, version })
    }

    /// What is to be done with a file.
    pub(crate) fn of_file(file: BulkFile) -> Self {
        match file.key.as_str() {
            key if key.starts_with(VIN_MAP) => Self::VinMap(file),
            key if key.starts_with(SCHEMAS) => Self::Schemas(file),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::Timestamp;

    use super::*;

    fn arrival(key: &str) -> Arrival {
        Arrival {
            key: key.to_owned(),
            taken_at: Some(Timestamp::from_ms(0)),
            entity_tag: "tag".to_owned(),
            object_version: None,
            sequencer: "0A".to_owned(),
        }
    }

    #[test]
    fn the_prefix_says_what_is_to_be_done_and_the_version_holds_nothing_of_the_name() {
        let Task::VinMap(file) = Task::of(arrival("vin-map/customer.csv")) else { panic!("a file to load") };
        assert!(file.version.as_str().starts_with("1970-01-01T00:00:00.000Z#0A0"), "{:?}", file.version);
        assert!(!file.version.as_str().contains("customer"));
        assert!(matches!(Task::of(arrival("schemas/tyres.ndjson")), Task::Schemas(_)));
        assert_eq!(Task::of(arrival("resume/x.json")), Task::Resume("resume/x.json".to_owned()));
        assert_eq!(Task::of(arrival("reports/vin-map/customer.csv.report.ndjson")), Task::Unknown);
        assert_eq!(Task::of(Arrival { taken_at: None, ..arrival("vin-map/customer.csv") }), Task::Unknown);
    }
}
