//! Runs every adapter against a local AWS endpoint: the conformance suite of its port, and checks specific to AWS.
//!
//! The endpoint is `ministack` from a virtual environment: the one whose Python `ROADCAST_ENDPOINT_PYTHON` names, otherwise
//! the one that `cargo roadcast up` creates. If there is none, the test passes and reports what it did not check; under
//! `CI=true` it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod archive;
mod bulk_files;
mod dead_letters;
mod dynamodb;
mod endpoint;
mod erasure;
mod kinesis;
mod rare_calls;
mod secret;
mod sqs;
mod stack;
mod webhooks;

use std::path::Path;

use endpoint::Endpoint;
use roadcast_aws::{
    CognitoAppClients, DynamoAlertRules, DynamoAlertState, DynamoBackTests, DynamoClients, DynamoEntitlements,
    DynamoEventLog, DynamoFeedIndex, DynamoFeedProofs, DynamoFleets, DynamoIdempotencyStore, DynamoImportProgress,
    DynamoPackages, DynamoRateCounter, DynamoSchemas, DynamoSentNotices, DynamoStateStore, DynamoSubscriptions,
    DynamoVehicleMappings, DynamoVehicles, EventBridgeDeliveryBus, EventBridgeIngestBus, FleetChannels, KinesisStreamClock,
    KinesisStreamReader, KinesisTelemetryStream, OsRandomness, S3Archive, S3ArchivedBatches, Sdk, SecretsManagerSource,
    SnsNoticeTopic, SqsFeedQueue, StateMachines, StepFunctionsProvisioning, SystemClock,
};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::conformance as suites;
use stack::Stack;

#[tokio::test]
async fn adapters_pass_the_conformance_suites() {
    let Some(endpoint) = Endpoint::start() else {
        endpoint::skip_without_endpoint(std::env::var_os("CI").is_some_and(|value| value == "true"));
        return;
    };
    let sdk = Sdk::for_local_endpoint(endpoint.url(), stack::REGION);
    let stack = Stack::create(&sdk).await;
    println!("the endpoint and its resources are ready");

    tables(&sdk, &stack).await;
    streams_and_buses(&sdk, &stack).await;
    archive::stored_batches_are_read_back(&sdk, &stack).await;
    bulk_files::check(&sdk, &stack).await;
    Box::pin(dead_letters::check(&sdk, &stack)).await;
    erasure::check(&sdk, &stack).await;
    dynamodb::check(&sdk, &stack).await;
    secret::check(&sdk, &stack).await;
    kinesis::oversized_record_is_rejected_alone(&sdk, &stack).await;
    sqs::check(&sdk, &stack).await;
    webhooks::check(&sdk, &stack).await;
}

#[tokio::test]
async fn rare_calls_of_functions_are_those_of_the_file() {
    let calls = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rare-calls");
    let _ = std::fs::remove_file(&calls);
    let Some(endpoint) = Endpoint::start_recording(&calls) else {
        endpoint::skip_without_endpoint(std::env::var_os("CI").is_some_and(|value| value == "true"));
        return;
    };
    Box::pin(rare_calls::make(&endpoint)).await;
    rare_calls::check(&std::fs::read_to_string(calls).unwrap());
}

#[test]
#[should_panic(expected = "NOT CHECKED")]
fn missing_endpoint_fails_in_ci() {
    endpoint::skip_without_endpoint(true);
}

