//! The Lambda function that restores the tables of events from the archive, one hour of the archive after the other.

use roadcast_aws::{
    AwsPorts, DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoSchemas, DynamoStateStore, DynamoVehicles,
    S3ArchivedBatches, Sdk, SecretsManagerSource, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::metrics::{Metric, Metrics};
use roadcast_lambda_kit::run::Function;
use roadcast_services::cache::{CachedEntitlements, CachedSubjects};
use roadcast_services::catalogue::event_schemas::CachedSchemas;
use roadcast_services::delivery::restored_arrivals::RestoredArrivals;
use roadcast_services::restore::{ArchiveRestore, RestoreCounts, Task};
use roadcast_services::stream::{AlertReader, EventStore, EventValidator, RecentEvents, RecordRestorer};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("archive-restorer")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let vehicles = DynamoVehicles::new(sdk.dynamodb(), function.var(Variable::VehiclesTable)?, &reference, secrets.clone());
    let restore = ArchiveRestore::<AwsPorts> {
        batches: S3ArchivedBatches::new(sdk.s3(), function.var(Variable::ArchiveBucket)?),
        restorer: RecordRestorer {
            validator: EventValidator {
                subjects: CachedSubjects::new(vehicles, SystemClock),
                schemas: CachedSchemas::new(DynamoSchemas::new(sdk.dynamodb(), &reference), SystemClock),
            },
            alerts: AlertReader { secrets },
            store: EventStore {
                state: DynamoStateStore::new(sdk.dynamodb(), function.var(Variable::VehicleStateTable)?),
                log: DynamoEventLog::new(sdk.dynamodb(), function.var(Variable::VehicleEventsTable)?),
                recent: RecentEvents::default(),
            },
            arrivals: RestoredArrivals {
                entitlements: CachedEntitlements::new(DynamoEntitlements::new(sdk.dynamodb(), &reference), SystemClock),
                index: DynamoFeedIndex::new(sdk.dynamodb(), function.var(Variable::FeedIndexTable)?),
                clock: SystemClock,
            },
            clock: SystemClock,
        },
        clock: SystemClock,
    };
    let (restore, metrics) = (&restore, function.metrics.clone());
    function
        .handle_events(|task: Task| {
            let metrics = metrics.clone();
            async move {
                let (hour, before) = (task.hour, task.progress.counts);
                let task = restore.continue_hour(task).await?;
                record_progress(&metrics, &before, &task);
                tracing::info!(%hour, done = task.progress.done, "restored {} records of {hour}", task.progress.counts.records);
                Ok(task)
            }
        })
        .await
}

/// Records what a task restored. The counts of the hour include earlier tasks.
fn record_progress(metrics: &Metrics, before: &RestoreCounts, task: &Task) {
    let counts = &task.progress.counts;
    metrics.record(Metric::SamplesRestored, counts.samples_stored.saturating_sub(before.samples_stored));
    metrics.record(Metric::ArrivalsRestored, counts.arrivals_recorded.saturating_sub(before.arrivals_recorded));
    metrics.record(Metric::BatchesUnreadable, counts.unreadable_batches.saturating_sub(before.unreadable_batches));
}
