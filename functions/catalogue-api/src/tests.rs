#![allow(clippy::unwrap_used)]
use roadcast_domain::ids::ClientId;
use roadcast_lambda_kit::http::ProxyRequest;
use roadcast_testbed::{ManualClock, Memory};
use serde_json::Value;

use super::*;

const TYRE: &str = "com.example.tyre.v1";

type MemoryApi = CatalogueApi<Memory, Memory, ManualClock>;

fn api() -> MemoryApi {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    CatalogueApi {
        packages: PackageCatalogue { packages: memory.clone(), schemas: memory.clone(), clock: clock.clone() },
        schemas: SchemaRegistration { schemas: memory, clock },
    }
}

/// Sends a request as an admin. Returns the status, and the body or the problem document.
async fn send(api: &MemoryApi, operation: Operation, path: &Value, headers: &Value, body: &str) -> (u16, Value) {
    let route = ROUTES.iter().find(|route| route.operation == operation).unwrap();
    let proxy = json!({"resource": route.resource, "httpMethod": route.method, "pathParameters": path, "headers": headers,
        "body": body});
    let request: Request = serde_json::from_value::<ProxyRequest>(proxy).unwrap().try_into().unwrap();
    match api.handle(operation, &request, &Caller::Admin(ClientId::new("admin"))).await {
        Ok(response) => (response.status().as_u16(), serde_json::from_str(response.body()).unwrap()),
        Err(problem) => (problem.status().as_u16(), problem.to_document()),
    }
}

fn pointer(problem: &Value) -> &str {
    problem["errors"][0]["pointer"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn package_replacement_requires_a_precondition() {
    let api = api();
    let put = async |headers: Value, body: &str| {
        send(&api, Operation::PutPackage, &json!({"name": "speed"}), &headers, body).await.0
    };
    let speed = r#"{"signals": ["Vehicle.Speed"]}"#;
    assert_eq!(put(json!({"if-match": "\"1\""}), speed).await, 404, "the package does not exist");
    assert_eq!(put(json!({"if-none-match": "*"}), speed).await, 201);
    assert_eq!(put(json!({}), speed).await, 428);
    assert_eq!(put(json!({"if-none-match": "*"}), speed).await, 412);
    assert_eq!(put(json!({"if-match": "\"2\""}), speed).await, 412);
    assert_eq!(put(json!({"if-match": "foreign"}), speed).await, 412);
    assert_eq!(put(json!({"if-match": "\"1\""}), speed).await, 200);
    assert_eq!(put(json!({"if-match": "\"2\""}), r#"{"name": "speed"}"#).await, 422, "unknown member");

    let of = |name: &str| json!({ "name": name });
    let (status, got) = send(&api, Operation::GetPackage, &of("speed"), &json!({}), "").await;
    assert_eq!((status, &got["origin"], &got["signals"]), (200, &json!("custom"), &json!(["Vehicle.Speed"])));
    let (status, refused) = send(&api, Operation::PutPackage, &of("alerts"), &json!({"if-match": "\"0\""}), speed).await;
    assert_eq!(status, 409, "{refused}");
    let (status, refused) = send(&api, Operation::PutPackage, &of("No name"), &json!({}), speed).await;
    assert_eq!((status, pointer(&refused)), (422, "/name"));
    let unknown = r#"{"signals": ["Vehicle.Speed"], "eventTypes": ["com.example.tyre.v1"]}"#;
    let (status, refused) = send(&api, Operation::PutPackage, &of("tyres"), &json!({}), unknown).await;
    assert_eq!((status, pointer(&refused)), (422, "/eventTypes/0"));
    let nonsense = r#"{"eventTypes": ["no type"]}"#;
    let (status, refused) = send(&api, Operation::PutPackage, &of("tyres"), &json!({}), nonsense).await;
    assert_eq!((status, pointer(&refused)), (422, "/eventTypes/0"));
}

#[tokio::test]
async fn schema_is_registered_once_and_all_versions_are_listed() {
    let api = api();
    let register = async |event_type: &str, schema: &str| {
        let body = format!(r#"{{"type": "{event_type}", "schema": {schema}}}"#);
        send(&api, Operation::RegisterSchema, &json!({}), &json!({}), &body).await
    };
    let narrow = r#"{"type": "object", "additionalProperties": false, "properties": {"kPa": {"maximum": 10}}}"#;
    let wide = narrow.replace("10", "1000");
    assert_eq!(register(TYRE, narrow).await.0, 201);
    assert_eq!(register(TYRE, narrow).await.0, 200);
    assert_eq!(register(TYRE, &wide).await.0, 201);
    let (status, refused) = register(TYRE, narrow).await;
    assert_eq!((status, pointer(&refused)), (422, "/schema/properties/kPa/maximum"));
    let (status, refused) = register("tyre", narrow).await;
    assert_eq!((status, pointer(&refused)), (422, "/type"));
    let (status, refused) = register(TYRE, r#"{"maxItems": 1, "maxItems": 2}"#).await;
    assert_eq!((status, pointer(&refused)), (422, "/schema"), "a duplicate key is detected: {refused}");
    assert_eq!(send(&api, Operation::RegisterSchema, &json!({}), &json!({}), r#"{"type": "x"}"#).await.0, 422);

    let got = async |operation, path: Value| send(&api, operation, &path, &json!({}), "").await;
    let (_, listed) = got(Operation::ListSchemas, json!({})).await;
    let version = |number: u32| json!({"type": TYRE, "version": number, "registeredAt": api.schemas.clock.now()});
    assert_eq!(listed["items"], json!([version(2)]));
    let (_, versions) = got(Operation::ListSchemaVersions, json!({ "type": TYRE })).await;
    assert_eq!(versions["items"], json!([version(1), version(2)]));
    let (_, in_force) = got(Operation::GetSchema, json!({ "type": TYRE })).await;
    assert_eq!(in_force["schema"], serde_json::from_str::<Value>(&wide).unwrap());
    let (_, first) = got(Operation::GetSchemaVersion, json!({"type": TYRE, "version": "1"})).await;
    assert_eq!(first["schema"], serde_json::from_str::<Value>(narrow).unwrap());
    for (event_type, version) in [(TYRE, "3"), (TYRE, "x"), ("com.example.door.v1", "1"), ("door", "1")] {
        assert_eq!(got(Operation::GetSchemaVersion, json!({"type": event_type, "version": version})).await.0, 404);
    }
}
