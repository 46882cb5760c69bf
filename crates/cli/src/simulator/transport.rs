//! How simulated vehicles send: over HTTP, as records of the stream, or as `IoT` messages.

mod iot;

use std::sync::Arc;

use anyhow::Result;
use roadcast_aws::KinesisTelemetryStream;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::event::Telemetry;
use roadcast_ports::stream::{StreamRecord, TelemetryStream as _};
use serde_json::Value;

use crate::api::Api;
use crate::stack::Stack;
use iot::IotPublisher;

/// How simulated vehicles send.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TransportKind {
    /// Requests to the HTTP API, as a partner sends them.
    Http,
    #[value(help = "Records of the stream, by PutRecords")]
    Kinesis,
    #[value(
        help = "Messages to the topic rule of IoT Core (Basic Ingest); locally, the tool puts the record that its action would put"
    )]
    Iot,
}

/// What simulated vehicles send.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PayloadFormat {
    /// Plain JSON.
    Json,
    /// JSON in a zstd frame; not over HTTP.
    Zstd,
    /// JSON with a block that is made on the device.
    Block,
}

/// A connection to the service, and the format of the uploads.
pub(crate) struct Transport {
    channel: Channel,
    payload: PayloadFormat,
}

enum Channel {
    /// Requests to the HTTP API.
    Http(Arc<Api>),
    /// Records of the stream.
    Kinesis(KinesisTelemetryStream),
    /// Messages to the topic rule.
    Iot(IotPublisher),
}

/// The outcome of an upload.
pub(crate) enum UploadOutcome {
    /// Accepted by the service.
    Accepted,
    /// Rejected by the service.
    Rejected,
    /// No response after all retries.
    Failed,
}

impl Transport {
    /// A transport over the HTTP API, with plain JSON.
    pub(crate) fn http(api: Arc<Api>) -> Self {
        Self { channel: Channel::Http(api), payload: PayloadFormat::Json }
    }

    /// A transport to a running stack. Fails if the kind does not support the payload format.
    pub(crate) async fn to_stack(
        kind: TransportKind,
        payload: PayloadFormat,
        stack: &Stack,
        api: &Arc<Api>,
    ) -> Result<Self> {
        let stream = || -> Result<KinesisTelemetryStream> {
            let client = aws_sdk_kinesis::Client::new(&stack.config);
            Ok(KinesisTelemetryStream::new(client.into(), stack.output("TelemetryStreamName")?))
        };
        let channel = match kind {
            TransportKind::Http if payload == PayloadFormat::Zstd => {
                anyhow::bail!("the HTTP API accepts json and block only: use --via kinesis or --via iot for zstd")
            }
            TransportKind::Http => Channel::Http(Arc::clone(api)),
            TransportKind::Kinesis => Channel::Kinesis(stream()?),
            TransportKind::Iot => Channel::Iot(IotPublisher::of(stack, stream()?).await?),
        };
        Ok(Self { channel, payload })
    }

    /// Sends an upload of a vehicle.
    pub(crate) async fn send(&self, vid: &str, events: Vec<Value>) -> UploadOutcome {
        let events: Vec<Value> = match self.payload {
            PayloadFormat::Block => events.into_iter().map(with_block).collect(),
            PayloadFormat::Json | PayloadFormat::Zstd => events,
        };
        match &self.channel {
            Channel::Http(api) => match api.send_events(vid, &events).await {
                Ok(response) if response.status.is_success() => UploadOutcome::Accepted,
                Ok(_) => UploadOutcome::Rejected,
                Err(_) => UploadOutcome::Failed,
            },
            Channel::Kinesis(stream) => put(stream, vid, self.record(&events)).await,
            Channel::Iot(publisher) => publisher.publish(vid, self.record(&events)).await,
        }
    }

    /// The bytes of a record: one event unchanged, because a topic rule passes it on unchanged; several events as a batch.
    fn record(&self, events: &[Value]) -> Vec<u8> {
        let text = if let [event] = events { event.to_string() } else { Value::from(events.to_vec()).to_string() };
        match self.payload {
            PayloadFormat::Zstd => stream_record::compress(&text),
            PayloadFormat::Json | PayloadFormat::Block => text.into_bytes(),
        }
    }
}

/// Puts a record onto the stream.
pub(super) async fn put(stream: &KinesisTelemetryStream, vid: &str, data: Vec<u8>) -> UploadOutcome {
    let Ok(vid) = vid.parse() else { return UploadOutcome::Rejected };
    match stream.put(&[StreamRecord { vid, data }]).await.pop() {
        Some(Ok(())) => UploadOutcome::Accepted,
        _ => UploadOutcome::Failed,
    }
}

/// Returns the event with its samples as a block; unchanged if a block cannot represent them.
fn with_block(mut event: Value) -> Value {
    let samples = serde_json::from_value::<Telemetry>(event["data"].clone());
    let block = samples.ok().and_then(|telemetry| stream_record::columns_base64(telemetry.samples).ok());
    if let (Some(block), Some(members)) = (block, event.as_object_mut()) {
        members.remove("data");
        members.insert("datacontenttype".to_owned(), BLOCK_CONTENT_TYPE.into());
        members.insert("data_base64".to_owned(), block.into());
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn event_that_no_block_can_represent_is_sent_unchanged() {
        let at = "2026-01-01T00:00:00.000Z";
        let good = with_block(json!({"data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 1}}]}}));
        assert!(good.get("data").is_none() && good["data_base64"].is_string());
        let nonsense = json!({"data": {"samples": [{"at": "soon", "signals": {}}]}});
        assert_eq!(with_block(nonsense.clone()), nonsense);
    }
}
