//! A model of Step Functions, for the state machines in `infra/`: tasks with their retries and catchers, and how a run ends.
//!
//! It knows what those definitions use: `Task`, `Succeed` and `Fail`, payloads with members taken from the input, `Retry` and
//! `Catch` for every error. Anything else is an error of the definition, so that a test cannot pass over it. It does not wait.

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

    /// Runs it: `task` does a task with its payload; its error is the error's name.
    pub async fn run<F>(&self, mut input: Value, mut task: impl FnMut(Value) -> F) -> Result<End, NotUnderstood>
    where
        F: Future<Output = Result<(), String>>,
    {
        let mut name = text(&self.definition, "StartAt")?.to_owned();
        loop {
            let state = &self.definition["States"][&name];
            match text(state, "Type")? {
                "Succeed" => return Ok(End::Succeeded),
                "Fail" => return Ok(End::Failed(text(state, "Error")?.to_owned())),
                "Task" => {}
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
                Ok(()) if state["End"] == true => return Ok(End::Succeeded),
                Ok(()) => text(state, "Next")?.clone_into(&mut name),
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

/// The payload: members as they stand, and those whose names end with `.$` taken from the input.
fn payload(template: &Value, input: &Value) -> Result<Value, NotUnderstood> {
    let wrong = || NotUnderstood(format!("the payload {template}"));
    let mut members = Map::new();
    for (name, value) in template.as_object().ok_or_else(wrong)? {
        match name.strip_suffix(".$") {
            None => members.insert(name.clone(), value.clone()),
            Some(name) => {
                let path = value.as_str().and_then(|path| path.strip_prefix("$.")).ok_or_else(wrong)?;
                let found = input.pointer(&format!("/{}", path.replace('.', "/"))).ok_or_else(|| {
                    // As it is there: a path that leads nowhere fails the run.
                    NotUnderstood(format!("{path} is not in the input {input}"))
                })?;
                members.insert(name.to_owned(), found.clone())
            }
        };
    }
    Ok(Value::Object(members))
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
