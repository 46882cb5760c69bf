//! The answers that API Gateway gives by itself, such as 401, in the form that `openapi.yaml` asks for.
//!
//! A stand-in: AWS takes them from the contract as it is imported, the local endpoint only through its API, and only with one
//! more deployment.

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::Stack;
use super::layout::Layout;
use super::template;

const RESPONSES: &str = "x-amazon-apigateway-gateway-responses";
/// The endpoint tells its services apart by what a request says it was signed for, and checks no signature.
const SIGNED_FOR: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/apigateway/aws4_request, SignedHeaders=host, Signature=none";

/// Sets the gateway's own answers.
pub(crate) async fn set_responses(stack: &Stack, layout: &Layout) -> Result<()> {
    let path = layout.root().join("openapi.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let contract = template::parse(&text)?;
    let (id, stage) = (stack.file.output("RestApiId")?, stack.file.output("RestApiStage")?);
    let api = format!("http://127.0.0.1:{}/restapis/{id}", stack.file.port);
    let http = Client::builder().no_proxy().build()?;
    for (kind, response) in contract[RESPONSES].as_object().into_iter().flatten() {
        call(&http, Method::PUT, &format!("{api}/gatewayresponses/{kind}"), response).await?;
    }
    call(&http, Method::POST, &format!("{api}/deployments"), &json!({ "stageName": stage })).await
}

async fn call(http: &Client, method: Method, url: &str, body: &Value) -> Result<()> {
    let answer = http.request(method, url).header("authorization", SIGNED_FOR).json(body).send().await;
    let status = answer.context("the local AWS endpoint does not answer")?.status();
    if !status.is_success() {
        bail!("the local AWS endpoint answers {status} to {url}");
    }
    Ok(())
}
