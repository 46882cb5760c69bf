//! Selects the task for an object by the prefix of its key. For a new kind of bulk file, add a prefix, a variant, and a
//! notification in `template.yaml`.

use roadcast_aws::RESUME_PREFIX;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_lambda_kit::s3::CreatedObject;
use roadcast_ports::bulk::BulkFile;
use sha2::{Digest as _, Sha256};

const VIN_MAP: &str = "vin-map/";
const SCHEMAS: &str = "schemas/";

/// The task for an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Import a mapping of vehicles to fleets.
    VinMap(BulkFile),
    /// Import event schemas.
    Schemas(BulkFile),
    /// Resume the import of a file. The object with this key names the file.
    Resume(String),
    /// The prefix is unknown, or the notification has no time.
    Unknown,
}

impl Task {
    /// Returns the task for a created object.
    pub(crate) fn for_object(object: CreatedObject) -> Self {
        if object.key.starts_with(RESUME_PREFIX) {
            return Self::Resume(object.key);
        }
        // Without a time, it is unknown which of two files is newer.
        let Some(created_at) = object.created_at else { return Self::Unknown };
        let digest = Sha256::digest(&object.key).iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let version = FileVersion::new(created_at, &object.sequencer, &format!("{digest:016x}"));
        let (object_version, content) = (object.object_version, object.entity_tag);
        Self::for_file(BulkFile { key: object.key, object_version, content, version })
    }

    /// Returns the task for a bulk file.
    pub(crate) fn for_file(file: BulkFile) -> Self {
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

    fn object(key: &str) -> CreatedObject {
        CreatedObject {
            key: key.to_owned(),
            created_at: Some(Timestamp::from_ms(0)),
            entity_tag: "tag".to_owned(),
            object_version: None,
            sequencer: "0A".to_owned(),
        }
    }

    #[test]
    fn prefix_selects_the_task_and_version_omits_the_key() {
        let Task::VinMap(file) = Task::for_object(object("vin-map/acme.csv")) else { panic!("a file to import") };
        assert!(file.version.as_str().starts_with("1970-01-01T00:00:00.000Z#0A0"), "{:?}", file.version);
        assert!(!file.version.as_str().contains("acme"));
        assert!(matches!(Task::for_object(object("schemas/tyres.ndjson")), Task::Schemas(_)));
        assert_eq!(Task::for_object(object("resume/x.json")), Task::Resume("resume/x.json".to_owned()));
        assert_eq!(Task::for_object(object("reports/vin-map/acme.csv.report.ndjson")), Task::Unknown);
        assert_eq!(Task::for_object(CreatedObject { created_at: None, ..object("vin-map/acme.csv") }), Task::Unknown);
    }
}
