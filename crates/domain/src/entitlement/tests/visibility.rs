//! What a fleet no longer sees.

use proptest::prelude::*;

use super::*;

const SPEED: &str = "Vehicle.Speed";
const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";

/// Whether the speed, the latitude and diagnostic events are lost between two times.
fn lost(before: (&Entitlement, i64), after: (&Entitlement, i64)) -> [bool; 3] {
    let packages = Packages::built_in();
    let [before, after] = [before, after].map(|(entitlement, now)| entitlement.visibility(&packages, at(now)));
    let lost = after.lost_since(&before, &packages);
    let found = [SPEED, LATITUDE].map(|path| lost.contains_signal(path));
    [found[0], found[1], lost.contains_event_type(&EventType::Diagnostic)]
}

#[test]
fn grant_that_expires_takes_its_data_along() {
    let fleet =
        entitlement(&[(&["track-and-trace"], 0, Some(10)), (&["track-and-trace"], 20, None), (&["telematics"], 0, None)]);
    assert_eq!(lost((&fleet, 5), (&fleet, 9)), [false; 3]);
    for later in [10, 15, 20, 25] {
        assert_eq!(lost((&fleet, 5), (&fleet, later)), [false, true, false], "at {later}");
    }
    assert_eq!(lost((&fleet, 15), (&fleet, 25)), [false; 3], "a grant that begins");
}

#[test]
fn data_that_another_grant_shows_from_the_same_time_is_not_lost() {
    let both = entitlement(&[(&["telematics", "diagnostics"], 3, Some(10)), (&["telematics"], 3, None)]);
    assert_eq!(lost((&both, 5), (&both, 10)), [false, false, true]);
    let later = entitlement(&[(&["telematics"], 3, Some(10)), (&["telematics"], 4, None)]);
    assert_eq!(lost((&later, 5), (&later, 10)), [true, false, false]);
}

#[test]
fn what_a_package_contained_before_it_changed_is_lost() {
    let name = "own";
    let with = |signals: &[&str]| {
        let package = Package {
            name: name.parse().unwrap(),
            signals: signals.iter().map(|&signal| signal.to_owned()).collect(),
            event_types: Vec::new(),
        };
        Packages::built_in().iter().cloned().chain([package]).collect::<Packages>()
    };
    let fleet = entitlement(&[(&[name], 0, None)]);
    let (before, after) = (with(&[SPEED, LATITUDE]), with(&[SPEED]));
    let (earlier, now) = (fleet.visibility(&before, at(5)), fleet.visibility(&after, at(6)));
    let lost = now.lost_since(&earlier, &after);
    assert!(!lost.is_empty() && lost.contains_signal(LATITUDE) && !lost.contains_signal(SPEED));
    assert!(earlier.lost_since(&earlier, &before).is_empty());
}

proptest! {
    /// What was visible and is not lost is still visible, whenever it was received.
    #[test]
    fn what_is_not_lost_is_still_visible(
        grants in prop::collection::vec((0..3_usize, 0..20_i64, prop::option::of(1..20_i64), any::<bool>()), 0..6),
        before in 0..30_i64,
        later in 0..10_i64,
    ) {
        let names: [&[&str]; 3] = [&["telematics"], &["track-and-trace"], &["telematics", "track-and-trace"]];
        let spans: Vec<(&[&str], i64, Option<i64>)> =
            grants.iter().map(|(name, from, length, _)| (names[*name], *from, length.map(|length| from + length))).collect();
        let fleet = entitlement(&spans);
        let mut changed = fleet.clone();
        for (grant, (.., suspended)) in changed.grants.iter_mut().zip(&grants) {
            grant.suspended = *suspended;
        }
        let packages = Packages::built_in();
        let now = before + later;
        let lost = lost((&fleet, before), (&changed, now));
        for (path, lost) in [SPEED, LATITUDE].into_iter().zip(lost) {
            let sees = |entitlement: &Entitlement, received, now| {
                entitlement.coverage(&packages, at(received), at(now)).contains_signal(path)
            };
            let gone = (0..=before).any(|received| sees(&fleet, received, before) && !sees(&changed, received, now));
            prop_assert_eq!(gone, lost && (0..=before).any(|received| sees(&fleet, received, before)), "{}", path);
        }
    }
}
