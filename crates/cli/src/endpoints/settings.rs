//! The settings of an endpoint: from flags, and from the endpoint as the API returns it.

use anyhow::{Context as _, Result};
use clap::Args;
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
