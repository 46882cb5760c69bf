//! Each function has the rights that it uses, and no other.
//!
//! `calls.txt` contains the distinct calls of AWS services that the functions make. The end-to-end test records them, and
//! fails if the file differs from what it recorded. `rare_calls.txt` is the same for calls that the end-to-end test does not
//! cause: `crates/aws/tests/local_endpoint/rare_calls.rs` records them. This test evaluates the roles of the template for both:
//! it fails on a call without a right and on a right without a call. `rights_used_by_aws.rs` lists the rights that no recorded
//! call uses, with reasons.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod calls;
mod policy;
mod rights_used_by_aws;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use calls::Call;
use policy::{Condition, Decision, Request, Statement, action_matches, evaluate, matches};
use template::{Role, Template};

/// A right: a statement, and one each of its actions, resources and leading keys.
type Right = (String, String, String, Option<String>);

fn recorded_calls() -> Vec<Call> {
    let files = [include_str!("calls.txt"), include_str!("rare_calls.txt")];
    files.into_iter().flat_map(str::lines).filter(|line| !line.is_empty()).map(Call::parse).collect()
}

/// The values of the condition on leading keys; none if the statement has no such condition.
fn leading_keys(statement: &Statement) -> Vec<Option<String>> {
    let is_on_keys = |condition: &&Condition| condition.key == "dynamodb:LeadingKeys" && condition.operator != "Null";
    let values: Vec<_> = statement
        .conditions
        .iter()
        .filter(is_on_keys)
        .flat_map(|condition| condition.values.iter().cloned().map(Some))
        .collect();
    if values.is_empty() { vec![None] } else { values }
}

fn rights(statement: &Statement) -> Vec<Right> {
    let mut rights = Vec::new();
    for action in &statement.actions {
        for resource in &statement.resources {
            for key in leading_keys(statement) {
                rights.push((statement.sid.clone(), action.clone(), resource.clone(), key));
            }
        }
    }
    rights
}

/// Whether the request, which the statement allows, uses this right of it.
fn uses(request: &Request, (_, action, resource, key): &Right) -> bool {
    let uses_key = key.as_ref().is_none_or(|key| request.leading_keys.iter().any(|value| matches(key, value)));
    action_matches(action, &request.action) && matches(resource, &request.resource) && uses_key
}

/// Compares the requests of a function with its role. Returns the requests that are not allowed, and the rights that no
/// request uses. A right that another statement of the role grants before is not used.
fn compare(role: &Role, requests: &BTreeSet<Request>) -> (Vec<Request>, Vec<Right>) {
    let mut unused: Vec<Vec<Right>> =
        role.statements.iter().map(|statement| if statement.denies { vec![] } else { rights(statement) }).collect();
    let mut refused = Vec::new();
    for request in requests {
        match evaluate(&role.statements, request) {
            Decision::NotAllowed => refused.push(request.clone()),
            Decision::Allowed(index) => unused[index].retain(|right| !uses(request, right)),
        }
    }
    (refused, unused.concat())
}

fn requests_by_function() -> BTreeMap<String, BTreeSet<Request>> {
    let mut requests: BTreeMap<String, BTreeSet<Request>> = BTreeMap::new();
    for call in recorded_calls() {
        let request = call.request().unwrap_or_else(|problem| panic!("{problem}"));
        requests.entry(call.function.clone()).or_default().insert(request);
    }
    requests
}

#[test]
fn every_call_has_a_right_and_every_right_has_a_call() {
    let template = Template::read();
    let roles = template.roles_of_functions();
    let requests = requests_by_function();
    let mut faults = Vec::new();
    faults.extend(requests.keys().filter(|name| !roles.contains_key(*name)).map(|name| format!("{name} has no role")));
    let mut listed = BTreeSet::new();
    // AWS services assume the other roles, so all rights of these are on the list.
    let others: Vec<(String, Role)> = template.other_roles().into_iter().map(|role| (String::new(), role)).collect();
    for (name, role) in roles.iter().chain(others.iter().map(|(name, role)| (name, role))) {
        let (refused, unused) = compare(role, requests.get(name).unwrap_or(&BTreeSet::new()));
        for Request { action, resource, leading_keys } in refused {
            faults.push(format!("{}: no right for {action} on {resource} {leading_keys:?}", role.id));
        }
        for (sid, action, resource, key) in unused {
            if let Some(entry) = rights_used_by_aws::reason(&role.id, &action, &resource) {
                listed.insert(entry);
            } else {
                let key = key.map_or_else(String::new, |key| format!(" for {key}"));
                faults.push(format!("{}: no call uses {action} on {resource}{key} ({sid})", role.id));
            }
        }
    }
    let stale = (0..rights_used_by_aws::RIGHTS.len()).filter(|entry| !listed.contains(entry));
    faults.extend(stale.map(|entry| format!("rights_used_by_aws.rs: not needed: {:?}", rights_used_by_aws::RIGHTS[entry])));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn role(statements: Vec<Statement>) -> Role {
    Role { id: "Role".to_owned(), statements }
}

fn put_statement(sid: &str, keys: &[&str]) -> Statement {
    let values = keys.iter().map(|&key| key.to_owned()).collect();
    let operator = "ForAllValues:StringLike".to_owned();
    Statement {
        sid: sid.to_owned(),
        denies: false,
        actions: vec!["dynamodb:PutItem".to_owned()],
        resources: vec!["t".to_owned()],
        conditions: vec![Condition { operator, key: "dynamodb:LeadingKeys".to_owned(), values }],
    }
}

fn put(keys: &[&str]) -> BTreeSet<Request> {
    let leading_keys = keys.iter().map(|&key| key.to_owned()).collect();
    [Request { action: "dynamodb:PutItem".to_owned(), resource: "t".to_owned(), leading_keys }].into()
}

#[test]
fn call_without_a_right_is_found() {
    let (refused, _) = compare(&role(vec![put_statement("A", &["vin#*"])]), &put(&["vin#*", "client#*"]));
    assert_eq!(refused.len(), 1);
}

#[test]
fn right_without_a_call_is_found_for_each_leading_key() {
    let (refused, unused) = compare(&role(vec![put_statement("A", &["vin#*", "client#*"])]), &put(&["vin#*"]));
    let unused: Vec<_> = unused.iter().map(|(sid, _, _, key)| (sid.as_str(), key.as_deref())).collect();
    assert_eq!((refused.len(), unused), (0, vec![("A", Some("client#*"))]));
}

#[test]
fn right_that_is_granted_twice_is_found() {
    let statements = vec![put_statement("A", &["vin#*"]), put_statement("B", &["vin#*"])];
    let (_, unused) = compare(&role(statements), &put(&["vin#*"]));
    assert_eq!(unused.iter().map(|(sid, ..)| sid.as_str()).collect::<Vec<_>>(), ["B"]);
}
