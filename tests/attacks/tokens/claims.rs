//! Claims that are missing, in another place or of another type.

use serde_json::{Value, json};

use super::scene::{Scene, set};
use super::{Trick, trick};

const AUTHORIZER: &str = "/requestContext/authorizer";
const CLAIMS: &str = "/requestContext/authorizer/claims";
const CLIENT_ID: &str = "/requestContext/authorizer/claims/client_id";
/// Claims of an admin and a signature of algorithm `none`.
const UNSIGNED: &str = "eyJhbGciOiJub25lIn0.eyJjbGllbnRfaWQiOiJhZG1pbiIsInNjb3BlIjoicm9hZGNhc3QvYWRtaW4ifQ.";

/// The victim's claims.
fn claims(scene: &Scene) -> Value {
    scene.victim.token.claims()
}

/// The victim's request without claims.
fn anonymous(scene: &Scene) -> Value {
    set(scene.reading(), AUTHORIZER, json!({}))
}

fn with_header(scene: &Scene, name: &str, value: &str) -> Value {
    let event = set(anonymous(scene), "/headers", json!({ name: value }));
    set(event, "/multiValueHeaders", json!({ name: [value] }))
}

pub(super) fn tricks() -> Vec<Trick> {
    vec![
        trick("no authorizer", 401, |scene| set(scene.reading(), AUTHORIZER, Value::Null)),
        trick("empty authorizer", 401, anonymous),
        trick("claims of null", 401, |scene| set(scene.reading(), CLAIMS, Value::Null)),
        trick("empty claims", 401, |scene| set(scene.reading(), CLAIMS, json!({}))),
        trick("claims in a list", 401, |scene| set(scene.reading(), CLAIMS, json!([claims(scene)]))),
        trick("claims as text", 401, |scene| set(scene.reading(), CLAIMS, json!(claims(scene).to_string()))),
        trick("claims as a number", 401, |scene| set(scene.reading(), CLAIMS, json!(1))),
        trick("claims as true", 401, |scene| set(scene.reading(), CLAIMS, json!(true))),
        trick("claims in claims", 401, |scene| set(scene.reading(), CLAIMS, json!({"claims": claims(scene)}))),
        trick("claims with another case", 401, |scene| {
            set(anonymous(scene), "/requestContext/authorizer/Claims", claims(scene))
        }),
        trick("claims beside the authorizer", 401, |scene| set(anonymous(scene), "/requestContext/claims", claims(scene))),
        trick("claims as the authorizer", 401, |scene| set(scene.reading(), AUTHORIZER, claims(scene))),
        trick("authorizer at the top", 401, |scene| set(anonymous(scene), "/authorizer", json!({"claims": claims(scene)}))),
        trick("claims at the top", 401, |scene| set(anonymous(scene), "/claims", claims(scene))),
        trick("claims of an HTTP API", 401, |scene| {
            set(scene.reading(), AUTHORIZER, json!({"jwt": {"claims": claims(scene), "scopes": ["roadcast/read"]}}))
        }),
        trick("context of a Lambda authorizer", 401, |scene| {
            set(scene.reading(), AUTHORIZER, json!({"lambda": claims(scene), "principalId": "admin"}))
        }),
        trick("context of IAM", 401, |scene| set(scene.reading(), AUTHORIZER, json!({"iam": {"userId": "admin"}}))),
        trick("identity of a caller", 401, |scene| {
            set(
                anonymous(scene),
                "/requestContext/identity",
                json!({"caller": "admin", "user": "admin", "userArn": "admin"}),
            )
        }),
        trick("unsigned token in a header", 401, |scene| with_header(scene, "authorization", &format!("Bearer {UNSIGNED}"))),
        trick("claims of a load balancer", 401, |scene| with_header(scene, "x-amzn-oidc-data", UNSIGNED)),
        trick("client in a header", 401, |scene| with_header(scene, "client_id", &scene.victim.token.client_id)),
        trick("basic credentials", 401, |scene| with_header(scene, "authorization", "Basic YWRtaW46YWRtaW4=")),
        trick("fleet in a header", 401, |scene| with_header(scene, "x-roadcast-fleet", &scene.victim.fleet_id)),
        trick("token in the query", 401, |scene| {
            let event = set(anonymous(scene), "/queryStringParameters", json!({"access_token": UNSIGNED}));
            set(event, "/multiValueQueryStringParameters", json!({"access_token": [UNSIGNED]}))
        }),
        trick("claims in the body", 401, |scene| {
            set(
                anonymous(scene),
                "/body",
                json!(json!({"requestContext": {"authorizer": {"claims": claims(scene)}}}).to_string()),
            )
        }),
        trick("claims in stage variables", 401, |scene| set(anonymous(scene), "/stageVariables", claims(scene))),
        trick("no client", 401, |scene| set(scene.reading(), CLAIMS, json!({"scope": "roadcast/admin"}))),
        trick("client of null", 401, |scene| set(scene.reading(), CLIENT_ID, Value::Null)),
        trick("client as a number", 401, |scene| set(scene.reading(), CLIENT_ID, json!(1))),
        trick("client in a list", 401, |scene| set(scene.reading(), CLIENT_ID, json!([scene.victim.token.client_id]))),
        trick("client in an object", 401, |scene| {
            set(scene.reading(), CLIENT_ID, json!({"S": scene.victim.token.client_id}))
        }),
        trick("token of a user", 401, |scene| {
            let client = &scene.victim.token.client_id;
            set(scene.reading(), CLAIMS, json!({"sub": client, "username": client, "scope": "roadcast/read"}))
        }),
        trick("id token", 401, |scene| {
            let client = &scene.victim.token.client_id;
            set(scene.reading(), CLAIMS, json!({"aud": client, "token_use": "id", "scope": "roadcast/read"}))
        }),
        trick("client in another case", 401, |scene| {
            set(scene.reading(), CLAIMS, json!({"Client_Id": scene.victim.token.client_id, "scope": "roadcast/read"}))
        }),
    ]
}
