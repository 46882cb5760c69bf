#![allow(clippy::unwrap_used, clippy::panic)]
use roadcast_domain::caller::Caller;
use roadcast_domain::cloudevent::Data;
use roadcast_domain::ids::ClientId;
use roadcast_domain::refusal::Reason;
use roadcast_testbed::{Fault, FaultPlan, Faulty, InMemory, ManualClock, Memory, WithFaults};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::authz::{Admin, Proof as _};
use crate::catalogue::event_schemas::SchemaRegistration;

const TYRE: &str = "com.example.tyre.v1";

struct ValidationFixture {
    memory: Memory,
    clock: ManualClock,
}

impl ValidationFixture {
    fn new() -> Self {
        let clock = ManualClock::default();
        Self { memory: Memory::new(clock.clone()), clock }
    }

    async fn register(&self, event_type: &str, schema: &Value) {
        let registration = SchemaRegistration::<InMemory> { schemas: self.memory.clone(), clock: self.clock.clone() };
        let admin = Admin::prove(&Caller::Admin(ClientId::new("admin"))).unwrap();
        registration.register(&admin, event_type, &schema.to_string()).await.unwrap();
    }
}

fn tyre(properties: &Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// Validates an event that is received now.
async fn validate(
    schemas: &CachedSchemas<WithFaults>,
    fixture: &ValidationFixture,
    event_type: &str,
    data: &Value,
) -> Result<(), Reason> {
    let received = fixture.clock.now();
    let text = json!({
        "specversion": "1.0", "id": "1", "source": "urn:test", "type": event_type, "time": received, "data": data,
    });
    let text = text.to_string();
    let raw: &RawValue = serde_json::from_str(&text).unwrap();
    let envelope = Envelope::parse(raw).unwrap();
    let Data::Json(data) = envelope.data else { panic!("JSON") };
    let validated = schemas.validate(&envelope, data.into(), &VehicleId::from_random_bits(1), received).await;
    validated.map(|_| ()).map_err(|error| match error {
        ValidationError::Refused(refusal) => refusal.reason,
        ValidationError::Port(error) => panic!("{error}"),
    })
}

#[tokio::test]
async fn schema_is_in_force_for_events_received_after_registration() {
    let fixture = ValidationFixture::new();
    let schemas = CachedSchemas::new(Faulty::healthy(fixture.memory.clone()), fixture.clock.clone());
    assert_eq!(validate(&schemas, &fixture, TYRE, &json!({})).await, Err(Reason::TypeUnknown));
    for properties in [json!({}), json!({"kPa": {"type": "number"}})] {
        fixture.register(TYRE, &tyre(&properties)).await;
        fixture.clock.advance_ms(1);
        let data: Value = properties.as_object().unwrap().keys().map(|name| (name.clone(), json!(1))).collect();
        assert_eq!(validate(&schemas, &fixture, TYRE, &data).await, Ok(()));
    }
    assert_eq!(validate(&schemas, &fixture, TYRE, &json!({"kPa": "x"})).await, Err(Reason::DataInvalid));
}

#[tokio::test]
async fn schemas_are_read_only_for_custom_events_and_then_cached() {
    let fixture = ValidationFixture::new();
    fixture.register(TYRE, &tyre(&json!({}))).await;
    fixture.clock.advance_ms(1);
    // Three reads succeed, and every further read fails.
    let faults = [None, None, None].into_iter().chain([Some(Fault::Unavailable); 20]);
    let schemas = CachedSchemas::new(Faulty::new(fixture.memory.clone(), FaultPlan::script(faults)), fixture.clock.clone());
    let telemetry = json!({"samples": [{"at": fixture.clock.now(), "signals": {"Vehicle.Speed": 1}}]});
    for _ in 0..3 {
        assert_eq!(validate(&schemas, &fixture, "roadcast.telemetry.v1", &telemetry).await, Ok(()));
        assert_eq!(validate(&schemas, &fixture, "nonsense", &telemetry).await, Err(Reason::TypeUnknown));
    }
    // The first read reads the version and the schemas, a later one only the version.
    for _ in 0..3 {
        assert_eq!(validate(&schemas, &fixture, TYRE, &json!({})).await, Ok(()));
        assert_eq!(validate(&schemas, &fixture, "com.example.door.v1", &json!({})).await, Err(Reason::TypeUnknown));
    }
    fixture.clock.advance_ms(TTL_MS - 1);
    assert_eq!(validate(&schemas, &fixture, TYRE, &json!({})).await, Ok(()));
    fixture.clock.advance_ms(1);
    assert_eq!(validate(&schemas, &fixture, TYRE, &json!({})).await, Ok(()));
}
