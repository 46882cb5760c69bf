//! Every command works on a deployed stack.

use std::collections::BTreeSet;

use crate::fake_aws::FakeAws;
use crate::tool::{Tool, error_of, text_of};

const FLEET: &str = "flt_3h6w9d2k5n8s1v4y";
const VEHICLE: &str = "veh_8kq2m4x0c7r1v5zt";
const SUBSCRIPTION: &str = "sub_5j8x1f4m7q0t3w6z";
const ENDPOINT: &str = "end_7c0r1v5zt8kq2m4x";
const EVENT: &str = "01KAJCQYC0000G000009YD7PJR";
const RULE: &str = "rul_4d7g0k3n6q9t2w5z";
const LETTER: &str = "dlt_01kavfgf8j2k6c9d3f4g5h6j7k";

/// Commands that are not for a deployed stack, with the reason.
const OTHERS: [(&str, &str); 7] = [
    ("up", "starts the local stack"),
    ("down", "stops the local stack"),
    ("listen", "receives webhooks on this machine"),
    ("cost", "needs no stack"),
    ("completions", "needs no stack"),
    ("reference", "writes files of the workspace with npm"),
    ("help", "of clap"),
];

/// A command line, the exit code, and a request that it causes, as `METHOD path`.
type Case<'a> = (&'a [&'a str], i32, &'a str);

/// The cases: each command and each of its subcommands.
fn check(cases: &[Case<'_>]) {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    for (arguments, code, expected) in cases {
        let arguments: Vec<String> = arguments.iter().map(|part| part.replace("FOLDER/", &tool.file(""))).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = tool.deployed(&arguments);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}{}", text_of(&output), error_of(&output));
        let requests = fake.take_requests();
        assert!(
            requests.iter().any(|request| request.starts_with(expected)),
            "{arguments:?}: no {expected} in {requests:?}"
        );
        assert_eq!(fake.faults(), Vec::<String>::new(), "{arguments:?}");
        tool.json(&arguments, *code);
        fake.take_requests();
    }
}

