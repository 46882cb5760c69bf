//! Checks of a deployed stack: CloudFormation, parameters, event source mappings, tables and the stream.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aws_sdk_cloudformation::types::Stack as Description;
use aws_sdk_dynamodb::types::{TableStatus, TimeToLiveStatus};
use aws_sdk_kinesis::types::StreamStatus;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;

use super::Check;
use crate::location::DeployedStack;
use crate::stack::{Stack, deployed, template};

/// The template of this version of the tool.
const TEMPLATE: &str = include_str!("../../../../template.yaml");
/// The outputs with the names of tables, and whether items of the table expire.
const TABLES: [(&str, bool); 8] = [
    ("VehiclesTableName", false),
    ("VehicleEventsTableName", false),
    ("VehicleStateTableName", false),
    ("FeedIndexTableName", true),
    ("ReferenceTableName", true),
    ("DeadLettersTableName", true),
    ("DeliveriesTableName", true),
    ("AlertStateTableName", true),
];

pub(super) async fn check(stack: &Stack, deployed: &DeployedStack, checks: &mut Vec<Check>) {
    match deployed::describe(&stack.config, deployed).await {
        Ok(description) => {
            checks.push(status(&description));
            let parameters = description.parameters().iter();
            let parameters =
                parameters.filter_map(|it| Some((it.parameter_key()?, it.parameter_value().unwrap_or_default())));
            checks.extend(faulty_parameters(&parameters.collect()));
        }
        Err(error) => checks.push(Check::failed("stack", &error)),
    }
    checks.push(outputs(&stack.file.outputs));
    checks.push(mappings(stack).await);
    checks.push(tables(stack).await);
    checks.push(stream(stack).await);
}

fn status(description: &Description) -> Check {
    let status = description.stack_status().map_or("", |status| status.as_str());
    let advice =
        "the events of the stack have the cause: docs/operations/first-deploy.md, \"If the first deployment fails\"";
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" => Check::ok("stack", status),
        "UPDATE_ROLLBACK_COMPLETE" => Check::uncertain("stack", format!("{status}: the last update failed"), advice),
        _ if status.ends_with("_IN_PROGRESS") => Check::uncertain("stack", status, "wait until the change is complete"),
        _ => Check::wrong("stack", status, advice),
    }
}

/// What the parameters of a stack make of it that is not intended on AWS.
fn faulty_parameters(parameters: &BTreeMap<&str, &str>) -> Vec<Check> {
    let value = |name: &str| parameters.get(name).copied().unwrap_or_default();
    let number = |name: &str| value(name).parse::<u64>().unwrap_or_default();
    let is_production = value("Stage") == "prod";
    let mut checks = Vec::new();
    if value("Stage") == "local" {
        checks.push(Check::wrong(
            "parameters",
            "Stage is local",
            "resources that only exist on AWS are missing: deploy with another stage name",
        ));
    }
    if value("AlarmEmail").is_empty() {
        checks.push(Check::uncertain("parameters", "AlarmEmail is empty", "alarms notify no one: set it in samconfig.toml"));
    }
    if value("DeletionProtection") != "true" {
        let found = "DeletionProtection is off";
        let advice = "turn it on with the second deployment";
        checks.push(if is_production {
            Check::wrong("parameters", found, advice)
        } else {
            Check::uncertain("parameters", found, advice)
        });
    }
    if number("FeedPollSeconds") < number("BatchWindowSeconds") {
        checks.push(Check::uncertain(
            "parameters",
            "FeedPollSeconds is less than BatchWindowSeconds",
            "fleets are advised to read before there is something: raise FeedPollSeconds",
        ));
    }
    if value("LogLevel") == "debug" {
        checks.push(Check::uncertain("parameters", "LogLevel is debug", "each line is billed: set it to info"));
    }
    if checks.is_empty() {
        checks.push(Check::ok("parameters", format!("stage {}", value("Stage"))));
    }
    checks
}

