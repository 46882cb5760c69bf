//! Wrong input and a missing stack: the message states what to do.

use crate::fake_aws::{FakeAws, REGION, STACK_NAME};
use crate::tool::{Tool, error_of};

#[test]
fn refusals_state_what_to_do() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    let other = ["--stack-name", "roadcast-other", "--region", REGION, "--profile", "remote", "fleets", "list"];
    let without_region = ["--stack-name", STACK_NAME, "--profile", "bare", "fleets", "list"];
    let cases: [(&[&str], i32, &str); 12] = [
        (&other, 1, "there is no stack roadcast-other in eu-west-3: check --stack-name, --region and --profile"),
        (&without_region, 1, "pass --region, set AWS_REGION"),
        (&["--region", REGION, "fleets", "list"], 1, "--region is for a deployed stack: add --stack-name NAME"),
        (&["--stack-name", STACK_NAME, "--dir", "x", "fleets", "list"], 2, "cannot be used with"),
        (&["--stack-name", STACK_NAME, "up"], 1, "`up` is for the local stack"),
        (&["--stack-name", STACK_NAME, "down"], 1, "remove --stack-name or unset ROADCAST_STACK_NAME"),
        (&["fleets", "list"], 1, "this is not a Roadcast workspace"),
        (&["fleets", "show", "flt_1"], 2, "not a fleet id"),
        (&["vehicles", "show", "2619"], 2, "an external id such as bus:2619"),
        (&["dead-letters", "list", "--hop", "x"], 2, "not a hop (stream, quarantine"),
        (&["dead-letters", "list", "--since", "yesterday"], 2, "how long ago: 90s, 15m, 6h or 2d"),
        (&["clients", "show", "a/b"], 2, "as `clients list` prints it"),
    ];
    for (arguments, code, expected) in cases {
        let output = tool.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", error_of(&output));
        assert!(error_of(&output).contains(expected), "{arguments:?}: {}", error_of(&output));
    }
}

#[test]
fn refusals_of_a_deployed_stack_state_what_to_do() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    let trip = tool.file("trip.csv");
    let cases: [(&[&str], &str); 3] = [
        (&["fleets", "show", "Absent"], "list them with `cargo roadcast fleets list`"),
        (&["replay", &trip], "choose a fleet with --fleet"),
        (&["dead-letters", "redrive"], "name the letters, or choose them with --hop"),
    ];
    for (arguments, expected) in cases {
        let output = tool.deployed(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", error_of(&output));
        assert!(error_of(&output).contains(expected), "{arguments:?}: {}", error_of(&output));
    }
}

#[test]
fn environment_chooses_the_stack_and_the_client() {
    let fake = FakeAws::start("dev");
    let tool = Tool::new(&fake);
    let environment = [("ROADCAST_STACK_NAME", STACK_NAME), ("AWS_REGION", REGION), ("AWS_PROFILE", "remote")];
    let output = tool.run_with(&["fleets", "list"], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
    assert_eq!(fake.faults(), Vec::<String>::new());

    let client = [("ROADCAST_CLIENT_ID", "own0admin"), ("ROADCAST_CLIENT_SECRET", "secret-of-own0admin")];
    let output = tool.run_with(&["token"], &[&environment[..], &client].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "token-of-own0admin\n", "{}", error_of(&output));

    let api = format!("http://127.0.0.1:{}/api/", fake.port);
    let output = tool.run_with(&["--json", "token"], &[&environment[..], &[("ROADCAST_API_URL", api.as_str())]].concat());
    assert!(String::from_utf8_lossy(&output.stdout).contains(api.trim_end_matches('/')), "{output:?}");
}
