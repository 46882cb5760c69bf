//! The outputs of a stack that is deployed on AWS.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata as _;
use aws_sdk_cloudformation::types::Stack;

use super::deploy::outputs_of;
use crate::location::DeployedStack;

/// The outputs by name. They are read also while the stack is updated. Fails if the stack does not exist, or was never
/// completely deployed.
pub(super) async fn outputs(config: &SdkConfig, stack: &DeployedStack) -> Result<BTreeMap<String, String>> {
    let found = describe(config, stack).await?;
    let outputs = outputs_of(&found);
    if outputs.is_empty() {
        let status = found.stack_status().map_or("", |status| status.as_str());
        bail!(
            "the stack {} is {status} and has no outputs: deploy it first, as docs/operations/first-deploy.md describes",
            stack.name
        );
    }
    Ok(outputs)
}

/// The stack in CloudFormation. Fails if it does not exist.
pub(crate) async fn describe(config: &SdkConfig, stack: &DeployedStack) -> Result<Stack> {
    let name = &stack.name;
    let region = config.region().map_or("", |region| region.as_ref());
    let found = match Client::new(config).describe_stacks().stack_name(name).send().await {
        Ok(response) => response.stacks.unwrap_or_default().into_iter().next(),
        // CloudFormation has no code of its own for this.
        Err(error) if error.code() == Some("ValidationError") => None,
        Err(error) if error.as_service_error().is_some() => {
            return Err(error).with_context(|| {
                format!("cannot read the stack {name} in {region}, which requires the right cloudformation:DescribeStacks")
            });
        }
        Err(error) => return Err(error).with_context(|| unreachable(stack, region)),
    };
    found.with_context(|| {
        format!(
            "there is no stack {name} in {region}: check --stack-name, --region and --profile. A stage such as dev has the stack \
             roadcast-dev"
        )
    })
}

/// Advice for a request without a response: no credentials, or no connection.
fn unreachable(stack: &DeployedStack, region: &str) -> String {
    let profile = stack.profile.as_deref().map_or_else(String::new, |profile| format!(" --profile {profile}"));
    format!(
        "cannot reach CloudFormation in {region}. Check the credentials with `aws sts get-caller-identity{profile}`. With IAM \
         Identity Center, run `eval \"$(aws configure export-credentials --format env{profile})\"` first"
    )
}
