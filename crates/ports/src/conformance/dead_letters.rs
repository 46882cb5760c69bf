//! [`DeadLetters`], [`DeadLetterContents`] and [`Redrives`]

use roadcast_domain::dead_letter::{
    CLAIM_LEASE_MS, ClaimOutcome, Content, ContentBucket, DeadLetter, Hop, LetterFilter, LetterState, Pointers, Redrive,
    RedriveClaim, RedriveId, RedriveMark, RedriveRequest,
};
use roadcast_domain::ids::{DeadLetterId, FleetId};
use roadcast_signals::Timestamp;

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clock::Randomness;
use crate::dead_letters::{DeadLetterContents, DeadLetters, LetterListing, LetterPut, Redrives};

/// Checks [`DeadLetters`]. Its letters have a fleet of their own.
pub async fn dead_letters(letters: &impl DeadLetters, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let fleet = fixtures.fleet_id();
    let at = new_time(random);
    let letter = |hop, n: i64| letter(hop, at.plus_ms(n), &fleet, &fixtures.word());

    let stored = [letter(Hop::Stream, 0), letter(Hop::Feed, 1), letter(Hop::Stream, 2), letter(Hop::Unknown, 3)];
    for letter in &stored {
        assert_eq!(letters.get(letter.dead_letter_id).await.expect("get succeeds"), None, "a letter does not exist yet");
        assert_eq!(letters.put(letter).await.expect("put succeeds"), LetterPut::Stored);
    }
    let changed = DeadLetter { reason: "other".to_owned(), ..stored[0].clone() };
    assert_eq!(letters.put(&changed).await.expect("put succeeds"), LetterPut::Exists, "a letter is stored once");
    let first = stored[0].dead_letter_id;
    assert_eq!(letters.get(first).await.expect("get succeeds"), Some(stored[0].clone()), "a letter is unchanged");
    let foreign = DeadLetterId::from_parts(at, 255, random.bits());
    assert_eq!(letters.get(foreign).await.expect("get succeeds"), None, "an id of no hop has no letter");

    lists(letters, &stored, &fleet, at).await;
    claims(letters, &stored[0], &fixtures.word()).await;
    let kept = LetterFilter { fleet_id: Some(fleet.clone()), state: Some(LetterState::Kept), ..LetterFilter::default() };
    let ids = list_all(letters, &kept, 2).await;
    assert!(!ids.contains(&first) && ids.len() == 3, "the state of a letter is that of its last change");
}

async fn lists(letters: &impl DeadLetters, stored: &[DeadLetter], fleet: &FleetId, at: Timestamp) {
    let newest_first: Vec<DeadLetterId> = stored.iter().rev().map(|letter| letter.dead_letter_id).collect();
    let all = LetterFilter { fleet_id: Some(fleet.clone()), ..LetterFilter::default() };
    for limit in [1, 2, 3, 100] {
        assert_eq!(list_all(letters, &all, limit).await, newest_first, "pages of {limit} have every letter once");
    }
    let streams = LetterFilter { hop: Some(Hop::Stream), ..all.clone() };
    assert_eq!(list_all(letters, &streams, 1).await, [newest_first[1], newest_first[3]], "the hop selects");
    let times = LetterFilter { since: Some(at.plus_ms(1)), until: Some(at.plus_ms(3)), ..all.clone() };
    assert_eq!(list_all(letters, &times, 1).await, newest_first[1..3], "the start is included, the end is not");
    let none = LetterFilter { state: Some(LetterState::Redriven), ..all };
    assert!(list_all(letters, &none, 100).await.is_empty(), "the state selects");
}

async fn claims(letters: &impl DeadLetters, stored: &DeadLetter, word: &str) {
    let id = stored.dead_letter_id;
    let claim = |redrive: &str, ms: i64, again| RedriveClaim {
        mark: RedriveMark { redrive_id: redrive_id(word, redrive), at: NOON.plus_ms(ms) },
        again,
    };
    let try_claim = async |claim: &RedriveClaim| letters.claim(id, claim).await.expect("claim succeeds");
    let absent = DeadLetterId::for_failure(Hop::Feed, NOON, word);
    assert_eq!(letters.claim(absent, &claim("a", 0, false)).await.expect("claim succeeds"), ClaimOutcome::Absent);

    let (a, b) = (claim("a", 0, false), claim("b", 0, false));
    let (first, second) = futures::future::join(try_claim(&a), try_claim(&b)).await;
    let is_granted = |outcome: &ClaimOutcome| matches!(outcome, ClaimOutcome::Granted(_));
    assert!(is_granted(&first) ^ is_granted(&second), "one of two concurrent claims is granted");
    let (holder, other) = if is_granted(&first) { ("a", "b") } else { ("b", "a") };
    let held = letters.get(id).await.expect("get succeeds").expect("the letter exists");
    assert_eq!(held.claim.map(|mark| mark.redrive_id), Some(redrive_id(word, holder)));

    let conflict = letters.finish(id, &claim(other, 1, false).mark, true).await.expect_err("another has the claim");
    assert_eq!(conflict.kind(), PortErrorKind::Conflict);
    letters.finish(id, &claim(holder, 1, false).mark, false).await.expect("finish succeeds");
    let released = letters.get(id).await.expect("get succeeds");
    assert_eq!(released.as_ref(), Some(stored), "a redrive that fails leaves the letter unchanged");

    assert!(is_granted(&try_claim(&claim(other, 2, false)).await), "a released letter can be claimed");
    let late = claim(other, 2 + CLAIM_LEASE_MS, false);
    assert!(is_granted(&try_claim(&late).await), "a redrive repeats its own claim that was abandoned");
    letters.finish(id, &late.mark, true).await.expect("finish succeeds");
    let redriven = try_claim(&claim(holder, 3 + CLAIM_LEASE_MS, false)).await;
    assert_eq!(redriven, ClaimOutcome::Redriven(late.mark), "a redriven letter is not granted");
}

