//! `doctor`: checks this machine and a stack, and states what to do.

mod api;
mod deployment;
mod machine;
mod quotas;

use std::process::ExitCode;

use anyhow::{Error, Result};
use serde::Serialize;
use serde_json::json;

use crate::console::{Cell, Console, Table};
use crate::layout::Layout;
use crate::location::StackLocation;
use crate::stack::Stack;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast doctor                                 This machine, and the local stack if it runs
  cargo roadcast --stack-name roadcast-dev doctor       The stack on AWS: deployment, parameters, functions, tables, quotas
  cargo roadcast --json doctor | jq '.checks[] | select(.state != \"ok\")'

A check is ok, wrong, or `check`: it works, but look at it. Nothing is changed. The exit code is 1 if a check is wrong.
docs/tool.md lists the rights that the checks of a stack on AWS need.")]
pub(crate) struct DoctorArgs {}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It works, but someone should look at it, or it could not be checked.
    Check,
    Wrong,
}

/// A check with what was found and what to do.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    found: String,
    /// What to do; absent if the check is ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), advice: None }
    }

    fn uncertain(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Check, found: found.into(), advice: Some(advice.into()) }
    }

    fn wrong(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Wrong, found: found.into(), advice: Some(advice.into()) }
    }

    /// A check that failed for an error, whose last cause is the most precise.
    fn failed(name: &'static str, error: &Error) -> Self {
        let mut causes = error.chain().map(|cause| cause.to_string().replace('\n', " "));
        let first = causes.next().unwrap_or_default();
        Self::wrong(name, first, causes.collect::<Vec<_>>().join(": "))
    }

    /// A check that needs a right that the caller lacks, or an operation that does not respond.
    fn unknown(name: &'static str, error: &Error, right: &str) -> Self {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        Self::uncertain(name, "not checked", format!("the right {right} is needed ({})", causes.join(": ")))
    }
}

pub(crate) async fn run(location: &StackLocation, console: &Console) -> Result<ExitCode> {
    let mut checks = Vec::new();
    let step = console.step("Checking");
    match location {
        StackLocation::Local { dir } => {
            let layout = Layout::find(dir.clone())?;
            machine::check(&layout, &mut checks).await;
            match Stack::open(location).await {
                Ok(stack) => api::check(&stack, &mut checks).await,
                Err(error) => checks.push(Check::uncertain("stack", "not running", error.to_string())),
            }
        }
        StackLocation::Deployed(deployed) => match Stack::open(location).await {
            Ok(stack) => {
                deployment::check(&stack, deployed, &mut checks).await;
                api::check(&stack, &mut checks).await;
                quotas::check(&stack, deployed, &mut checks).await;
            }
            Err(error) => checks.push(Check::failed("stack", &error)),
        },
    }
    let wrong = checks.iter().filter(|check| check.state == State::Wrong).count();
    let open = checks.iter().filter(|check| check.state == State::Check).count();
    step.finish(&format!("{} checks: {wrong} wrong, {open} to look at", checks.len()));
    console.print_result(&json!({ "ok": wrong == 0, "checks": checks }), &table(&checks).render(console.style()))?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(&["state", "check", "found"], "");
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Check => "check",
            State::Wrong => "wrong",
        };
        table.row([Cell::state(state), Cell::text(check.name), Cell::text(&check.found)]);
        if let Some(advice) = check.advice.as_ref().filter(|advice| !advice.is_empty()) {
            table.note(&format!("→ {advice}"));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Style;
    use anyhow::anyhow;

    #[test]
    fn each_fault_states_what_to_do() {
        let error = anyhow!("the cause").context("the fault");
        let checks = [
            Check::ok("rust", "1.95"),
            Check::failed("stack", &error),
            Check::unknown("tables", &error, "dynamodb:DescribeTable"),
        ];
        let expected = "STATE  CHECK   FOUND\nok     rust    1.95\nwrong  stack   the fault\n    → the cause\n\
                        check  tables  not checked\n    → the right dynamodb:DescribeTable is needed (the fault: the cause)";
        assert_eq!(table(&checks).render(Style::PLAIN), expected);
    }
}