const READING: [Case<'_>; 19] = [
    (&["status"], 0, "GET /api/fleets"),
    (&["doctor"], 0, "GET /api/health"),
    (&["token"], 0, "POST /token"),
    (&["token", "--fleet", FLEET], 0, "POST /api/clients"),
    (&["token", "--ingest"], 0, "GET /api/clients?kind=ingest"),
    (&["token", "--client", "4d1kq8example0fleet0client"], 0, "POST /token"),
    (&["fleets", "list"], 0, "GET /api/fleets"),
    (&["fleets", "show", "Nordwind Logistics"], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints"),
    (&["vehicles", "list", "--make", "Gillig"], 0, "GET /api/vehicles?retired=false&make=Gillig"),
    (&["vehicles", "show", "bus:2619"], 0, "GET /api/vehicles/veh_8kq2m4x0c7r1v5zt/state"),
    (&["vehicles", "show", VEHICLE], 0, "GET /api/vehicles/veh_8kq2m4x0c7r1v5zt/state"),
    (&["subscriptions", "list", "--fleet", FLEET], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/subscriptions"),
    (
        &["subscriptions", "show", "--fleet", FLEET, SUBSCRIPTION, "--receipt"],
        0,
        "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/subscriptions/sub_5j8x1f4m7q0t3w6z/receipt",
    ),
    (&["dead-letters", "list", "--hop", "feed", "--since", "1d"], 0, "GET /api/dead-letters?limit=50&hop=feed&since="),
    (&["dead-letters", "show", LETTER], 0, "GET /api/dead-letters/dlt_01kavfgf8j2k6c9d3f4g5h6j7k"),
    (&["quarantine", "list"], 0, "GET /api/dead-letters?limit=50&hop=quarantine"),
    (&["quarantine", "show", LETTER], 0, "GET /api/dead-letters/dlt_01kavfgf8j2k6c9d3f4g5h6j7k"),
    (&["trace", EVENT], 0, "POST /Traces"),
    (&["tail", "--fleet", FLEET, "--once"], 0, "GET /api/events?limit=100&from="),
];

const CHANGING: [Case<'_>; 11] = [
    (&["tail", "--fleet", FLEET, "--once", "--ack"], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/feed/ack"),
    (&["simulate", "--vehicles", "1", "--duration", "1.5s"], 0, "POST /api/vehicles/veh_8kq2m4x0c7r1v5zt/events"),
    (&["replay", "--fleet", FLEET, "FOLDER/trip.csv"], 0, "POST /api/vehicles/veh_8kq2m4x0c7r1v5zt/events"),
    (&["load", "FOLDER/vehicles.csv"], 0, "PUT /output-bulkdatabucketname/vin-map/"),
    (&["offboard", "--dry-run", FLEET], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/clients"),
    (&["offboard", "--no-wait", FLEET], 0, "DELETE /api/fleets/flt_3h6w9d2k5n8s1v4y?feed=drain"),
    (
        &["onboard", "--fleet", "Nordwind Logistics", "--app", "x", "--vehicle", VEHICLE, "--package", "alerts"],
        0,
        "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/subscriptions",
    ),
    (&["dead-letters", "redrive", LETTER, "--id", "again-1"], 0, "PUT /api/redrives/again-1"),
    (&["quarantine", "reprocess", "--since", "6h"], 0, "PUT /api/redrives/cli-"),
    (&["restore", "--from", "6h", "--vehicle", VEHICLE, "--only", "events,state"], 0, "POST /"),
    (&["restore", "--follow", "restore-1793000000000"], 0, "POST /"),
];

const ERASURE: &str = "era_2c5f8j1m4q7t0w3z";

const ERASURES: [Case<'_>; 4] = [
    (&["erase", "vehicles", "bus:2619", "--former-name", "bus:17"], 0, "POST /api/erasures"),
    (&["erase", "list"], 0, "GET /api/erasures"),
    (&["erase", "show", ERASURE], 0, "GET /api/erasures/era_2c5f8j1m4q7t0w3z"),
    (&["erase", "restart", ERASURE], 0, "POST /api/erasures/era_2c5f8j1m4q7t0w3z/restart"),
];

const CLIENT: &str = "4d1kq8example0fleet0client";

const CLIENTS: [Case<'_>; 9] = [
    (&["clients", "list", "--kind", "fleet"], 0, "GET /api/clients?kind=fleet"),
    (&["clients", "show", CLIENT], 0, "GET /api/clients/7p2mz5example0ingest0client/audit"),
    (&["clients", "create", "logger", "--source", "urn:x"], 0, "POST /api/clients"),
    (&["clients", "update", CLIENT, "--name", "x"], 0, "PUT /api/clients/4d1kq8example0fleet0client"),
    (&["clients", "disable", CLIENT], 0, "PUT /api/clients/4d1kq8example0fleet0client"),
    (&["clients", "enable", CLIENT], 0, "PUT /api/clients/4d1kq8example0fleet0client"),
    (&["clients", "rotate", CLIENT], 0, "POST /api/clients/4d1kq8example0fleet0client/credentials"),
    (&["clients", "remove-credential", CLIENT, CLIENT], 0, "DELETE /api/clients/4d1kq8example0fleet0client/credentials/"),
    (&["clients", "delete", CLIENT], 0, "DELETE /api/clients/4d1kq8example0fleet0client"),
];

const ENDPOINTS: [Case<'_>; 11] = [
    (&["endpoints", "list"], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints"),
    (&["endpoints", "create", "https://a.example/"], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints"),
    (&["endpoints", "update", ENDPOINT, "--rate-limit", "9"], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (&["endpoints", "show", ENDPOINT], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/end_7c0r1v5zt8kq2m4x"),
    (&["endpoints", "test", ENDPOINT, "--no-wait"], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (&["endpoints", "rotate", ENDPOINT], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (&["endpoints", "pause", ENDPOINT], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (&["endpoints", "resume", ENDPOINT], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (&["endpoints", "delete", ENDPOINT], 0, "DELETE /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
    (
        &["endpoints", "attempts", ENDPOINT],
        0,
        "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/end_7c0r1v5zt8kq2m4x/attempts",
    ),
    (&["endpoints", "redrive", ENDPOINT, "--all"], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/endpoints/"),
];

const ALERTS: [Case<'_>; 9] = [
    (&["alerts", "list"], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules"),
    (&["alerts", "--operator", "list"], 0, "GET /api/alert-rules"),
    (&["alerts", "show", RULE], 0, "GET /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules/rul_4d7g0k3n6q9t2w5z"),
    (&["alerts", "create", "FOLDER/rule.json", "--disabled"], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules"),
    (&["alerts", "enable", RULE], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules/rul_4d7g0k3n6q9t2w5z"),
    (&["alerts", "disable", RULE], 0, "PUT /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules/rul_4d7g0k3n6q9t2w5z"),
    (&["alerts", "delete", RULE], 0, "DELETE /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules/rul_4d7g0k3n6q9t2w5z"),
    (&["alerts", "test", "FOLDER/rule.json", "--since", "1d"], 0, "POST /api/fleets/flt_3h6w9d2k5n8s1v4y/alert-rules/test"),
    (&["alerts", "follow", "--once"], 0, "GET /api/events?limit=100&type=roadcast.alert.v1&from="),
];

#[test]
fn commands_that_read_work_on_a_deployed_stack() {
    check(&READING);
}

#[test]
fn commands_that_change_work_on_a_deployed_stack() {
    check(&CHANGING);
}

#[test]
fn clients_are_managed_on_a_deployed_stack() {
    check(&CLIENTS);
}

#[test]
fn vehicles_are_erased_on_a_deployed_stack() {
    check(&ERASURES);
}

#[test]
fn endpoints_are_managed_on_a_deployed_stack() {
    check(&ENDPOINTS);
}

#[test]
fn alert_rules_are_managed_on_a_deployed_stack() {
    check(&ALERTS);
}

#[test]
fn every_command_has_a_case() {
    let fake = FakeAws::start("dev");
    let help = text_of(&Tool::new(&fake).run(&["--help"]));
    let listed = help.split("Commands:\n").nth(1).expect("commands").lines().take_while(|line| !line.is_empty());
    let listed: BTreeSet<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let cases = READING.iter().chain(&CHANGING).chain(&CLIENTS).chain(&ERASURES).chain(&ENDPOINTS).chain(&ALERTS);
    let covered: BTreeSet<&str> = cases.map(|case| case.0[0]).chain(OTHERS.map(|(command, _)| command)).collect();
    assert_eq!(listed, covered);
}

#[test]
fn records_of_the_stream_reach_a_deployed_stack() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    let counts = tool.json(&["simulate", "--vehicles", "1", "--duration", "1.5s", "--via", "kinesis"], 0);
    assert!(counts["accepted"].as_u64() > Some(0), "{counts}");
    assert_eq!(counts["failedUploads"], 0, "{counts}");
    assert_eq!(fake.faults(), Vec::<String>::new());
}

#[test]
fn messages_to_the_topic_rule_reach_a_deployed_stack() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    let simulate = ["simulate", "--vehicles", "1", "--duration", "1.5s", "--via", "iot", "--payload", "zstd"];
    let counts = tool.json(&simulate, 0);
    assert!(counts["accepted"].as_u64() > Some(0), "{counts}");
    assert_eq!(counts["failedUploads"], 0, "{counts}");
    let requests = fake.take_requests();
    assert!(requests.contains(&"GET /endpoint?endpointType=iot%3AData-ATS".to_owned()), "{requests:?}");
    assert!(requests.iter().any(|request| request.starts_with("POST /topics/%24aws%2Frules%2F")), "{requests:?}");
    assert_eq!(fake.faults(), Vec::<String>::new());
}

#[test]
fn quotas_of_the_account_are_compared_with_their_use() {
    let fake = FakeAws::start("dev");
    let checks = Tool::new(&fake).json(&["doctor"], 0);
    let found = |name: &str| {
        let check = checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        check.map(|check| format!("{}: {}", check["state"].as_str().unwrap(), check["found"].as_str().unwrap()))
    };
    assert_eq!(found("quota of Kinesis").unwrap(), "ok: 3 of 200 shards of the Region");
    assert_eq!(found("quota of EventBridge").unwrap(), "check: 81 of 100 event buses of the Region");
    assert_eq!(found("rules per bus").unwrap(), "ok: RulesPerBus is 300, and a bus can hold 300");
    assert!(found("quota of Cognito").unwrap().contains("of 2000 app clients"));
    assert_eq!(found("quota of DynamoDB").unwrap(), "ok: 40000 write units per second and table");
    assert_eq!(found("Service Quotas"), None);
}

#[test]
fn status_has_no_token() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    for arguments in [&["status"][..], &["--json", "status"]] {
        let output = text_of(&tool.deployed(arguments));
        assert!(output.contains("flt_3h6w9d2k5n8s1v4y") && !output.contains("token-of"), "{output}");
    }
    assert_eq!(text_of(&tool.deployed(&["token"])), "token-of-admin0client\n");
}
