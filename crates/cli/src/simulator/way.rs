//! The ways in that simulated vehicles take.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use reqwest::header::HOST;
use roadcast_aws::KinesisTelemetryStream;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use roadcast_domain::event::Telemetry;
use roadcast_ports::stream::{StreamRecord, TelemetryStream as _};
use serde_json::Value;

use crate::api::Api;
use crate::args::{SimulatedPayload, SimulatedWay};
use crate::stack::Stack;

/// How uploads reach the service.
pub(crate) struct Way {
    road: Road,
    payload: SimulatedPayload,
}

enum Road {
    /// As a partner's requests.
    Http(Arc<Api>),
    /// As records of the stream.
    Kinesis(KinesisTelemetryStream),
    /// As messages of devices.
    Iot(Devices),
}

/// The data plane of `IoT` Core, and what stands in for the part of it that the local endpoint lacks.
///
/// The endpoint takes a message and finds its rule, but does not run the rule's Kinesis action. So the record that the action
/// would have put is put here: the message as it is, keyed by the last part of its topic.
struct Devices {
    http: reqwest::Client,
    endpoint: String,
    rule: String,
    stand_in: KinesisTelemetryStream,
}

/// What became of an upload.
pub(crate) enum Outcome {
    /// Taken.
    Accepted,
    /// Refused by the service.
    Refused,
    /// No answer, however often it was tried.
    Failed,
}

impl Way {
    /// Through the HTTP API, as plain JSON.
    pub(crate) fn http(api: Arc<Api>) -> Self {
        Self { road: Road::Http(api), payload: SimulatedPayload::Json }
    }

    /// The way that was asked for, into that stack.
    pub(crate) fn into_stack(way: SimulatedWay, payload: SimulatedPayload, stack: &Stack, api: &Arc<Api>) -> Result<Self> {
        let stream = || -> Result<KinesisTelemetryStream> {
            let client = aws_sdk_kinesis::Client::new(&stack.config);
            Ok(KinesisTelemetryStream::new(client, stack.file.output("TelemetryStreamName")?))
        };
        let road = match way {
            SimulatedWay::Http if payload == SimulatedPayload::Zstd => {
                anyhow::bail!("the HTTP API takes json and block; zstd is for records: use --via kinesis or --via iot")
            }
            SimulatedWay::Http => Road::Http(Arc::clone(api)),
            SimulatedWay::Kinesis => Road::Kinesis(stream()?),
            SimulatedWay::Iot => Road::Iot(Devices {
                http: reqwest::Client::new(),
                endpoint: format!("http://127.0.0.1:{}", stack.file.port),
                rule: stack.file.output("DeviceRuleName")?.to_owned(),
                stand_in: stream()?,
            }),
        };
        Ok(Self { road, payload })
    }

    /// Sends an upload about a vehicle.
    pub(crate) async fn send(&self, vid: &str, events: Vec<Value>) -> Outcome {
        let events: Vec<Value> = match self.payload {
            SimulatedPayload::Block => events.into_iter().map(with_block).collect(),
            SimulatedPayload::Json | SimulatedPayload::Zstd => events,
        };
        match &self.road {
            Road::Http(api) => match api.send_events(vid, &events).await {
                Ok(answer) if answer.status.is_success() => Outcome::Accepted,
                Ok(_) => Outcome::Refused,
                Err(_) => Outcome::Failed,
            },
            Road::Kinesis(stream) => put(stream, vid, self.record(&events)).await,
            Road::Iot(devices) => match devices.publish(vid, self.record(&events)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Failed,
            },
        }
    }

    /// One event as it is, which is what a topic rule is sure to pass on unchanged; several as a batch.
    fn record(&self, events: &[Value]) -> Vec<u8> {
        let text = if let [event] = events { event.to_string() } else { Value::from(events.to_vec()).to_string() };
        match self.payload {
            SimulatedPayload::Zstd => stream_record::compress(&text),
            SimulatedPayload::Json | SimulatedPayload::Block => text.into_bytes(),
        }
    }
}

impl Devices {
    async fn publish(&self, vid: &str, record: Vec<u8>) -> Result<Outcome> {
        let url = format!("{}/topics/$aws/rules/{}/{vid}", self.endpoint, self.rule);
        let request = self.http.post(url).header(HOST, "data-ats.iot.eu-central-1.localhost").body(record.clone());
        let answer = request.send().await.context("publishing to the rule's topic")?;
        if !answer.status().is_success() {
            return Ok(Outcome::Refused);
        }
        Ok(put(&self.stand_in, vid, record).await)
    }
}

async fn put(stream: &KinesisTelemetryStream, vid: &str, data: Vec<u8>) -> Outcome {
    let Ok(vid) = vid.parse() else { return Outcome::Refused };
    match stream.put(&[StreamRecord { vid, data }]).await.pop() {
        Some(Ok(())) => Outcome::Accepted,
        _ => Outcome::Failed,
    }
}

/// The event with its samples as a device's block; as it is where no block can say them.
fn with_block(mut event: Value) -> Value {
    let samples = serde_json::from_value::<Telemetry>(event["data"].clone());
    let block = samples.ok().and_then(|telemetry| stream_record::block_base64(&telemetry.samples).ok());
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
    fn what_no_block_can_say_is_sent_as_it_is() {
        let at = "2026-01-01T00:00:00.000Z";
        let good = with_block(json!({"data": {"samples": [{"at": at, "signals": {"Vehicle.Speed": 1}}]}}));
        assert!(good.get("data").is_none() && good["data_base64"].is_string());
        let nonsense = json!({"data": {"samples": [{"at": "soon", "signals": {}}]}});
        assert_eq!(with_block(nonsense.clone()), nonsense);
    }
}
