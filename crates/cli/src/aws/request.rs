//! Signed requests to services of AWS for which the tool has no client.
//!
//! A client of the SDK for each of a few requests would be compiled with the functions, too, because the tool and the functions share
//! what they compile. The signature is that of the crate which the clients use.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_lambda::config::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an error response is shown, in characters.
const SHOWN: usize = 300;

/// A service that the tool calls without a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    EventBridge,
    IotControl,
    IotData,
    Quotas,
    XRay,
}

impl Service {
    /// The name in signatures.
    const fn signing_name(self) -> &'static str {
        match self {
            Self::EventBridge => "events",
            Self::IotControl => "iot",
            Self::IotData => "iotdata",
            Self::Quotas => "servicequotas",
            Self::XRay => "xray",
        }
    }

    /// The address of the service, or that of the configuration if it has one.
    fn address(self, config: &SdkConfig, region: &str) -> String {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let default = || format!("https://{}.{region}.{suffix}", self.signing_name());
        config.endpoint_url().map_or_else(default, |url| url.trim_end_matches('/').to_owned())
    }
}

/// A client that signs requests with the credentials of a stack.
pub(crate) struct SignedClient {
    config: SdkConfig,
    http: reqwest::Client,
}

impl SignedClient {
    /// A client with the credentials, the Region and the address of a configuration. The proxies of the environment are used unless the
    /// address is on this machine.
    pub(crate) fn new(config: &SdkConfig) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT);
        let is_local = config.endpoint_url().is_some_and(|url| url.starts_with("http://127.0.0.1:"));
        let http = if is_local { http.no_proxy() } else { http };
        Ok(Self { config: config.clone(), http: http.build().context("cannot create the HTTP client")? })
    }

    /// Calls an operation of a service with JSON, which the header `x-amz-target` names.
    pub(crate) async fn call(&self, service: Service, operation: &'static str, body: &Value) -> Result<Value> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", operation)];
        let response = self.send(service, None, (Method::POST, "/"), &headers, body.to_string().into_bytes()).await;
        json_of(&response.with_context(|| format!("{operation} failed"))?)
    }

    /// Sends JSON to a path, or gets it.
    pub(crate) async fn json(&self, service: Service, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let headers = [("content-type", "application/json")];
        let response = self.send(service, None, (method, path), &headers, body).await;
        json_of(&response.with_context(|| format!("{service:?} refused {path}"))?)
    }

    /// Publishes bytes to a path of the data plane of `IoT` Core at `host`.
    pub(crate) async fn publish(&self, host: &str, path: &str, body: Vec<u8>) -> Result<()> {
        let host = format!("https://{host}");
        self.send(Service::IotData, Some(&host), (Method::POST, path), &[], body).await.map(|_| ())
    }

    /// Sends a request to the service: at the address of the configuration, at `address`, or at that of its Region.
    async fn send(
        &self,
        service: Service,
        address: Option<&str>,
        (method, path): (Method, &str),
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let region = self.config.region().context("the Region is unknown: pass --region")?.as_ref();
        let base = match (self.config.endpoint_url(), address) {
            (None, Some(address)) => address.to_owned(),
            _ => service.address(&self.config, region),
        };
        let url = format!("{base}{path}");
        let provider = self.config.credentials_provider().context("there are no credentials of AWS")?;
        let identity = provider.provide_credentials().await.context("the credentials of AWS cannot be read")?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.signing_name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .context("the signature needs another parameter")?
            .into();
        let signable = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            headers.iter().map(|(name, value)| (*name, *value)),
            SignableBody::Bytes(&body),
        );
        let (instructions, _) = sign(signable.context("the request cannot be signed")?, &parameters)?.into_parts();
        let mut request = self.http.request(method, &url);
        for (name, value) in headers.iter().map(|(name, value)| (*name, *value)).chain(instructions.headers()) {
            request = request.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let response = request.body(body).send().await.with_context(|| format!("{base} does not respond"))?;
        let status = response.status();
        let bytes = response.bytes().await.with_context(|| format!("the response of {base} ended early"))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes);
            bail!("{base} responded {status}: {}", text.chars().take(SHOWN).collect::<String>());
        }
        Ok(bytes.to_vec())
    }
}

fn json_of(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context("the response is not JSON")
}
