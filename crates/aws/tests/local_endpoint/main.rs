//! Every adapter against a local AWS endpoint: its port's suite, and what only AWS's side shows.
//!
//! The endpoint is `ministack` from a virtual environment: the one whose Python `ROADCAST_ENDPOINT_PYTHON` names, or else
//! the one that `cargo roadcast up` makes. Where there is none, the test says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod archive;
mod beyond_the_suites;
mod bulk;
mod endpoint;
mod stack;

use endpoint::Endpoint;
use roadcast_aws::{
    CognitoAppClients, DynamoBulkMap, DynamoClients, DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoFleets,
    DynamoPackages, DynamoRequests, DynamoSchemas, DynamoStateStore, DynamoSubscriptions, DynamoVehicles,
    EventBridgeDeliveryBus, EventBridgeIngestBus, FleetChannels, KinesisTelemetryStream, OsRandomness, S3Archive, Sdk,
    SqsFeedQueue, StepFunctionsProvisioning, SystemClock,
};
use roadcast_ports::conformance as suites;
use stack::Stack;

#[tokio::test]
async fn the_adapters_pass_the_suites_of_their_ports() {
    let Some(endpoint) = Endpoint::start() else {
        println!("no local endpoint: set ROADCAST_ENDPOINT_PYTHON, or run `cargo roadcast up` once. Nothing was tested.");
        return;
    };
    let sdk = Sdk::for_local_endpoint(endpoint.url(), stack::REGION).await;
    let stack = Stack::create(&sdk).await;
    println!("endpoint and stack are up");

    tables(&sdk, &stack).await;
    streams_and_buses(&sdk, &stack).await;
    archive::what_is_kept_is_read_back(&sdk, &stack).await;
    bulk::files(&sdk, &stack).await;
    beyond_the_suites::check(&sdk, &stack).await;
}

async fn tables(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    suites::event_log(&DynamoEventLog::new(sdk.dynamodb(), &stack.vehicle_events), random).await;
    println!("event log");
    suites::state_store(&DynamoStateStore::new(sdk.dynamodb(), &stack.vehicle_state), random).await;
    println!("state store");
    suites::vehicles(&DynamoVehicles::new(sdk.dynamodb(), &stack.vehicles, &stack.reference), random).await;
    println!("vehicles");
    suites::names(&DynamoVehicles::new(sdk.dynamodb(), &stack.vehicles, &stack.reference), random).await;
    println!("names");
    suites::fleets(&DynamoFleets::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("fleets");
    suites::schemas(&DynamoSchemas::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("schemas");
    suites::clients(&DynamoClients::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("clients");
    let subscriptions = DynamoSubscriptions::new(sdk.dynamodb(), &stack.reference);
    suites::subscriptions(&subscriptions, random).await;
    println!("subscriptions");
    let fleets = DynamoFleets::new(sdk.dynamodb(), &stack.reference);
    let clients = DynamoClients::new(sdk.dynamodb(), &stack.reference);
    suites::audit_trail(&fleets, &clients, &subscriptions, random).await;
    suites::leaving_fleets(&fleets, &clients, &subscriptions, random).await;
    println!("audit trail, and fleets that leave");
    let entitlements = DynamoEntitlements::new(sdk.dynamodb(), &stack.reference);
    suites::subscriptions_and_entitlements(&subscriptions, &entitlements, random).await;
    println!("entitlements");
    suites::custom_packages(&DynamoPackages::new(sdk.dynamodb(), &stack.reference), &entitlements, random).await;
    println!("packages");
    suites::feed_index(&DynamoFeedIndex::new(sdk.dynamodb(), &stack.feed_index), &SystemClock, random).await;
    println!("feed index");
    let requests = DynamoRequests::new(sdk.dynamodb(), &stack.reference);
    suites::request_counts(&requests, random).await;
    suites::answers(&requests, random).await;
    println!("requests");
    let map = DynamoBulkMap::new(sdk.dynamodb(), &stack.reference);
    suites::vehicle_map(&map, random).await;
    suites::vehicle_map_of_a_fleet(&map, random).await;
    suites::loads(&map, random).await;
    println!("bulk map");
}

async fn streams_and_buses(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    suites::telemetry_stream(&KinesisTelemetryStream::new(sdk.kinesis(), &stack.stream), random).await;
    println!("telemetry stream");
    let archive = S3Archive::new(sdk.s3(), &stack.bucket);
    suites::archive(&archive, random).await;
    suites::quarantine(&archive, random).await;
    println!("archive and quarantine");
    suites::ingest_bus(&EventBridgeIngestBus::new(sdk.eventbridge(), &stack.ingest_bus), random).await;
    println!("ingest bus");
    let queue = SqsFeedQueue::new(sdk.sqs(), stack::FEED_PREFIX);
    let channels = FleetChannels::new(sdk.sqs(), sdk.eventbridge(), stack::FEED_PREFIX, &stack.delivery_bus_arn).unwrap();
    let bus = EventBridgeDeliveryBus::new(sdk.eventbridge());
    suites::feed(&queue, &channels, &bus, &stack.delivery_bus, random).await;
    suites::fleet_channel(&channels, &stack.delivery_bus, random).await;
    println!("feed");
    let machine = &stack.state_machine;
    suites::provisioning_workflow(&StepFunctionsProvisioning::new(sdk.step_functions(), machine, machine), random).await;
    println!("provisioning workflow");
    suites::app_clients(&CognitoAppClients::new(sdk.cognito(), &stack.user_pool), random).await;
    println!("app clients");
}
