//! A separate stack for the test, which is started and stopped with the tool, as a user does.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reqwest::Method;
use reqwest::blocking::Client;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::contract::Contract;
use crate::notices::INCIDENT_PATH;
use crate::webhooks::receiver::INCIDENT_PORT;

/// A response of the API. It conforms to the contract.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("invalid JSON: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A running stack.
pub(crate) struct Stack {
    dir: PathBuf,
    http: Client,
    pub(crate) contract: Contract,
    api: String,
    token_url: String,
    admin: String,
    endpoint_pid: u64,
    /// The URL of the local AWS endpoint.
    pub(crate) endpoint: String,
    /// The outputs of the template.
    resources: Value,
}

/// The tool, for the stack in `dir`.
fn tool(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "roadcast-cli", "--bin", "roadcast", "--", "--json", "--dir"]);
    command.arg(dir).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdin(Stdio::null());
    command
}

/// The file to which the endpoint of the stack in `dir` appends the calls of functions.
pub(crate) fn recorded_calls(dir: &Path) -> PathBuf {
    dir.join("recorded-calls")
}

fn json_of(output: &Output, what: &str) -> Value {
    json_with_code(output, what, 0)
}

fn json_with_code(output: &Output, what: &str, code: i32) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{what} exited with {}:\n{stderr}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{what} printed invalid JSON ({error}):\n{stderr}"))
}

impl Stack {
    /// Starts a stack in a folder. [`down`] stops it, also if the start fails.
    pub(crate) fn up(dir: &Path) -> Self {
        let mut up = tool(dir);
        // The endpoint inherits it.
        up.env("ROADCAST_RECORDED_CALLS", recorded_calls(dir));
        let endpoint = format!("http://127.0.0.1:{INCIDENT_PORT}{INCIDENT_PATH}");
        up.args(["up", "--detach", "--port", "0", "--no-simulate", "--incident-endpoint", &endpoint]);
        let output = up.output().expect("cargo runs");
        json_of(&output, "up");
        let status = json_of(&tool(dir).arg("status").output().expect("cargo runs"), "status");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            dir: dir.to_owned(),
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

    /// Runs a command of the tool and returns its JSON result.
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        json_of(&tool(&self.dir).args(arguments).output().expect("cargo runs"), arguments[0])
    }

    /// Runs a command of the tool that exits with a code, and returns its JSON result.
    pub(crate) fn command_with_code(&self, arguments: &[&str], code: i32) -> Value {
        json_with_code(&tool(&self.dir).args(arguments).output().expect("cargo runs"), arguments[0], code)
    }

    /// Replays a recording and returns the JSON result.
    pub(crate) fn replay(&self, arguments: &[&str], file: &PathBuf) -> Value {
        let output = tool(&self.dir).arg("replay").args(arguments).arg(file).output().expect("cargo runs");
        json_of(&output, "replay")
    }

