//! Scopes that resemble one of Roadcast, or are in another claim.

use serde_json::{Value, json};

use super::scene::{Scene, set};
use super::{Trick, trick};

const SCOPE: &str = "/requestContext/authorizer/claims/scope";

/// The admin creates a fleet with another scope.
fn scope(scene: &Scene, scope: impl Into<Value>) -> Value {
    set(scene.creating_fleet(), SCOPE, scope.into())
}

/// A fleet creates a fleet, with a scope in another claim.
fn claim(scene: &Scene, name: &str, value: &Value) -> Value {
    let claims = set(scene.attacker.token.claims(), &format!("/{name}"), value.clone());
    set(scene.creating_fleet(), "/requestContext/authorizer/claims", claims)
}

/// Creates tricks with a text as the scope.
macro_rules! scopes {
    ($($name:literal: $scope:expr),* $(,)?) => {
        vec![$(trick($name, 403, |scene| self::scope(scene, $scope))),*]
    };
}

pub(super) fn tricks() -> Vec<Trick> {
    let mut tricks = scopes![
        "scope of null": Value::Null,
        "scope as a number": json!(1),
        "scope as true": json!(true),
        "scopes in a list": json!(["roadcast/admin"]),
        "scope in an object": json!({"roadcast/admin": true}),
        "empty scope": "",
        "blank scope": " ",
        "scope without a resource server": "admin",
        "scope of no name": "roadcast/",
        "resource server only": "roadcast",
        "longer scope": "roadcast/admins",
        "shorter scope": "roadcast/admi",
        "scope with a slash at the end": "roadcast/admin/",
        "scope with two slashes": "roadcast//admin",
        "scope below another": "roadcast/admin/read",
        "scope in upper case": "ROADCAST/ADMIN",
        "scope with a capital": "roadcast/Admin",
        "scope of another resource server": "example/admin",
        "scope of a URL": "https://example.com/roadcast/admin",
        "scope with a prefix": "xroadcast/admin",
        "scope with a comma": "roadcast/read,roadcast/admin",
        "scope with a semicolon": "roadcast/read;roadcast/admin",
        "scope with a plus": "roadcast/read+roadcast/admin",
        "scope with a NUL": "roadcast/admin\0",
        "scope with a vertical tab": "roadcast/read\u{b}roadcast/admin",
        "scope with a no-break space": "roadcast/read\u{a0}roadcast/admin",
        "scope with a zero-width space": "roadcast/admin\u{200b}",
        "scope with a byte order mark": "\u{feff}roadcast/admin",
        "scope with a tab in it": "roadcast/\tadmin",
        "scope with a Cyrillic letter": "roadcast/\u{430}dmin",
        "scope with a full-width slash": "roadcast\u{ff0f}admin",
        "scope with a backslash": "roadcast\\admin",
        "scope with an encoded slash": "roadcast%2Fadmin",
        "scope with a colon": "roadcast:admin",
        "scope with a dot": "roadcast.admin",
        "quoted scope": "\"roadcast/admin\"",
        "scope with a wildcard": "roadcast/*",
        "wildcard": "*",
        "scope of the user pool": "aws.cognito.signin.user.admin",
        "scopes of OpenID": "openid profile email phone",
        "scope to read": "roadcast/read",
        "scope to send": "roadcast/ingest",
        "scopes to read and send": "roadcast/read roadcast/ingest",
    ];
    tricks.extend([
        trick("admin in scp", 403, |scene| claim(scene, "scp", &json!("roadcast/admin"))),
        trick("admin in scopes", 403, |scene| claim(scene, "scopes", &json!(["roadcast/admin"]))),
        trick("admin in another case of scope", 403, |scene| claim(scene, "Scope", &json!("roadcast/admin"))),
        trick("admin in permissions", 403, |scene| claim(scene, "permissions", &json!(["roadcast/admin"]))),
        trick("admin in groups", 403, |scene| claim(scene, "cognito:groups", &json!(["admin"]))),
        trick("admin in roles", 403, |scene| claim(scene, "roles", &json!(["admin"]))),
        trick("admin as the user name", 403, |scene| claim(scene, "username", &json!("admin"))),
        trick("kind of client", 403, |scene| claim(scene, "kind", &json!("admin"))),
    ]);
    tricks
}