async fn tables(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    suites::event_log(&DynamoEventLog::new(sdk.dynamodb(), &stack.vehicle_events), random).await;
    println!("event log");
    suites::state_store(&DynamoStateStore::new(sdk.dynamodb(), &stack.vehicle_state), random).await;
    println!("state store");
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), &stack.secret);
    suites::secret_source(&secrets).await;
    println!("secret");
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), &stack.vehicles, &stack.reference, secrets);
    suites::vehicles(&vehicles, random).await;
    println!("vehicles");
    suites::vehicle_names(&vehicles, random).await;
    println!("vehicle names");
    let fleets = DynamoFleets::new(sdk.dynamodb(), &stack.reference);
    suites::fleets(&fleets, random).await;
    suites::places_on_buses(&fleets, random).await;
    suites::feed_proofs(&DynamoFeedProofs::new(sdk.dynamodb(), &stack.reference), random).await;
    suites::alert_rules(&DynamoAlertRules::new(sdk.dynamodb(), &stack.reference), &fleets, random).await;
    let back_tests = DynamoBackTests::new(sdk.dynamodb(), &stack.reference);
    suites::back_tests(&back_tests, SystemClock.now(), random).await;
    println!("fleets, alert rules and back-tests");
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
    suites::offboarding_fleets(&fleets, &clients, &subscriptions, random).await;
    println!("audit trail, and offboarding fleets");
    let entitlements = DynamoEntitlements::new(sdk.dynamodb(), &stack.reference);
    suites::subscriptions_and_entitlements(&subscriptions, &entitlements, random).await;
    println!("entitlements");
    suites::custom_packages(&DynamoPackages::new(sdk.dynamodb(), &stack.reference), &entitlements, random).await;
    println!("packages");
    let index = DynamoFeedIndex::new(sdk.dynamodb(), &stack.feed_index);
    suites::feed_index(&index, &SystemClock, random).await;
    suites::restored_feed_index(&index, &SystemClock, random).await;
    println!("feed index");
    suites::rate_counter(&DynamoRateCounter::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("rate counter");
    suites::idempotency_store(&DynamoIdempotencyStore::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("idempotency store");
    let mappings = DynamoVehicleMappings::new(sdk.dynamodb(), &stack.reference);
    suites::vehicle_mappings(&mappings, random).await;
    suites::vehicle_mapping_lists(&mappings, random).await;
    println!("vehicle mappings");
    suites::import_progress(&DynamoImportProgress::new(sdk.dynamodb(), &stack.reference), random).await;
    println!("import progress");
    let alert_state = DynamoAlertState::new(sdk.dynamodb(), &stack.alert_state);
    suites::alert_checkpoints(&alert_state, &SystemClock, random).await;
    suites::shard_evaluations(&alert_state, random).await;
    suites::sent_notices(&DynamoSentNotices::new(sdk.dynamodb(), &stack.alert_state), &SystemClock, random).await;
    println!("state of the alert evaluator, and of notices");
}

async fn streams_and_buses(sdk: &Sdk, stack: &Stack) {
    let random = &OsRandomness;
    suites::telemetry_stream(&KinesisTelemetryStream::new(sdk.kinesis(), &stack.stream), random).await;
    println!("telemetry stream");
    let (stream, reader) = (sdk.kinesis(), KinesisStreamReader::new(sdk.kinesis(), &stack.stream));
    let (stream, clock) =
        (KinesisTelemetryStream::new(stream, &stack.stream), KinesisStreamClock::new(sdk.kinesis(), &stack.stream));
    let shards = (&["shardId-000000000000"][..], SystemClock.now());
    suites::stream_reads(&stream, &reader, &clock, shards, random).await;
    println!("reads and clock of the stream");
    let archive = S3Archive::new(sdk.s3(), &stack.bucket);
    suites::archive(&archive, random).await;
    let batches = S3ArchivedBatches::new(sdk.s3(), &stack.bucket);
    suites::archived_batches(&archive, &batches, &SystemClock, random).await;
    suites::quarantine(&archive, random).await;
    println!("archive and quarantine");
    suites::ingest_bus(&EventBridgeIngestBus::new(sdk.eventbridge(), &stack.ingest_bus), random).await;
    let topic = sdk.sns().create_topic().name(format!("{}-alerts", stack.ingest_bus)).send().await.unwrap();
    let topic = SnsNoticeTopic::new(sdk.sns(), topic.topic_arn.unwrap());
    suites::notice_channels(&EventBridgeIngestBus::new(sdk.eventbridge(), &stack.ingest_bus), &topic, random).await;
    println!("ingest bus, and the channels of notices");
    let queue = SqsFeedQueue::new(sdk.sqs(), stack::FEED_PREFIX);
    let (sqs, eventbridge, bus_arn) = (sdk.sqs(), sdk.eventbridge(), &stack.delivery_bus_arn);
    let channels =
        FleetChannels::new(sqs, eventbridge, stack::FEED_PREFIX, bus_arn, stack::DEAD_LETTERS, stack::webhook_rule())
            .unwrap();
    let bus = EventBridgeDeliveryBus::new(sdk.eventbridge());
    suites::feed(&queue, &channels, &bus, &stack.delivery_bus, random).await;
    suites::fleet_channel(&channels, &stack.delivery_bus, random).await;
    // A bus that the stack does not have.
    suites::fleet_channel(&channels, &format!("{}-2", stack.delivery_bus), random).await;
    println!("feed");
    let machine = || stack.state_machine.clone();
    let machines = StateMachines { provisioning: machine(), offboarding: machine(), erasure: machine() };
    suites::provisioning_workflow(&StepFunctionsProvisioning::new(sdk.step_functions(), machines), random).await;
    println!("provisioning workflow");
    suites::app_clients(&CognitoAppClients::new(sdk.cognito(), &stack.user_pool), random).await;
    println!("app clients");
}