    /// Calls the API and checks the response against the contract.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Response {
        let verb = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(verb, format!("{}{path}", self.api)).body(body.into());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.checked(method, path, request.send().expect("a response"))
    }

    /// Posts JSON while functions may be killed. None if there is no response, or one of the gateway for a killed function.
    pub(crate) fn try_post(&self, token: &str, path: &str, body: &Value) -> Option<Response> {
        let request = self.http.post(format!("{}{path}", self.api)).bearer_auth(token).body(body.to_string());
        let response = request.header("content-type", "application/json").send().ok()?;
        if response.status().is_server_error() { None } else { Some(self.checked("POST", path, response)) }
    }

    /// Reads a response and checks it against the contract.
    fn checked(&self, method: &str, path: &str, response: reqwest::blocking::Response) -> Response {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().expect("a body");
        let body = match headers.get("content-encoding") {
            Some(coding) if coding == "gzip" => gunzip(&bytes),
            _ => String::from_utf8(bytes.to_vec()).expect("a text"),
        };
        let response = Response { status, headers, body };
        let media_type = response.header("content-type").filter(|_| !response.body.is_empty());
        let checked = self.contract.check(method, path, status, media_type, &response.body);
        checked.unwrap_or_else(|violation| panic!("{violation}"));
        response
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> Response {
        self.call("GET", path, Some(token), &[], "")
    }

    /// Reads a path and returns the JSON body. Fails if the status is not 200.
    pub(crate) fn json(&self, token: &str, path: &str) -> Value {
        let response = self.get(token, path);
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        response.json()
    }

    pub(crate) fn post(&self, token: &str, path: &str, body: &Value) -> Response {
        self.call("POST", path, Some(token), &[("content-type", "application/json")], body.to_string())
    }

    /// Reads the feed of a fleet, and waits up to `wait_s` seconds for a message. Fails if the status is not 200.
    pub(crate) fn feed(&self, token: &str, fleet_id: &str, wait_s: u8) -> Value {
        let response = self.read_feed(token, fleet_id, &json!({ "waitSeconds": wait_s }));
        assert_eq!(response.status, 200, "{}", response.body);
        response.json()
    }

    /// Sends a request to read the feed of a fleet.
    pub(crate) fn read_feed(&self, token: &str, fleet_id: &str, body: &Value) -> Response {
        self.post(token, &format!("/fleets/{fleet_id}/feed"), body)
    }

    /// An output of the template.
    pub(crate) fn resource(&self, output: &str) -> &str {
        self.resources[output].as_str().unwrap_or_else(|| panic!("no output {output}"))
    }

    /// Calls an AWS service of the endpoint with its JSON protocol.
    pub(crate) fn aws(&self, service: &str, target: &str, body: &Value) -> Value {
        // The endpoint selects the service by the credential scope of the request, and does not verify signatures.
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=none"
        );
        let request = self.http.post(&self.endpoint).header("authorization", authorization).header("x-amz-target", target);
        let response = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send();
        let response = response.expect("a response");
        assert_eq!(response.status().as_u16(), 200, "{target}");
        response.json().expect("JSON")
    }

    /// All items of a paginated list; `items` is the name of the member that contains them.
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

    /// Creates a fleet with an app client and a subscription to the vehicles, if any. Returns its id and a token.
    pub(crate) fn fleet(&self, vehicles: &[&str], packages: &[&str]) -> (String, String) {
        let fleet = self.post(&self.admin, "/fleets", &serde_json::json!({"name": "A fleet"})).json();
        let fleet_id = fleet["fleetId"].as_str().expect("an id").to_owned();
        let request = serde_json::json!({"name": "An app", "kind": "fleet", "fleetId": fleet_id});
        let client = self.post(&self.admin, "/clients", &request).json();
        if !vehicles.is_empty() {
            let request = serde_json::json!({"vehicles": vehicles, "packages": packages});
            let response = self.post(&self.admin, &format!("/fleets/{fleet_id}/subscriptions"), &request);
            assert_eq!(response.status, 202);
            let subscription = response.json();
            self.wait_until_active(&fleet_id, subscription["subscriptionId"].as_str().expect("an id"));
        }
        (fleet_id, self.token_of(&client))
    }

    /// Creates an ingest client for a source and returns a token.
    pub(crate) fn ingest_client(&self, source: &str) -> String {
        let request = serde_json::json!({"name": "A gateway", "kind": "ingest", "sources": [source]});
        self.token_of(&self.post(&self.admin, "/clients", &request).json())
    }

    /// A token of a newly created client.
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
        panic!("the subscription did not become active within 40 s");
    }

    fn token(&self, client_id: &str, client_secret: &str) -> String {
        let request = self.http.post(&self.token_url).basic_auth(client_id, Some(client_secret));
        let token: Value = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .expect("a response")
            .json()
            .expect("JSON");
        token["access_token"].as_str().expect("a token").to_owned()
    }

    /// Uploads a bulk file.
    pub(crate) fn put_file(&self, key: &str, text: String) {
        self.put_object(self.resource("BulkDataBucketName"), key, text);
    }

    /// Puts an object into a bucket.
    pub(crate) fn put_object(&self, bucket: &str, key: &str, text: String) {
        let url = format!("{}/{bucket}/{key}", self.endpoint);
        let response = self.http.put(url).body(text).send().expect("a response");
        assert!(response.status().is_success(), "{key}: {}", response.status());
    }

    /// Sets a variable of a function, or removes it.
    pub(crate) fn set_variable(&self, function: &str, name: &str, value: Option<&str>) {
        let url = format!("{}/2015-03-31/functions/roadcast-local-{function}/configuration", self.endpoint);
        let configuration: Value = self.http.get(&url).send().expect("a response").json().expect("JSON");
        let mut variables = configuration["Environment"]["Variables"].as_object().expect("variables").clone();
        match value {
            Some(value) => variables.insert(name.to_owned(), value.into()),
            None => variables.remove(name),
        };
        let body = json!({"Environment": {"Variables": variables}});
        let response = self.http.put(&url).body(body.to_string()).send().expect("a response");
        assert!(response.status().is_success(), "{function}: {}", response.status());
    }

    /// An object in the bucket of bulk files; None if it does not exist.
    pub(crate) fn file(&self, key: &str) -> Option<String> {
        let response = self.http.get(self.file_url(key)).send().expect("a response");
        response.status().is_success().then(|| response.text().expect("a text"))
    }

    fn file_url(&self, key: &str) -> String {
        format!("{}/{}/{key}", self.endpoint, self.resource("BulkDataBucketName"))
    }

    /// The processes of functions, with the names of the functions.
    pub(crate) fn functions(&self) -> Vec<(u32, String)> {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let function = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // After the name: the state and the process that started it.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u64>().ok()?;
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok().filter(|_| parent == self.endpoint_pid)?;
            let mut variables =
                environment.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
            let name = variables.find_map(|variable| variable.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="))?;
            Some((pid, name.to_owned()))
        };
        pids.filter_map(function).collect()
    }

    /// Whether the process of the local AWS endpoint is running.
    pub(crate) fn is_running(&self) -> bool {
        // A zombie is not running; it remains until its parent reaps it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.endpoint_pid)).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, after_name)| !after_name.trim_start().starts_with('Z'))
    }
}

/// Stops the stack in a folder, if one is running.
pub(crate) fn down(dir: &Path) -> Result<(), String> {
    let output = tool(dir).arg("down").output().map_err(|error| format!("cargo does not run: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}
