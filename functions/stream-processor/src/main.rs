//! The Lambda function that processes the telemetry stream.

mod answer;
mod report;

use roadcast_aws::{
    AwsPorts, DynamoEntitlements, DynamoEventLog, DynamoSchemas, DynamoStateStore, DynamoVehicles, EventBridgeIngestBus,
    S3Archive, Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::event_traces::TraceHop;
use roadcast_lambda_kit::kinesis::{self, KinesisEvent};
use roadcast_lambda_kit::run::Function;
use roadcast_ports::clock::Clock as _;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, Publisher, RecentEvents, StreamProcessor};

/// The events of a batch are in memory at the same time, in many small allocations (docs/decisions/0063-allocators.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("stream-processor")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let bucket = function.var(Variable::ArchiveBucket)?;
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets.clone());

    let processor = StreamProcessor::<AwsPorts> {
        archive: S3Archive::new(sdk.s3(), &bucket),
        quarantine: S3Archive::new(sdk.s3(), &bucket),
        validator: EventValidator {
            subjects: CachedSubjects::new(vehicles, SystemClock),
            schemas: CachedSchemas::new(DynamoSchemas::new(sdk.dynamodb(), &reference), SystemClock),
        },
        alerts: AlertReader { secrets },
        publisher: Publisher {
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            bus: EventBridgeIngestBus::new(sdk.eventbridge(), function.var(Variable::IngestBus)?),
            clock: SystemClock,
        },
        store: EventStore {
            state: DynamoStateStore::new(sdk.dynamodb(), function.var(Variable::VehicleStateTable)?),
            log: DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?),
            recent: RecentEvents::default(),
        },
        clock: SystemClock,
    };
    let partial_responses = function.env.optional_parse(Variable::PartialBatchResponses, "true or false")?.unwrap_or(true);
    let (processor, metrics, traces) = (&processor, function.metrics.clone(), function.traces.clone());
    function
        .handle_events(|event: KinesisEvent| {
            let (metrics, traces) = (metrics.clone(), traces.clone());
            async move {
                let batch = event.into_batch(processor.clock.now());
                let outcome = match batch.redrive_id {
                    None => processor.process_batch(&batch.records).await,
                    Some(_) => processor.redrive_batch(&batch.records).await,
                };
                report::record_outcome(&metrics, &batch, &outcome);
                traces.add(TraceHop::Processing, &outcome.trace_candidates);
                match batch.redrive_id {
                    None => kinesis::answer(&batch.records, outcome.retry_from, partial_responses),
                    Some(_) => Ok(answer::redrive_answer(&batch.records, outcome)),
                }
            }
        })
        .await
}
