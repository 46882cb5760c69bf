//! Every command against a stack that is addressed like one on AWS: by stack name, region, profile and the outputs of
//! CloudFormation. A local server plays AWS and the API; its responses are the examples of `openapi.yaml`.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod commands;
mod contract;
mod fake_aws;
mod production;
mod refusals;
mod tool;
