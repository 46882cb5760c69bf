//! Which vehicle held a name, and when.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::VehicleId;

/// How long after its release a name still belongs to the vehicle that released it, in milliseconds.
///
/// The release is stored by then, and the clocks of Roadcast and of the stream differ by less. Therefore a name that was
/// read after the receipt of an event resolves to the same vehicle as a name that is read at a later retry.
pub const RELEASE_DELAY_MS: i64 = 2_000;

/// How long the former holders of a name are kept after they released it, in milliseconds: longer than the stream keeps an
/// event, which is 24 hours.
pub const FORMER_HOLDER_MS: i64 = 25 * 60 * 60 * 1000;

/// The maximum number of former holders. The oldest is dropped; events that it sent and that are still in the stream are
/// then of an unknown vehicle.
pub const MAX_FORMER_HOLDERS: usize = 16;

/// How long it is kept that a name was that of an erased vehicle, in milliseconds: longer than any queue keeps a message, which is
/// 14 days, and not longer than a digest of the name under the secret of the stack is found, which is 15 days.
pub const ERASED_HOLDER_MS: i64 = 15 * 24 * 60 * 60 * 1000;

/// The holders of a name, or of a vehicle id, over time. Their intervals do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameHistory {
    /// The vehicle that has the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<Holder>,
    /// The vehicles that had the name before, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<FormerHolder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    vid: VehicleId,
    since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FormerHolder {
    vid: VehicleId,
    since: Timestamp,
    until: Timestamp,
    /// Whether the vehicle was erased. What was received about it is dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

impl FormerHolder {
    fn held_at(&self, received: Timestamp) -> bool {
        self.since <= received && received < self.until
    }

    const fn retention_ms(&self) -> i64 {
        if self.erased { ERASED_HOLDER_MS } else { FORMER_HOLDER_MS }
    }
}

impl NameHistory {
    /// Returns the history of the id of a vehicle, which has it until it is retired.
    pub fn of_vehicle_id(vid: VehicleId, retired_at: Option<Timestamp>) -> Self {
        let since = Timestamp::from_ms(i64::MIN);
        match retired_at {
            None => Self { current: Some(Holder { vid, since }), former: Vec::new() },
            Some(until) => Self { current: None, former: vec![FormerHolder { vid, since, until, erased: false }] },
        }
    }

    /// Returns the history of the id of an erased vehicle: whatever is received about it, at any time, is dropped.
    pub fn of_erased_vehicle_id(vid: VehicleId) -> Self {
        let (since, until) = (Timestamp::from_ms(i64::MIN), Timestamp::from_ms(i64::MAX));
        Self { current: None, former: vec![FormerHolder { vid, since, until, erased: true }] }
    }

    /// Returns the vehicle that has the name.
    pub fn current(&self) -> Option<&VehicleId> {
        self.current.as_ref().map(|holder| &holder.vid)
    }

    /// Returns when the vehicle that has the name took it.
    pub fn current_since(&self) -> Option<Timestamp> {
        self.current.as_ref().map(|holder| holder.since)
    }

    /// Returns the vehicle that had the name when an event was received; `None` if no vehicle had it, if too many have
    /// had it since, or if the vehicle was erased.
    pub fn holder_at(&self, received: Timestamp) -> Option<&VehicleId> {
        let current = self.current.as_ref().filter(|holder| holder.since <= received).map(|holder| &holder.vid);
        current.or_else(|| self.former_at(received).filter(|holder| !holder.erased).map(|holder| &holder.vid))
    }

    /// Whether the vehicle that had the name when an event was received was erased. The event is dropped, not quarantined.
    pub fn was_erased_at(&self, received: Timestamp) -> bool {
        let is_held = self.current.as_ref().is_some_and(|holder| holder.since <= received);
        !is_held && self.former_at(received).is_some_and(|holder| holder.erased)
    }

    fn former_at(&self, received: Timestamp) -> Option<&FormerHolder> {
        self.former.iter().rev().find(|holder| holder.held_at(received))
    }

    /// Returns the history after the vehicle was erased at this time. It releases the name, and what was received while it had
    /// the name is dropped.
    #[must_use]
    pub fn erased(&self, vid: &VehicleId, at: Timestamp) -> Self {
        let mut history = self.released_by(vid, at).unwrap_or_else(|| self.clone());
        for holder in history.former.iter_mut().filter(|holder| holder.vid == *vid) {
            holder.erased = true;
        }
        history
    }

    /// Returns this history, of a name that was free at the end of `earlier`, with the holders of `earlier` before it.
    #[must_use]
    pub fn after(&self, earlier: &Self) -> Self {
        let Some(end) = earlier.former.iter().map(|holder| holder.until).max() else { return self.clone() };
        let mut history = self.clone();
        if let Some(current) = &mut history.current {
            current.since = current.since.max(end);
        }
        let later = self.former.iter().filter(|holder| !earlier.former.contains(holder)).cloned();
        let later =
            later.map(|holder| FormerHolder { since: holder.since.max(end), until: holder.until.max(end), ..holder });
        history.former = earlier.former.iter().cloned().chain(later).collect();
        history.former.drain(..history.former.len().saturating_sub(MAX_FORMER_HOLDERS));
        history
    }

    /// Returns the history after a vehicle took the name at this time; `None` if another vehicle has it. A name that was
    /// released less than [`RELEASE_DELAY_MS`] before belongs to the vehicle from the end of that delay on.
    #[must_use]
    pub fn held_by(&self, vid: &VehicleId, at: Timestamp) -> Option<Self> {
        if let Some(holder) = self.current() {
            return (holder == vid).then(|| self.clone());
        }
        let former = self.former_since(at);
        let since = former.last().map_or(at, |last| at.max(last.until));
        Some(Self { current: Some(Holder { vid: vid.clone(), since }), former })
    }

    /// Returns the history after a vehicle released the name at this time; `None` if the vehicle does not have it. The
    /// release takes effect after [`RELEASE_DELAY_MS`].
    #[must_use]
    pub fn released_by(&self, vid: &VehicleId, at: Timestamp) -> Option<Self> {
        let Holder { vid, since } = self.current.clone().filter(|holder| holder.vid == *vid)?;
        let mut former = self.former_since(at);
        former.push(FormerHolder { vid, since, until: since.max(at.plus_ms(RELEASE_DELAY_MS)), erased: false });
        former.drain(..former.len().saturating_sub(MAX_FORMER_HOLDERS));
        Some(Self { current: None, former })
    }

    /// Returns when the history of a name that no vehicle has can be deleted; `None` if a vehicle has the name.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let is_free = self.current.is_none();
        let needed_until = self.former.iter().map(|holder| holder.until.plus_ms(holder.retention_ms()));
        needed_until.max().filter(|_| is_free)
    }

    /// Returns the former holders whose events can still be in the stream at this time.
    fn former_since(&self, now: Timestamp) -> Vec<FormerHolder> {
        let is_needed = |holder: &&FormerHolder| now.ms_since(holder.until) < holder.retention_ms();
        self.former.iter().filter(is_needed).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    fn vid(n: u128) -> VehicleId {
        VehicleId::from_random_bits(n)
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    /// Returns the history of a name that vehicles 1, 2, … had, each for an hour.
    fn moved(times: u32) -> NameHistory {
        (0..i64::from(times)).fold(NameHistory::default(), |history, n| {
            let holder = vid(u128::from(n.unsigned_abs()) + 1);
            let held = history.held_by(&holder, at(n * HOUR_MS)).unwrap();
            held.released_by(&holder, at((n + 1) * HOUR_MS)).unwrap()
        })
    }

    #[test]
    fn event_belongs_to_the_holder_at_its_receipt() {
        let released = NameHistory::default().held_by(&vid(1), at(1_000)).unwrap().released_by(&vid(1), at(50_000)).unwrap();
        let history = released.held_by(&vid(2), at(60_000)).unwrap();
        let cases = [(999, None), (1_000, Some(1)), (51_999, Some(1)), (52_000, None), (59_999, None), (60_000, Some(2))];
        for (received, holder) in cases {
            assert_eq!(history.holder_at(at(received)), holder.map(vid).as_ref(), "{received}");
        }
        assert_eq!((history.current(), released.current()), (Some(&vid(2)), None));
    }

    #[test]
    fn new_holder_of_a_released_name_starts_after_the_delay() {
        let released = NameHistory::default().held_by(&vid(1), at(0)).unwrap().released_by(&vid(1), at(1_000)).unwrap();
        let history = released.held_by(&vid(2), at(1_001)).unwrap();
        assert_eq!(history.current(), Some(&vid(2)));
        assert_eq!(history.holder_at(at(2_999)), Some(&vid(1)));
        assert_eq!(history.holder_at(at(3_000)), Some(&vid(2)));
        // A release before the name has come into effect: the name never belonged to that vehicle.
        let again = history.released_by(&vid(2), at(900)).unwrap();
        assert_eq!((again.holder_at(at(2_999)), again.holder_at(at(3_000))), (Some(&vid(1)), None));
    }

    #[test]
    fn name_is_taken_and_released_by_one_vehicle_at_a_time() {
        let held = NameHistory::default().held_by(&vid(1), at(0)).unwrap();
        assert_eq!(held.held_by(&vid(2), at(1)), None);
        assert_eq!(held.held_by(&vid(1), at(1)), Some(held.clone()));
        assert_eq!(held.released_by(&vid(2), at(1)), None);
    }

    #[test]
    fn former_holders_are_bounded_by_age_and_number() {
        let last = moved(24);
        assert_eq!(last.former.len(), MAX_FORMER_HOLDERS);
        assert_eq!(last.holder_at(at(7 * HOUR_MS + HOUR_MS / 2)), None);
        assert_eq!(last.holder_at(at(8 * HOUR_MS + HOUR_MS / 2)), Some(&vid(9)));
        assert_eq!(last.expires_at(), Some(at((24 + 25) * HOUR_MS + RELEASE_DELAY_MS)));
        let later = last.held_by(&vid(99), at((20 + 25) * HOUR_MS + RELEASE_DELAY_MS)).unwrap();
        assert_eq!((later.former.len(), later.expires_at()), (4, None));
        assert!(serde_json::to_string(&last).unwrap().len() < 2_000);
    }

    #[test]
    fn vehicle_id_is_held_until_the_vehicle_is_retired() {
        let active = NameHistory::of_vehicle_id(vid(1), None);
        assert_eq!((active.current(), active.holder_at(at(-1))), (Some(&vid(1)), Some(&vid(1))));
        let retired = NameHistory::of_vehicle_id(vid(1), Some(at(10)));
        assert_eq!((retired.current(), retired.holder_at(at(9)), retired.holder_at(at(10))), (None, Some(&vid(1)), None));
    }

    #[test]
    fn data_of_an_erased_vehicle_is_dropped_for_a_new_holder_of_its_name() {
        let erased = NameHistory::default().held_by(&vid(1), at(1_000)).unwrap().erased(&vid(1), at(50_000));
        let registered = NameHistory::default().held_by(&vid(2), at(50_500)).unwrap().after(&erased);
        let cases = [(999, false, None), (1_000, true, None), (51_999, true, None), (52_000, false, Some(2))];
        for (received, is_erased, holder) in cases {
            assert_eq!(registered.was_erased_at(at(received)), is_erased, "{received}");
            assert_eq!(registered.holder_at(at(received)), holder.map(vid).as_ref(), "{received}");
            assert_eq!(erased.holder_at(at(received)), None);
        }
        assert_eq!(erased.expires_at(), Some(at(52_000 + ERASED_HOLDER_MS)));
        let id = NameHistory::of_erased_vehicle_id(vid(1));
        assert!(id.was_erased_at(at(0)) && id.was_erased_at(at(i64::MAX - 1)) && id.current().is_none());
    }

    #[test]
    fn events_of_other_former_holders_are_kept() {
        let moved = moved(1).held_by(&vid(7), at(2 * HOUR_MS)).unwrap().erased(&vid(7), at(3 * HOUR_MS));
        assert_eq!((moved.holder_at(at(HOUR_MS / 2)), moved.was_erased_at(at(HOUR_MS / 2))), (Some(&vid(1)), false));
        assert!(moved.was_erased_at(at(2 * HOUR_MS)));
        assert_eq!(moved.after(&moved), moved, "a repeated erasure adds nothing");
    }

    proptest! {
        /// A later change of a name never changes which vehicle an event belongs to that was received before the change.
        #[test]
        fn later_changes_do_not_move_received_events(changes in prop::collection::vec((0_i64..4_000, 1_u128..4), 1..20)) {
            let (mut now, mut history) = (0, NameHistory::default());
            for (pause, n) in changes {
                now += pause;
                let holder = history.current().cloned();
                let next = match &holder {
                    Some(holder) => history.released_by(holder, at(now)),
                    None => history.held_by(&vid(n), at(now)),
                };
                let next = next.unwrap();
                for received in (now - 10_000..now).step_by(97) {
                    let kept = next.former.first().is_none_or(|oldest| oldest.since <= at(received));
                    prop_assert!(!kept || next.holder_at(at(received)) == history.holder_at(at(received)));
                }
                let copy: NameHistory = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
                prop_assert_eq!(&copy, &next);
                history = next;
            }
        }
    }
}
