#![allow(clippy::unwrap_used)]

use super::*;

fn letter() -> DeadLetter {
    let failed_at = Timestamp::from_ms(1_800_000_000_000);
    DeadLetter {
        dead_letter_id: DeadLetterId::for_failure(Hop::Enrichment, failed_at, "message"),
        hop: Hop::Enrichment,
        reason: "max_receives".to_owned(),
        detail: None,
        fleet_id: None,
        pointers: Pointers::default(),
        items: 1,
        first_at: failed_at,
        last_at: failed_at,
        content: Content { bucket: ContentBucket::DeadLetters, key: "letters/x".to_owned(), bytes: 2 },
        claim: None,
        redriven: None,
    }
}

fn claim(redrive: &str, ms: i64, again: bool) -> RedriveClaim {
    RedriveClaim { mark: RedriveMark { redrive_id: redrive.parse().unwrap(), at: Timestamp::from_ms(ms) }, again }
}

fn granted(outcome: ClaimOutcome) -> DeadLetter {
    match outcome {
        ClaimOutcome::Granted(letter) => *letter,
        other => panic!("not granted: {other:?}"),
    }
}

#[test]
fn every_hop_has_a_code_and_a_number_of_its_own() {
    for hop in Hop::ALL {
        assert_eq!(hop.code().parse(), Ok(hop));
        assert_eq!(Hop::from_number(hop.number()), Some(hop));
        assert_eq!(DeadLetterId::for_failure(hop, Timestamp::from_ms(1), "a").hop(), Some(hop));
    }
    assert_eq!(DeadLetterId::from_parts(Timestamp::from_ms(1), 200, 1).hop(), None);
}

#[test]
fn same_failure_gets_the_same_id() {
    let id = |hop, ms, source| DeadLetterId::for_failure(hop, Timestamp::from_ms(ms), source);
    assert_eq!(id(Hop::Feed, 5, "a"), id(Hop::Feed, 5, "a"));
    assert_ne!(id(Hop::Feed, 5, "a"), id(Hop::Feed, 5, "b"));
    assert_ne!(id(Hop::Feed, 5, "a"), id(Hop::Stream, 5, "a"));
}

#[test]
fn claimed_letter_is_refused_until_its_claim_is_abandoned() {
    let held = granted(letter().claimed(&claim("a", 0, false)));
    assert_eq!(held.state(), LetterState::Redriving);
    for (redrive, again) in [("a", false), ("a", true), ("b", false), ("b", true)] {
        let early = held.claimed(&claim(redrive, CLAIM_LEASE_MS - 1, again));
        assert!(matches!(early, ClaimOutcome::InProgress(_)), "{redrive} {again}");
    }
    granted(held.claimed(&claim("a", CLAIM_LEASE_MS, false)));
    assert!(matches!(held.claimed(&claim("b", CLAIM_LEASE_MS, false)), ClaimOutcome::InProgress(_)));
    granted(held.claimed(&claim("b", CLAIM_LEASE_MS, true)));
}

#[test]
fn redriven_letter_is_sent_again_only_by_another_redrive_that_names_it() {
    let held = granted(letter().claimed(&claim("a", 0, false)));
    let sent = held.finished(&claim("a", 1, false).mark, true).unwrap();
    assert_eq!(sent.state(), LetterState::Redriven);
    for (redrive, again) in [("a", false), ("a", true), ("b", false)] {
        assert!(matches!(sent.claimed(&claim(redrive, 2, again)), ClaimOutcome::Redriven(_)), "{redrive} {again}");
    }
    let again = granted(sent.claimed(&claim("b", 2, true)));
    let failed = again.finished(&claim("b", 3, true).mark, false).unwrap();
    assert_eq!(failed, sent, "a failed repetition leaves the letter redriven");
}

#[test]
fn only_the_redrive_with_the_claim_finishes_it() {
    assert_eq!(letter().finished(&claim("a", 1, false).mark, true), None);
    let held = granted(letter().claimed(&claim("a", 0, false)));
    assert_eq!(held.finished(&claim("b", 1, false).mark, true), None);
    assert_eq!(held.finished(&claim("a", 1, false).mark, false).unwrap(), letter());
}

#[test]
fn filter_selects_by_each_member() {
    let letter = letter();
    let at = letter.dead_letter_id.failed_at();
    let filter = LetterFilter::default();
    let selected = [
        filter.clone(),
        LetterFilter { hop: Some(Hop::Enrichment), ..filter.clone() },
        LetterFilter { since: Some(at), until: Some(at.plus_ms(1)), ..filter.clone() },
        LetterFilter { state: Some(LetterState::Kept), ..filter.clone() },
    ];
    assert!(selected.iter().all(|filter| filter.selects(&letter)));
    let others = [
        LetterFilter { hop: Some(Hop::Feed), ..filter.clone() },
        LetterFilter { fleet_id: Some(FleetId::from_random_bits(1)), ..filter.clone() },
        LetterFilter { since: Some(at.plus_ms(1)), ..filter.clone() },
        LetterFilter { until: Some(at), ..filter.clone() },
        LetterFilter { state: Some(LetterState::Redriven), ..filter },
    ];
    assert!(!others.iter().any(|filter| filter.selects(&letter)));
}
