//! Configurations of SDK clients: of the local endpoint, and of AWS.

mod request;

use anyhow::{Result, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

use crate::location::DeployedStack;

pub(crate) use request::{Service, SignedClient};

/// The AWS region of the local stack.
pub(crate) const REGION: &str = "eu-central-1";
/// The access key sent to the local endpoint, which requires one and checks none.
pub(crate) const ACCESS_KEY: &str = "test";

/// The configuration for the local endpoint. It reads no profile, no credentials and no region of the user.
pub(crate) fn local(port: u16) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The configuration for a deployed stack: that of the AWS CLI, with the profile and the region of the options. Fails without a
/// region.
pub(crate) async fn deployed(stack: &DeployedStack) -> Result<SdkConfig> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &stack.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &stack.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    ensure!(
        config.region().is_some(),
        "the Region of the stack {} is unknown: pass --region, set AWS_REGION, or set `region` in the profile",
        stack.name
    );
    Ok(config)
}

/// An S3 client. A configured endpoint gets path-style addresses, because no name server resolves its bucket names.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let path_style = config.endpoint_url().is_some();
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build())
}
