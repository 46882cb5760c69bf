//! The calls of AWS services that functions make rarely: after a conflict, while the secret of the stack is rotated, for a
//! large file. The end-to-end test does not cause them, so each function's adapters are called here with the access key id of
//! the function. `tests/rights` compares the recorded calls with the rights of the functions' roles.

mod alerts;
mod dead_letters;
mod delays;
mod erasure;
mod provisioning;
mod redrives;
mod webhooks;

use std::collections::BTreeSet;
use std::path::PathBuf;

use aws_sdk_s3::primitives::ByteStream;
use roadcast_aws::{
    DynamoClients, DynamoEntitlements, DynamoIdempotencyStore, DynamoRateCounter, DynamoVehicleMappings, DynamoVehicles,
    OsRandomness, S3Archive, S3BulkFiles, Sdk, SecretsManagerSource, keys,
};
use roadcast_domain::subject::{Subject, VehicleName};
use roadcast_domain::vehicle::Vehicle;
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, BulkFiles as _};
use roadcast_ports::clients::Clients as _;
use roadcast_ports::conformance::{self as suites, Fixtures};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::vehicles::{VehicleNames as _, Vehicles as _};
use roadcast_signals::Timestamp;

use crate::endpoint::Endpoint;
use crate::secret::rotate_secret;
use crate::stack::{self, REGION};

const VEHICLES: &str = "roadcast-local-vehicles";
const REFERENCE: &str = "roadcast-local-reference";
const ARCHIVE: &str = "roadcast-local-archive-000000000000-eu-central-1";
const BULK_DATA: &str = "roadcast-local-bulk-data-000000000000-eu-central-1";

/// Creates the resources that the local stack has, and makes the calls.
pub(crate) async fn make(endpoint: &Endpoint) {
    let operator = Sdk::for_local_endpoint(endpoint.url(), REGION);
    stack::table(&operator, VEHICLES.to_owned(), keys::VID, None).await;
    stack::table(&operator, REFERENCE.to_owned(), keys::PK, Some(keys::SK)).await;
    stack::bucket(&operator, ARCHIVE.to_owned()).await;
    stack::bucket(&operator, BULK_DATA.to_owned()).await;
    let secret = stack::secret(&operator, "roadcast-local-key-material".to_owned()).await;
    let function = |name: &str| Sdk::for_local_caller(endpoint.url(), REGION, &format!("roadcast-local-{name}"));
    let (random, fixtures) = (&OsRandomness, Fixtures::new(&OsRandomness));

    for name in ["alerts-api", "catalogue-api", "endpoints-api", "vehicles-api"] {
        let store = DynamoIdempotencyStore::new(function(name).dynamodb(), REFERENCE);
        suites::idempotency_store(&store, random).await;
    }
    // A function counts requests in the table only from its tenth of a fleet in a minute on.
    for name in ["vehicles-api", "onboarding"] {
        suites::rate_counter(&DynamoRateCounter::new(function(name).dynamodb(), REFERENCE), random).await;
    }
    // A receipt of a subscription that was suspended reads whether its deliveries were released.
    let entitlements = DynamoEntitlements::new(function("onboarding").dynamodb(), REFERENCE);
    assert_eq!(entitlements.entitlement(&fixtures.fleet_id(), &fixtures.vid()).await.unwrap(), None);
    // An app client that an interrupted provisioning has created may be stored already.
    let clients = DynamoClients::new(function("provisioner").dynamodb(), REFERENCE);
    assert_eq!(clients.get(&fixtures.client_id()).await.unwrap(), None);
    suites::quarantine(&S3Archive::new(function("stream-processor").s3(), ARCHIVE), random).await;

    let registry = |sdk: &Sdk| {
        let secrets = SecretsManagerSource::new(sdk.secrets_manager(), &secret);
        DynamoVehicles::new(sdk.dynamodb(), VEHICLES, REFERENCE, secrets)
    };
    let vehicle = fixtures.vehicle();
    registry(&operator).register(&vehicle).await.unwrap();
    rotate_secret(&operator, &secret).await;
    // The entry of the VIN is under the previous secret, so the vehicle decides.
    let vin = vehicle.details.vin.clone().unwrap();
    let resolved = registry(&function("events-api")).resolve(&Subject::Vin(vin.clone())).await.unwrap();
    assert_eq!(resolved.as_ref(), Some(&vehicle.vid));
    for name in ["alert-evaluator", "archive-restorer", "stream-processor", "eraser"] {
        let history = registry(&function(name)).history(&Subject::Vin(vin.clone())).await.unwrap();
        assert_eq!(history.unwrap().current(), Some(&vehicle.vid));
    }
    let loader = function("reference-loader");
    let resolved = registry(&loader).resolve_all(&[VehicleName::Vin(vin)]).await.unwrap();
    assert_eq!(resolved, [Some(vehicle.vid.clone())]);
    // Another function registered the vehicle after the import looked for it.
    registry(&loader).register_all(&[Vehicle { vid: fixtures.vid(), owner: None, ..vehicle }]).await.unwrap();
    suites::vehicle_mappings(&DynamoVehicleMappings::new(loader.dynamodb(), REFERENCE), random).await;
    bulk_files(&operator, &loader).await;
    redrives::make(&operator, &function("dead-letters-api")).await;
    dead_letters::make(&operator, &function("dead-letter-collector"), &function("dead-letters-api")).await;
    let provisioner = function("provisioner");
    let fleet_id = provisioning::make(&function("onboarding"), &provisioner).await;
    delays::of_probes(&fleet_id, [&provisioner, &function("fleet-delivery")]).await;
    delays::of_entries(&operator, &function("enrichment")).await;
    delays::of_notices(&operator, &function("alert-notifier")).await;
    alerts::make(&operator, &provisioner, &function("back-tester")).await;
    let functions = webhooks::Functions {
        api: &function("endpoints-api"),
        fan_out: &function("webhook-fan-out"),
        dispatcher: &function("webhook-dispatcher"),
        scheduler: &function("webhook-scheduler"),
        redriver: &function("dead-letters-api"),
    };
    Box::pin(webhooks::make(&operator, functions)).await;
    erasure::make(&operator, &function("eraser"), &secret).await;
}

