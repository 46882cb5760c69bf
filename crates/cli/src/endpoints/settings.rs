//! The settings of an endpoint: from flags, and from the endpoint as the API returns it.

use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use roadcast_domain::ids::EndpointId;
use serde_json::{Map, Value, json};

/// Members of an endpoint that are settings. The values of headers are not returned; without them, they stay as they are.
const SETTINGS: [&str; 8] =
    ["url", "anyPort", "description", "eventTypes", "packages", "order", "rateLimit", "retrySchedule"];

/// Arguments of `endpoints create`.
#[derive(Debug, Args)]
pub(super) struct NewEndpoint {
    /// Where events are posted, such as `https://hooks.example.com/roadcast`. The local stack also allows `http://127.0.0.1:8790/`.
    url: String,
    /// Receive events of this type only; repeatable. Without it, all types.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<String>,
    /// Receive only the content of this package; repeatable. Without it, all that the fleet is entitled to.
    #[arg(long)]
    package: Vec<String>,
    /// Add a request header, such as 'Authorization: Bearer x'; repeatable. The API does not return its value.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Deliver the events of a vehicle one at a time. A failed delivery then delays the later ones of its vehicle.
    #[arg(long)]
    ordered: bool,
    /// Maximum attempts per second, 1 to 1000.
    #[arg(long, value_name = "N")]
    rate_limit: Option<u32>,
    /// Delays before the second and each later attempt, in seconds, such as 5,60,600 [default: 9 delays, about three days].
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    retry: Vec<u32>,
    /// A text for people.
    #[arg(long)]
    description: Option<String>,
    /// Allow another port than 443 in the URL.
    #[arg(long)]
    any_port: bool,
    /// Do not deliver events until `resume`.
    #[arg(long)]
    paused: bool,
}

impl NewEndpoint {
    /// Returns the body of the request that creates the endpoint.
    pub(super) fn body(&self) -> Result<Value> {
        let mut body = json!({ "url": self.url });
        let mut set = |member: &str, value: Value| body[member] = value;
        if !self.event_type.is_empty() {
            set("eventTypes", json!(self.event_type));
        }
        if !self.package.is_empty() {
            set("packages", json!(self.package));
        }
        if !self.header.is_empty() {
            set("headers", headers(&self.header)?);
        }
        if self.ordered {
            set("order", json!("vehicle"));
        }
        if let Some(limit) = self.rate_limit {
            set("rateLimit", json!(limit));
        }
        if !self.retry.is_empty() {
            set("retrySchedule", json!(self.retry));
        }
        if let Some(description) = &self.description {
            set("description", json!(description));
        }
        if self.any_port {
            set("anyPort", json!(true));
        }
        if self.paused {
            set("state", json!("paused"));
        }
        Ok(body)
    }
}

/// Arguments of `endpoints update`.
#[derive(Debug, Args)]
pub(super) struct EndpointUpdate {
    /// Id of the endpoint.
    #[arg(value_parser = EndpointId::from_str)]
    endpoint: EndpointId,
    /// Post events to this URL from now on.
    #[arg(long)]
    url: Option<String>,
    /// Receive events of this type only; repeatable. Replaces all types.
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "all_types")]
    event_type: Vec<String>,
    /// Receive all types of events.
    #[arg(long)]
    all_types: bool,
    /// Receive only the content of this package; repeatable. Replaces all packages.
    #[arg(long, conflicts_with = "all_packages")]
    package: Vec<String>,
    /// Receive all that the fleet is entitled to.
    #[arg(long)]
    all_packages: bool,
    /// Add a request header; repeatable. Replaces all headers. Without it, they stay as they are.
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "no_headers")]
    header: Vec<String>,
    /// Remove all request headers.
    #[arg(long)]
    no_headers: bool,
    /// Deliver the events of a vehicle one at a time (`vehicle`), or not (`none`).
    #[arg(long, value_parser = ["vehicle", "none"])]
    order: Option<String>,
    /// Maximum attempts per second, 1 to 1000; `none` removes the limit.
    #[arg(long, value_name = "N", value_parser = rate_limit)]
    rate_limit: Option<RateLimit>,
    /// Delays before the second and each later attempt, in seconds, such as 5,60,600.
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    retry: Vec<u32>,
    /// A text for people.
    #[arg(long)]
    description: Option<String>,
    /// Whether the URL may have another port than 443.
    #[arg(long, value_name = "BOOL")]
    any_port: Option<bool>,
    /// The state after the change; required if Roadcast disabled the endpoint.
    #[arg(long, value_parser = ["active", "paused"])]
    state: Option<String>,
}

/// A limit of the attempts per second; `None` for no limit.
#[derive(Clone, Copy, Debug)]
struct RateLimit(Option<u16>);

fn rate_limit(text: &str) -> Result<RateLimit, String> {
    match text.parse() {
        _ if text == "none" => Ok(RateLimit(None)),
        Ok(limit) if (1..=1000).contains(&limit) => Ok(RateLimit(Some(limit))),
        _ => Err("expected 1 to 1000, or none".to_owned()),
    }
}

impl EndpointUpdate {
    pub(super) fn endpoint(&self) -> &EndpointId {
        &self.endpoint
    }

