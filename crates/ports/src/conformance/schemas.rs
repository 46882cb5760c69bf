//! [`Schemas`]

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::{EventSchema, SchemaText};
use serde_json::json;

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::schemas::Schemas;

/// Checks every implementation of [`Schemas`].
pub async fn schemas(schemas: &impl Schemas, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    // A label starts with a letter.
    let type_name = |last: &str| format!("com.example.s{}.{last}.v1", fixtures.word()).parse().expect("a valid type name");
    let (tyre, door): (CustomType, CustomType) = (type_name("tyre"), type_name("door"));
    let version = |event_type: &CustomType, version: u32| EventSchema {
        event_type: event_type.clone(),
        version,
        schema: SchemaText::new(
            &json!({"type": "object", "maxProperties": version, "properties": {"a/\"é": {"const": 0.1}}}),
        ),
        registered_at: NOON.plus_ms(i64::from(version)),
    };
    let store_version = async || schemas.version().await.expect("version succeeds");
    let latest = async |event_type: &CustomType| -> Option<EventSchema> {
        let all = schemas.latest().await.expect("latest succeeds");
        assert!(all.is_sorted_by(|a, b| a.event_type < b.event_type), "types are listed once, ordered by name");
        all.into_iter().find(|schema| schema.event_type == *event_type)
    };

    assert_eq!(latest(&tyre).await, None, "a type does not exist before it is registered");
    assert_eq!(schemas.versions(&tyre).await.expect("versions succeeds"), [], "an unknown type has no versions");
    let rejected = schemas.put(&version(&tyre, 2)).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Conflict), "the first version is 1");

    for number in 1..=11 {
        let before = store_version().await;
        schemas.put(&version(&tyre, number)).await.expect("the next version is stored");
        assert_ne!(store_version().await, before, "a new version changes the store version");
        assert_eq!(latest(&tyre).await, Some(version(&tyre, number)), "the latest version is returned unchanged");
    }
    schemas.put(&version(&door, 1)).await.expect("another type has its own versions");

    for number in [1, 10, 11, 13] {
        let other = EventSchema { schema: SchemaText::new(&json!({})), ..version(&tyre, number) };
        let rejected = schemas.put(&other).await.map_err(|error| error.kind());
        assert_eq!(rejected, Err(PortErrorKind::Conflict), "version {number} does not follow 11");
    }
    schemas.put(&version(&tyre, 11)).await.expect("storing the latest version again succeeds");
    let all: Vec<EventSchema> = (1..=11).map(|number| version(&tyre, number)).collect();
    assert_eq!(schemas.versions(&tyre).await.expect("versions succeeds"), all, "every version is returned in order");
    assert_eq!(latest(&tyre).await, Some(version(&tyre, 11)), "a rejected version changes nothing");
    assert_eq!(latest(&door).await, Some(version(&door, 1)), "another type is unchanged");
}
