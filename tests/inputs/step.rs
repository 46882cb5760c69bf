//! The steps of a row: requests, records of the stream, the processing of what was sent, and the passing of time.

use serde_json::{Value, json};

use crate::answer::{Answer, check_contains};
use crate::service::{Client, Service};

/// A step of a row.
pub(crate) enum Step {
    /// Sends a request and checks the answer.
    Send(Box<Request>),
    /// Puts the bytes of a partner onto the stream, with the vehicle as partition key.
    Put(Vec<u8>),
    /// Processes the records of the stream since the last time, and delivers what they contain.
    Process,
    /// Advances the clock by milliseconds.
    Wait(i64),
    /// Imports a bulk file with this name and checks the lines of its report.
    Load(&'static str, Vec<u8>, Value),
    /// Checks what the ports contain.
    Check(fn(&Service) -> Result<(), String>),
}

/// A request, and what is expected of its answer. `{vid}`, `{fleetId}` and saved names are replaced in parameters, headers
/// and JSON bodies.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) client: Client,
    pub(crate) path: Vec<(&'static str, &'static str)>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    status: u16,
    contains: Vec<Value>,
    answer_headers: Vec<(&'static str, &'static str)>,
    save: Vec<(&'static str, &'static str)>,
}

/// Creates a request of an admin with the path template of the contract, for example `/vehicles/{vid}/events`.
pub(crate) fn request(method: &'static str, resource: &'static str) -> Request {
    Request {
        method,
        resource,
        client: Client::Admin,
        path: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        status: 200,
        contains: Vec::new(),
        answer_headers: Vec::new(),
        save: Vec::new(),
    }
}

/// Creates a `GET` request.
pub(crate) fn get(resource: &'static str) -> Request {
    request("GET", resource)
}

/// Sends the text of events, with the media type of one event, to the vehicle.
pub(crate) fn send_event(event: impl AsRef<[u8]>) -> Request {
    let media_type = "application/cloudevents+json";
    request("POST", "/vehicles/{vid}/events").header("content-type", media_type).bytes(event).answers(202)
}

/// Sends the text of a batch about any vehicles.
pub(crate) fn send_batch(batch: impl AsRef<[u8]>) -> Request {
    let media_type = "application/cloudevents-batch+json";
    request("POST", "/events").header("content-type", media_type).bytes(batch).answers(202)
}

/// Sends telemetry with this id in binary mode: the attributes in headers, the data in the body.
pub(crate) fn send_binary(id: &str, data: impl AsRef<[u8]>) -> Request {
    let attributes = [("ce-specversion", "1.0"), ("ce-source", "urn:test"), ("ce-type", "roadcast.telemetry.v1")];
    let request = request("POST", "/vehicles/{vid}/events").header("ce-id", id).header("ce-time", Service::START);
    let request = attributes.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.header("content-type", "application/json").bytes(data).answers(202)
}

/// Returns a telemetry event about the vehicle with these samples: `{at, signals}`, or only the signals of the present.
pub(crate) fn telemetry(id: &str, samples: &[Value]) -> Value {
    let samples = samples.iter().map(|sample| match sample.get("signals") {
        Some(_) => sample.clone(),
        None => json!({"at": Service::START, "signals": sample}),
    });
    json!({"specversion": "1.0", "id": id, "source": "urn:test", "type": "roadcast.telemetry.v1", "subject": Service::SUBJECT,
        "time": Service::START, "data": { "samples": samples.collect::<Vec<_>>() }})
}

impl Request {
    /// Sends the request as another client.
    pub(crate) fn by(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Sets a path parameter other than `vid` and `fleetId`.
    pub(crate) fn path(mut self, name: &'static str, value: &'static str) -> Self {
        self.path.push((name, value));
        self
    }

    /// Adds a query parameter. A repeated one is sent several times.
    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header. A repeated one is sent several times.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    /// Sets the bytes of the body.
    pub(crate) fn bytes(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Expects a status. The default is 200.
    pub(crate) fn answers(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Expects the body to contain these members.
    pub(crate) fn with(mut self, members: Value) -> Self {
        self.contains.push(members);
        self
    }

    /// Expects a header of the answer to contain a text.
    pub(crate) fn with_header(mut self, name: &'static str, text: &'static str) -> Self {
        self.answer_headers.push((name, text));
        self
    }

    /// Saves a part of the answer, a JSON pointer or the name of a header, for `{name}` in later steps.
    pub(crate) fn save(mut self, name: &'static str, from: &'static str) -> Self {
        self.save.push((name, from));
        self
    }

    fn check(&self, answer: &Answer) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("status {} instead of {}", answer.status, self.status));
        }
        for expected in &self.contains {
            check_contains(&answer.body, expected, "")?;
        }
        for (name, expected) in &self.answer_headers {
            let found = answer.header(name);
            if !found.is_some_and(|found| found.contains(expected)) {
                return Err(format!("header {name} is {found:?} instead of {expected:?}"));
            }
        }
        Ok(())
    }
}

impl From<Request> for Step {
    fn from(request: Request) -> Self {
        Self::Send(Box::new(request))
    }
}

impl Step {
    /// Runs the step. Fails with what came back.
    pub(crate) async fn run(self, service: &mut Service) -> Result<(), String> {
        match self {
            Self::Send(request) => {
                let answer = service.send(&request).await;
                request
                    .check(&answer)
                    .map_err(|error| format!("{} {}: {error}\n{answer:#?}", request.method, request.resource))?;
                for (name, from) in &request.save {
                    let found = if from.starts_with('/') { answer.body.pointer(from) } else { None };
                    let text = found.map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned));
                    let text = text.or_else(|| answer.header(from).map(str::to_owned));
                    service.save(name, text.ok_or_else(|| format!("the answer has no {from}\n{answer:#?}"))?);
                }
                Ok(())
            }
            Self::Put(bytes) => {
                service.put(&bytes);
                Ok(())
            }
            Self::Process => service.process().await,
            Self::Wait(ms) => {
                service.clock.advance_ms(ms);
                Ok(())
            }
            Self::Load(name, bytes, expected) => {
                let report = service.load(name, &bytes).await?;
                check_contains(&report, &expected, "").map_err(|error| format!("{name}: {error}\n{report:#}"))
            }
            Self::Check(check) => check(service),
        }
    }
}
