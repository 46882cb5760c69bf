//! A model of Step Functions for the state machines in `infra/`: tasks with their retries and catchers, and the status of an
//! execution.
//!
//! It supports what those definitions use: `Task`, `Choice` by a boolean, `Wait`, `Succeed` and `Fail`, payloads with fields
//! from the input, `ResultSelector` and `ResultPath`, `Retry` and `Catch` for every error. Anything else is an error, so
//! that no test passes on a definition that the model ignores in part. It does not sleep: the caller provides `wait`.

use std::future::Future;

use serde_json::{Map, Value};

/// A state machine.
#[derive(Clone, Debug)]
pub struct StateMachine {
    definition: Value,
}

/// The final status of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// The execution succeeded.
    Succeeded,
    /// The execution failed, with the name of the error.
    Failed(String),
}

/// The definition uses something that the model does not support.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported state machine definition: {0}")]
pub struct UnsupportedDefinition(String);

impl StateMachine {
    /// Parses a definition in the Amazon States Language. States are checked when an execution reaches them.
    pub fn parse(definition: &str) -> Result<Self, UnsupportedDefinition> {
        let definition = serde_json::from_str(definition).map_err(|error| UnsupportedDefinition(error.to_string()))?;
        Ok(Self { definition })
    }

    /// Runs an execution. `task` runs a task with its payload and returns its result, or the name of its error. `wait` is
    /// called with the seconds of each `Wait` state and of each interval before a retry.
    pub async fn run<F>(
        &self,
        mut input: Value,
        mut task: impl FnMut(Value) -> F,
        mut wait: impl FnMut(u64),
    ) -> Result<ExecutionStatus, UnsupportedDefinition>
    where
        F: Future<Output = Result<Value, String>>,
    {
        let mut name = text(&self.definition, "StartAt")?.to_owned();
        loop {
            let state = &self.definition["States"][&name];
            match text(state, "Type")? {
                "Succeed" => return Ok(ExecutionStatus::Succeeded),
                "Fail" => return Ok(ExecutionStatus::Failed(text(state, "Error")?.to_owned())),
                "Task" => {}
                "Choice" => {
                    next_of_choice(state, &input)?.clone_into(&mut name);
                    continue;
                }
                "Wait" => {
                    let seconds = at(text(state, "SecondsPath")?, &input)?;
                    wait(seconds.as_u64().ok_or_else(|| UnsupportedDefinition(format!("a wait of {seconds} seconds")))?);
                    text(state, "Next")?.clone_into(&mut name);
                    continue;
                }
                other => return Err(UnsupportedDefinition(format!("state {name} is of type {other}"))),
            }
            let payload = payload(&state["Parameters"]["Payload"], &input)?;
            let mut result = task(payload.clone()).await;
            for seconds in retries(state)? {
                if result.is_ok() {
                    break;
                }
                wait(seconds);
                result = task(payload.clone()).await;
            }
            match result {
                Ok(_) if state["End"] == true => return Ok(ExecutionStatus::Succeeded),
                Ok(result) => {
                    store_result(state, &result, &mut input)?;
                    text(state, "Next")?.clone_into(&mut name);
                }
                Err(error) => match catcher(state)? {
                    None => return Ok(ExecutionStatus::Failed(error)),
                    Some(next) => {
                        input["error"] = serde_json::json!({ "Error": error });
                        next.clone_into(&mut name);
                    }
                },
            }
        }
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str, UnsupportedDefinition> {
    value[member].as_str().ok_or_else(|| UnsupportedDefinition(format!("{member} is missing in {value}")))
}

/// Returns the value at a path of the input. A path without a value fails the execution, as in Step Functions.
fn at<'v>(path: &str, input: &'v Value) -> Result<&'v Value, UnsupportedDefinition> {
    let members = path.strip_prefix("$.").ok_or_else(|| UnsupportedDefinition(format!("the path {path}")))?;
    let found = input.pointer(&format!("/{}", members.replace('.', "/")));
    found.ok_or_else(|| UnsupportedDefinition(format!("{path} is not in {input}")))
}

/// Builds the payload: plain fields as they are, and fields whose names end with `.$` from the input.
fn payload(template: &Value, input: &Value) -> Result<Value, UnsupportedDefinition> {
    let unsupported = || UnsupportedDefinition(format!("the payload {template}"));
    let mut members = Map::new();
    for (name, value) in template.as_object().ok_or_else(unsupported)? {
        match name.strip_suffix(".$") {
            None => members.insert(name.clone(), value.clone()),
            Some(name) => members.insert(name.to_owned(), at(value.as_str().ok_or_else(unsupported)?, input)?.clone()),
        };
    }
    Ok(Value::Object(members))
}

/// Stores the selected part of a task's result at the `ResultPath` of the state.
fn store_result(state: &Value, result: &Value, input: &mut Value) -> Result<(), UnsupportedDefinition> {
    let Some(path) = state["ResultPath"].as_str() else {
        let is_dropped = state.get("ResultPath").is_some_and(Value::is_null);
        return if is_dropped { Ok(()) } else { Err(UnsupportedDefinition(format!("the result of {state}"))) };
    };
    let member = path.strip_prefix("$.").filter(|member| !member.contains('.'));
    let member = member.ok_or_else(|| UnsupportedDefinition(format!("the path {path}")))?;
    // The result of a Lambda task holds the function's response and the metadata of the invocation.
    input[member] = payload(&state["ResultSelector"], &serde_json::json!({ "Payload": result }))?;
    Ok(())
}

/// Returns the next state of a choice.
fn next_of_choice<'s>(state: &'s Value, input: &Value) -> Result<&'s str, UnsupportedDefinition> {
    for choice in state["Choices"].as_array().into_iter().flatten() {
        let expected =
            choice["BooleanEquals"].as_bool().ok_or_else(|| UnsupportedDefinition(format!("the choice {choice}")))?;
        if at(text(choice, "Variable")?, input)? == expected {
            return text(choice, "Next");
        }
    }
    text(state, "Default")
}

/// Returns the seconds before each retry of a task after any error. Jitter makes them shorter on AWS.
fn retries(state: &Value) -> Result<Vec<u64>, UnsupportedDefinition> {
    match state["Retry"].as_array().map(Vec::as_slice) {
        None | Some([]) => Ok(Vec::new()),
        Some([retry]) if matches_all_errors(retry) => {
            let number = |name: &str, default| retry[name].as_u64().unwrap_or(default);
            let (interval, rate) = (number("IntervalSeconds", 1), number("BackoffRate", 2));
            let longest = number("MaxDelaySeconds", u64::MAX);
            let delays = std::iter::successors(Some(interval), |delay| Some(delay.saturating_mul(rate)));
            let attempts = usize::try_from(number("MaxAttempts", 3)).unwrap_or(usize::MAX);
            Ok(delays.map(|delay| delay.min(longest)).take(attempts).collect())
        }
        Some(_) => Err(UnsupportedDefinition(format!("the retries of {state}"))),
    }
}

/// Returns the state that catches any error, if there is one.
fn catcher(state: &Value) -> Result<Option<&str>, UnsupportedDefinition> {
    match state["Catch"].as_array().map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([catch]) if matches_all_errors(catch) && catch["ResultPath"] == "$.error" => text(catch, "Next").map(Some),
        Some(_) => Err(UnsupportedDefinition(format!("the catchers of {state}"))),
    }
}

fn matches_all_errors(handler: &Value) -> bool {
    handler["ErrorEquals"] == serde_json::json!(["States.ALL"])
}