    /// Returns the settings of the endpoint that was read, with the changes. Fails if nothing is changed, or if the state must be
    /// chosen.
    pub(super) fn settings(&self, endpoint: &Value) -> Result<Value> {
        let current = endpoint["state"].as_str().unwrap_or_default();
        let state = match &self.state {
            Some(state) => state,
            None if current == "disabled" => bail!(
                "Roadcast disabled the endpoint: add --state active to deliver again with the new settings, or --state paused"
            ),
            None => current,
        };
        let mut body = with_state(endpoint, state);
        let before = body.clone();
        let mut set = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[member] = value;
            }
        };
        let list = |texts: &[String], all: bool| (all || !texts.is_empty()).then(|| json!(texts));
        set("url", self.url.as_ref().map(|url| json!(url)));
        set("eventTypes", list(&self.event_type, self.all_types));
        set("packages", list(&self.package, self.all_packages));
        if self.no_headers || !self.header.is_empty() {
            set("headers", Some(headers(&self.header)?));
        }
        set("order", self.order.as_ref().map(|order| json!(order)));
        set("rateLimit", self.rate_limit.map(|RateLimit(limit)| json!(limit)));
        set("retrySchedule", (!self.retry.is_empty()).then(|| json!(self.retry)));
        set("description", self.description.as_ref().map(|description| json!(description)));
        set("anyPort", self.any_port.map(|any| json!(any)));
        ensure!(body != before || self.state.is_some(), "nothing is changed: name a setting, see `endpoints update --help`");
        // A limit of none is the absence of the member.
        if let Some(members) = body.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        Ok(body)
    }
}

fn headers(lines: &[String]) -> Result<Value> {
    let mut headers = Map::new();
    for line in lines {
        // The value is not repeated, because it may be a credential.
        let (name, value) = line.split_once(':').context("--header has the form 'NAME: VALUE'")?;
        // The names of headers have no case; the API has them in lower case.
        headers.insert(name.trim().to_ascii_lowercase(), json!(value.trim()));
    }
    Ok(Value::Object(headers))
}

/// Returns the settings of an endpoint that was read, with another state.
pub(super) fn with_state(endpoint: &Value, state: &str) -> Value {
    let settings = SETTINGS.iter().filter_map(|&name| Some((name.to_owned(), endpoint.get(name)?.clone())));
    let mut settings: Map<String, Value> = settings.collect();
    settings.insert("state".to_owned(), json!(state));
    Value::Object(settings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        new: NewEndpoint,
    }

    #[test]
    fn flags_become_the_body_of_the_request() {
        let body = |flags: &[&str]| Line::parse_from([&["create", "https://a.example/"], flags].concat()).new.body();
        assert_eq!(body(&[]).unwrap(), json!({"url": "https://a.example/"}));
        let flags = ["--type", "roadcast.diagnostic.v1", "--package", "alerts", "--header", "Authorization: Bearer a:b"];
        let more = ["--ordered", "--rate-limit", "20", "--retry", "5,60", "--description", "d", "--any-port", "--paused"];
        assert_eq!(
            body(&[&flags[..], &more[..]].concat()).unwrap(),
            json!({"url": "https://a.example/", "eventTypes": ["roadcast.diagnostic.v1"], "packages": ["alerts"],
                "headers": {"authorization": "Bearer a:b"}, "order": "vehicle", "rateLimit": 20, "retrySchedule": [5, 60],
                "description": "d", "anyPort": true, "state": "paused"})
        );
        let error = body(&["--header", "secret"]).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[derive(Parser)]
    struct UpdateLine {
        #[command(flatten)]
        update: EndpointUpdate,
    }

    fn updated(endpoint: &Value, flags: &[&str]) -> Result<Value> {
        let line = [&["update", "end_0123456789abcdef"], flags].concat();
        UpdateLine::parse_from(line).update.settings(endpoint)
    }

    #[test]
    fn update_changes_only_what_is_named() {
        let endpoint = json!({"endpointId": "end_1", "url": "https://a.example/", "anyPort": false, "eventTypes": ["t"],
            "packages": ["p"], "order": "none", "rateLimit": 5, "retrySchedule": [5], "state": "paused"});
        let body = updated(&endpoint, &["--all-types", "--rate-limit", "none", "--no-headers"]).unwrap();
        assert_eq!(
            body,
            json!({"url": "https://a.example/", "anyPort": false, "eventTypes": [], "packages": ["p"], "headers": {},
                "order": "none", "retrySchedule": [5], "state": "paused"})
        );
        let body = updated(&endpoint, &["--url", "https://b.example/", "--order", "vehicle", "--state", "active"]).unwrap();
        assert_eq!(
            (&body["url"], &body["order"], &body["state"]),
            (&json!("https://b.example/"), &json!("vehicle"), &json!("active"))
        );
        assert!(body.get("headers").is_none());
        assert!(updated(&endpoint, &[]).unwrap_err().to_string().contains("nothing is changed"));
    }

    #[test]
    fn update_of_a_disabled_endpoint_requires_a_state() {
        let endpoint = json!({"url": "https://a.example/", "state": "disabled"});
        let error = updated(&endpoint, &["--url", "https://b.example/"]).unwrap_err().to_string();
        assert!(error.contains("--state active"), "{error}");
        assert_eq!(updated(&endpoint, &["--state", "paused"]).unwrap()["state"], "paused");
    }

    #[test]
    fn changed_state_keeps_all_other_settings() {
        let endpoint = json!({"endpointId": "end_1", "url": "https://a.example/", "anyPort": false, "eventTypes": ["t"],
            "packages": [], "headerNames": ["Authorization"], "order": "vehicle", "rateLimit": 5, "retrySchedule": [5],
            "state": "disabled", "disabled": {"reason": "gone"}, "secrets": [], "health": {}});
        assert_eq!(
            with_state(&endpoint, "active"),
            json!({"url": "https://a.example/", "anyPort": false, "eventTypes": ["t"], "packages": [], "order": "vehicle",
                "rateLimit": 5, "retrySchedule": [5], "state": "active"})
        );
    }
}
