//! [`RateCounter`] and [`IdempotencyStore`]

use super::fresh::{Fresh, NOON};
use crate::clock::Randomness;
use crate::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_KEPT_MS, REQUEST_LEASE_MS, RateCounter, StoredResponse,
};

/// What every [`RateCounter`] does.
pub async fn request_counts(counts: &impl RateCounter, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let (mine, other) = (fresh.fleet_id(), fresh.fleet_id());
    let add = async |fleet_id, window, requests| counts.add(fleet_id, window, requests).await.expect("add answers");
    assert_eq!(add(&mine, NOON, 5).await, 5, "a window begins at nothing");
    assert_eq!(add(&mine, NOON, 7).await, 12, "and counts up");
    assert_eq!(add(&other, NOON, 1).await, 1, "each fleet has a count of its own");
    assert_eq!(add(&mine, NOON.plus_ms(60_000), 2).await, 2, "and each window");
}

/// What every [`IdempotencyStore`] does.
pub async fn answers(answers: &impl IdempotencyStore, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let request = KeyedRequest { key: fresh.word(), body: fresh.word() };
    let other = KeyedRequest { body: fresh.word(), ..request.clone() };
    let claim = async |request, at| answers.claim(request, at).await.expect("claim answers");
    assert_eq!(claim(&request, NOON).await, KeyClaim::Granted, "a new key is free");
    let soon = NOON.plus_ms(REQUEST_LEASE_MS - 1);
    assert_eq!(claim(&request, soon).await, KeyClaim::InProgress, "while it is under way it is taken");
    assert_eq!(claim(&other, soon).await, KeyClaim::KeyReused, "and never for another body");
    let late = NOON.plus_ms(REQUEST_LEASE_MS + 1);
    assert_eq!(claim(&other, late).await, KeyClaim::KeyReused, "also when its first request is lost");
    assert_eq!(claim(&request, late).await, KeyClaim::Granted, "what was lost under way may be done anew");

    let headers = vec![("location".to_owned(), "fleets/x".to_owned())];
    let answer = StoredResponse { status: 201, headers, body: "{\"name\":\"é\"}".to_owned() };
    answers.keep(&request, &answer, late).await.expect("an answer is kept");
    assert_eq!(claim(&request, late).await, KeyClaim::Answered(answer), "a repeat gets the first answer");
    assert_eq!(claim(&other, late).await, KeyClaim::KeyReused, "and another body none");
    let tomorrow = late.plus_ms(REQUEST_KEPT_MS + 1000);
    assert_eq!(claim(&other, tomorrow).await, KeyClaim::Granted, "after a day the key is forgotten");

    let free = KeyedRequest { key: fresh.word(), body: fresh.word() };
    assert_eq!(claim(&free, NOON).await, KeyClaim::Granted, "a new key is free");
    answers.release(&free).await.expect("a key is given back");
    assert_eq!(claim(&free, NOON).await, KeyClaim::Granted, "a key given back is free");
}
