//! [`SentNotices`], [`NoticeBus`] and [`NoticeTopic`].

use roadcast_domain::alert::{AlertChange, Severity};
use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::ids::{AlertId, Eid, RuleId};

use super::fixtures::{Fixtures, NOON};
use crate::alert_notices::{NoticeBus, NoticeClaim, NoticeTopic, SentNotices};
use crate::clock::{Clock, Randomness};

/// Checks [`SentNotices`].
pub async fn sent_notices(notices: &impl SentNotices, clock: &impl Clock, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let now = clock.now();
    let [id, other] = [1, 2].map(|n| Eid::for_event(&fixtures.vid(), "urn:notices", &n.to_string(), now));
    let claim = async |id, from_ms: i64, until_ms: i64| {
        notices.claim(id, now.plus_ms(from_ms), now.plus_ms(until_ms)).await.expect("claim succeeds")
    };
    let granted = |on_bus| NoticeClaim::Granted { on_bus };
    assert_eq!(claim(id, 0, 1000).await, granted(false), "no caller has it");
    assert_eq!(claim(id, 999, 2000).await, NoticeClaim::Held);
    assert_eq!(claim(other, 0, 1000).await, granted(false), "another notice");
    assert_eq!(claim(id, 1000, 3000).await, granted(false), "the claim has ended");
    notices.release(id, now.plus_ms(1000), true).await.expect("release succeeds");
    assert_eq!(claim(id, 1500, 4000).await, NoticeClaim::Held, "the end of an earlier claim changes nothing");
    notices.release(id, now.plus_ms(3000), true).await.expect("release succeeds");
    assert_eq!(claim(id, 1500, 4000).await, granted(true), "it was released, and is on the bus");
    assert_eq!(claim(id, 4000, 5000).await, granted(true), "this is known until it is sent");
    for _ in 0..2 {
        notices.finish(id).await.expect("finish succeeds, also again");
        assert_eq!(claim(id, 9000, 9999).await, NoticeClaim::Sent);
    }
    notices.release(id, now.plus_ms(5000), false).await.expect("release succeeds");
    assert_eq!(claim(id, 9000, 9999).await, NoticeClaim::Sent, "what was sent is not released");
    assert_eq!(claim(other, 999, 2000).await, NoticeClaim::Held, "another notice");
}

/// Checks [`NoticeBus`] and [`NoticeTopic`] with a notice whose name needs escapes and replacements. The name identifies the
/// notice to tests that receive it.
pub async fn notice_channels(bus: &impl NoticeBus, topic: &impl NoticeTopic, random: &impl Randomness) -> AlertNotice {
    let fixtures = Fixtures::new(random);
    let (vid, rule_id) = (fixtures.vid(), RuleId::from_random_bits(random.bits()));
    let notice = AlertNotice {
        notice_id: Eid::for_event(&vid, "urn:notices", "1", NOON),
        stage: "test".to_owned(),
        alert_id: AlertId::for_alert(&rule_id, 1, &vid, NOON),
        change: AlertChange::Raised,
        withdraws: None,
        severity: Severity::Critical,
        rule_name: format!("\"Öl\"\n\t\u{7f} 電池 \\ {rule_id}"),
        rule_id,
        rule_version: 1,
        vid,
        at: NOON,
        raised_at: NOON,
        late: false,
        summary: "Öl".to_owned(),
    };
    for _ in 0..2 {
        bus.put(&notice).await.expect("put succeeds, also again");
        topic.publish(&notice).await.expect("publish succeeds, also again");
    }
    notice
}