/// Stores a report in several parts, resumes an import, and fails at a deleted file and a deleted part.
async fn bulk_files(operator: &Sdk, loader: &Sdk) {
    let files = S3BulkFiles::new(loader.s3(), BULK_DATA);
    let put = operator.s3().put_object().bucket(BULK_DATA).key("vin-map/a.csv").body(ByteStream::from_static(b"a"));
    let content = put.send().await.unwrap().e_tag.unwrap().trim_matches('"').to_owned();
    let version = FileVersion::new(Timestamp::from_ms(0), &content, "suite");
    let file = BulkFile { key: "vin-map/a.csv".to_owned(), object_version: None, content, version };
    for part in 0..2 {
        files.store_report_part(&file, part, vec![b'x'; 9 << 20]).await.unwrap();
    }
    files.store_report(&file, 2, Vec::new(), Vec::new()).await.unwrap();
    files.store_report(&file, 3, Vec::new(), Vec::new()).await.expect_err("there is no third part");
    files.request_resume(&file).await.unwrap();
    operator.s3().delete_object().bucket(BULK_DATA).key(&file.key).send().await.unwrap();
    files.open(&file, 0).await.map(drop).expect_err("the file is deleted");
}

/// Fails if the recorded calls differ from those of the file. With `UPDATE_GOLDEN=1`, it changes the file instead.
pub(crate) fn check(recorded: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rights/rare_calls.txt"));
    let recorded: BTreeSet<&str> = recorded.lines().collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let lines: Vec<&str> = recorded.into_iter().collect();
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
        return;
    }
    let stored = std::fs::read_to_string(path).unwrap();
    let stored: BTreeSet<&str> = stored.lines().collect();
    assert_eq!(recorded, stored, "set UPDATE_GOLDEN=1, and run `cargo test -p roadcast-tests --test rights`");
}
