//! Diagnostic events with invalid members.

use super::*;
use crate::diagnostic::Diagnostic;

fn diagnostic(data: &serde_json::Value) -> (Option<Diagnostic>, Vec<(String, &'static str)>) {
    let outcome = validate_json(&event("roadcast.diagnostic.v1", data)).unwrap();
    let stored = outcome.accepted.map(|stored| match stored.event.body {
        Body::Diagnostic(diagnostic) => diagnostic,
        other => panic!("expected a diagnostic, not {other:?}"),
    });
    (stored, outcome.rejected.into_iter().map(|rejected| (rejected.pointer.into(), rejected.reason)).collect())
}

#[test]
fn invalid_trouble_code_never_costs_the_others() {
    for (bad, pointer) in [
        (json!({"code": "P0420", "status": "stored"}), "/data/dtcs/1/status"),
        (json!({"code": "P0420", "status": 1}), "/data/dtcs/1/status"),
        (json!({"code": "P042", "status": "active"}), "/data/dtcs/1/code"),
        (json!({"code": 420, "status": "active"}), "/data/dtcs/1/code"),
        (json!({"code": "P0420"}), "/data/dtcs/1"),
        (json!("P0420"), "/data/dtcs/1"),
        (json!(null), "/data/dtcs/1"),
    ] {
        let codes = [json!({"code": "P0301", "status": "active"}), bad, json!({"code": "u0100", "status": "permanent"})];
        let (stored, rejected) = diagnostic(&json!({"at": NOON, "dtcs": codes}));
        assert_eq!(rejected, [(pointer.to_owned(), "bad_code")], "{codes:?}");
        let stored: Vec<String> = stored.unwrap().dtcs.into_iter().map(|code| code.code.into()).collect();
        assert_eq!(stored, ["P0301", "U0100"]);
    }
}

#[test]
fn invalid_lamp_never_costs_the_codes() {
    let codes = json!([{"code": "P0301", "status": "active"}]);
    let (stored, rejected) = diagnostic(&json!({"at": NOON, "mil": "on", "dtcs": codes}));
    assert_eq!(rejected, [("/data/mil".to_owned(), "wrong_type")]);
    let stored = stored.unwrap();
    assert_eq!((stored.mil, stored.dtcs.len()), (None, 1));
    let (stored, rejected) = diagnostic(&json!({"at": NOON, "mil": null, "dtcs": codes}));
    assert_eq!((stored.unwrap().mil, rejected), (None, Vec::new()));
}

#[test]
fn diagnostic_without_any_valid_code_is_quarantined() {
    let outcome = validate_json(&event("roadcast.diagnostic.v1", &json!({"at": NOON, "dtcs": [{"code": "P0301"}, 7]})));
    let outcome = outcome.unwrap();
    assert_eq!((outcome.accepted, outcome.rejected.len()), (None, 2));
    assert_eq!(outcome.quarantined[0].reason, Reason::NoValidSignal);
}
