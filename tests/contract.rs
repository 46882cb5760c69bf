//! The HTTP contract, the template and the code say the same.

// A test stops at the first surprise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::caller::Scope;
use roadcast_lambda_kit::http::{Access, Route};
use serde_json::Value;

const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|_| panic!("{file} is there"))
}

/// YAML as JSON; CloudFormation's short forms (`!Ref x`) become objects of one member.
fn yaml(file: &str) -> Value {
    fn plain(value: serde_norway::Value) -> Value {
        match value {
            serde_norway::Value::Tagged(tagged) => {
                serde_json::json!({ tagged.tag.to_string().trim_start_matches('!'): plain(tagged.value) })
            }
            serde_norway::Value::Sequence(items) => items.into_iter().map(plain).collect(),
            serde_norway::Value::Mapping(members) => members
                .into_iter()
                .map(|(name, value)| (name.as_str().map_or_else(|| format!("{name:?}"), str::to_owned), plain(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => serde_json::to_value(other).expect("plain YAML is JSON"),
        }
    }
    plain(serde_norway::from_str(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}")))
}

/// An operation: the function that serves it, and the scopes that may call it (none: open).
type Operations = BTreeMap<(String, String), (String, BTreeSet<String>)>;

fn of_the_contract() -> Operations {
    let contract = yaml("openapi.yaml");
    let mut operations = Operations::new();
    for (path, item) in contract["paths"].as_object().expect("paths") {
        for verb in VERBS {
            let Some(operation) = item.get(verb) else { continue };
            let uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"].as_str().expect("an integration");
            let function = uri.split("functions/${").nth(1).and_then(|rest| rest.split('.').next()).expect("a function");
            let scopes = operation["security"].as_array().into_iter().flatten().filter_map(|scheme| scheme.get("cognito"));
            let scopes = scopes.flat_map(|scopes| scopes.as_array().cloned().unwrap_or_default());
            let scopes = scopes.filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
            operations.insert((verb.to_uppercase(), path.clone()), (function.to_owned(), scopes));
        }
    }
    operations
}

fn of_the_code() -> Operations {
    fn add<O>(operations: &mut Operations, function: &str, routes: &[Route<O>]) {
        for route in routes {
            let scopes = match route.access {
                Access::Open => BTreeSet::new(),
                Access::Scopes(scopes) => scopes.iter().copied().map(Scope::as_str).map(str::to_owned).collect(),
            };
            let key = (route.method.to_owned(), route.resource.to_owned());
            assert!(operations.insert(key, (function.to_owned(), scopes)).is_none(), "{} twice", route.resource);
        }
    }
    let mut operations = Operations::new();
    add(&mut operations, "EventsApi", roadcast_events_api::ROUTES);
    add(&mut operations, "VehiclesApi", roadcast_vehicles_api::ROUTES);
    add(&mut operations, "CatalogueApi", roadcast_catalogue_api::ROUTES);
    add(&mut operations, "FleetDelivery", roadcast_fleet_delivery::ROUTES);
    add(&mut operations, "Onboarding", roadcast_onboarding::ROUTES);
    operations
}

#[test]
fn the_code_serves_the_operations_of_the_contract_by_the_same_functions_and_scopes() {
    let (contract, code) = (of_the_contract(), of_the_code());
    for (operation, said) in &contract {
        assert_eq!(code.get(operation), Some(said), "{operation:?}");
    }
    let surplus: Vec<_> = code.keys().filter(|operation| !contract.contains_key(operation)).collect();
    assert!(surplus.is_empty(), "not in the contract: {surplus:?}");
}

/// The names of an operation's query parameters, and whether it takes an `Idempotency-Key`.
fn parameters_of_the_contract() -> BTreeMap<(String, String), (BTreeSet<String>, bool)> {
    let contract = yaml("openapi.yaml");
    let resolved = |parameter: &Value| match parameter["$ref"].as_str() {
        None => parameter.clone(),
        Some(reference) => contract.pointer(reference.trim_start_matches('#')).expect("a parameter").clone(),
    };
    let mut parameters = BTreeMap::new();
    for (path, item) in contract["paths"].as_object().expect("paths") {
        for (verb, operation) in VERBS.iter().filter_map(|verb| Some((verb, item.get(*verb)?))) {
            let all = operation["parameters"].as_array().into_iter().flatten().map(resolved);
            let (query, others): (Vec<Value>, Vec<Value>) = all.partition(|parameter| parameter["in"] == "query");
            let names = query.iter().map(|parameter| parameter["name"].as_str().expect("a name").to_owned());
            let keyed = others.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            parameters.insert((verb.to_uppercase(), path.clone()), (names.collect(), keyed));
        }
    }
    parameters
}

#[test]
fn the_code_takes_the_parameters_of_the_contract_and_no_others() {
    fn check<O>(contract: &BTreeMap<(String, String), (BTreeSet<String>, bool)>, routes: &[Route<O>]) {
        for route in routes {
            let said = &contract[&(route.method.to_owned(), route.resource.to_owned())];
            let query = route.query.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(*said, (query, route.creates), "{} {}", route.method, route.resource);
        }
    }
    let contract = parameters_of_the_contract();
    check(&contract, roadcast_events_api::ROUTES);
    check(&contract, roadcast_vehicles_api::ROUTES);
    check(&contract, roadcast_catalogue_api::ROUTES);
    check(&contract, roadcast_fleet_delivery::ROUTES);
    check(&contract, roadcast_onboarding::ROUTES);
}

#[test]
fn the_seven_core_operations_keep_their_paths_and_verbs() {
    let contract = of_the_contract();
    for (method, path) in [
        ("GET", "/vehicles"),
        ("POST", "/vehicles"),
        ("GET", "/vehicles/{vid}"),
        ("PUT", "/vehicles/{vid}"),
        ("GET", "/vehicles/{vid}/events"),
        ("POST", "/vehicles/{vid}/events"),
        ("GET", "/vehicles/{vid}/events/{eid}"),
    ] {
        assert!(contract.contains_key(&(method.to_owned(), path.to_owned())), "{method} {path}");
    }
}

#[test]
fn only_the_health_check_needs_no_token() {
    let open: Vec<_> =
        of_the_contract().into_iter().filter(|(_, (_, scopes))| scopes.is_empty()).map(|(key, _)| key).collect();
    assert_eq!(open, [("GET".to_owned(), "/health".to_owned())]);
}

/// The functions of the template, by logical id.
fn functions() -> BTreeMap<String, Value> {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_object().expect("resources").clone();
    resources.into_iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function").collect()
}

#[test]
fn the_api_may_invoke_every_function_that_the_contract_names() {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_object().expect("resources");
    let permitted: BTreeSet<&str> = resources
        .values()
        .filter(|r| r["Type"] == "AWS::Lambda::Permission" && r["Properties"]["Principal"] == "apigateway.amazonaws.com")
        .filter_map(|r| r["Properties"]["FunctionName"]["Ref"].as_str())
        .collect();
    let functions = functions();
    for (function, _) in of_the_contract().values() {
        assert!(functions.contains_key(function), "{function} is in the template");
        assert!(permitted.contains(function.as_str()), "the API may invoke {function}");
    }
}

#[test]
fn every_function_is_given_the_variables_that_its_main_asks_for() {
    let template = yaml("template.yaml");
    let global = &template["Globals"]["Function"]["Environment"]["Variables"];
    for (id, function) in functions() {
        let package = function["Metadata"]["BuildProperties"]["Binary"].as_str().expect("a binary").to_owned();
        let folder = package.strip_prefix("roadcast-").expect("our package");
        let main = read(&format!("functions/{folder}/src/main.rs"));
        let own = &function["Properties"]["Environment"]["Variables"];
        for asked in main.split("var(Variable::").skip(1) {
            let name: String = asked.chars().take_while(char::is_ascii_alphanumeric).collect();
            let variable = screaming_snake(&name);
            assert!(own.get(&variable).is_some() || global.get(&variable).is_some(), "{id} asks for {variable}");
        }
    }
}

fn screaming_snake(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |mut text, (place, c)| {
        if place > 0 && c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
        text
    })
}

#[test]
fn every_function_has_a_role_of_its_own_and_no_statement_allows_everything() {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_object().expect("resources");
    let mut roles = BTreeSet::new();
    for (id, function) in functions() {
        let role = function["Properties"]["Role"]["GetAtt"].as_str().expect("a role").trim_end_matches(".Arn").to_owned();
        let policies = resources[&role]["Properties"]["Policies"].as_array().expect("policies").clone();
        assert!(roles.insert(role), "{id} shares its role");
        for statement in
            policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().expect("statements"))
        {
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.clone(),
                action => vec![action.clone()],
            };
            for action in &actions {
                assert!(!action.as_str().expect("an action").contains('*'), "{id}: {action}");
            }
            assert_ne!(statement["Resource"], "*", "{id}: {actions:?}");
        }
    }
}