/// Whether the stack has the outputs of the template of this version.
fn outputs(found: &BTreeMap<String, String>) -> Check {
    let template = template::parse(TEMPLATE).unwrap_or_default();
    let expected = template["Outputs"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let missing: Vec<&str> = expected.filter(|&name| !found.contains_key(name)).collect();
    if missing.is_empty() {
        Check::ok("template", "all outputs of this version exist")
    } else {
        Check::uncertain(
            "template",
            format!("the outputs {} are missing", missing.join(", ")),
            "the stack is of an older version than this tool: deploy this one, or use the tool of that version",
        )
    }
}

/// The event source mappings of the stack. A disabled one stops the data flow without an error.
async fn mappings(stack: &Stack) -> Check {
    match list_mappings(stack).await {
        Err(error) => Check::unknown("event sources", &error, "lambda:ListEventSourceMappings"),
        Ok(mappings) if mappings.is_empty() => {
            Check::wrong("event sources", "no function reads a stream or a queue", "deploy the template again")
        }
        Ok(mappings) => {
            let faults: Vec<String> = mappings.iter().filter_map(fault_of_mapping).collect();
            if faults.is_empty() {
                Check::ok("event sources", format!("{} are enabled", mappings.len()))
            } else {
                let advice = "enable them with `aws lambda update-event-source-mapping --enabled --uuid UUID`, after the cause is corrected";
                Check::wrong("event sources", faults.join("; "), advice)
            }
        }
    }
}

async fn list_mappings(stack: &Stack) -> Result<Vec<EventSourceMappingConfiguration>> {
    let prefix = format!(":function:roadcast-{}-", stack.stage());
    let mut pages = aws_sdk_lambda::Client::new(&stack.config).list_event_source_mappings().into_paginator().send();
    let mut mappings = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.context("cannot list the event source mappings")?;
        let all = page.event_source_mappings.unwrap_or_default();
        mappings.extend(all.into_iter().filter(|mapping| mapping.function_arn().is_some_and(|arn| arn.contains(&prefix))));
    }
    Ok(mappings)
}

fn fault_of_mapping(mapping: &EventSourceMappingConfiguration) -> Option<String> {
    let state = mapping.state().unwrap_or_default();
    let result = mapping.last_processing_result().unwrap_or_default();
    let is_working = ["Enabled", "Creating", "Updating", "Enabling"].contains(&state) && !result.starts_with("PROBLEM");
    let function = mapping.function_arn().and_then(|arn| arn.rsplit(':').next()).unwrap_or_default();
    let uuid = mapping.uuid().unwrap_or_default();
    (!is_working).then(|| format!("{function} ({uuid}): {state} {result}").trim_end().to_owned())
}

async fn tables(stack: &Stack) -> Check {
    let client = aws_sdk_dynamodb::Client::new(&stack.config);
    let mut faults = Vec::new();
    for (output, expires) in TABLES {
        match table_fault(stack, &client, output, expires).await {
            Ok(fault) => faults.extend(fault),
            Err(error) => return Check::unknown("tables", &error, "dynamodb:DescribeTable and dynamodb:DescribeTimeToLive"),
        }
    }
    if faults.is_empty() {
        Check::ok("tables", format!("{} are active", TABLES.len()))
    } else {
        Check::wrong("tables", faults.join("; "), "deploy the template again, or correct what was changed by hand")
    }
}

async fn table_fault(
    stack: &Stack,
    client: &aws_sdk_dynamodb::Client,
    output: &str,
    expires: bool,
) -> Result<Option<String>> {
    let name = stack.output(output)?;
    let table = client.describe_table().table_name(name).send().await.with_context(|| format!("cannot describe {name}"))?;
    let status = table.table().and_then(|table| table.table_status()).cloned();
    if !matches!(status, Some(TableStatus::Active | TableStatus::Updating)) {
        return Ok(Some(format!("{name} is {}", status.map_or("unknown".to_owned(), |status| status.as_str().to_owned()))));
    }
    if !expires {
        return Ok(None);
    }
    let response = client.describe_time_to_live().table_name(name).send().await;
    let response = response.with_context(|| format!("cannot describe the expiry of {name}"))?;
    let expiry = response.time_to_live_description().and_then(|expiry| expiry.time_to_live_status());
    let enabled = matches!(expiry, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling));
    Ok((!enabled).then(|| format!("items of {name} do not expire")))
}

