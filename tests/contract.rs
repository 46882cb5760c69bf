//! The HTTP contract, the template and the code agree.

// Tests may panic.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod authorization;

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::caller::Scope;
use roadcast_lambda_kit::http::{Api, ContractPath};
use roadcast_testbed::InMemory;
use serde_json::Value;

const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|_| panic!("cannot read {file}"))
}

/// A YAML file as JSON. CloudFormation's short forms (`!Ref x`) become objects with one member.
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

/// Operations by method and path: the function that serves it, and the scopes that may call it (none: public).
type Operations = BTreeMap<(String, String), (String, BTreeSet<String>)>;

fn contract_operations() -> Operations {
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

// The operations do not depend on the adapters of a function.
type Events = roadcast_events_api::EventsApi<InMemory>;
type Vehicles = roadcast_vehicles_api::VehiclesApi<InMemory>;
type Catalogue = roadcast_catalogue_api::CatalogueApi<InMemory>;
type Alerts = roadcast_alerts_api::AlertsApi<InMemory>;
type DeadLetters = roadcast_dead_letters_api::DeadLettersApi<InMemory>;
type Endpoints = roadcast_endpoints_api::EndpointsApi<InMemory>;
type Feed = roadcast_fleet_delivery::FleetDelivery<InMemory>;
type Onboarding = roadcast_onboarding::OnboardingApi<InMemory>;

fn code_operations() -> Operations {
    fn add<A: Api>(operations: &mut Operations, function: &str) {
        for operation in A::OPERATIONS {
            let scopes = operation.scopes().unwrap_or_default().iter().copied();
            let scopes = scopes.map(Scope::as_str).map(str::to_owned).collect();
            let key = (operation.method.to_owned(), operation.resource.to_owned());
            assert!(operations.insert(key, (function.to_owned(), scopes)).is_none(), "{} twice", operation.resource);
        }
    }
    let mut operations = Operations::new();
    add::<Events>(&mut operations, "EventsApi");
    add::<Vehicles>(&mut operations, "VehiclesApi");
    add::<Catalogue>(&mut operations, "CatalogueApi");
    add::<Alerts>(&mut operations, "AlertsApi");
    add::<DeadLetters>(&mut operations, "DeadLettersApi");
    add::<Endpoints>(&mut operations, "EndpointsApi");
    add::<Feed>(&mut operations, "FleetDelivery");
    add::<Onboarding>(&mut operations, "Onboarding");
    operations
}

#[test]
fn code_and_contract_have_the_same_operations_and_scopes() {
    let (contract, code) = (contract_operations(), code_operations());
    for (operation, expected) in &contract {
        assert_eq!(code.get(operation), Some(expected), "{operation:?}");
    }
    let undocumented: Vec<_> = code.keys().filter(|operation| !contract.contains_key(operation)).collect();
    assert!(undocumented.is_empty(), "not in the contract: {undocumented:?}");
}

/// The names of an operation's query parameters, and whether it accepts an `Idempotency-Key`.
fn contract_parameters() -> BTreeMap<(String, String), (BTreeSet<String>, bool)> {
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
            let accepts_key = others.iter().any(|parameter| parameter["name"] == "Idempotency-Key");
            parameters.insert((verb.to_uppercase(), path.clone()), (names.collect(), accepts_key));
        }
    }
    parameters
}

#[test]
fn code_and_contract_have_the_same_parameters() {
    fn check<A: Api>(contract: &BTreeMap<(String, String), (BTreeSet<String>, bool)>) {
        for operation in A::OPERATIONS {
            let (method, resource) = (operation.method.to_owned(), operation.resource.to_owned());
            let query = operation.query().iter().map(|&name| name.to_owned()).collect();
            let expected = (query, operation.idempotency_key);
            assert_eq!(contract[&(method, resource)], expected, "{} {}", operation.method, operation.resource);
        }
    }
    let contract = contract_parameters();
    check::<Events>(&contract);
    check::<Vehicles>(&contract);
    check::<Catalogue>(&contract);
    check::<Alerts>(&contract);
    check::<DeadLetters>(&contract);
    check::<Endpoints>(&contract);
    check::<Feed>(&contract);
    check::<Onboarding>(&contract);
}

