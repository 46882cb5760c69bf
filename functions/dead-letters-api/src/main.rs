//! The Lambda function for the operations on dead letters.

use roadcast_aws::{
    AwsPorts, AwsRedriveTargets, DynamoDeadLetters, DynamoDeliveries, DynamoEndpoints, DynamoFleets, EventBridgeDeliveryBus,
    KinesisTelemetryStream, RedriveTargetNames, S3ArchivedRecords, S3DeadLetterContents, Sdk, SecretsManagerSource,
    SqsDeliveryQueue, SystemClock,
};
use roadcast_dead_letters_api::DeadLettersApi;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::http::Middleware;
use roadcast_lambda_kit::run::Function;
use roadcast_services::dead_letters::queries::DeadLetterQueries;
use roadcast_services::dead_letters::redrive::{LetterSender, Redriver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("dead-letters-api")?;
    let sdk = Sdk::load().await;
    let reference = function.var(Variable::ReferenceTable)?;
    let secrets = SecretsManagerSource::new(sdk.secrets_manager(), function.var(Variable::StackSecretId)?);
    let table = function.var(Variable::DeadLettersTable)?;
    let bucket = function.var(Variable::DeadLetterBucket)?;
    let archive = function.var(Variable::ArchiveBucket)?;
    let names = RedriveTargetNames {
        stream_processor: function.var(Variable::StreamProcessorFunction)?,
        reference_loader: function.var(Variable::ReferenceLoaderFunction)?,
        enrichment_queue_prefix: function.var(Variable::EnrichmentQueuePrefix)?,
        notice_queue_url: function.var(Variable::AlertNoticesQueueUrl)?,
    };
    let (url, ordered_url) = (function.var(Variable::WebhookQueueUrl)?, function.var(Variable::WebhookOrderedQueueUrl)?);
    let letters = DynamoDeadLetters::new(sdk.dynamodb(), table);
    let contents = S3DeadLetterContents::new(sdk.s3(), bucket, &archive);

    let api = DeadLettersApi::<AwsPorts> {
        queries: DeadLetterQueries { letters: letters.clone(), contents: contents.clone() },
        redriver: Redriver {
            letters: letters.clone(),
            redrives: letters,
            sender: LetterSender {
                contents,
                archive: S3ArchivedRecords::new(sdk.s3(), archive),
                targets: AwsRedriveTargets::new(sdk.lambda(), sdk.sqs(), names),
                stream: KinesisTelemetryStream::new(sdk.kinesis(), function.var(Variable::TelemetryStream)?),
                bus: EventBridgeDeliveryBus::new(sdk.eventbridge()),
                fleets: DynamoFleets::new(sdk.dynamodb(), &reference),
                deliveries: DynamoDeliveries::new(sdk.dynamodb(), function.var(Variable::DeliveriesTable)?),
                endpoints: DynamoEndpoints::new(sdk.dynamodb(), &reference),
                tasks: SqsDeliveryQueue::new(sdk.sqs(), url, ordered_url),
            },
            clock: SystemClock,
        },
    };
    function.serve_http(api, Middleware::new(roadcast_aws::request_ports(&sdk, &reference, secrets))).await
}
