//! Conditional requests (RFC 9110, 13).

use serde_json::{Value, json};

use crate::row::{Row, row};
use crate::service::Client;
use crate::step::{Request, Step, get, request};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("r09", "if_match_with_any_version_replaces_a_vehicle", || {
            vec![put_vehicle("*").into(), put_vehicle(" * ").with_header("etag", "\"3\"").into()]
        }),
        row("r09", "if_match_with_a_list_replaces_the_version_in_it", || {
            vec![
                put_vehicle(r#""7", "1""#).into(),
                put_vehicle(r#""1" ,"2""#).into(),
                put_vehicle("\"9\"").header("if-match", "\"3\"").into(),
                put_vehicle(r#""1", "2", "3""#).answers(412).into(),
                put_vehicle(r#""a,b", "4""#).into(),
            ]
        }),
        row("r09", "if_match_compares_strongly", || {
            let refused = |tag: &str| Step::from(put_vehicle(tag).answers(412));
            vec![refused("W/\"1\""), refused("W/\"1\", \"2\""), refused("\"01\""), refused("\"\"")]
        }),
        row("r09", "if_match_is_the_same_for_each_resource", || {
            vec![
                put_package().header("if-match", "*").answers(404).into(),
                put_package().header("if-none-match", "*").answers(201).into(),
                put_package().header("if-match", "*").into(),
                put_package().header("if-match", r#""9", "2""#).into(),
                put_package().header("if-match", "W/\"3\"").answers(412).into(),
                put_package().answers(428).into(),
                put_subscription().header("if-match", "*").into(),
                get_subscription().save("tag", "etag").into(),
                put_subscription().header("if-match", "\"0\", {tag}").into(),
                put_subscription().header("if-match", "W/{tag}").answers(412).into(),
                put_subscription().answers(428).into(),
                request("DELETE", "/vehicles/{vid}").header("if-match", "W/\"1\"").answers(412).into(),
                request("DELETE", "/vehicles/{vid}").header("if-match", "\"0\", \"1\"").answers(204).into(),
            ]
        }),
        row("r09", "if_none_match_prevents_the_replacement", || {
            vec![
                put_vehicle("*").header("if-none-match", "*").answers(412).into(),
                put_vehicle("*").header("if-none-match", "W/\"1\"").answers(412).into(),
                put_vehicle("*").header("if-none-match", "\"2\"").into(),
                put_subscription().header("if-match", "*").header("if-none-match", "*").answers(412).into(),
                put_package().header("if-none-match", "*").answers(201).into(),
                put_package().header("if-none-match", "*").answers(412).into(),
                request("DELETE", "/vehicles/{vid}").header("if-none-match", "*").answers(412).into(),
            ]
        }),
        row("r09", "if_none_match_answers_304_for_a_known_version", || {
            let with_tag = |request: fn() -> Request, tag: &str| request().header("if-none-match", tag);
            let mut steps: Vec<Step> = vec![put_package().header("if-none-match", "*").answers(201).into()];
            for request in [get_vehicle, get_package, get_subscription] {
                steps.push(request().save("tag", "etag").into());
                for tag in ["{tag}", "W/{tag}", "\"x\", {tag}", "*"] {
                    steps.push(with_tag(request, tag).answers(304).with_header("etag", "\"").with(Value::Null).into());
                }
                for tag in ["\"99\"", "1", "W/\"99\", \"x\""] {
                    steps.push(with_tag(request, tag).into());
                }
            }
            steps.push(
                get("/vehicles/{vid}").path("vid", "veh_0000000000000000").header("if-none-match", "*").answers(404).into(),
            );
            steps
        }),
        row("r09", "response_304_keeps_the_rate_limit_headers", || {
            let fleet = get_vehicle().by(Client::Fleet).header("if-none-match", "*");
            vec![fleet.answers(304).with_header("ratelimit", "fleet").into()]
        }),
    ]
}

fn get_vehicle() -> Request {
    get("/vehicles/{vid}")
}

fn get_package() -> Request {
    get("/packages/{name}").path("name", "speed")
}

fn get_subscription() -> Request {
    get("/fleets/{fleetId}/subscriptions/{subscriptionId}")
}

fn put_vehicle(if_match: &str) -> Request {
    request("PUT", "/vehicles/{vid}").header("if-match", if_match).json(&json!({"vin": "WVWZZZ3CZEE000001"}))
}

fn put_package() -> Request {
    request("PUT", "/packages/{name}").path("name", "speed").json(&json!({"signals": ["Vehicle.Speed"]}))
}

fn put_subscription() -> Request {
    let body = r#"{"vehicles": ["{vid}"], "packages": ["telematics"], "deliveryFormat": "json"}"#;
    let put = request("PUT", "/fleets/{fleetId}/subscriptions/{subscriptionId}");
    put.header("content-type", "application/json").bytes(body)
}
