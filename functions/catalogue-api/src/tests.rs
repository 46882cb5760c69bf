#![allow(clippy::unwrap_used)]
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::ClientId;
use roadcast_lambda_kit::http::{Api as _, Invocation};
use roadcast_ports::clock::Clock as _;
use roadcast_testbed::{InMemory, ManualClock, Memory};
use serde_json::Value;

use super::*;

const PUT_PACKAGE: (&str, &str) = ("PUT", "/packages/{name}");
const GET_PACKAGE: (&str, &str) = ("GET", "/packages/{name}");
const LIST_SCHEMAS: (&str, &str) = ("GET", "/schemas");
const REGISTER_SCHEMA: (&str, &str) = ("POST", "/schemas");
const GET_SCHEMA: (&str, &str) = ("GET", "/schemas/{type}");
const LIST_SCHEMA_VERSIONS: (&str, &str) = ("GET", "/schemas/{type}/versions");
const GET_SCHEMA_VERSION: (&str, &str) = ("GET", "/schemas/{type}/versions/{version}");
const TYRE: &str = "com.example.tyre.v1";

type MemoryApi = CatalogueApi<InMemory>;

fn api() -> MemoryApi {
    let clock = ManualClock::default();
    let memory = Memory::new(clock.clone());
    CatalogueApi {
        packages: PackageCatalogue { packages: memory.clone(), schemas: memory.clone(), clock: clock.clone() },
        schemas: SchemaRegistration { schemas: memory, clock },
    }
}

/// Sends a request as an admin. Returns the status, and the body or the problem document.
async fn send(api: &MemoryApi, operation: (&str, &str), path: &Value, headers: &Value, body: &str) -> (u16, Value) {
    let (method, resource) = operation;
    let operation = MemoryApi::OPERATIONS.iter().find(|found| (found.method, found.resource) == operation).unwrap();
    let event = json!({"httpMethod": method, "pathParameters": path, "headers": headers, "body": body,
        "requestContext": {"httpMethod": method, "resourcePath": resource}});
    let request = serde_json::from_str::<Invocation>(&event.to_string()).unwrap().into_request().unwrap();
    match operation.handle(api, &request, &Caller::Admin(ClientId::new("admin"))).await {
        Ok(response) => (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap()),
        Err(problem) => (problem.status().as_u16(), problem.to_document()),
    }
}

fn pointer(problem: &Value) -> &str {
    problem["errors"][0]["pointer"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn package_replacement_requires_a_precondition() {
    let api = api();
    let put = async |headers: Value, body: &str| send(&api, PUT_PACKAGE, &json!({"name": "speed"}), &headers, body).await.0;
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
    let (status, got) = send(&api, GET_PACKAGE, &of("speed"), &json!({}), "").await;
    assert_eq!((status, &got["origin"], &got["signals"]), (200, &json!("custom"), &json!(["Vehicle.Speed"])));
    let (status, refused) = send(&api, PUT_PACKAGE, &of("alerts"), &json!({"if-match": "\"0\""}), speed).await;
    assert_eq!(status, 409, "{refused}");
    let (status, refused) = send(&api, PUT_PACKAGE, &of("No name"), &json!({}), speed).await;
    assert_eq!((status, pointer(&refused)), (422, "/name"));
    let unknown = r#"{"signals": ["Vehicle.Speed"], "eventTypes": ["com.example.tyre.v1"]}"#;
    let (status, refused) = send(&api, PUT_PACKAGE, &of("tyres"), &json!({}), unknown).await;
    assert_eq!((status, pointer(&refused)), (422, "/eventTypes/0"));
    let nonsense = r#"{"eventTypes": ["no type"]}"#;
    let (status, refused) = send(&api, PUT_PACKAGE, &of("tyres"), &json!({}), nonsense).await;
    assert_eq!((status, pointer(&refused)), (422, "/eventTypes/0"));
}

#[tokio::test]
async fn schema_is_registered_once_and_all_versions_are_listed() {
    let api = api();
    let register = async |event_type: &str, schema: &str| {
        let body = format!(r#"{{"type": "{event_type}", "schema": {schema}}}"#);
        send(&api, REGISTER_SCHEMA, &json!({}), &json!({}), &body).await
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
    assert_eq!((status, pointer(&refused)), (422, "/schema/maxItems"), "a duplicate member is detected: {refused}");
    assert_eq!(send(&api, REGISTER_SCHEMA, &json!({}), &json!({}), r#"{"type": "x"}"#).await.0, 422);

    let got = async |operation, path: Value| send(&api, operation, &path, &json!({}), "").await;
    let (_, listed) = got(LIST_SCHEMAS, json!({})).await;
    let version = |number: u32| json!({"type": TYRE, "version": number, "registeredAt": api.schemas.clock.now()});
    assert_eq!(listed["items"], json!([version(2)]));
    let (_, versions) = got(LIST_SCHEMA_VERSIONS, json!({ "type": TYRE })).await;
    assert_eq!(versions["items"], json!([version(1), version(2)]));
    let (_, in_force) = got(GET_SCHEMA, json!({ "type": TYRE })).await;
    assert_eq!(in_force["schema"], serde_json::from_str::<Value>(&wide).unwrap());
    let (_, first) = got(GET_SCHEMA_VERSION, json!({"type": TYRE, "version": "1"})).await;
    assert_eq!(first["schema"], serde_json::from_str::<Value>(narrow).unwrap());
    for (event_type, version) in [(TYRE, "3"), (TYRE, "x"), ("com.example.door.v1", "1"), ("door", "1")] {
        assert_eq!(got(GET_SCHEMA_VERSION, json!({"type": event_type, "version": version})).await.0, 404);
    }
}
