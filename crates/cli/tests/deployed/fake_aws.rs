//! A server that plays CloudFormation, Cognito, S3, DynamoDB, Kinesis, Lambda, EventBridge, Step Functions, `IoT` Core, X-Ray, Service
//! Quotas, the token endpoint and the API.

use std::sync::{Arc, Mutex};

use roadcast_webhook_receiver::{ReceivedRequest, RequestReader, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::contract::Contract;

pub(crate) const STACK_NAME: &str = "roadcast-remote";
pub(crate) const REGION: &str = "eu-west-3";
pub(crate) const ACCESS_KEY: &str = "AKIAREMOTE";

/// The server. It ends when it is dropped.
pub(crate) struct FakeAws {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    contract: Contract,
    port: u16,
    stage: &'static str,
    requests: Mutex<Vec<ReceivedRequest>>,
    /// What the tool did otherwise than it should.
    faults: Mutex<Vec<String>>,
}

impl FakeAws {
    /// Starts the server for a stack of a stage.
    pub(crate) fn start(stage: &'static str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared =
            Shared { contract: Contract::read(), port, stage, requests: Mutex::default(), faults: Mutex::default() };
        let shared = Arc::new(shared);
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Self { port, shared, _runtime: runtime }
    }

    /// The requests since the last call, as `METHOD path`.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        let requests = std::mem::take(&mut *self.shared.requests.lock().unwrap());
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// What was wrong with the requests so far.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.faults.lock().unwrap().clone()
    }
}

