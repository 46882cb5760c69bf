//! [`RateCounter`] and [`IdempotencyStore`]

use super::fixtures::{Fixtures, NOON};
use crate::clock::Randomness;
use crate::requests::{
    IdempotencyStore, KeyClaim, KeyedRequest, REQUEST_LEASE_MS, REQUEST_RETENTION_MS, RateCounter, StoredResponse,
};

/// Checks every implementation of [`RateCounter`].
pub async fn rate_counter(counter: &impl RateCounter, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let (mine, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    let add = async |fleet_id, window, requests| counter.add(fleet_id, window, requests).await.expect("add succeeds");
    assert_eq!(add(&mine, NOON, 5).await, 5, "a window starts at zero");
    assert_eq!(add(&mine, NOON, 7).await, 12, "requests are added up");
    assert_eq!(add(&other, NOON, 1).await, 1, "each fleet has its own counter");
    assert_eq!(add(&mine, NOON.plus_ms(60_000), 2).await, 2, "each window has its own counter");
}

/// Checks every implementation of [`IdempotencyStore`].
pub async fn idempotency_store(store: &impl IdempotencyStore, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let request = KeyedRequest { key: fixtures.word(), body: fixtures.word() };
    let other = KeyedRequest { body: fixtures.word(), ..request.clone() };
    let claim = async |request, at| store.claim(request, at).await.expect("claim succeeds");
    assert_eq!(claim(&request, NOON).await, KeyClaim::Granted, "a new key is granted");
    let soon = NOON.plus_ms(REQUEST_LEASE_MS - 1);
    assert_eq!(claim(&request, soon).await, KeyClaim::InProgress, "a running request is in progress");
    assert_eq!(claim(&other, soon).await, KeyClaim::KeyReused, "another body reuses the key");
    let late = NOON.plus_ms(REQUEST_LEASE_MS + 1);
    assert_eq!(claim(&other, late).await, KeyClaim::KeyReused, "another body reuses the key after the lease, too");
    assert_eq!(claim(&request, late).await, KeyClaim::Granted, "the same request is granted after the lease");

    let headers = vec![("location".to_owned(), "fleets/x".to_owned())];
    let response = StoredResponse { status: 201, headers, body: "{\"name\":\"é\"}".to_owned() };
    store.store_response(&request, &response, late).await.expect("a response is stored");
    assert_eq!(claim(&request, late).await, KeyClaim::Completed(response), "a repeated request gets the stored response");
    assert_eq!(claim(&other, late).await, KeyClaim::KeyReused, "another body does not get the stored response");
    let tomorrow = late.plus_ms(REQUEST_RETENTION_MS + 1000);
    assert_eq!(claim(&other, tomorrow).await, KeyClaim::Granted, "a key expires after the retention time");

    let free = KeyedRequest { key: fixtures.word(), body: fixtures.word() };
    assert_eq!(claim(&free, NOON).await, KeyClaim::Granted, "a new key is granted");
    store.release(&free).await.expect("a key is released");
    assert_eq!(claim(&free, NOON).await, KeyClaim::Granted, "a released key is granted");
}
