//! JSON representations of packages and event schemas.

use roadcast_domain::Timestamp;
use roadcast_domain::event::CustomType;
use roadcast_domain::package::Package;
use roadcast_domain::schema::{EventSchema, SchemaText};
use roadcast_services::catalogue::packages::PackageRecord;
use serde::Serialize;

/// The JSON representation of a package. Its version is in the `ETag`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackageView<'p> {
    origin: &'static str,
    #[serde(flatten)]
    package: &'p Package,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

impl<'p> From<&'p PackageRecord> for PackageView<'p> {
    fn from(record: &'p PackageRecord) -> Self {
        let (origin, created_at, updated_at) = match record {
            PackageRecord::BuiltIn(_) => ("built_in", None, None),
            PackageRecord::Custom(custom) => ("custom", Some(custom.created_at), Some(custom.updated_at)),
        };
        Self { origin, package: record.package(), created_at, updated_at }
    }
}

/// The JSON representation of a schema version. Lists omit the schema itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaView<'s> {
    #[serde(rename = "type")]
    event_type: &'s CustomType,
    version: u32,
    registered_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'s SchemaText>,
}

impl<'s> SchemaView<'s> {
    pub(crate) fn full(schema: &'s EventSchema) -> Self {
        Self { schema: Some(&schema.schema), ..Self::summary(schema) }
    }

    pub(crate) fn summary(schema: &'s EventSchema) -> Self {
        let EventSchema { event_type, version, registered_at, schema: _ } = schema;
        Self { event_type, version: *version, registered_at: *registered_at, schema: None }
    }
}