#[test]
fn core_operations_keep_their_methods_and_paths() {
    let contract = contract_operations();
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
fn only_the_health_check_is_public() {
    let public: Vec<_> =
        contract_operations().into_iter().filter(|(_, (_, scopes))| scopes.is_empty()).map(|(key, _)| key).collect();
    assert_eq!(public, [("GET".to_owned(), "/health".to_owned())]);
}

/// The methods of the paths that have operations. `Allow` states them.
fn contract_methods() -> BTreeMap<String, BTreeSet<String>> {
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, path) in contract_operations().into_keys() {
        methods.entry(path).or_default().insert(method);
    }
    methods
}

#[test]
fn allow_states_the_methods_of_the_contract() {
    let set = |path: &ContractPath| path.methods.iter().copied().map(str::to_owned).collect();
    let known = Catalogue::CONTRACT.iter().map(|path| (path.template.to_owned(), set(path)));
    assert_eq!(known.collect::<BTreeMap<String, BTreeSet<String>>>(), contract_methods());
    assert_eq!(Catalogue::CONTRACT.len(), contract_methods().len(), "a path twice");
}

#[test]
fn requests_without_an_operation_reach_the_function_that_knows_all_paths() {
    let contract = yaml("openapi.yaml");
    let any_method = "x-amazon-apigateway-any-method";
    let mut paths = contract["paths"].as_object().expect("paths").clone();
    paths.retain(|_, item| item.get(any_method).is_some());
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/", "/{proxy+}"]);
    for (path, item) in paths {
        let uri = item[any_method]["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"].as_str().expect("an integration");
        assert!(uri.contains("functions/${CatalogueApi.Arn}/"), "{path}");
        assert_eq!(item.as_object().expect("a path").len(), 1, "{path} has no operation that clients see");
    }
    assert!(!Catalogue::CONTRACT.is_empty());
    let others = [Events::CONTRACT, Vehicles::CONTRACT, Feed::CONTRACT, Onboarding::CONTRACT];
    assert!(others.iter().all(|paths| paths.is_empty()), "one function responds to them");
}

/// The functions of the template, by logical id.
fn functions() -> BTreeMap<String, Value> {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_object().expect("resources").clone();
    resources.into_iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function").collect()
}

#[test]
fn api_may_invoke_every_function_of_the_contract() {
    let template = yaml("template.yaml");
    let resources = template["Resources"].as_object().expect("resources");
    let permitted: BTreeSet<&str> = resources
        .values()
        .filter(|r| r["Type"] == "AWS::Lambda::Permission" && r["Properties"]["Principal"] == "apigateway.amazonaws.com")
        .filter_map(|r| r["Properties"]["FunctionName"]["Ref"].as_str())
        .collect();
    let functions = functions();
    for (function, _) in contract_operations().values() {
        assert!(functions.contains_key(function), "{function} is not in the template");
        assert!(permitted.contains(function.as_str()), "the API may not invoke {function}");
    }
}

#[test]
fn template_sets_every_variable_that_main_reads() {
    let template = yaml("template.yaml");
    let global = &template["Globals"]["Function"]["Environment"]["Variables"];
    for (id, function) in functions() {
        let package = function["Metadata"]["BuildProperties"]["Binary"].as_str().expect("a binary").to_owned();
        let folder = package.strip_prefix("roadcast-").expect("a package of this project");
        let main = read(&format!("functions/{folder}/src/main.rs"));
        let own = &function["Properties"]["Environment"]["Variables"];
        for rest in main.split("var(Variable::").skip(1) {
            let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            let variable = screaming_snake(&name);
            assert!(
                own.get(&variable).is_some() || global.get(&variable).is_some(),
                "{id} reads {variable}, which the template does not set"
            );
        }
    }
}

fn screaming_snake(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |mut text, (index, c)| {
        if index > 0 && c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
        text
    })
}
