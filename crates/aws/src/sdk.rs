//! The configuration and clients of the AWS SDK, created once at cold start.

mod lazy_client;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
pub use lazy_client::LazyClient;

/// Connecting takes milliseconds within a region, so a lost handshake is better retried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// One attempt, including reading the response. Three attempts of one call stay below the 29 s timeout of the HTTP gateway;
/// several calls in sequence may not, so HTTP functions stop at their deadline.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_ATTEMPTS: u32 = 3;

/// The SDK configuration, and one client for each service that is used. All clients share one pool of connections, one TLS
/// configuration and the credentials.
#[derive(Clone, Debug)]
pub struct Sdk {
    config: SdkConfig,
    /// The address of `DynamoDB`, if it is not that of the configuration.
    dynamodb_url: Option<String>,
    clients: Arc<Clients>,
}

/// The clients that exist. A function links only those that it requests.
#[derive(Debug, Default)]
struct Clients {
    cognito: OnceLock<LazyClient<aws_sdk_cognitoidentityprovider::Client>>,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    eventbridge: OnceLock<LazyClient<aws_sdk_eventbridge::Client>>,
    kinesis: OnceLock<LazyClient<aws_sdk_kinesis::Client>>,
    kms: OnceLock<LazyClient<aws_sdk_kms::Client>>,
    lambda: OnceLock<LazyClient<aws_sdk_lambda::Client>>,
    s3: OnceLock<LazyClient<aws_sdk_s3::Client>>,
    secrets_manager: OnceLock<LazyClient<aws_sdk_secretsmanager::Client>>,
    step_functions: OnceLock<LazyClient<aws_sdk_sfn::Client>>,
    sns: OnceLock<LazyClient<aws_sdk_sns::Client>>,
    sqs: OnceLock<LazyClient<aws_sdk_sqs::Client>>,
}

impl Sdk {
    /// Reads the environment variables that Lambda sets: region and credentials. `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_DYNAMODB`,
    /// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` are read as well. Other sources of the SDK, such as profiles
    /// and metadata services, do not exist in Lambda; without their code, functions are smaller and start faster.
    pub async fn load() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_true = |name| variable(name).map(|value| value.eq_ignore_ascii_case("true"));
        let mut builder = SdkConfig::builder()
            .region(EnvironmentVariableRegionProvider::new().region().await)
            .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()));
        builder.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
        builder.set_use_fips(is_true("AWS_USE_FIPS_ENDPOINT"));
        builder.set_use_dual_stack(is_true("AWS_USE_DUALSTACK_ENDPOINT"));
        Self { dynamodb_url: variable("AWS_ENDPOINT_URL_DYNAMODB"), ..Self::new(builder.build()) }
    }

    /// Configures a local endpoint, which accepts any credentials.
    pub fn for_local_endpoint(url: &str, region: &str) -> Self {
        Self::for_local_caller(url, region, "test")
    }

    /// Configures a local endpoint for a caller with this access key id.
    pub fn for_local_caller(url: &str, region: &str, access_key_id: &str) -> Self {
        let credentials = Credentials::new(access_key_id, "test", None, None, "local endpoint");
        let config = SdkConfig::builder()
            .endpoint_url(url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Self::new(config.build())
    }

    /// Adds timeouts, retries and, for all clients together, a client for HTTPS.
    fn new(config: SdkConfig) -> Self {
        // Without it, each client creates its own: its own connections, and a TLS configuration with all root certificates.
        let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
        Self::with_http_client(config.into_builder().http_client(https).build())
    }

    /// Adds timeouts and retries.
    pub(crate) fn with_http_client(config: SdkConfig) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let config = config
            .into_builder()
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .build();
        Self { config, dynamodb_url: None, clients: Arc::default() }
    }

    /// Returns the configuration, for clients of other services.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Client for user pools.
    pub fn cognito(&self) -> LazyClient<aws_sdk_cognitoidentityprovider::Client> {
        self.lazy(&self.clients.cognito, aws_sdk_cognitoidentityprovider::Client::new)
    }

    /// Client for tables. Every function uses it, so it is created at cold start.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let create = || {
            let mut config = aws_sdk_dynamodb::config::Builder::from(&self.config);
            if let Some(url) = &self.dynamodb_url {
                config = config.endpoint_url(url);
            }
            aws_sdk_dynamodb::Client::from_conf(config.build())
        };
        self.clients.dynamodb.get_or_init(create).clone()
    }

    /// Client for event buses and rules.
    pub fn eventbridge(&self) -> LazyClient<aws_sdk_eventbridge::Client> {
        self.lazy(&self.clients.eventbridge, aws_sdk_eventbridge::Client::new)
    }

    /// Client for streams.
    pub fn kinesis(&self) -> LazyClient<aws_sdk_kinesis::Client> {
        self.lazy(&self.clients.kinesis, aws_sdk_kinesis::Client::new)
    }

    /// Client for keys.
    pub fn kms(&self) -> LazyClient<aws_sdk_kms::Client> {
        self.lazy(&self.clients.kms, aws_sdk_kms::Client::new)
    }

    /// Client for functions.
    pub fn lambda(&self) -> LazyClient<aws_sdk_lambda::Client> {
        self.lazy(&self.clients.lambda, aws_sdk_lambda::Client::new)
    }

    /// Client for buckets. A local endpoint has no host name per bucket, so there the bucket is part of the path.
    pub fn s3(&self) -> LazyClient<aws_sdk_s3::Client> {
        self.lazy(&self.clients.s3, |config| {
            let path_style = config.endpoint_url().is_some();
            let config = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
            aws_sdk_s3::Client::from_conf(config)
        })
    }

    /// Client for secrets.
    pub fn secrets_manager(&self) -> LazyClient<aws_sdk_secretsmanager::Client> {
        self.lazy(&self.clients.secrets_manager, aws_sdk_secretsmanager::Client::new)
    }

    /// Client for state machines.
    pub fn step_functions(&self) -> LazyClient<aws_sdk_sfn::Client> {
        self.lazy(&self.clients.step_functions, aws_sdk_sfn::Client::new)
    }

    /// Client for topics.
    pub fn sns(&self) -> LazyClient<aws_sdk_sns::Client> {
        self.lazy(&self.clients.sns, aws_sdk_sns::Client::new)
    }

    /// Client for queues.
    pub fn sqs(&self) -> LazyClient<aws_sdk_sqs::Client> {
        self.lazy(&self.clients.sqs, aws_sdk_sqs::Client::new)
    }

    fn lazy<Client>(
        &self,
        shared: &OnceLock<LazyClient<Client>>,
        create: impl FnOnce(&SdkConfig) -> Client + Send + 'static,
    ) -> LazyClient<Client> {
        let lazy = || {
            let config = self.config.clone();
            LazyClient::new(move || create(&config))
        };
        shared.get_or_init(lazy).clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
