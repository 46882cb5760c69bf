//! Posts notices of the operator's alerts to an endpoint of the developer, by an API destination.
//!
//! The CloudFormation of the local endpoint does not know connections and API destinations, which the template therefore has
//! under a condition. This module creates the same resources with the API of EventBridge.

use anyhow::{Context as _, Result, bail};
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{
    ApiDestinationHttpMethod, ConnectionAuthorizationType, CreateConnectionApiKeyAuthRequestParameters,
    CreateConnectionAuthRequestParameters, DeadLetterConfig, RetryPolicy, Target,
};
use reqwest::Url;
use serde_json::json;

use super::Stack;

/// The name of the connection and of the API destination.
const NAME: &str = "roadcast-local-incident-endpoint";
const RULE: &str = "roadcast-local-alert-notices-endpoint";
const TARGET: &str = "incident-endpoint";
const INPUT_PATH: &str = "$.detail";
/// The header with which requests are authorized, and its value.
const HEADER: &str = "Authorization";
const KEY: &str = "Bearer local";
/// A notice that the endpoint does not take is a dead letter after a quarter of a minute, like an entry that enrichment does not
/// process.
const RETRIES: i32 = 4;
const MAX_AGE_S: i32 = 86_400;
const DEAD_LETTERS: &str = "arn:aws:sqs:eu-central-1:000000000000:roadcast-local-dead-letters";
/// The local endpoint checks no role.
const ROLE: &str = "arn:aws:iam::000000000000:role/roadcast-local-incident-endpoint";

/// Parses the URL of an endpoint.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err("not a URL of http or https".to_owned()) }
}

/// Has notices posted to a URL, or to none.
pub(crate) async fn set(stack: &Stack, url: Option<&Url>) -> Result<()> {
    let events = Client::new(&stack.config);
    let bus = stack.output("IngestBusName")?;
    remove(&events, bus).await?;
    match url {
        Some(url) => create(&events, bus, url).await.context("cannot create the API destination of --incident-endpoint"),
        None => Ok(()),
    }
}

fn pattern() -> String {
    json!({ "source": ["roadcast.ingest"], "detail-type": ["roadcast.alert-notice.v1"] }).to_string()
}

async fn create(events: &Client, bus: &str, url: &Url) -> Result<()> {
    let key = CreateConnectionApiKeyAuthRequestParameters::builder().api_key_name(HEADER).api_key_value(KEY).build()?;
    let connection = events
        .create_connection()
        .name(NAME)
        .authorization_type(ConnectionAuthorizationType::ApiKey)
        .auth_parameters(CreateConnectionAuthRequestParameters::builder().api_key_auth_parameters(key).build())
        .send()
        .await?;
    let destination = events
        .create_api_destination()
        .name(NAME)
        .connection_arn(connection.connection_arn().unwrap_or_default())
        .http_method(ApiDestinationHttpMethod::Post)
        .invocation_endpoint(url.as_str())
        .invocation_rate_limit_per_second(10)
        .send()
        .await?;
    events.put_rule().name(RULE).event_bus_name(bus).event_pattern(pattern()).send().await?;
    let target = Target::builder()
        .id(TARGET)
        .arn(destination.api_destination_arn().unwrap_or_default())
        .role_arn(ROLE)
        .input_path(INPUT_PATH)
        .retry_policy(RetryPolicy::builder().maximum_retry_attempts(RETRIES).maximum_event_age_in_seconds(MAX_AGE_S).build())
        .dead_letter_config(DeadLetterConfig::builder().arn(DEAD_LETTERS).build());
    let put = events.put_targets().rule(RULE).event_bus_name(bus).targets(target.build()?).send().await?;
    if put.failed_entry_count() > 0 {
        bail!("the target is refused: {:?}", put.failed_entries());
    }
    Ok(())
}

/// Deletes what an earlier run created.
async fn remove(events: &Client, bus: &str) -> Result<()> {
    let rules = events.list_rules().event_bus_name(bus).name_prefix(RULE).send().await;
    if rules.context("cannot list the rules of the ingest bus")?.rules().iter().any(|rule| rule.name() == Some(RULE)) {
        events.remove_targets().rule(RULE).event_bus_name(bus).ids(TARGET).send().await?;
        events.delete_rule().name(RULE).event_bus_name(bus).send().await?;
    }
    let destinations = events.list_api_destinations().name_prefix(NAME).send().await?;
    if !destinations.api_destinations().is_empty() {
        events.delete_api_destination().name(NAME).send().await?;
    }
    if !events.list_connections().name_prefix(NAME).send().await?.connections().is_empty() {
        events.delete_connection().name(NAME).send().await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::aws;
    use crate::stack::template;

    /// Returns a text of the template with the stage of the local stack.
    fn text(value: &Value) -> String {
        value["Fn::Sub"].as_str().or(value.as_str()).unwrap().replace("${Stage}", "local")
    }

    #[test]
    fn resources_are_those_of_the_template() {
        let template = include_str!("../../../../template.yaml");
        let template = template::parse(template).unwrap();
        let properties = |name: &str| &template["Resources"][name]["Properties"];
        for name in ["IncidentConnection", "IncidentDestination"] {
            assert_eq!(text(&properties(name)["Name"]), NAME);
            assert_eq!(template["Resources"][name]["Condition"], "IncidentEndpoint");
        }
        assert_eq!(properties("IncidentConnection")["AuthorizationType"], "API_KEY");
        assert_eq!(template["Parameters"]["IncidentEndpointHeader"]["Default"], HEADER);
        let destination = properties("IncidentDestination");
        assert_eq!((&destination["HttpMethod"], &destination["InvocationRateLimitPerSecond"]), (&json!("POST"), &json!(10)));
        let rule = properties("IncidentRule");
        assert_eq!(text(&rule["Name"]), RULE);
        assert_eq!(rule["EventPattern"], serde_json::from_str::<Value>(&pattern()).unwrap());
        let target = &rule["Targets"][0];
        assert_eq!((&target["Id"], &target["InputPath"]), (&json!(TARGET), &json!(INPUT_PATH)));
        assert_eq!(target["RetryPolicy"]["MaximumEventAgeInSeconds"], MAX_AGE_S);
        assert!(DEAD_LETTERS.ends_with(&format!(":{}", text(&properties("DeadLetters")["QueueName"]))));
        assert!(DEAD_LETTERS.contains(aws::REGION));
    }

    #[test]
    fn url_is_one_of_http() {
        assert!(parse_url("http://127.0.0.1:8790/incidents").is_ok());
        for text in ["", "incidents", "ftp://example.com/", "mailto:a@example.com"] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
