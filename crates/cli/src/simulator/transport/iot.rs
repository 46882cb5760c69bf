//! Messages to the topic rule of `IoT` Core (Basic Ingest).

use anyhow::{Context as _, Result};
use reqwest::Method;
use reqwest::header::HOST;
use roadcast_aws::KinesisTelemetryStream;

use super::{UploadOutcome, put};
use crate::api::percent_encoded;
use crate::aws::{Service, SignedClient};
use crate::stack::Stack;

/// A publisher to the topic rule.
///
/// On AWS, it publishes with the credentials of the tool and may publish for every vehicle, unlike a device with its certificate. The rule
/// takes the partition key from the topic in both cases.
pub(super) enum IotPublisher {
    Local(LocalRule),
    Deployed(Box<DeployedRule>),
}

/// The rule of the local endpoint, which accepts a message and finds its rule, but does not run the rule's Kinesis action. The publisher
/// therefore puts the record that the action would put: the unchanged message, with the last part of its topic as the
/// partition key.
pub(super) struct LocalRule {
    http: reqwest::Client,
    endpoint: String,
    rule: String,
    stream: KinesisTelemetryStream,
}

/// The rule of a stack on AWS.
pub(super) struct DeployedRule {
    client: SignedClient,
    /// The host of the data plane of the account.
    host: String,
    rule: String,
}

impl IotPublisher {
    /// The publisher to the rule of a stack. `stream` is used by the local stack only.
    pub(super) async fn of(stack: &Stack, stream: KinesisTelemetryStream) -> Result<Self> {
        let rule = stack.output("DeviceRuleName")?.to_owned();
        if let Some(endpoint) = stack.endpoint_url() {
            return Ok(Self::Local(LocalRule { http: reqwest::Client::new(), endpoint, rule, stream }));
        }
        let path = "/endpoint?endpointType=iot%3AData-ATS";
        let client = SignedClient::new(&stack.config)?;
        let described = client.json(Service::IotControl, Method::GET, path, None).await;
        let described =
            described.context("the data plane of IoT Core is unknown (the right iot:DescribeEndpoint is needed)")?;
        let host = described["endpointAddress"].as_str().context("IoT Core states no address of its data plane")?;
        Ok(Self::Deployed(Box::new(DeployedRule { client, host: host.to_owned(), rule })))
    }

    pub(super) async fn publish(&self, vid: &str, record: Vec<u8>) -> UploadOutcome {
        match self {
            Self::Local(rule) => rule.publish(vid, record).await,
            Self::Deployed(rule) => rule.publish(vid, record).await,
        }
    }
}

impl LocalRule {
    async fn publish(&self, vid: &str, record: Vec<u8>) -> UploadOutcome {
        let url = format!("{}/topics/$aws/rules/{}/{vid}", self.endpoint, self.rule);
        let request = self.http.post(url).header(HOST, "data-ats.iot.eu-central-1.localhost").body(record.clone());
        match request.send().await {
            Ok(response) if response.status().is_success() => put(&self.stream, vid, record).await,
            Ok(_) => UploadOutcome::Rejected,
            Err(_) => UploadOutcome::Failed,
        }
    }
}

impl DeployedRule {
    /// With quality of service 1: the response says that the broker has the message.
    async fn publish(&self, vid: &str, record: Vec<u8>) -> UploadOutcome {
        let topic = format!("$aws/rules/{}/{vid}", self.rule);
        let path = format!("/topics/{}?qos=1", percent_encoded(&topic));
        match self.client.publish(&self.host, &path, record).await {
            Ok(()) => UploadOutcome::Accepted,
            Err(_) => UploadOutcome::Failed,
        }
    }
}
