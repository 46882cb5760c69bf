//! The Lambda function that lets time pass for the alert evaluator. It puts a tick into each shard of the stream every minute.

use roadcast_aws::{KinesisStreamClock, Sdk};
use roadcast_codec::tick::TICK;
use roadcast_lambda_kit::config::Variable;
use roadcast_lambda_kit::run::Function;
use roadcast_ports::stream::StreamClock as _;
use serde::de::IgnoredAny;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Function::start("alert-clock")?;
    let sdk = Sdk::load().await;
    let clock = &KinesisStreamClock::new(sdk.kinesis(), function.var(Variable::TelemetryStream)?);
    function
        .handle_events(|_: IgnoredAny| async move {
            let shards = clock.tick(TICK.as_bytes()).await?;
            Ok(json!({ "shards": shards }))
        })
        .await
}
