//! The SDK's configuration and clients, made once at cold start.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;

/// Reaching a service takes milliseconds within a region; a lost handshake is better begun anew.
const CONNECT: Duration = Duration::from_secs(1);
/// One try, its answer read. Three of them stay below the 29 s that the HTTP gateway waits.
const ATTEMPT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 3;

/// The SDK's configuration. Clients made from it share its connections and credentials, so making one is cheap.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
}

impl Sdk {
    /// Finds region, credentials and endpoint as the SDK does, `AWS_ENDPOINT_URL` included.
    pub async fn load() -> Self {
        Self::from_loader(aws_config::defaults(BehaviorVersion::latest())).await
    }

    /// For a local endpoint, which takes any credentials.
    pub async fn for_local_endpoint(url: &str, region: &str) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new("test", "test", None, None, "local endpoint"));
        Self::from_loader(loader).await
    }

    async fn from_loader(loader: ConfigLoader) -> Self {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        Self { config: loader.timeout_config(timeouts).retry_config(retries).load().await }
    }

    /// The configuration itself, for clients that are not listed here.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// The user pools.
    pub fn cognito(&self) -> aws_sdk_cognitoidentityprovider::Client {
        aws_sdk_cognitoidentityprovider::Client::new(&self.config)
    }

    /// The tables.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// The buses and rules.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// The stream.
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.config)
    }

    /// The buckets. Buckets of a local endpoint have no host names of their own, so there the path names them.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let by_path = self.config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(by_path).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The workflows.
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// The queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }
}
