//! A model of Step Functions, for the state machines in `infra/`: tasks with their retries and catchers, and how a run ends.
//!
//! It knows what those definitions use: `Task`, `Choice` by a boolean, `Wait`, `Succeed` and `Fail`, payloads with members taken
//! from the input, results that are selected and kept, `Retry` and `Catch` for every error. Anything else is an error of the
//! definition, so that a test cannot pass over it. It does not wait itself: whoever runs it says what waiting is.

use std::future::Future;

use serde_json::{Map, Value};

/// A state machine.
#[derive(Clone, Debug)]
pub struct StateMachine {
    definition: Value,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All was done.
    Succeeded,
    /// It failed, with that error.
    Failed(String),
}

/// A definition that the model does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the definition of the state machine: {0}")]
pub struct NotUnderstood(String);

impl StateMachine {
    /// The machine of a definition in the Amazon States Language.
    pub fn read(definition: &str) -> Result<Self, NotUnderstood> {
        let definition = serde_json::from_str(definition).map_err(|error| NotUnderstood(error.to_string()))?;
        Ok(Self { definition })
    }

    /// Runs it: `task` does a task with its payload and answers its result; its error is the error's name. `wait` waits for so
    /// many seconds.
    pub async fn run<F>(
        &self,
        mut input: Value,
        mut task: impl FnMut(Value) -> F,
        mut wait: impl FnMut(u64),
    ) -> Result<End, NotUnderstood>
    where
        F: Future<Output = Result<Value, String>>,
    {
        let mut name = text(&self.definition, "StartAt")?.to_owned();
        loop {
            let state = &self.definition["States"][&name];
            match text(state, "Type")? {
                "Succeed" => return Ok(End::Succeeded),
                "Fail" => return Ok(End::Failed(text(state, "Error")?.to_owned())),
                "Task" => {}
                "Choice" => {
                    chosen(state, &input)?.clone_into(&mut name);
                    continue;
                }
                "Wait" => {
                    let seconds = at(text(state, "SecondsPath")?, &input)?;
                    wait(seconds.as_u64().ok_or_else(|| NotUnderstood(format!("a wait of {seconds} seconds")))?);
                    text(state, "Next")?.clone_into(&mut name);
                    continue;
                }
                other => return Err(NotUnderstood(format!("state {name} is of type {other}"))),
            }
            let payload = payload(&state["Parameters"]["Payload"], &input)?;
            let mut done = task(payload.clone()).await;
            for _ in 0..retries(state)? {
                if done.is_ok() {
                    break;
                }
                done = task(payload.clone()).await;
            }
            match done {
                Ok(_) if state["End"] == true => return Ok(End::Succeeded),
                Ok(result) => {
                    keep(state, &result, &mut input)?;
                    text(state, "Next")?.clone_into(&mut name);
                }
                Err(error) => match catcher(state)? {
                    None => return Ok(End::Failed(error)),
                    Some(next) => {
                        input["error"] = serde_json::json!({ "Error": error });
                        next.clone_into(&mut name);
                    }
                },
            }
        }
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str, NotUnderstood> {
    value[member].as_str().ok_or_else(|| NotUnderstood(format!("{member} is missing in {value}")))
}

/// What a path leads to. One that leads nowhere fails the run, as it does there.
fn at<'v>(path: &str, input: &'v Value) -> Result<&'v Value, NotUnderstood> {
    let members = path.strip_prefix("$.").ok_or_else(|| NotUnderstood(format!("the path {path}")))?;
    let found = input.pointer(&format!("/{}", members.replace('.', "/")));
    found.ok_or_else(|| NotUnderstood(format!("{path} is not in {input}")))
}

/// The payload: members as they stand, and those whose names end with `.$` taken from the input.
fn payload(template: &Value, input: &Value) -> Result<Value, NotUnderstood> {
    let wrong = || NotUnderstood(format!("the payload {template}"));
    let mut members = Map::new();
    for (name, value) in template.as_object().ok_or_else(wrong)? {
        match name.strip_suffix(".$") {
            None => members.insert(name.clone(), value.clone()),
            Some(name) => members.insert(name.to_owned(), at(value.as_str().ok_or_else(wrong)?, input)?.clone()),
        };
    }
    Ok(Value::Object(members))
}

/// Keeps a task's result where the state says, as much of it as it selects.
fn keep(state: &Value, result: &Value, input: &mut Value) -> Result<(), NotUnderstood> {
    let Some(path) = state["ResultPath"].as_str() else {
        let dropped = state.get("ResultPath").is_some_and(Value::is_null);
        return if dropped { Ok(()) } else { Err(NotUnderstood(format!("the result of {state}"))) };
    };
    let member = path.strip_prefix("$.").filter(|member| !member.contains('.'));
    let member = member.ok_or_else(|| NotUnderstood(format!("the path {path}")))?;
    // A Lambda task's result holds the function's answer beside the call's own data.
    input[member] = payload(&state["ResultSelector"], &serde_json::json!({ "Payload": result }))?;
    Ok(())
}

/// The state that a choice leads to.
fn chosen<'s>(state: &'s Value, input: &Value) -> Result<&'s str, NotUnderstood> {
    for choice in state["Choices"].as_array().into_iter().flatten() {
        let wanted = choice["BooleanEquals"].as_bool().ok_or_else(|| NotUnderstood(format!("the choice {choice}")))?;
        if at(text(choice, "Variable")?, input)? == wanted {
            return text(choice, "Next");
        }
    }
    text(state, "Default")
}

/// How often a task is tried again after any error.
fn retries(state: &Value) -> Result<u64, NotUnderstood> {
    match state["Retry"].as_array().map(Vec::as_slice) {
        None | Some([]) => Ok(0),
        Some([retry]) if takes_all(retry) => Ok(retry["MaxAttempts"].as_u64().unwrap_or(3)),
        Some(_) => Err(NotUnderstood(format!("the retries of {state}"))),
    }
}

/// The state that any error leads to.
fn catcher(state: &Value) -> Result<Option<&str>, NotUnderstood> {
    match state["Catch"].as_array().map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([catch]) if takes_all(catch) && catch["ResultPath"] == "$.error" => text(catch, "Next").map(Some),
        Some(_) => Err(NotUnderstood(format!("the catchers of {state}"))),
    }
}

fn takes_all(handler: &Value) -> bool {
    handler["ErrorEquals"] == serde_json::json!(["States.ALL"])
}
