//! The configuration and clients of the AWS SDK, created once at cold start.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;

/// Connecting takes milliseconds within a region, so a lost handshake is better retried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One attempt, including reading the response. Three attempts stay below the 29 s timeout of the HTTP gateway.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_ATTEMPTS: u32 = 3;

/// The SDK configuration. Its clients share connections and credentials, so creating one is cheap.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
}

impl Sdk {
    /// Resolves region, credentials and endpoint as the SDK does, including `AWS_ENDPOINT_URL`.
    pub async fn load() -> Self {
        Self::from_loader(aws_config::defaults(BehaviorVersion::latest())).await
    }

    /// Configures a local endpoint, which accepts any credentials.
    pub async fn for_local_endpoint(url: &str, region: &str) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new("test", "test", None, None, "local endpoint"));
        Self::from_loader(loader).await
    }

    pub(crate) async fn from_loader(loader: ConfigLoader) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS);
        Self { config: loader.timeout_config(timeouts).retry_config(retries).load().await }
    }

    /// Returns the configuration, for clients of other services.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Client for user pools.
    pub fn cognito(&self) -> aws_sdk_cognitoidentityprovider::Client {
        aws_sdk_cognitoidentityprovider::Client::new(&self.config)
    }

    /// Client for tables.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// Client for event buses and rules.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// Client for streams.
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.config)
    }

    /// Client for buckets. A local endpoint has no host name per bucket, so there the bucket is part of the path.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let path_style = self.config.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(path_style).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Client for state machines.
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// Client for queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }
}
