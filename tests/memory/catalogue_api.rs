//! The API of the catalogue: 256 MiB.

use roadcast_catalogue_api::CatalogueApi;
use roadcast_domain::cloudevent::{Data, Envelope};
use roadcast_domain::event::{CustomType, EventType};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::limits;
use roadcast_domain::package::{CustomPackage, Package};
use roadcast_domain::schema::{EventSchema, SchemaText, check};
use roadcast_lambda_kit::http::Middleware;
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::schemas::Schemas;
use roadcast_services::catalogue::event_schemas::{CachedSchemas, SchemaRegistration};
use roadcast_services::catalogue::packages::PackageCatalogue;
use roadcast_services::response_budget::RESPONSE_BYTES;
use roadcast_signals::Catalogue;
use roadcast_testbed::{InMemory, ManualClock, Memory};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use crate::fixture::at;
use crate::peak::{MIB, assert_peak, peak};
use crate::request::{Request, middleware};

const BOUND: usize = 64 * MIB;
/// The bound of the compiled schemas in a function that validates events, which has 512 MiB.
const COMPILED_BOUND: usize = 128 * MIB;

struct CatalogueFixture {
    memory: Memory,
    api: CatalogueApi<InMemory>,
    middleware: Middleware<InMemory>,
}

impl CatalogueFixture {
    fn new() -> Self {
        let clock = ManualClock::at(at(0));
        let memory = Memory::new(clock.clone());
        let m = || memory.clone();
        let packages = PackageCatalogue { packages: m(), schemas: m(), clock: clock.clone() };
        let api = CatalogueApi { packages, schemas: SchemaRegistration { schemas: m(), clock: clock.clone() } };
        Self { api, middleware: middleware(&memory, &clock), memory }
    }

    fn assert_get(&self, resource: &str, path: Json, query: Json) {
        let request = Request::get(resource, path, query);
        let (status, bytes) = assert_peak(resource, BOUND, request.send(&self.api, &self.middleware));
        assert_eq!(status, 200, "{resource}");
        assert!(bytes <= RESPONSE_BYTES, "{resource}: {bytes} bytes");
    }

    async fn put_schema(&self, event_type: &CustomType, version: u32, schema: &SchemaText) {
        let (event_type, schema) = (event_type.clone(), schema.clone());
        Schemas::put(&self.memory, &EventSchema { event_type, version, schema, registered_at: at(0) }).await.unwrap();
    }
}

/// Returns the type with the longest name that ends in this number.
fn event_type(number: usize) -> CustomType {
    let label = "a".repeat(60);
    let name = format!("com.{label}.{}{number:03}.v1", "b".repeat(50));
    name.parse().unwrap()
}

/// Returns the schema that takes the most memory once it is parsed: objects of one member take the space of eleven.
fn schema() -> Json {
    let object = json!({"": 1});
    let schema = json!({"examples": vec![object; (limits::SCHEMA_BYTES - 20) / 7]});
    check(&schema).unwrap();
    schema
}

#[test]
fn schemas_of_all_types_are_bounded() {
    let fixture = CatalogueFixture::new();
    let schema = SchemaText::new(&schema());
    for number in 0..limits::CUSTOM_TYPES {
        peak(fixture.put_schema(&event_type(number), 1, &schema));
    }
    fixture.assert_get("/schemas", json!({}), json!({}));
    let body = json!({"type": event_type(0), "schema": self::schema()}).to_string();
    let request = Request { method: "POST", resource: "/schemas", path: json!({}), query: json!({}), body: &body };
    let registration = request.send(&fixture.api, &fixture.middleware);
    assert_eq!(assert_peak("registration of a schema", BOUND, registration).0, 200);
}

#[test]
fn versions_of_one_schema_are_bounded() {
    let fixture = CatalogueFixture::new();
    let schema = SchemaText::new(&schema());
    for version in 1..=limits::SCHEMA_VERSIONS {
        peak(fixture.put_schema(&event_type(0), version, &schema));
    }
    let path = json!({"type": event_type(0), "version": "100"});
    for resource in ["/schemas/{type}", "/schemas/{type}/versions", "/schemas/{type}/versions/{version}"] {
        fixture.assert_get(resource, path.clone(), json!({}));
    }
}

#[test]
fn packages_and_signals_are_bounded() {
    let fixture = CatalogueFixture::new();
    let mut paths: Vec<&str> = Catalogue::get().iter().map(|def| def.path).collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    // The last pattern matches every signal.
    let signals = paths.iter().copied().take(limits::PACKAGE_SIGNALS - 1).chain(["Vehicle.*"]);
    let signals: Vec<String> = signals.map(str::to_owned).collect();
    let event_types: Vec<EventType> = (0..limits::CUSTOM_TYPES).map(|n| EventType::Custom(event_type(n))).collect();
    for number in 0..limits::CUSTOM_PACKAGES {
        let name = format!("{}{number:03}", "p".repeat(limits::PACKAGE_NAME_BYTES - 3)).parse().unwrap();
        let package = Package { name, signals: signals.clone(), event_types: event_types.clone() };
        let package = CustomPackage { package, version: 1, created_at: at(0), updated_at: at(0) };
        peak(CustomPackages::put(&fixture.memory, &package)).0.unwrap();
    }
    fixture.assert_get("/packages", json!({}), json!({}));
    fixture.assert_get("/signals", json!({}), json!({"limit": "2000"}));
}

#[test]
fn compiled_schemas_are_bounded() {
    let fixture = CatalogueFixture::new();
    let schema = json!({"not": {"const": vec![json!({"": 1}); (limits::SCHEMA_BYTES - 40) / 7]}});
    check(&schema).unwrap();
    let schema = SchemaText::new(&schema);
    for number in 0..40 {
        peak(fixture.put_schema(&event_type(number), 1, &schema));
    }
    let clock = fixture.memory.clock().clone();
    let schemas = CachedSchemas::<InMemory>::new(fixture.memory.clone(), clock);
    let vid = VehicleId::from_random_bits(1);
    let validations = async {
        for number in (0..40).chain(0..1) {
            let event = json!({"specversion": "1.0", "id": "1", "source": "urn:test", "type": event_type(number), "time": at(0),
                "data": {}});
            let raw: Box<RawValue> = serde_json::from_str(&event.to_string()).unwrap();
            let envelope = Envelope::parse(&raw).unwrap();
            let Data::Json(data) = envelope.data else { panic!("JSON") };
            schemas.validate(&envelope, data.into(), &vid, at(0)).await.unwrap();
        }
    };
    assert_peak("events of 40 types with large schemas", COMPILED_BOUND, validations);
}
