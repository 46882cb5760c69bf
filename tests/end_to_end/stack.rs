//! A stack of the test's own, started and stopped through the tool as a user would.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;

/// A running stack; it is stopped when this goes.
pub(crate) struct Stack {
    dir: TempDir,
    http: Client,
    api: String,
    token_url: String,
    admin: String,
    endpoint_pid: u64,
}

/// The tool, on the stack in `dir`.
fn tool(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "roadcast-cli", "--bin", "roadcast", "--", "--json", "--dir"]);
    command.arg(dir.path()).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    command
}

fn json_of(output: &Output, what: &str) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} ended with {}:\n{stderr}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{what} printed no JSON ({error}):\n{stderr}"))
}

impl Stack {
    pub(crate) fn up() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let output = tool(&dir).args(["up", "--detach", "--port", "0", "--no-simulate"]).output().expect("cargo runs");
        json_of(&output, "up");
        let status = json_of(&tool(&dir).arg("status").output().expect("cargo runs"), "status");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            dir,
            http: Client::builder().no_proxy().build().expect("a client"),
            api: text(&status["api"]),
            token_url: text(&status["tokenUrl"]),
            admin: text(&status["tokens"]["admin"]),
            endpoint_pid: status["pid"].as_u64().expect("a process id"),
        }
    }

    /// Replays a recording, and answers the reconciliation.
    pub(crate) fn replay(&self, arguments: &[&str], file: &PathBuf) -> Value {
        let output = tool(&self.dir).arg("replay").args(arguments).arg(file).output().expect("cargo runs");
        json_of(&output, "replay")
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.api)).bearer_auth(token)
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &Value) -> Response {
        self.http.post(format!("{}{path}", self.api)).bearer_auth(token).json(body).send().expect("an answer")
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// A fleet with a client of its own, subscribed to these vehicles: its id and a token.
    pub(crate) fn fleet(&self, vehicles: &[&str], packages: &[&str]) -> (String, String) {
        let fleet: Value =
            self.post(&self.admin, "/fleets", &serde_json::json!({"name": "A fleet"})).json().expect("a fleet");
        let fleet_id = fleet["fleetId"].as_str().expect("an id").to_owned();
        let wanted = serde_json::json!({"name": "An app", "kind": "fleet", "fleetId": fleet_id});
        let client: Value = self.post(&self.admin, "/clients", &wanted).json().expect("a client");
        if !vehicles.is_empty() {
            let wanted = serde_json::json!({"vehicles": vehicles, "packages": packages});
            let answer = self.post(&self.admin, &format!("/fleets/{fleet_id}/subscriptions"), &wanted);
            assert_eq!(answer.status(), 202);
            let subscription: Value = answer.json().expect("a subscription");
            self.wait_until_active(&fleet_id, subscription["subscriptionId"].as_str().expect("an id"));
        }
        let text = |name: &str| client[name].as_str().expect("a text").to_owned();
        (fleet_id, self.token(&text("clientId"), &text("clientSecret")))
    }

    fn wait_until_active(&self, fleet_id: &str, subscription_id: &str) {
        let path = format!("/fleets/{fleet_id}/subscriptions/{subscription_id}");
        for _ in 0..200 {
            let subscription: Value = self.get(&self.admin, &path).send().expect("an answer").json().expect("JSON");
            if subscription["state"] == "active" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("the subscription never became active");
    }

    fn token(&self, client_id: &str, client_secret: &str) -> String {
        let request = self.http.post(&self.token_url).basic_auth(client_id, Some(client_secret));
        let answer: Value = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .expect("an answer")
            .json()
            .expect("JSON");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    /// Stops it, and says whether anything of it still runs.
    pub(crate) fn down(&self) -> bool {
        let output = tool(&self.dir).arg("down").output().expect("cargo runs");
        assert!(output.status.success(), "down: {}", String::from_utf8_lossy(&output.stderr));
        // A zombie runs no more; it stays until whoever inherited it collects it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.endpoint_pid)).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, after_name)| !after_name.trim_start().starts_with('Z'))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Also where an assertion failed: nothing may be left running.
        let _ = tool(&self.dir).arg("down").output();
    }
}
