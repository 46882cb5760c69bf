//! The Lambda function that sends people and incident tools notices of the operator's alerts.

use roadcast_alert_notifier::NoticeMessages;
use roadcast_aws::{
    AwsPorts, DynamoSentNotices, EventBridgeIngestBus, OsRandomness, Sdk, SnsNoticeTopic, SqsMessageDelay, SystemClock,
};
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_lambda_kit::sqs::SqsEvent;
use roadcast_services::alerts::notifier::AlertNotifier;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("alert-notifier")?;
    let sdk = Sdk::load().await;

    let messages = NoticeMessages::<AwsPorts>::new(
        AlertNotifier {
            sent: DynamoSentNotices::new(sdk.dynamodb(), function.var(Variable::AlertStateTable)?),
            bus: EventBridgeIngestBus::new(sdk.eventbridge(), function.var(Variable::IngestBus)?),
            topic: SnsNoticeTopic::new(sdk.sns(), function.var(Variable::OperatorAlertsTopicArn)?),
            clock: SystemClock,
            stage: function.var(Variable::Stage)?,
        },
        SqsMessageDelay::new(sdk.sqs(), [function.var(Variable::AlertNoticesQueueUrl)?]),
        OsRandomness,
        function.metrics.clone(),
    );
    let messages = &messages;
    function.handle_batches(|event: SqsEvent, deadline| async move { Ok(messages.handle(event, deadline).await) }).await
}
