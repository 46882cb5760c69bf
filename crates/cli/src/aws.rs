//! SDK clients for the local endpoint only. They read no profile, no credentials and no region of the user.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

/// The AWS region of the local stack.
pub(crate) const REGION: &str = "eu-central-1";
/// The access key sent to the local endpoint, which requires one and checks none.
pub(crate) const ACCESS_KEY: &str = "test";

/// The configuration of all SDK clients.
pub(crate) fn config(port: u16) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// An S3 client with path-style addresses, because no name server resolves bucket names locally.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}