async fn stream(stack: &Stack) -> Check {
    let described = async {
        let name = stack.output("TelemetryStreamName")?;
        let client = aws_sdk_kinesis::Client::new(&stack.config);
        let response = client.describe_stream_summary().stream_name(name).send().await;
        Ok(response.with_context(|| format!("cannot describe the stream {name}"))?.stream_description_summary)
    };
    match described.await {
        Err(error) => Check::unknown("stream", &error, "kinesis:DescribeStreamSummary"),
        Ok(Some(summary)) if matches!(summary.stream_status(), StreamStatus::Active | StreamStatus::Updating) => Check::ok(
            "stream",
            format!("{} open shards, {} h of retention", summary.open_shard_count(), summary.retention_period_hours()),
        ),
        Ok(summary) => {
            let status = summary.map_or("unknown".to_owned(), |summary| summary.stream_status().as_str().to_owned());
            Check::wrong("stream", status, "nothing can be received: deploy the template again")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::doctor::State;

    #[test]
    fn unintended_parameters_are_found() {
        let good = BTreeMap::from([
            ("Stage", "dev"),
            ("AlarmEmail", "a@example.com"),
            ("DeletionProtection", "true"),
            ("FeedPollSeconds", "90"),
            ("BatchWindowSeconds", "90"),
            ("LogLevel", "info"),
        ]);
        assert_eq!(faulty_parameters(&good), [Check::ok("parameters", "stage dev")]);
        let changes = [
            ("Stage", "local", State::Wrong),
            ("AlarmEmail", "", State::Check),
            ("DeletionProtection", "false", State::Check),
            ("BatchWindowSeconds", "300", State::Check),
            ("LogLevel", "debug", State::Check),
        ];
        for (name, value, expected) in changes {
            let mut parameters = good.clone();
            parameters.insert(name, value);
            let found = faulty_parameters(&parameters);
            assert_eq!((found.len(), found[0].state), (1, expected), "{name}: {found:?}");
            assert!(found[0].found.contains(name), "{found:?}");
        }
        let mut production = good;
        production.extend([("Stage", "prod"), ("DeletionProtection", "false")]);
        assert_eq!(faulty_parameters(&production)[0].state, State::Wrong);
    }

    #[test]
    fn checked_tables_and_outputs_are_those_of_the_template() {
        let template = template::parse(TEMPLATE).unwrap();
        let mut found: BTreeMap<String, String> =
            template["Outputs"].as_object().unwrap().keys().map(|name| (name.clone(), "x".to_owned())).collect();
        assert_eq!(outputs(&found).state, State::Ok);
        for (output, expires) in TABLES {
            let resource = template["Outputs"][output]["Value"]["Ref"].as_str().unwrap();
            let has_expiry = template["Resources"][resource]["Properties"].get("TimeToLiveSpecification").is_some();
            assert_eq!(has_expiry, expires, "{output}");
        }
        let tables = template["Resources"].as_object().unwrap().values();
        assert_eq!(tables.filter(|resource| resource["Type"] == "AWS::DynamoDB::Table").count(), TABLES.len());
        found.remove("RestApiId");
        assert!(outputs(&found).found.contains("RestApiId"));
    }

    #[test]
    fn mapping_that_is_disabled_or_reports_a_problem_is_a_fault() {
        let mapping = |state: &str, result: &str| {
            let arn = "arn:aws:lambda:eu-central-1:1:function:roadcast-dev-enrichment";
            EventSourceMappingConfiguration::builder()
                .function_arn(arn)
                .uuid("u")
                .state(state)
                .last_processing_result(result)
                .build()
        };
        assert_eq!(fault_of_mapping(&mapping("Enabled", "OK")), None);
        assert_eq!(fault_of_mapping(&mapping("Disabled", "")).unwrap(), "roadcast-dev-enrichment (u): Disabled");
        assert!(fault_of_mapping(&mapping("Enabled", "PROBLEM: Lambda failed")).is_some());
    }
}
