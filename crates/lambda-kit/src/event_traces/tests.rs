#![allow(clippy::unwrap_used)]
use std::time::Duration;

use roadcast_domain::Timestamp;
use roadcast_domain::ids::{DeliveryId, Eid, EndpointId, FleetId};
use roadcast_domain::webhook::{Attempt, AttemptOutcome, DeliveryKey};
use serde_json::Value;

use super::*;

/// An X-Ray daemon that keeps what it receives.
struct Daemon(UdpSocket);

impl Daemon {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self(socket)
    }

    fn traces(&self, per_million: u32) -> EventTraces {
        let sampling = EventSampling::per_million(per_million).unwrap();
        EventTraces::new("enrichment", "dev", sampling, Some(self.0.local_addr().unwrap()))
    }

    /// The documents that were received, until none follows.
    fn documents(&self) -> Vec<Value> {
        let mut buffer = vec![0; 65_536];
        let mut documents = Vec::new();
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let (header, document) = text.split_once('\n').unwrap();
            assert_eq!(header, r#"{"format":"json","version":1}"#);
            documents.push(serde_json::from_str(document).unwrap());
        }
        documents
    }
}

fn invocation(trace: &str) -> TracedInvocation {
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    let trace = TraceContext::parse_x_ray(trace).ok();
    TracedInvocation { request_id: "r-1".to_owned(), started: SystemTime::now(), trace, caller }
}

const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const NOT_SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";

fn eid(salt: u128) -> Eid {
    Eid::from_time_and_salt(Timestamp::from_ms(1_793_000_000_123), salt)
}

#[test]
fn traced_event_has_a_segment_with_links() {
    let daemon = Daemon::start();
    let traces = daemon.traces(1_000_000);
    traces.add(TraceHop::Enrichment, &[eid(7)].into_iter().collect());
    traces.flush(&invocation(SAMPLED));
    let documents = daemon.documents();
    let [segment, summary] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!(segment["name"], "roadcast-dev-enrichment");
    assert_eq!(segment["trace_id"], "1-6adf0240-007b00000000000000000007");
    let trace_id = TraceId::of_event(eid(7));
    assert_eq!(segment["parent_id"], SpanId::of_hop(trace_id, TraceHop::Processing).to_string());
    assert_eq!(segment["annotations"]["eid"], eid(7).to_string());
    assert_eq!(segment["annotations"]["request_id"], "r-1");
    assert!(segment["end_time"].as_f64() >= segment["start_time"].as_f64());
    let linked: Vec<&Value> = segment["links"].as_array().unwrap().iter().map(|link| &link["trace_id"]).collect();
    assert_eq!(linked, ["1-5759e988-bd862e3fe1be46a994272793", "1-4bf92f35-77b34da6a3ce929d0e0e4736"]);
    assert_eq!((&summary["type"], &summary["parent_id"]), (&"subsegment".into(), &"53995c3f42cd8ad8".into()));
    assert_eq!(summary["links"][0]["trace_id"], segment["trace_id"]);
    traces.flush(&invocation(SAMPLED));
    assert_eq!(daemon.documents(), Vec::<Value>::new(), "segments are written once");
}

#[test]
fn only_events_of_the_sample_are_written_up_to_the_limit() {
    let daemon = Daemon::start();
    let traces = daemon.traces(500_000);
    let half = 1 << 55;
    traces.add(TraceHop::Feed, &[eid(half - 1), eid(half)].into_iter().collect());
    traces.flush(&invocation(NOT_SAMPLED));
    let documents = daemon.documents();
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert_eq!(documents[0]["annotations"]["eid"], eid(half).to_string());
    for message in 0..10_u128 {
        traces.add(TraceHop::Enrichment, &(0..30).map(|n| eid(half + 100 * message + n)).collect());
    }
    traces.flush(&invocation(NOT_SAMPLED));
    assert_eq!(daemon.documents().len(), MAX_SEGMENTS);
}

#[test]
fn failed_attempt_is_a_fault_in_the_trace_of_the_event() {
    let daemon = Daemon::start();
    let traces = daemon.traces(1_000_000);
    let key = DeliveryKey { endpoint_id: EndpointId::from_random_bits(1), delivery_id: DeliveryId::from_bits(2) };
    let trace = TraceContext { trace_id: TraceId::of_event(eid(7)), span_id: SpanId::of_attempt(&key, 3), is_sampled: true };
    let attempt = Attempt {
        key,
        fleet_id: FleetId::from_random_bits(1),
        vid: None,
        event_type: "roadcast.telemetry.v1".to_owned(),
        number: 3,
        at: Timestamp::from_ms(1_793_000_009_000),
        outcome: AttemptOutcome::TimedOut,
        status: None,
        latency_ms: 1500,
        excerpt: None,
        next_attempt_at: None,
    };
    traces.add_attempt(&MadeAttempt { attempt, trace });
    traces.flush(&invocation(""));
    let document = daemon.documents().remove(0);
    assert_eq!((&document["fault"], &document["id"]), (&true.into(), &trace.span_id.to_string().into()));
    assert_eq!(
        (document["start_time"].as_f64(), document["end_time"].as_f64()),
        (Some(1_793_000_009.0), Some(1_793_000_010.5))
    );
    assert_eq!((&document["annotations"]["outcome"], &document["annotations"]["number"]), (&"timedOut".into(), &3.into()));
    let linked: Vec<&Value> = document["links"].as_array().unwrap().iter().map(|link| &link["attributes"]["kind"]).collect();
    assert_eq!(linked, ["caller"]);
}

#[test]
fn missing_daemon_does_not_fail_an_invocation() {
    let address = Daemon::start().0.local_addr().unwrap();
    let traces = EventTraces::new("enrichment", "dev", EventSampling::per_million(1_000_000).unwrap(), Some(address));
    for _ in 0..3 {
        traces.add(TraceHop::Enrichment, &[eid(7)].into_iter().collect());
        traces.flush(&invocation(SAMPLED));
    }
    EventTraces::disabled().flush(&invocation(SAMPLED));
}

#[test]
fn address_of_the_daemon_is_read_in_both_forms() {
    let expected = Some("169.254.79.129:2000".parse().unwrap());
    for text in ["169.254.79.129:2000", "udp:169.254.79.129:2000", "tcp:127.0.0.1:1 udp:169.254.79.129:2000"] {
        assert_eq!(daemon_address(text), expected, "{text}");
    }
    for text in ["", "daemon:2000", "tcp:127.0.0.1:1"] {
        assert_eq!(daemon_address(text), None, "{text}");
    }
}
