//! The Lambda function that collects what failed from the queue of dead letters into the store.

mod message;
mod report;

use roadcast_aws::{AwsPorts, DynamoDeadLetters, S3DeadLetterContents, Sdk, SystemClock};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::{BatchItemFailures, SqsEvent};
use roadcast_ports::clock::Clock as _;
use roadcast_services::dead_letters::collector::{DeadLetterCollector, LetterBuckets};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("dead-letter-collector")?;
    let sdk = Sdk::load().await;
    let buckets = LetterBuckets {
        dead_letters: function.var(Variable::DeadLetterBucket)?,
        archive: function.var(Variable::ArchiveBucket)?,
    };
    let collector = DeadLetterCollector::<AwsPorts> {
        letters: DynamoDeadLetters::new(sdk.dynamodb(), function.var(Variable::DeadLettersTable)?),
        contents: S3DeadLetterContents::new(sdk.s3(), &buckets.dead_letters, &buckets.archive),
        buckets,
    };
    let (collector, metrics) = (&collector, function.metrics.clone());
    function
        .handle_events(|event: SqsEvent| {
            let metrics = metrics.clone();
            async move {
                let mut failed = Vec::new();
                // One after the other: a message and the object that it names can have megabytes.
                for record in event.records {
                    let message = message::queue_message(record, SystemClock.now());
                    match collector.collect(&message).await {
                        Ok(letters) => report::record_letters(&metrics, &letters),
                        Err(error) => {
                            report::record_failure(&metrics, &message.message_id, &error);
                            failed.push(message.message_id);
                        }
                    }
                }
                Ok(failed.into_iter().collect::<BatchItemFailures>())
            }
        })
        .await
}