/// Checks [`DeadLetterContents`].
pub async fn dead_letter_contents(contents: &impl DeadLetterContents, random: &impl Randomness) {
    let id = DeadLetterId::for_failure(Hop::Enrichment, NOON, &Fixtures::new(random).word());
    let content = contents.store(id, b"0123456789".to_vec()).await.expect("store succeeds");
    assert_eq!(content.bytes, 10);
    let read = async |limit| contents.read(&content, limit).await.expect("read succeeds");
    assert_eq!(read(100).await.as_deref(), Some(&b"0123456789"[..]), "bytes are returned unchanged");
    assert_eq!(read(4).await.as_deref(), Some(&b"0123"[..]), "at most the limit is read");
    assert!(contents.describe(&content).await.expect("describe succeeds").is_some(), "the object exists");
    contents.store(id, Vec::new()).await.expect("store succeeds");
    assert_eq!(read(4).await.as_deref(), Some(&b""[..]), "bytes are replaced; an object may be empty");
    let absent = Content { bucket: ContentBucket::Archive, key: format!("{}-absent", content.key), bytes: 0 };
    assert_eq!(contents.read(&absent, 4).await.expect("read succeeds"), None, "an absent object has no bytes");
    assert_eq!(contents.describe(&absent).await.expect("describe succeeds"), None, "an absent object has no description");
}

/// Checks [`Redrives`].
pub async fn redrives(redrives: &impl Redrives, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let redrive = Redrive {
        redrive_id: redrive_id(&fixtures.word(), "r"),
        request: RedriveRequest::Letters { dead_letter_ids: vec![DeadLetterId::MAX], again: true },
        by: fixtures.client_id(),
        created_at: NOON,
        updated_at: NOON,
        revision: 0,
        finished: false,
        position: None,
        redriven: 0,
        skipped: 0,
        failed: 0,
        failures: Vec::new(),
    };
    let get = async || redrives.get(&redrive.redrive_id).await.expect("get succeeds");
    let conflict = |result: Result<(), crate::PortError>| result.map_err(|error| error.kind());
    assert_eq!(get().await, None, "a redrive does not exist before it is created");
    assert_eq!(conflict(redrives.replace(&redrive).await), Err(PortErrorKind::Conflict), "nothing to replace");
    redrives.create(&redrive).await.expect("create succeeds");
    assert_eq!(conflict(redrives.create(&redrive).await), Err(PortErrorKind::Conflict), "an id is used once");
    assert_eq!(get().await, Some(redrive.clone()), "a redrive is returned unchanged");
    let next = Redrive { redriven: 1, finished: true, ..redrive.clone() };
    redrives.replace(&next).await.expect("replace succeeds");
    assert_eq!(conflict(redrives.replace(&next).await), Err(PortErrorKind::Conflict), "the revision was replaced");
    assert_eq!(get().await, Some(Redrive { revision: 1, ..next }), "the revision is counted");
}

async fn list_all(letters: &impl DeadLetters, filter: &LetterFilter, limit: usize) -> Vec<DeadLetterId> {
    let mut page = LetterListing { filter: filter.clone(), before: None, limit };
    let mut ids = Vec::new();
    loop {
        let found = letters.list(&page).await.expect("list succeeds");
        assert!(found.letters.len() <= limit, "a page has at most the limit");
        ids.extend(found.letters.iter().map(|letter| letter.dead_letter_id));
        let Some(next) = found.next else { return ids };
        assert!(page.before.is_none_or(|before| next < before), "each page makes progress");
        page.before = Some(next);
    }
}

fn letter(hop: Hop, at: Timestamp, fleet: &FleetId, source: &str) -> DeadLetter {
    DeadLetter {
        dead_letter_id: DeadLetterId::for_failure(hop, at, source),
        hop,
        reason: "delivery_failed".to_owned(),
        detail: Some("the queue does not exist".to_owned()),
        fleet_id: Some(fleet.clone()),
        pointers: Pointers { source: Some("rule".to_owned()), attempts: Some(3), ..Pointers::default() },
        items: 2,
        first_at: at.plus_ms(-2),
        last_at: at.plus_ms(-1),
        content: Content { bucket: ContentBucket::DeadLetters, key: "letters/x".to_owned(), bytes: 2 },
        claim: None,
        redriven: None,
    }
}

fn redrive_id(word: &str, suffix: &str) -> RedriveId {
    format!("{word}-{suffix}").parse().expect("a redrive id")
}

/// A time in the future that no earlier run used, so that its letters are listed first.
fn new_time(random: &impl Randomness) -> Timestamp {
    let ms = i64::try_from(random.bits() >> 88).expect("40 bits");
    NOON.plus_ms(ms)
}