/// A segment of X-Ray.
fn segment(hop: &str, start: f64) -> Value {
    let annotations =
        json!({ "hop": hop, "request_id": "r-1", "endpoint_id": "end_1", "number": 1, "outcome": "delivered" });
    let document =
        json!({ "name": "roadcast-dev-x", "start_time": start, "end_time": start + 0.5, "annotations": annotations });
    json!({ "Id": hop, "Document": document.to_string() })
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut reader = RequestReader::default();
    while let Ok(Some(request)) = reader.read(&mut stream).await {
        let response = shared.respond(&request).with_header("etag", "\"1\"");
        shared.requests.lock().unwrap().push(request);
        if stream.write_all(&response.to_bytes()).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn respond(&self, request: &ReceivedRequest) -> Response {
        let path = request.path.split('?').next().unwrap_or_default();
        if let Some(path) = path.strip_prefix("/api") {
            return self.api(request, path);
        }
        if path == "/token" {
            return self.token(request);
        }
        self.check_signature(request);
        let body = String::from_utf8_lossy(&request.body);
        match request.header("x-amz-target").map(|target| target.rsplit('.').next().unwrap_or_default()) {
            Some(operation) => self.json_service(operation, &body),
            None if body.contains("Action=DescribeStacks") => self.describe_stacks(&body),
            None => self.rest_service(request, path),
        }
    }

    /// The credentials must be those of the profile, and for the region of the option.
    fn check_signature(&self, request: &ReceivedRequest) {
        let authorization = request.header("authorization").unwrap_or_default();
        if !authorization.contains(&format!("Credential={ACCESS_KEY}/")) || !authorization.contains(&format!("/{REGION}/")) {
            self.fault(format!("{} {} is signed with {authorization}", request.method, request.path));
        }
    }

    fn fault(&self, text: String) {
        self.faults.lock().unwrap().push(text);
    }

    fn describe_stacks(&self, body: &str) -> Response {
        if !body.contains(&format!("StackName={STACK_NAME}")) {
            let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack does not exist</Message>\
                         </Error><RequestId>1</RequestId></ErrorResponse>";
            return Response::new(400).with_header("content-type", "text/xml").with_body(error);
        }
        let template =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).expect("the template");
        let outputs = template.split("\nOutputs:\n").nth(1).expect("outputs").lines();
        let names =
            outputs.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.strip_suffix(':'));
        let outputs = names.map(|name| {
            let value = match name {
                "ApiUrl" => format!("http://127.0.0.1:{}/api", self.port),
                "TokenUrl" => format!("http://127.0.0.1:{}/token", self.port),
                "RestApiStage" => self.stage.to_owned(),
                "AdminClientId" => "admin0client".to_owned(),
                _ => format!("output-{}", name.to_lowercase()),
            };
            format!("<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>")
        });
        let parameters = [("Stage", self.stage), ("AlarmEmail", "a@example.com"), ("DeletionProtection", "true")];
        let parameters = parameters.map(|(name, value)| {
            format!("<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>")
        });
        let stack = format!(
            "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>\
             <member><StackName>{STACK_NAME}</StackName><CreationTime>2026-11-01T00:00:00Z</CreationTime>\
             <StackStatus>UPDATE_COMPLETE</StackStatus><Parameters>{}</Parameters><Outputs>{}</Outputs></member></Stacks>\
             </DescribeStacksResult></DescribeStacksResponse>",
            parameters.concat(),
            outputs.collect::<String>()
        );
        Response::new(200).with_header("content-type", "text/xml").with_body(stack)
    }

    fn json_service(&self, operation: &str, body: &str) -> Response {
        let request: Value = serde_json::from_str(body).unwrap_or_default();
        let response = match operation {
            "DescribeUserPoolClient" => {
                let id = &request["ClientId"];
                json!({ "UserPoolClient": { "ClientId": id, "ClientSecret": format!("secret-of-{}", id.as_str().unwrap()) } })
            }
            "DescribeLimits" => json!({
                // Of Kinesis, and of DynamoDB.
                "ShardLimit": 200, "OpenShardCount": 3, "OnDemandStreamCount": 0, "OnDemandStreamCountLimit": 50,
                "TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 40_000,
            }),
            "ListEventBuses" if request["NextToken"].is_null() => {
                json!({ "EventBuses": vec![json!({ "Name": "b" }); 80], "NextToken": "2" })
            }
            "ListEventBuses" => json!({ "EventBuses": [{ "Name": "b" }] }),
            "ListServiceQuotas" => json!({ "Quotas": [
                { "ServiceCode": request["ServiceCode"], "QuotaName": "App clients per user pool", "Value": 2000.0 },
                { "ServiceCode": request["ServiceCode"], "QuotaName": "Event buses", "Value": 100.0 },
            ]}),
            "DescribeTable" => json!({ "Table": { "TableStatus": "ACTIVE", "ItemCount": 7 } }),
            "DescribeTimeToLive" => json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "ENABLED" } }),
            "PutRecords" => {
                let records = request["Records"].as_array().expect("records").iter();
                let records: Vec<Value> = records.map(|_| json!({ "SequenceNumber": "1", "ShardId": "s" })).collect();
                json!({ "FailedRecordCount": 0, "Records": records })
            }
            "StartExecution" => self.start_execution(&request),
            "DescribeExecution" => self.describe_execution(&request),
            "ListMapRuns" => json!({ "mapRuns": [{
                "executionArn": request["executionArn"], "mapRunArn": "run", "stateMachineArn": "m", "startDate": 1.0,
            }] }),
            "DescribeMapRun" => {
                let counts = json!({
                    "pending": 1, "running": 0, "succeeded": 24, "failed": 0, "timedOut": 0, "aborted": 0, "total": 25,
                    "resultsWritten": 0,
                });
                json!({
                    "mapRunArn": "run", "executionArn": "e", "status": "RUNNING", "startDate": 1.0, "maxConcurrency": 8,
                    "toleratedFailurePercentage": 0.0, "toleratedFailureCount": 0, "itemCounts": counts, "executionCounts": counts,
                })
            }
            "DescribeStreamSummary" => json!({ "StreamDescriptionSummary": {
                "StreamName": "s", "StreamARN": "a", "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24,
                "StreamCreationTimestamp": 1.0, "EnhancedMonitoring": [], "OpenShardCount": 2,
            }}),
            _ => {
                self.fault(format!("unexpected operation {operation}"));
                return Response::new(400).with_body("{}");
            }
        };
        Response::new(200).with_header("content-type", "application/x-amz-json-1.1").with_body(response.to_string())
    }

    /// The execution of a restore of six hours: they and the day before are the hours of the archive.
    fn start_execution(&self, request: &Value) -> Value {
        let input: Value = request["input"].as_str().and_then(|input| serde_json::from_str(input).ok()).unwrap_or_default();
        let hours = input["hours"].as_array().map_or(0, Vec::len);
        if request["stateMachineArn"] != "output-restorestatemachinearn" || !(26..=31).contains(&hours) {
            self.fault(format!("a restore was started as {request}"));
        }
        json!({ "executionArn": "e", "startDate": 1.0 })
    }

    /// An execution runs until its progress was read.
    fn describe_execution(&self, request: &Value) -> Value {
        let is_read = self
            .requests
            .lock()
            .unwrap()
            .iter()
            .any(|request| request.header("x-amz-target").is_some_and(|target| target.ends_with(".DescribeMapRun")));
        let mut execution = json!({
            "executionArn": request["executionArn"], "stateMachineArn": "m", "startDate": 1.0, "status": "RUNNING",
        });
        if is_read {
            execution["status"] = json!("SUCCEEDED");
            execution["output"] = json!(r#"[{"records":3,"samplesStored":30}]"#);
        }
        execution
    }

    fn rest_service(&self, request: &ReceivedRequest, path: &str) -> Response {
        let arn = format!("arn:aws:lambda:{REGION}:1:function:roadcast-{}-enrichment", self.stage);
        let json = match (request.method.as_str(), path) {
            ("GET", "/2015-03-31/event-source-mappings" | "/2015-03-31/event-source-mappings/") => {
                json!({ "EventSourceMappings": [{ "UUID": "u", "FunctionArn": arn, "State": "Enabled" }] })
            }
            ("GET", "/2016-08-19/account-settings" | "/2016-08-19/account-settings/") => {
                json!({ "AccountLimit": { "ConcurrentExecutions": 1000 } })
            }
            ("POST", "/Traces") => {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                json!({ "Traces": [{ "Id": body["TraceIds"][0], "Segments": [segment("upload", 1.0), segment("webhook", 2.5)] }] })
            }
            ("GET", "/endpoint") => json!({ "endpointAddress": "data.example" }),
            ("POST", "/topics/%24aws%2Frules%2Foutput-devicerulename%2Fveh_8kq2m4x0c7r1v5zt") => json!({ "message": "OK" }),
            ("GET", _) if path.ends_with(".summary.json") => {
                json!({ "rows": 1, "loaded": 1, "unchanged": 0, "superseded": 0, "wrong": 0, "seconds": 0.1 })
            }
            ("PUT", _) if path.starts_with("/output-bulkdatabucketname/vin-map/") => return Response::new(200),
            ("GET", _) if path.ends_with(".report.ndjson") => {
                return Response::new(404).with_body("<Error><Code>NoSuchKey</Code></Error>");
            }
            _ => {
                self.fault(format!("unexpected request {} {path}", request.method));
                return Response::new(400);
            }
        };
        Response::new(200).with_header("content-type", "application/json").with_body(json.to_string())
    }

    /// A token that names its client. Its secret must be that of the user pool.
    fn token(&self, request: &ReceivedRequest) -> Response {
        use base64::Engine as _;

        let basic = request.header("authorization").and_then(|value| value.strip_prefix("Basic ")).unwrap_or_default();
        let decoded = base64::engine::general_purpose::STANDARD.decode(basic).unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded);
        let (client, secret) = decoded.split_once(':').unwrap_or_default();
        if secret != format!("secret-of-{client}") {
            self.fault(format!("{client} has the secret {secret}"));
            return Response::new(400).with_body(r#"{"error":"invalid_client"}"#);
        }
        let token = json!({ "access_token": format!("token-of-{client}"), "expires_in": 3600 });
        Response::new(200).with_header("content-type", "application/json").with_body(token.to_string())
    }

    /// The example of the contract for the operation.
    fn api(&self, request: &ReceivedRequest, path: &str) -> Response {
        if !request.header("authorization").is_some_and(|token| token.starts_with("Bearer token-of-")) {
            self.fault(format!("{} {path} has no token", request.method));
            return Response::new(401);
        }
        let Some((status, mut body)) = self.contract.response(&request.method, path) else {
            self.fault(format!("the contract has no {} {path}", request.method));
            return Response::new(404);
        };
        // Nothing more has arrived after the first page of arrivals.
        if path == "/events" && request.path.contains("cursor=") {
            body["events"] = json!([]);
        }
        Response::new(status).with_header("content-type", "application/json").with_body(body.to_string())
    }
}
