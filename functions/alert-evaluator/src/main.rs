//! The Lambda function that evaluates alert rules on the stream.

mod report;

use roadcast_aws::{
    AwsPorts, DynamoAlertRules, DynamoAlertState, DynamoEntitlements, DynamoEventLog, DynamoSchemas, DynamoVehicles,
    EventBridgeIngestBus, KinesisStreamReader, KinesisTelemetryStream, OsRandomness, Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::kinesis::{self, KinesisEvent};
use roadcast_lambda_kit::run::Function;
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_services::alerts::evaluator::{AlertEvaluator, AlertPublisher, EvaluatorParts, RuleOwners, ShardReader};
use roadcast_services::cache::{CachedAlertRules, CachedEntitlements, CachedSubjects, CachedVehicles};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::stream::EventValidator;

/// The events of a batch are in memory at the same time, in many small allocations (docs/decisions/0063-allocators.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("alert-evaluator")?;
    let sdk = Sdk::load().await;
    let (reference, stream) = (function.var(Variable::ReferenceTable)?, function.var(Variable::TelemetryStream)?);
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles_table = function.var(Variable::VehiclesTable)?;
    let vehicles = || DynamoVehicles::new(sdk.dynamodb(), &vehicles_table, &reference, secrets.clone());
    let alert_state = DynamoAlertState::new(sdk.dynamodb(), function.var(Variable::AlertStateTable)?);
    let log = DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?);

    let parts = EvaluatorParts::<AwsPorts> {
        validator: EventValidator {
            subjects: CachedSubjects::new(vehicles(), SystemClock),
            schemas: CachedSchemas::new(DynamoSchemas::new(sdk.dynamodb(), &reference), SystemClock),
        },
        owners: RuleOwners {
            entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
            rules: CachedAlertRules::new(DynamoAlertRules::new(sdk.dynamodb(), &reference), SystemClock),
            vehicles: CachedVehicles::new(vehicles(), SystemClock),
            clock: SystemClock,
        },
        publisher: AlertPublisher {
            log: log.clone(),
            bus: EventBridgeIngestBus::new(sdk.eventbridge(), function.var(Variable::IngestBus)?),
            stream: KinesisTelemetryStream::new(sdk.kinesis(), &stream),
            secrets: secrets.clone(),
        },
        shards: ShardReader {
            evaluations: alert_state.clone(),
            stream: KinesisStreamReader::new(sdk.kinesis(), &stream),
            log: log.clone(),
        },
        checkpoints: alert_state,
        log,
        clock: SystemClock,
    };
    let evaluator = &AlertEvaluator::new(format!("{:032x}", OsRandomness.bits()), parts);
    let partial_responses = function.env.optional_parse(Variable::PartialBatchResponses, "true or false")?.unwrap_or(true);
    let (metrics, report) = (function.metrics.clone(), &report::Report::default());
    function
        .handle_events(|event: KinesisEvent| {
            let metrics = metrics.clone();
            async move {
                let batch = event.into_batch(SystemClock.now());
                let outcome = evaluator.evaluate_batch(&batch.records).await;
                report::record_outcome(&metrics, report, &batch, &outcome, SystemClock.now().ms());
                kinesis::answer(&batch.records, outcome.retry_from, partial_responses)
            }
        })
        .await
}
