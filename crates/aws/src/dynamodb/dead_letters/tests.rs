#![allow(clippy::unwrap_used)]

use roadcast_domain::dead_letter::{Content, ContentBucket, LetterFilter, Pointers};

use super::*;

fn letter(hop: Hop, ms: i64) -> DeadLetter {
    let at = Timestamp::from_ms(ms);
    DeadLetter {
        dead_letter_id: DeadLetterId::for_failure(hop, at, "a"),
        hop,
        reason: "r".to_owned(),
        detail: None,
        fleet_id: None,
        pointers: Pointers::default(),
        items: 1,
        first_at: at,
        last_at: at,
        content: Content { bucket: ContentBucket::DeadLetters, key: String::new(), bytes: 0 },
        claim: None,
        redriven: None,
    }
}

fn times(page: &LetterPage) -> Vec<i64> {
    page.letters.iter().map(|letter| letter.dead_letter_id.failed_at().ms()).collect()
}

#[test]
fn page_of_several_hops_omits_what_is_older_than_an_unread_letter() {
    let stream = HopLetters {
        letters: [9, 7].map(|ms| letter(Hop::Stream, ms)).into(),
        complete_to: Some(letter(Hop::Stream, 6).dead_letter_id),
    };
    let feed = HopLetters { letters: [8, 5].map(|ms| letter(Hop::Feed, ms)).into(), complete_to: None };
    let page = merge(vec![stream, feed], 10);
    assert_eq!(times(&page), [9, 8, 7], "a letter of the stream at 5.5 would be lost after 5");
    assert_eq!(page.next, Some(letter(Hop::Stream, 6).dead_letter_id));
}

#[test]
fn full_page_continues_after_its_last_letter() {
    let all =
        |times: &[i64]| HopLetters { letters: times.iter().map(|ms| letter(Hop::Stream, *ms)).collect(), complete_to: None };
    let page = merge(vec![all(&[9, 8, 7])], 2);
    assert_eq!((times(&page), page.next), (vec![9, 8], Some(letter(Hop::Stream, 8).dead_letter_id)));
    assert_eq!(merge(vec![all(&[9, 8])], 2).next, None);
}

#[test]
fn range_of_ids_is_empty_before_the_first_and_after_the_end() {
    let listing = |since: Option<i64>, until: Option<i64>, before| LetterListing {
        filter: LetterFilter {
            since: since.map(Timestamp::from_ms),
            until: until.map(Timestamp::from_ms),
            ..LetterFilter::default()
        },
        before,
        limit: 1,
    };
    assert!(id_range(&listing(None, None, None)).is_some());
    assert_eq!(id_range(&listing(Some(5), Some(5), None)), None);
    assert_eq!(id_range(&listing(None, Some(0), None)), None);
    let (from, to) = id_range(&listing(Some(5), Some(7), Some(letter(Hop::Feed, 6).dead_letter_id))).unwrap();
    assert!(from.failed_at().ms() == 5 && to < letter(Hop::Feed, 6).dead_letter_id);
}
