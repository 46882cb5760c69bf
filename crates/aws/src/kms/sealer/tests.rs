#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::fake_aws::{FakeAws, Response};

fn endpoint() -> EndpointId {
    EndpointId::from_random_bits(1)
}

fn sealer(fake: &FakeAws) -> KmsSealer {
    KmsSealer::new(fake.sdk().kms(), "arn:aws:kms:eu-central-1:123456789012:key/k")
}

#[tokio::test]
async fn both_requests_name_the_key_and_the_endpoint() {
    let closed = Response::ok(json!({ "CiphertextBlob": "c2VhbGVk", "KeyId": "k" }));
    let opened = Response::ok(json!({ "Plaintext": BASE64_STANDARD.encode("secret"), "KeyId": "k" }));
    let fake = FakeAws::with_responses([closed, opened]);
    let sealer = sealer(&fake);
    assert_eq!(sealer.seal(&endpoint(), "secret").await.unwrap(), "c2VhbGVk");
    assert_eq!(sealer.open(&endpoint(), "c2VhbGVk").await.unwrap(), "secret");
    for body in fake.bodies() {
        assert_eq!(body["KeyId"], "arn:aws:kms:eu-central-1:123456789012:key/k");
        assert_eq!(body["EncryptionContext"], json!({ "endpointId": endpoint() }));
    }
}

#[tokio::test]
async fn text_over_the_limit_of_kms_is_not_sent() {
    let fake = FakeAws::with_responses([Response::ok(json!({ "CiphertextBlob": "c2VhbGVk" }))]);
    let sealer = sealer(&fake);
    assert_eq!(sealer.seal(&endpoint(), &"é".repeat(2049)).await.unwrap_err().kind(), PortErrorKind::Rejected);
    assert!(sealer.seal(&endpoint(), &"é".repeat(2048)).await.is_ok());
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn text_of_another_key_or_endpoint_is_rejected() {
    for code in ["InvalidCiphertextException", "IncorrectKeyException"] {
        let fake = FakeAws::with_responses([Response::error(400, json!({ "__type": code }))]);
        let opened = sealer(&fake).open(&endpoint(), "c2VhbGVk").await;
        assert_eq!(opened.unwrap_err().kind(), PortErrorKind::Rejected, "{code}");
    }
    let fake = FakeAws::with_responses([]);
    assert_eq!(sealer(&fake).open(&endpoint(), "no base64").await.unwrap_err().kind(), PortErrorKind::Rejected);
}

#[tokio::test]
async fn disabled_key_or_missing_right_is_no_statement_about_the_text() {
    for code in ["DisabledException", "AccessDeniedException", "NotFoundException", "KMSInvalidStateException"] {
        let fake = FakeAws::with_responses([Response::error(400, json!({ "__type": code }))]);
        let opened = sealer(&fake).open(&endpoint(), "c2VhbGVk").await;
        assert_eq!(opened.unwrap_err().kind(), PortErrorKind::Internal, "{code}");
    }
}
