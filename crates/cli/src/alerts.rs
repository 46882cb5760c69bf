//! `alerts`: manages alert rules through the API, tests them on history, and prints alerts as they arrive.

mod back_test;
mod follow;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use roadcast_domain::ids::{RuleId, VehicleId};
use serde_json::{Value, json};

use crate::api::Api;
use crate::confirmation::Confirmation;
use crate::console::Console;
use crate::location::StackLocation;
use crate::selectors::FleetSelector;
use crate::stack::Stack;
use crate::time_argument::PointInTime;

/// Attempts of a change while others change the same rule.
const ATTEMPTS: u32 = 5;

/// Arguments of `alerts`.
#[derive(Debug, Args)]
#[command(after_help = "Write a rule into a file, such as:
  { \"name\": \"Too fast\", \"severity\": \"warning\",
    \"condition\": { \"threshold\": { \"signal\": \"Vehicle.Speed\", \"above\": 130, \"hysteresis\": 10 }, \"forS\": 10 } }

Then:
  cargo roadcast alerts test too-fast.json --since 7d       When would it have raised alerts?
  cargo roadcast alerts create too-fast.json                From now on
  cargo roadcast alerts follow                              Print alerts as they arrive
  cargo roadcast --stack-name roadcast-dev alerts --fleet Nordwind list     On AWS

docs/alerts.md explains rules by example.")]
pub(crate) struct AlertsArgs {
    /// Id or name of the fleet [default: the only active one].
    #[arg(long, global = true, value_name = "FLEET", conflicts_with = "operator")]
    fleet: Option<FleetSelector>,
    /// The rules of the operator, which concern all vehicles.
    #[arg(long, global = true)]
    operator: bool,
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List the alert rules.
    #[command(after_help = "Example:
  cargo roadcast alerts --fleet Nordwind list")]
    List,
    /// Show a rule, with its condition.
    #[command(after_help = "Example:
  cargo roadcast alerts show rul_0123456789abcdef")]
    Show {
        /// Id of the rule.
        #[arg(value_parser = RuleId::from_str)]
        rule: RuleId,
    },
    /// Create a rule from a JSON file.
    #[command(after_help = "Example:
  cargo roadcast alerts create too-fast.json")]
    Create {
        /// File with the rule.
        file: PathBuf,
        /// Create it switched off.
        #[arg(long)]
        disabled: bool,
    },
    /// Switch a rule on. It raises alerts from now on.
    #[command(after_help = "Example:
  cargo roadcast alerts enable rul_0123456789abcdef")]
    Enable {
        /// Id of the rule.
        #[arg(value_parser = RuleId::from_str)]
        rule: RuleId,
    },
    /// Switch a rule off.
    #[command(after_help = "Example:
  cargo roadcast alerts disable rul_0123456789abcdef")]
    Disable {
        /// Id of the rule.
        #[arg(value_parser = RuleId::from_str)]
        rule: RuleId,
    },
    /// Delete a rule.
    #[command(after_help = "Example:
  cargo roadcast alerts delete rul_0123456789abcdef")]
    Delete {
        /// Id of the rule.
        #[arg(value_parser = RuleId::from_str)]
        rule: RuleId,
    },
    /// Evaluate a rule on stored events, and print when it would have raised alerts.
    #[command(after_help = "Examples:
  cargo roadcast alerts test too-fast.json --since 7d
  cargo roadcast alerts test rul_0123456789abcdef --vehicle veh_0123456789abcdef

At most 31 days, 1,000 vehicles and 1,000 vehicle-days. Ctrl-C leaves the back-test running; delete it with the API.")]
    Test {
        /// File with a rule, or id of a stored rule.
        rule: String,
        /// Evaluate this vehicle; repeatable [default: those of the rule, or all of the fleet].
        #[arg(long, value_name = "VEHICLE", value_parser = VehicleId::from_str)]
        vehicle: Vec<VehicleId>,
        /// Start at this time, such as 24h or 2026-11-21T08:00:00Z [default: 7d].
        #[arg(long, value_name = "TIME")]
        since: Option<PointInTime>,
        /// End at this time [default: now].
        #[arg(long, value_name = "TIME")]
        until: Option<PointInTime>,
    },
    /// Print the alerts of a fleet as they arrive.
    #[command(after_help = "Examples:
  cargo roadcast alerts follow
  cargo roadcast --json alerts --fleet Nordwind follow --since 1h --once | jq .data.rule.name

Alerts are read by arrival (GET /events), 10 seconds after they arrived. The feed of the fleet stays as it is. The tool reads as a
client of the fleet with the name `Roadcast CLI FLEET`, and creates it if the fleet has none.")]
    Follow {
        /// Start at this time, such as 15m or 2026-11-21T08:00:00Z; at most 14 days ago [default: now, with --once 24h].
        #[arg(long, value_name = "TIME")]
        since: Option<PointInTime>,
        /// Exit as soon as there are no more alerts.
        #[arg(long)]
        once: bool,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &AlertsArgs) -> Result<ExitCode> {
    let mut stack = Stack::open(location).await?;
    let api = stack.admin().await?;
    if let AlertsCommand::Follow { since, once, confirmation } = &args.command {
        anyhow::ensure!(!args.operator, "alerts are read by fleets: name one with --fleet instead of --operator");
        let fleet_id = FleetSelector::id_or_only(args.fleet.as_ref(), &api).await?;
        return follow::run(&mut stack, &api, console, &fleet_id, (*since, *once), *confirmation).await;
    }
    let owner = if args.operator {
        String::new()
    } else {
        format!("/fleets/{}", FleetSelector::id_or_only(args.fleet.as_ref(), &api).await?)
    };
    let rules = format!("{owner}/alert-rules");
    let path = |rule: &RuleId| format!("{rules}/{}", rule.as_str());
    let (object, text) = match &args.command {
        AlertsCommand::List => {
            let list: Value = api.json(Method::GET, &rules, None).await?;
            let lines = text::list(&list).render(console.style());
            (list, lines)
        }
        AlertsCommand::Show { rule } => {
            let rule: Value = api.json(Method::GET, &path(rule), None).await?;
            let lines = text::details(&rule, console.style());
            (rule, lines)
        }
        AlertsCommand::Create { file, disabled } => {
            let mut rule = read_rule(file)?;
            if *disabled {
                rule["enabled"] = json!(false);
            }
            let created: Value = api.create(&rules, &rule).await?;
            let lines = text::line(&created);
            (created, lines)
        }
        AlertsCommand::Enable { rule } => switch(&api, &path(rule), true).await?,
        AlertsCommand::Disable { rule } => switch(&api, &path(rule), false).await?,
        AlertsCommand::Delete { rule } => {
            delete(&api, &path(rule)).await?;
            (json!({ "ruleId": rule, "deleted": true }), format!("{} was deleted", rule.as_str()))
        }
        AlertsCommand::Test { rule, vehicle, since, until } => {
            let mut body = match rule.parse::<RuleId>() {
                Ok(rule_id) => json!({ "ruleId": rule_id }),
                Err(_) => json!({ "rule": read_rule(Path::new(rule))? }),
            };
            if !vehicle.is_empty() {
                body["vehicles"] = json!(vehicle);
            }
            for (name, time) in [("from", since), ("until", until)] {
                if let Some(time) = time {
                    body[name] = json!(time.to_string());
                }
            }
            return back_test::run(&api, console, &owner, &body).await;
        }
        AlertsCommand::Follow { .. } => return Ok(ExitCode::SUCCESS),
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a rule, which the API checks.
fn read_rule(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let rule: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    anyhow::ensure!(rule.is_object(), "{} is not a JSON object", file.display());
    Ok(rule)
}

/// Switches a rule on or off at the version that was read. Reads it again if another caller changed it.
async fn switch(api: &Api, path: &str, enabled: bool) -> Result<(Value, String)> {
    let mut attempt = 1;
    loop {
        let (rule, etag): (Value, String) = api.versioned(path).await?;
        match api.replace::<Value>(path, &etag, &settings(&rule, enabled)).await {
            Err(error) if attempt < ATTEMPTS && is_stale(&error) => attempt += 1,
            changed => {
                let changed = changed?;
                let line = text::line(&changed);
                return Ok((changed, line));
            }
        }
    }
}

/// The body that replaces a rule.
fn settings(rule: &Value, enabled: bool) -> Value {
    const MEMBERS: [&str; 6] = ["name", "severity", "scope", "condition", "cooldownS", "schedule"];
    let members = MEMBERS.iter().filter_map(|name| Some(((*name).to_owned(), rule.get(name)?.clone())));
    let mut settings: serde_json::Map<String, Value> = members.collect();
    settings.insert("enabled".to_owned(), json!(enabled));
    settings.into()
}

/// Deletes a rule at the version that was read. Reads it again if another caller changed it.
async fn delete(api: &Api, path: &str) -> Result<()> {
    let mut attempt = 1;
    loop {
        let (_, etag): (Value, String) = api.versioned(path).await?;
        let response = api.delete(path, &etag).await.context("cannot delete the alert rule")?;
        match response.status {
            status if status.is_success() => return Ok(()),
            StatusCode::PRECONDITION_FAILED if attempt < ATTEMPTS => attempt += 1,
            _ => return Err(response.to_error(&format!("DELETE {path}")).into()),
        }
    }
}

fn is_stale(error: &anyhow::Error) -> bool {
    error.downcast_ref::<crate::api::ApiError>().is_some_and(|error| error.status == StatusCode::PRECONDITION_FAILED)
}
