//! Sets the gateway responses of the local endpoint, such as 401, as `openapi.yaml` defines them.
//!
//! AWS reads them when it imports the contract. The local endpoint accepts them only through its API, followed by another
//! deployment.

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::Stack;
use super::template;
use crate::layout::Layout;

const RESPONSES: &str = "x-amazon-apigateway-gateway-responses";
/// The endpoint selects the service by the credential scope of the request, and does not verify signatures.
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/apigateway/aws4_request, SignedHeaders=host, Signature=none";

/// Sets the gateway responses and deploys the stage.
pub(crate) async fn set_responses(stack: &Stack, layout: &Layout) -> Result<()> {
    let path = layout.root().join("openapi.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let contract = template::parse(&text)?;
    let (id, stage) = (stack.output("RestApiId")?, stack.output("RestApiStage")?);
    let api = format!("http://127.0.0.1:{}/restapis/{id}", stack.file.port);
    let http = Client::builder().no_proxy().build()?;
    for (kind, response) in contract[RESPONSES].as_object().into_iter().flatten() {
        call(&http, Method::PUT, &format!("{api}/gatewayresponses/{kind}"), response).await?;
    }
    call(&http, Method::POST, &format!("{api}/deployments"), &json!({ "stageName": stage })).await
}

async fn call(http: &Client, method: Method, url: &str, body: &Value) -> Result<()> {
    let response = http.request(method, url).header("authorization", AUTHORIZATION).json(body).send().await;
    let status = response.context("the local AWS endpoint does not respond")?.status();
    if !status.is_success() {
        bail!("the local AWS endpoint returned {status} for {url}");
    }
    Ok(())
}
