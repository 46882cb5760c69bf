//! [`Schemas`]

use roadcast_domain::event::CustomType;
use roadcast_domain::schema::EventSchema;
use serde_json::json;

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::schemas::Schemas;

/// What every [`Schemas`] does.
pub async fn schemas(schemas: &impl Schemas, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    // A label begins with a letter.
    let named = |last: &str| format!("com.example.s{}.{last}.v1", fresh.word()).parse().expect("a type's name");
    let (tyre, door): (CustomType, CustomType) = (named("tyre"), named("door"));
    let version = |event_type: &CustomType, version: u32| EventSchema {
        event_type: event_type.clone(),
        version,
        schema: json!({"type": "object", "maxProperties": version, "properties": {"a/\"é": {"const": 0.1}}}),
        registered_at: NOON.plus_ms(i64::from(version)),
    };
    let counted = async || schemas.version().await.expect("the version is answered");
    let latest = async |event_type: &CustomType| -> Option<EventSchema> {
        let all = schemas.latest().await.expect("the latest versions are answered");
        assert!(all.is_sorted_by(|a, b| a.event_type < b.event_type), "each type is there once, by its name");
        all.into_iter().find(|schema| schema.event_type == *event_type)
    };

    assert_eq!(latest(&tyre).await, None, "a type is not there before it is registered");
    assert_eq!(schemas.versions(&tyre).await.expect("versions answers"), [], "nor has it versions");
    let refused = schemas.put(&version(&tyre, 2)).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Conflict), "the first version is 1");

    for number in 1..=11 {
        let before = counted().await;
        schemas.put(&version(&tyre, number)).await.expect("the next version is kept");
        assert_ne!(counted().await, before, "who remembers schemas learns that there is another");
        assert_eq!(latest(&tyre).await, Some(version(&tyre, number)), "the latest version is in force as it was given");
    }
    schemas.put(&version(&door, 1)).await.expect("another type has versions of its own");

    for number in [1, 10, 11, 13] {
        let other = EventSchema { schema: json!({}), ..version(&tyre, number) };
        let refused = schemas.put(&other).await.map_err(|error| error.kind());
        assert_eq!(refused, Err(PortErrorKind::Conflict), "version {number} does not follow 11");
    }
    schemas.put(&version(&tyre, 11)).await.expect("the latest version is there already as it is put again");
    let all: Vec<EventSchema> = (1..=11).map(|number| version(&tyre, number)).collect();
    assert_eq!(schemas.versions(&tyre).await.expect("versions answers"), all, "every version is kept, in order");
    assert_eq!(latest(&tyre).await, Some(version(&tyre, 11)), "a refused version changes nothing");
    assert_eq!(latest(&door).await, Some(version(&door, 1)), "nor does another type's");
}
