//! A stack in production is changed only after a confirmation.

use crate::fake_aws::FakeAws;
use crate::tool::{Tool, error_of};

const FLEET: &str = "flt_3h6w9d2k5n8s1v4y";

#[test]
fn production_is_not_touched_without_a_confirmation() {
    let fake = FakeAws::start("prod");
    let tool = Tool::new(&fake);
    let trip = tool.file("trip.csv");
    let commands: [&[&str]; 7] = [
        &["erase", "vehicles", "veh_8kq2m4x0c7r1v5zt"],
        &["simulate", "--vehicles", "1", "--duration", "1s"],
        &["replay", "--fleet", FLEET, &trip],
        &["tail", "--fleet", FLEET, "--once", "--ack"],
        &["tail", "--fleet", FLEET, "--once"],
        &["token", "--fleet", FLEET],
        &["restore", "--from", "1h"],
    ];
    for arguments in commands {
        fake.take_requests();
        let refused = tool.deployed(arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(error_of(&refused).contains("has the stage prod") && error_of(&refused).contains("--yes"), "{refused:?}");
        let requests = fake.take_requests();
        let change = requests.iter().find(|request| request.starts_with("POST /api") || request.starts_with("PUT /api"));
        assert_eq!(change, None, "{arguments:?}");

        let confirmed = tool.deployed(&[arguments, &["--yes"]].concat());
        assert_eq!(confirmed.status.code(), Some(0), "{arguments:?}: {}", error_of(&confirmed));
    }
}

#[test]
fn reading_production_needs_no_confirmation() {
    let fake = FakeAws::start("prod");
    let tool = Tool::new(&fake);
    for arguments in [&["fleets", "list"][..], &["dead-letters", "list"], &["token"]] {
        assert_eq!(tool.deployed(arguments).status.code(), Some(0), "{arguments:?}");
    }
}
