use std::fs;

use serde_json::Value;

use super::*;

/// Vectors of our own, made with the HMAC of Python, in the format of those of Standard Webhooks.
const VECTORS: &str = include_str!("vectors.ndjson");

fn secret(byte: u8) -> SigningSecret {
    SigningSecret::new([byte; 32]).unwrap()
}

/// Verifies the message of a vector.
fn verify_vector(vector: &Value) -> Result<(), VerificationError> {
    let header = |name| vector["headers"][name].as_str();
    let headers =
        ReceivedHeaders { id: header(ID_HEADER), timestamp: header(TIMESTAMP_HEADER), signature: header(SIGNATURE_HEADER) };
    let secret = vector["secret"].as_str().unwrap().parse().unwrap();
    let now = Timestamp::from_ms(vector["now"].as_i64().unwrap() * 1000);
    verify(&[secret], headers, vector["body"].as_str().unwrap().as_bytes(), now)
}

/// Checks each vector of a file, and returns their number.
fn check_vectors(lines: &str) -> usize {
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let expected = vector["expected"] == "valid";
        assert_eq!(verify_vector(&vector).is_ok(), expected, "{}: {:?}", vector["name"], verify_vector(&vector));
    }
    lines.lines().count()
}

#[test]
fn vectors_are_verified_as_stated() {
    assert_eq!(check_vectors(VECTORS), 25);
}

#[test]
fn vectors_of_standard_webhooks_are_verified_as_stated() {
    let Some(path) = roadcast_test_data::find("standard_webhooks/vectors.ndjson") else { return };
    assert_eq!(check_vectors(&fs::read_to_string(path).unwrap()), 13);
}

#[test]
fn signatures_equal_those_of_another_implementation() {
    for line in VECTORS.lines().take(3) {
        let vector: Value = serde_json::from_str(line).unwrap();
        let secret = vector["secret"].as_str().unwrap().parse().unwrap();
        let at = Timestamp::from_ms(1_700_000_000_999);
        let id = vector["headers"][ID_HEADER].as_str().unwrap();
        let signed = sign(&[secret], id, at, vector["body"].as_str().unwrap().as_bytes());
        assert_eq!((signed.id, &*signed.timestamp), (id, "1700000000"), "{}", vector["name"]);
        assert_eq!(Some(&*signed.signature), vector["headers"][SIGNATURE_HEADER].as_str(), "{}", vector["name"]);
    }
}

#[test]
fn message_is_signed_with_each_secret_of_a_rotation() {
    let (old, new, at) = (secret(1), secret(2), Timestamp::from_ms(5000));
    let signed = sign(&[new.clone(), old.clone()], "evt_1", at, b"body");
    assert_eq!(signed.signature.split(' ').count(), 2);
    let headers =
        ReceivedHeaders { id: Some("evt_1"), timestamp: Some(&signed.timestamp), signature: Some(&signed.signature) };
    for receiver in [vec![old.clone()], vec![new.clone()], vec![old, new]] {
        assert_eq!(verify(&receiver, headers, b"body", at), Ok(()));
    }
    assert_eq!(verify(&[secret(3), secret(1)], headers, b"body", at), Ok(()));
    assert_eq!(verify(&[secret(3)], headers, b"body", at), Err(VerificationError::NoMatch));
    assert_eq!(verify(&[], headers, b"body", at), Err(VerificationError::NoMatch));
}

#[test]
fn reason_of_a_failed_verification_is_stated() {
    let at = Timestamp::from_ms(1_700_000_000_000);
    let signed = sign(&[secret(1)], "evt_1", at, b"body");
    let check = |now_s: i64, id, timestamp, expected| {
        let headers = ReceivedHeaders { id, timestamp, signature: Some(&signed.signature) };
        let verified = verify(&[secret(1)], headers, b"body", at.plus_ms(now_s * 1000));
        assert_eq!(verified, expected);
    };
    let (id, timestamp) = (Some("evt_1"), Some(&*signed.timestamp));
    check(0, id, timestamp, Ok(()));
    check(301, id, timestamp, Err(VerificationError::TooOld));
    check(-301, id, timestamp, Err(VerificationError::TooNew));
    check(0, None, timestamp, Err(VerificationError::MissingHeader(ID_HEADER)));
    check(0, id, Some(""), Err(VerificationError::MissingHeader(TIMESTAMP_HEADER)));
    check(0, id, Some("-9223372036854775808"), Err(VerificationError::TooOld));
    check(0, id, Some("9223372036854775808"), Err(VerificationError::InvalidTimestamp));
}

#[test]
fn secret_is_read_as_it_was_revealed() {
    for len in [SigningSecret::MIN_LEN, SigningSecret::MAX_LEN] {
        let secret = SigningSecret::new(vec![7; len]).unwrap();
        assert!(secret.reveal().starts_with("whsec_"));
        assert_eq!(secret.reveal().parse(), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }
}

#[test]
fn malformed_secret_is_refused() {
    assert_eq!(SigningSecret::new([1; 23]), Err(SigningSecretError::Length));
    assert_eq!(SigningSecret::new([1; 65]), Err(SigningSecretError::Length));
    for text in ["whsec_?", "whsec_AAA", "whsec_ AAAA", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
        assert_eq!(text.parse::<SigningSecret>(), Err(SigningSecretError::NotBase64), "{text}");
    }
    assert_eq!("whsec_".parse::<SigningSecret>(), Err(SigningSecretError::Length));
}
