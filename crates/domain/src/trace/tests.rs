#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::ids::EndpointId;

/// Times of events before 2106.
fn eids() -> impl Strategy<Value = Eid> {
    (0..=u32::MAX, 0..1000_i64, any::<u128>())
        .prop_map(|(seconds, ms, salt)| Eid::from_time_and_salt(Timestamp::from_ms(i64::from(seconds) * 1000 + ms), salt))
}

fn sampling(rate: u32) -> EventSampling {
    EventSampling::per_million(rate).unwrap()
}

#[test]
fn trace_of_an_event_starts_with_its_seconds() {
    let eid = Eid::from_time_and_salt(Timestamp::from_ms(1_480_615_200_123), 0xa006_6491_27e3_7190_3a2d);
    let trace_id = TraceId::of_event(eid);
    assert_eq!(trace_id.x_ray(), "1-58406520-007ba006649127e371903a2d");
    assert_eq!(trace_id.to_string(), "58406520007ba006649127e371903a2d");
}

/// The example of docs/webhooks.md, whose receivers compute the trace themselves.
#[test]
fn documented_example_is_the_trace_of_its_event() {
    let page = include_str!("../../../../docs/webhooks.md");
    let after = |mark: &str| page.split_once(mark).unwrap().1;
    let eid: Eid = after("\"id\":\"")[..Eid::TEXT_LEN].parse().unwrap();
    let context: TraceContext = after("traceparent: ").lines().next().unwrap().parse().unwrap();
    assert_eq!(context.trace_id, TraceId::of_event(eid));
}

#[test]
fn traceparent_follows_the_standard() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context: TraceContext = text.parse().unwrap();
    assert_eq!((context.to_string().as_str(), context.is_sampled), (text, true));
    let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02-what-follows";
    assert!(!later.parse::<TraceContext>().unwrap().is_sampled);
    for invalid in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-001",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert_eq!(invalid.parse::<TraceContext>(), Err(InvalidTraceContext), "{invalid}");
    }
}

#[test]
fn trace_of_an_invocation_is_read_in_any_order() {
    let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    for text in [
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Self=1-5759e988-000000000000000000000001; Sampled=1;Lineage=a:0 ;Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
    ] {
        assert_eq!(TraceContext::parse_x_ray(text).unwrap().to_string(), expected);
    }
    let not_sampled = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
    assert!(!TraceContext::parse_x_ray(not_sampled).unwrap().is_sampled);
    for invalid in ["", "Root=1-5759e988-bd862e3fe1be46a994272793", "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=5"] {
        assert_eq!(TraceContext::parse_x_ray(invalid), Err(InvalidTraceContext), "{invalid}");
    }
}

#[test]
fn share_of_the_traced_events_is_the_rate() {
    let at = Timestamp::from_ms(1_793_000_000_000);
    let vid = crate::ids::VehicleId::from_random_bits(1);
    let eids: Vec<Eid> = (0..20_000).map(|n| Eid::for_event(&vid, "urn:a", &n.to_string(), at)).collect();
    let traced = |rate| eids.iter().filter(|eid| sampling(rate).includes(**eid)).count();
    assert_eq!((traced(0), traced(1_000_000)), (0, 20_000));
    assert!((1900..2100).contains(&traced(100_000)), "{}", traced(100_000));
    assert_eq!("1000001".parse::<EventSampling>(), Err(InvalidRate));
    assert!("0".parse::<EventSampling>().unwrap().is_none());
}

#[test]
fn each_attempt_and_each_hop_has_an_id_of_its_own() {
    let delivery_id = DeliveryId::from_bits(7);
    let key = |bits| DeliveryKey { endpoint_id: EndpointId::from_random_bits(bits), delivery_id };
    assert_eq!(SpanId::of_attempt(&key(1), 1), SpanId::of_attempt(&key(1), 1));
    assert_ne!(SpanId::of_attempt(&key(1), 1), SpanId::of_attempt(&key(1), 2));
    assert_ne!(SpanId::of_attempt(&key(1), 1), SpanId::of_attempt(&key(2), 1));
    let trace_id = TraceId::of_notice(delivery_id);
    let mut ids: Vec<SpanId> = TraceHop::ALL.iter().map(|hop| SpanId::of_hop(trace_id, *hop)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), TraceHop::ALL.len());
}

proptest! {
    #[test]
    fn trace_id_is_the_eid_in_another_notation(eid in eids()) {
        prop_assert_eq!(TraceId::of_event(eid).eid(), eid);
    }

    #[test]
    fn candidates_have_the_traced_events_of_any_rate(
        mut eids in prop::collection::vec(eids(), 0..60),
        rate in 0..=1_000_000_u32,
        split in 0..60_usize,
    ) {
        let sampling = sampling(rate);
        let mut candidates: TraceCandidates = eids.iter().copied().take(split).collect();
        let rest: TraceCandidates = eids.iter().copied().skip(split).collect();
        candidates.extend(rest);
        let mut traced: Vec<Eid> = candidates.traced(sampling).collect();
        eids.retain(|eid| sampling.includes(*eid));
        for ids in [&mut eids, &mut traced] {
            ids.sort_unstable();
            ids.dedup();
        }
        if eids.len() <= TraceCandidates::MAX {
            prop_assert_eq!(traced, eids);
        } else {
            prop_assert_eq!(traced.len(), TraceCandidates::MAX);
        }
    }

    #[test]
    fn event_of_a_lower_rate_is_one_of_every_higher_rate(eid in eids(), a in 0..=1_000_000_u32, b in 0..=1_000_000_u32) {
        let (low, high) = (sampling(a.min(b)), sampling(a.max(b)));
        prop_assert!(!low.includes(eid) || high.includes(eid));
    }

    #[test]
    fn parsers_do_not_panic_and_contexts_round_trip(text in "[0-9a-f-]{0,60}|.{0,60}") {
        let _ = TraceContext::parse_x_ray(&text);
        if let Ok(context) = text.parse::<TraceContext>() {
            prop_assert_eq!(context.to_string().parse::<TraceContext>(), Ok(context));
        }
    }
}
