//! A stack of the test's own, started and stopped through the tool as a user would.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;

use crate::contract::Contract;

/// An answer of the API, which the contract allows.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A running stack; it is stopped when this goes.
pub(crate) struct Stack {
    dir: TempDir,
    http: Client,
    pub(crate) contract: Contract,
    api: String,
    token_url: String,
    admin: String,
    endpoint_pid: u64,
    /// Where the AWS endpoint is.
    pub(crate) endpoint: String,
    /// The template's outputs.
    resources: Value,
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
            contract: Contract::read(),
            api: text(&status["api"]),
            token_url: text(&status["tokenUrl"]),
            admin: text(&status["tokens"]["admin"]),
            endpoint_pid: status["pid"].as_u64().expect("a process id"),
            endpoint: text(&status["endpoint"]),
            resources: status["resources"].clone(),
        }
    }

    /// What a command of the tool answers.
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        json_of(&tool(&self.dir).args(arguments).output().expect("cargo runs"), arguments[0])
    }

    /// Replays a recording, and answers the reconciliation.
    pub(crate) fn replay(&self, arguments: &[&str], file: &PathBuf) -> Value {
        let output = tool(&self.dir).arg("replay").args(arguments).arg(file).output().expect("cargo runs");
        json_of(&output, "replay")
    }

    /// Calls the API, and holds its answer against the contract.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(verb, format!("{}{path}", self.api)).body(body.into());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().expect("a body");
        let body = match headers.get("content-encoding") {
            Some(coding) if coding == "gzip" => unpacked(&bytes),
            _ => String::from_utf8(bytes.to_vec()).expect("a text"),
        };
        let answer = Answer { status, headers, body };
        let media_type = answer.header("content-type").filter(|_| !answer.body.is_empty());
        self.contract.check(method, path, status, media_type, &answer.body);
        answer
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.call("GET", path, Some(token), &[], "")
    }

    /// The JSON of an answer that must be a success.
    pub(crate) fn json(&self, token: &str, path: &str) -> Value {
        let answer = self.get(token, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(token), &[("content-type", "application/json")], body.to_string())
    }

    /// What the template's output of that name says.
    pub(crate) fn resource(&self, output: &str) -> &str {
        self.resources[output].as_str().unwrap_or_else(|| panic!("no output {output}"))
    }

    /// Asks an AWS service itself, in its JSON protocol.
    pub(crate) fn aws(&self, service: &str, target: &str, body: &Value) -> Value {
        // The endpoint tells its services apart by what a request says it was signed for, and checks no signature.
        let signed_for = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=none"
        );
        let request = self.http.post(&self.endpoint).header("authorization", signed_for).header("x-amz-target", target);
        let answer = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send();
        let answer = answer.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "{target}");
        answer.json().expect("JSON")
    }

    /// Every item of a list, page by page; `items` is the member that holds them.
    pub(crate) fn all(&self, token: &str, path: &str, items: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.json(token, &format!("{path}{cursor}"));
            all.append(page[items].as_array_mut().expect("a list"));
            let Some(next) = page["next"].as_str() else { return all };
            cursor = format!("{}cursor={next}", if path.contains('?') { '&' } else { '?' });
        }
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// A fleet with a client of its own, subscribed to these vehicles: its id and a token.
    pub(crate) fn fleet(&self, vehicles: &[&str], packages: &[&str]) -> (String, String) {
        let fleet = self.post(&self.admin, "/fleets", &serde_json::json!({"name": "A fleet"})).json();
        let fleet_id = fleet["fleetId"].as_str().expect("an id").to_owned();
        let wanted = serde_json::json!({"name": "An app", "kind": "fleet", "fleetId": fleet_id});
        let client = self.post(&self.admin, "/clients", &wanted).json();
        if !vehicles.is_empty() {
            let wanted = serde_json::json!({"vehicles": vehicles, "packages": packages});
            let answer = self.post(&self.admin, &format!("/fleets/{fleet_id}/subscriptions"), &wanted);
            assert_eq!(answer.status, 202);
            let subscription = answer.json();
            self.wait_until_active(&fleet_id, subscription["subscriptionId"].as_str().expect("an id"));
        }
        (fleet_id, self.token_of(&client))
    }

    /// A token of an ingest client of its own.
    pub(crate) fn ingest_client(&self, source: &str) -> String {
        let wanted = serde_json::json!({"name": "A gateway", "kind": "ingest", "sources": [source]});
        self.token_of(&self.post(&self.admin, "/clients", &wanted).json())
    }

    /// A token of the client that was made.
    pub(crate) fn token_of(&self, client: &Value) -> String {
        let text = |name: &str| client[name].as_str().expect("a text").to_owned();
        self.token(&text("clientId"), &text("clientSecret"))
    }

    fn wait_until_active(&self, fleet_id: &str, subscription_id: &str) {
        let path = format!("/fleets/{fleet_id}/subscriptions/{subscription_id}");
        for _ in 0..200 {
            let subscription = self.json(&self.admin, &path);
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

    /// Puts a file of bulk data.
    pub(crate) fn put_file(&self, key: &str, text: String) {
        let answer = self.http.put(self.file_address(key)).body(text).send().expect("an answer");
        assert!(answer.status().is_success(), "{key}: {}", answer.status());
    }

    /// A file in the bucket of bulk data, once it is there.
    pub(crate) fn file(&self, key: &str) -> Option<String> {
        let answer = self.http.get(self.file_address(key)).send().expect("an answer");
        answer.status().is_success().then(|| answer.text().expect("a text"))
    }

    fn file_address(&self, key: &str) -> String {
        format!("{}/{}/{key}", self.endpoint, self.resource("BulkDataBucketName"))
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

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Also where an assertion failed: nothing may be left running.
        let _ = tool(&self.dir).arg("down").output();
    }
}
