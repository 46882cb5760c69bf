//! Deploys the packaged template with CloudFormation.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack};
use sha2::{Digest as _, Sha256};

use super::package::{BUCKET, PackagedTemplate};
use crate::aws;
use crate::console::Console;

/// The name of the stack in CloudFormation.
pub(super) const STACK_NAME: &str = "roadcast-local";

/// The template parameters of the local stack.
fn parameters() -> [(&'static str, &'static str); 11] {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    [
        ("Stage", "local"),
        ("Architecture", architecture),
        ("BatchWindowSeconds", "1"),
        ("FeedPollSeconds", "1"),
        ("PartialBatchResponses", "false"),
        ("ProvisioningWaitSeconds", "0"),
        ("ErasureWaitSeconds", "0"),
        // An entry that fails is a dead letter after a quarter of a minute.
        ("EnrichmentAttempts", "4"),
        // The port of `cargo roadcast listen`, and that of the end-to-end tests.
        ("LocalSinks", "127.0.0.1:8790,127.0.0.1:8791"),
        ("LogLevel", "info"),
        ("TracedEventsPerMillion", "1000000"),
    ]
}

/// The digest of packaged template and parameters. Equal digests mean equal deployments.
pub(crate) fn digest(packaged: &PackagedTemplate) -> String {
    let mut digest = Sha256::new();
    digest.update(packaged.body.as_bytes());
    for (name, value) in parameters() {
        digest.update(format!("\n{name}={value}").as_bytes());
    }
    hex::encode(digest.finalize())
}

/// The outputs of the stack; None if it is not completely deployed.
pub(crate) async fn outputs(config: &SdkConfig) -> Result<Option<BTreeMap<String, String>>> {
    let stack = describe(&Client::new(config)).await?;
    Ok(stack.filter(is_complete).map(|stack| outputs_of(&stack)))
}

/// Creates or updates the stack and returns its outputs.
pub(crate) async fn deploy(
    config: &SdkConfig,
    packaged: &PackagedTemplate,
    resources: usize,
    console: &Console,
) -> Result<BTreeMap<String, String>> {
    let mut step = console.counted_step("Deploying template.yaml", resources as u64);
    step.set_message("uploading");
    let key = packaged.upload(&aws::s3(config)).await?;
    let endpoint = config.endpoint_url().unwrap_or_default();
    let url = format!("{endpoint}/{BUCKET}/{key}");
    let client = Client::new(config);
    let mut existing = describe(&client).await?;
    if let Some(stack) = &existing
        && !is_complete(stack)
        && status_of(stack) != "UPDATE_ROLLBACK_COMPLETE"
    {
        // CloudFormation cannot update a stack whose creation failed.
        delete(&client).await?;
        existing = None;
    }
    let parameters: Vec<Parameter> = parameters()
        .into_iter()
        .map(|(name, value)| Parameter::builder().parameter_key(name).parameter_value(value).build())
        .collect();
    let capabilities = [Capability::CapabilityNamedIam, Capability::CapabilityAutoExpand];
    if existing.is_some() {
        let request = client
            .update_stack()
            .stack_name(STACK_NAME)
            .template_url(url)
            .set_parameters(Some(parameters))
            .set_capabilities(Some(capabilities.to_vec()));
        match request.send().await {
            Ok(_) => {}
            Err(error) if error.to_string().contains("No updates") || format!("{error:?}").contains("No updates") => {}
            Err(error) => return Err(error).context("CloudFormation rejected the template"),
        }
    } else {
        client
            .create_stack()
            .stack_name(STACK_NAME)
            .template_url(url)
            .set_parameters(Some(parameters))
            .set_capabilities(Some(capabilities.to_vec()))
            .send()
            .await
            .context("CloudFormation rejected the template")?;
    }
    let stack = wait_until_complete(&client, &mut step).await?;
    let outputs = outputs_of(&stack);
    step.finish(if existing.is_some() { "updated" } else { "created" });
    Ok(outputs)
}

/// Waits until the stack is complete. Fails with the failed resources if it cannot be deployed.
async fn wait_until_complete(client: &Client, step: &mut crate::console::Step) -> Result<Stack> {
    loop {
        let stack = describe(client)
            .await?
            .context("the stack was deleted during deployment: run `cargo roadcast up --fresh` to start over")?;
        let status = status_of(&stack);
        if !status.ends_with("_IN_PROGRESS") {
            if is_complete(&stack) {
                return Ok(stack);
            }
            let failures = failures(client).await;
            bail!(
                "the deployment of template.yaml failed ({status}): {}\n{}\nIf the template is unchanged, `cargo roadcast up --fresh` \
                 starts over without the data of this stack.",
                stack.stack_status_reason().unwrap_or("no reason given"),
                failures.join("\n")
            );
        }
        if let Ok(resources) = client.describe_stack_resources().stack_name(STACK_NAME).send().await {
            let resources = resources.stack_resources();
            let ready = resources.iter().filter(|r| r.resource_status().is_some_and(|s| s.as_str().ends_with("COMPLETE")));
            let last = resources.last().and_then(|resource| resource.logical_resource_id()).unwrap_or_default();
            step.set_position(ready.count() as u64, last);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn failures(client: &Client) -> Vec<String> {
    let Ok(events) = client.describe_stack_events().stack_name(STACK_NAME).send().await else { return Vec::new() };
    events
        .stack_events()
        .iter()
        .filter(|event| event.resource_status().is_some_and(|status| status.as_str().ends_with("FAILED")))
        .map(|event| {
            let name = event.logical_resource_id().unwrap_or("?");
            format!("  {name}: {}", event.resource_status_reason().unwrap_or("failed"))
        })
        .collect()
}

async fn delete(client: &Client) -> Result<()> {
    client.delete_stack().stack_name(STACK_NAME).send().await.context("cannot delete the incomplete stack")?;
    while describe(client).await?.is_some() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

async fn describe(client: &Client) -> Result<Option<Stack>> {
    match client.describe_stacks().stack_name(STACK_NAME).send().await {
        Ok(response) => Ok(response
            .stacks
            .unwrap_or_default()
            .into_iter()
            .next()
            .filter(|stack| stack.stack_status().is_none_or(|status| status.as_str() != "DELETE_COMPLETE"))),
        Err(error) if error.as_service_error().is_some() => Ok(None),
        Err(error) => Err(error).context("the local AWS endpoint does not respond"),
    }
}

fn is_complete(stack: &Stack) -> bool {
    matches!(status_of(stack), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
}

fn status_of(stack: &Stack) -> &str {
    stack.stack_status().map_or("", |status| status.as_str())
}

pub(super) fn outputs_of(stack: &Stack) -> BTreeMap<String, String> {
    stack
        .outputs()
        .iter()
        .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())))
        .collect()
}
