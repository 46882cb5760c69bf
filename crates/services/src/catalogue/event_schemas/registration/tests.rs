#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::cloudevent::{Data, Envelope};
use roadcast_domain::ids::{ClientId, FleetId, VehicleId};
use roadcast_domain::refusal::Reason;
use roadcast_testbed::{Fault, FaultPlan, Faulty, ManualClock, Memory};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::cache::TTL_MS;
use crate::catalogue::event_schemas::CachedSchemas;

const TYRE: &str = "com.example.tyre.v1";

fn admin() -> Caller {
    Caller::Admin(ClientId::new("admin"))
}

struct World {
    memory: Memory,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { memory: Memory::new(clock.clone()), clock }
    }

    async fn register(&self, event_type: &str, schema: &Value) -> Result<(u32, bool), Vec<String>> {
        let register = SchemaRegistration { schemas: self.memory.clone(), clock: self.clock.clone() };
        match register.register(&admin(), event_type, &schema.to_string()).await {
            Ok(registered) => Ok((registered.schema.version, registered.is_new)),
            Err(ServiceError::Invalid(wrong)) => Err(wrong.into_iter().map(|wrong| wrong.pointer).collect()),
            Err(error) => panic!("{error}"),
        }
    }
}

fn tyre(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

#[tokio::test]
async fn versions_follow_one_another_and_the_same_schema_is_the_same_version() {
    let world = World::new();
    let first = tyre(&json!({"kPa": {"type": "number"}}));
    let second = tyre(&json!({"kPa": {"type": "number"}, "wheel": {"type": "string"}}));
    assert_eq!(world.register(TYRE, &first).await, Ok((1, true)));
    assert_eq!(world.register(TYRE, &first).await, Ok((1, false)));
    assert_eq!(world.register(TYRE, &second).await, Ok((2, true)));
    let gone = vec!["/schema/properties/wheel".to_owned()];
    assert_eq!(world.register(TYRE, &first).await, Err(gone));
    assert_eq!(world.register("com.example.tyre.v2", &first).await, Ok((1, true)));

    let register = SchemaRegistration { schemas: world.memory.clone(), clock: world.clock.clone() };
    let listed: Vec<_> = register.list(&admin()).await.unwrap().into_iter().map(|schema| schema.version).collect();
    assert_eq!(listed, [2, 1]);
    let versions = register.versions(&admin(), &TYRE.parse().unwrap()).await.unwrap();
    assert_eq!(versions.into_iter().map(|version| version.schema).collect::<Vec<_>>(), [first, second]);
    let missing = register.versions(&admin(), &"com.example.door.v1".parse().unwrap()).await;
    assert!(matches!(missing, Err(ServiceError::NotFound)));
}

#[tokio::test]
async fn what_cannot_be_a_type_or_a_schema_is_refused_where_it_is_wrong() {
    let world = World::new();
    for event_type in ["roadcast.tyre.v1", "tyre", "com.example.tyre"] {
        assert_eq!(world.register(event_type, &json!({})).await, Err(vec!["/type".to_owned()]));
    }
    let schema = json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
    assert_eq!(world.register(TYRE, &schema).await, Err(vec!["/schema/properties/a/$ref".to_owned()]));
    assert_eq!(world.register(TYRE, &json!({"pattern": "("})).await, Err(vec!["/schema/pattern".to_owned()]));
    let register = SchemaRegistration { schemas: world.memory.clone(), clock: world.clock.clone() };
    for text in ["", "{", r#"{"type": "string", "type": "object"}"#] {
        let refused = register.register(&admin(), TYRE, text).await;
        assert!(
            matches!(&refused, Err(ServiceError::Invalid(wrong)) if wrong[0].pointer == "/schema"),
            "{text}: {refused:?}"
        );
    }
    assert_eq!(register.list(&admin()).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_version_lacks_is_told_at_the_first_member_that_is_missing() {
    let world = World::new();
    world.register(TYRE, &tyre(&json!({"kPa": {}, "wheel": {}}))).await.unwrap();
    let one = world.register(TYRE, &tyre(&json!({"kPa": {}}))).await;
    assert_eq!(one, Err(vec!["/schema/properties/wheel".to_owned()]));
    let all = world.register(TYRE, &json!({})).await;
    assert_eq!(all, Err(vec!["/schema/properties".to_owned(); 2]));
}

#[tokio::test]
async fn only_admins_keep_schemas_and_everybody_may_read_them() {
    let world = World::new();
    let register = SchemaRegistration { schemas: world.memory.clone(), clock: world.clock.clone() };
    world.register(TYRE, &json!({})).await.unwrap();
    let kept_at = world.clock.now();
    for caller in [Caller::Fleet(FleetId::from_random(1)), Caller::Ingest(ClientId::new("c"))] {
        assert!(matches!(register.register(&caller, TYRE, "{}").await, Err(ServiceError::Forbidden(_))));
        let kept = EventSchema { version: 1, event_type: TYRE.parse().unwrap(), schema: json!({}), registered_at: kept_at };
        assert_eq!(register.list(&caller).await.unwrap(), std::slice::from_ref(&kept));
        assert_eq!(register.versions(&caller, &kept.event_type).await.unwrap(), [kept]);
    }
}

#[tokio::test]
async fn a_type_has_only_so_many_versions() {
    let world = World::new();
    let schema = |number: u32| json!({ "maxLength": number });
    for number in 1..=limits::SCHEMA_VERSIONS {
        assert_eq!(world.register(TYRE, &schema(number)).await, Ok((number, true)));
    }
    let more = limits::SCHEMA_VERSIONS + 1;
    assert_eq!(world.register(TYRE, &schema(more)).await, Err(vec!["/schema".to_owned()]));
    assert_eq!(world.register(TYRE, &schema(more - 1)).await, Ok((more - 1, false)));
}

#[tokio::test]
async fn there_are_only_so_many_types_but_any_of_them_may_have_another_version() {
    let world = World::new();
    for n in 0..limits::CUSTOM_TYPES {
        world.register(&format!("com.example.t{n}.v1"), &tyre(&json!({}))).await.unwrap();
    }
    assert_eq!(world.register(TYRE, &json!({})).await, Err(vec!["/type".to_owned()]));
    assert_eq!(world.register("com.example.t7.v1", &json!({})).await, Ok((2, true)));
}

#[tokio::test]
async fn a_put_whose_answer_got_lost_is_finished_by_the_same_registration() {
    let world = World::new();
    let faults = FaultPlan::script([Some(Fault::LostAnswer)]).only(&["put"]);
    let register = SchemaRegistration { schemas: Faulty::new(world.memory.clone(), faults), clock: world.clock.clone() };
    assert!(matches!(register.register(&admin(), TYRE, "{}").await, Err(ServiceError::Port(_))));
    world.clock.advance_ms(1000);
    let again = register.register(&admin(), TYRE, "{}").await.unwrap();
    assert_eq!((again.schema.version, again.is_new), (1, false));
}

/// What becomes of an event that is received now.
async fn validate<P: Schemas>(
    schemas: &CachedSchemas<P, ManualClock>,
    world: &World,
    event_type: &str,
    data: &Value,
) -> Result<(), Reason> {
    let received = world.clock.now();
    let text = json!({
        "specversion": "1.0", "id": "1", "source": "urn:test", "type": event_type, "time": received, "data": data,
    });
    let text = text.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let envelope = Envelope::read(raw).unwrap();
    let Data::Json(data) = envelope.data else { panic!("JSON") };
    let judged = schemas.validate(&envelope, data, &VehicleId::from_random(1), received).await.unwrap();
    judged.map(|_| ()).map_err(|refusal| refusal.reason)
}

#[tokio::test]
async fn what_was_registered_before_an_event_was_received_is_in_force_for_it_at_once() {
    let world = World::new();
    let schemas = CachedSchemas::new(world.memory.clone(), world.clock.clone());
    assert_eq!(validate(&schemas, &world, TYRE, &json!({})).await, Err(Reason::TypeUnknown));
    for properties in [json!({}), json!({"kPa": {"type": "number"}})] {
        world.register(TYRE, &tyre(&properties)).await.unwrap();
        world.clock.advance_ms(1);
        let data: Value = properties.as_object().unwrap().keys().map(|name| (name.clone(), json!(1))).collect();
        assert_eq!(validate(&schemas, &world, TYRE, &data).await, Ok(()));
    }
    assert_eq!(validate(&schemas, &world, TYRE, &json!({"kPa": "x"})).await, Err(Reason::DataInvalid));
}

#[tokio::test]
async fn schemas_are_asked_for_only_by_custom_events_and_then_once_in_a_while() {
    let world = World::new();
    world.register(TYRE, &tyre(&json!({}))).await.unwrap();
    world.clock.advance_ms(1);
    // Three answers, and every further question fails.
    let answers = [None, None, None].into_iter().chain([Some(Fault::Unavailable); 20]);
    let schemas = CachedSchemas::new(Faulty::new(world.memory.clone(), FaultPlan::script(answers)), world.clock.clone());
    let telemetry = json!({"samples": [{"at": world.clock.now(), "signals": {"Vehicle.Speed": 1}}]});
    for _ in 0..3 {
        assert_eq!(validate(&schemas, &world, "roadcast.telemetry.v1", &telemetry).await, Ok(()));
        assert_eq!(validate(&schemas, &world, "nonsense", &telemetry).await, Err(Reason::TypeUnknown));
    }
    // The version and the schemas, for all that are received now; and the version once more, later.
    for _ in 0..3 {
        assert_eq!(validate(&schemas, &world, TYRE, &json!({})).await, Ok(()));
        assert_eq!(validate(&schemas, &world, "com.example.door.v1", &json!({})).await, Err(Reason::TypeUnknown));
    }
    world.clock.advance_ms(TTL_MS - 1);
    assert_eq!(validate(&schemas, &world, TYRE, &json!({})).await, Ok(()));
    world.clock.advance_ms(1);
    assert_eq!(validate(&schemas, &world, TYRE, &json!({})).await, Ok(()));
}
