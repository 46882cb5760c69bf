//! SDK clients for the local endpoint, and for nothing else: no profile, no credentials and no region of the user's are read.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

/// The region that the local stack pretends to be in.
pub(crate) const REGION: &str = "eu-central-1";
/// The key that the local endpoint takes: it asks for one and checks none.
pub(crate) const ACCESS_KEY: &str = "test";

/// The configuration of every client.
pub(crate) fn config(port: u16) -> SdkConfig {
    let credentials = Credentials::new(ACCESS_KEY, ACCESS_KEY, None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://127.0.0.1:{port}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// S3, with the bucket in the path: there is no name server for buckets here.
pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}
