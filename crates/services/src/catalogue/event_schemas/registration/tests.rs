#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_testbed::{Fault, FaultPlan, Faulty, InMemory, ManualClock, Memory, WithFaults};
use serde_json::json;

use super::*;
use crate::authz::Proof as _;

const TYRE: &str = "com.example.tyre.v1";

fn admin() -> Admin {
    Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap()
}

struct RegistrationFixture {
    memory: Memory,
    clock: ManualClock,
}

impl RegistrationFixture {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { memory: Memory::new(clock.clone()), clock }
    }

    async fn register(&self, event_type: &str, schema: &Value) -> Result<(u32, bool), Vec<String>> {
        let registration = SchemaRegistration::<InMemory> { schemas: self.memory.clone(), clock: self.clock.clone() };
        match registration.register(&admin(), event_type, &schema.to_string()).await {
            Ok(registered) => Ok((registered.schema.version, registered.is_new)),
            Err(ServiceError::Invalid(fields)) => Err(fields.into_iter().map(|field| field.pointer.into()).collect()),
            Err(error) => panic!("{error}"),
        }
    }
}

fn tyre(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[tokio::test]
async fn equal_schema_is_no_new_version() {
    let fixture = RegistrationFixture::new();
    let first = tyre(&json!({"kPa": {"type": "number"}}));
    let second = tyre(&json!({"kPa": {"type": "number"}, "wheel": {"type": "string"}}));
    assert_eq!(fixture.register(TYRE, &first).await, Ok((1, true)));
    assert_eq!(fixture.register(TYRE, &first).await, Ok((1, false)));
    assert_eq!(fixture.register(TYRE, &second).await, Ok((2, true)));
    let removed = vec!["/schema/properties/wheel".to_owned()];
    assert_eq!(fixture.register(TYRE, &first).await, Err(removed));
    assert_eq!(fixture.register("com.example.tyre.v2", &first).await, Ok((1, true)));

    let registration = SchemaRegistration::<InMemory> { schemas: fixture.memory.clone(), clock: fixture.clock.clone() };
    let listed: Vec<_> = registration.list().await.unwrap().into_iter().map(|schema| schema.version).collect();
    assert_eq!(listed, [2, 1]);
    let versions = registration.versions(&TYRE.parse().unwrap()).await.unwrap();
    assert_eq!(versions.into_iter().map(|version| version.schema.parse().unwrap()).collect::<Vec<_>>(), [first, second]);
    let missing = registration.versions(&"com.example.door.v1".parse().unwrap()).await;
    assert!(matches!(missing, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn invalid_types_and_schemas_are_refused_with_pointers() {
    let fixture = RegistrationFixture::new();
    for event_type in ["roadcast.tyre.v1", "tyre", "com.example.tyre"] {
        assert_eq!(fixture.register(event_type, &json!({})).await, Err(vec!["/type".to_owned()]));
    }
    let schema = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
    assert_eq!(fixture.register(TYRE, &schema).await, Err(vec!["/schema/properties/a/$ref".to_owned()]));
    assert_eq!(fixture.register(TYRE, &json!({"pattern": "("})).await, Err(vec!["/schema/pattern".to_owned()]));
    let registration = SchemaRegistration::<InMemory> { schemas: fixture.memory.clone(), clock: fixture.clock.clone() };
    for (text, pointer) in [("", "/schema"), ("{", "/schema"), (r#"{"type": "string", "type": "object"}"#, "/schema/type")] {
        let refused = registration.register(&admin(), TYRE, text).await;
        assert!(
            matches!(&refused, Err(ServiceError::Invalid(fields)) if fields[0].pointer == pointer),
            "{text}: {refused:?}"
        );
    }
    assert_eq!(registration.list().await.unwrap(), []);
}

#[tokio::test]
async fn incompatibility_points_to_the_first_missing_member() {
    let fixture = RegistrationFixture::new();
    fixture.register(TYRE, &tyre(&json!({"kPa": {}, "wheel": {}}))).await.unwrap();
    let one_removed = fixture.register(TYRE, &tyre(&json!({"kPa": {}}))).await;
    assert_eq!(one_removed, Err(vec!["/schema/properties/wheel".to_owned()]));
    let all_removed = fixture.register(TYRE, &json!({})).await;
    assert_eq!(all_removed, Err(vec!["/schema/properties".to_owned(); 2]));
}

#[tokio::test]
async fn number_of_versions_is_limited() {
    let fixture = RegistrationFixture::new();
    let schema = |number: u32| json!({ "maxLength": number });
    for number in 1..=limits::SCHEMA_VERSIONS {
        assert_eq!(fixture.register(TYRE, &schema(number)).await, Ok((number, true)));
    }
    let beyond_limit = limits::SCHEMA_VERSIONS + 1;
    assert_eq!(fixture.register(TYRE, &schema(beyond_limit)).await, Err(vec!["/schema".to_owned()]));
    assert_eq!(fixture.register(TYRE, &schema(beyond_limit - 1)).await, Ok((beyond_limit - 1, false)));
}

#[tokio::test]
async fn number_of_types_is_limited_but_versions_can_be_added() {
    let fixture = RegistrationFixture::new();
    for n in 0..limits::CUSTOM_TYPES {
        fixture.register(&format!("com.example.t{n}.v1"), &tyre(&json!({}))).await.unwrap();
    }
    assert_eq!(fixture.register(TYRE, &json!({})).await, Err(vec!["/type".to_owned()]));
    assert_eq!(fixture.register("com.example.t7.v1", &json!({})).await, Ok((2, true)));
}

#[tokio::test]
async fn repeated_registration_completes_a_put_with_lost_response() {
    let fixture = RegistrationFixture::new();
    let faults = FaultPlan::script([Some(Fault::LostResponse)]).only(&["put"]);
    let registration = SchemaRegistration::<WithFaults> {
        schemas: Faulty::new(fixture.memory.clone(), faults),
        clock: fixture.clock.clone(),
    };
    assert!(matches!(registration.register(&admin(), TYRE, "{}").await, Err(ServiceError::Port(_))));
    fixture.clock.advance_ms(1000);
    let repeated = registration.register(&admin(), TYRE, "{}").await.unwrap();
    assert_eq!((repeated.schema.version, repeated.is_new), (1, false));
}
