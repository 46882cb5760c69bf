//! The arithmetic of reconciliation: what was read against what the stores hold, in samples.
//!
//! An event that was acknowledged m times and of which the archive holds n ≥ m copies of k samples: where it was known before
//! the run, all m·k are duplicates. Else its k samples must be stored or quarantined, and (m−1)·k are duplicates. Copies
//! beyond the m-th come from attempts whose answer was lost, here or inside the service: they are `resent`, and stand apart
//! because no row was read for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roadcast_domain::ids::Eid;

/// What was read and sent, and what the stores hold of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Rows of the recordings.
    pub(super) read: u64,
    /// Samples that did not get in, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// How often each event was acknowledged.
    pub(super) acked: HashMap<Eid, u64>,
    /// Events of this run in the archive.
    pub(super) archived: BTreeMap<Eid, Archived>,
    /// Those of them that are in the event log.
    pub(super) stored: BTreeMap<Eid, Stored>,
    /// Those of them of which samples are in quarantine.
    pub(super) quarantined: BTreeMap<Eid, Quarantined>,
}

/// An event in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Archived {
    /// Distinct records of the stream that hold it.
    pub(super) copies: u64,
    pub(super) samples: u64,
    /// Signals that were removed from it, by reason.
    pub(super) signals_rejected: BTreeMap<String, u64>,
}

/// An event in the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) samples: u64,
    /// Whether it was received before this run.
    pub(super) before: bool,
}

/// Samples of an event in quarantine, by their place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quarantined {
    pub(super) samples: BTreeMap<usize, String>,
    /// Whether any came before this run.
    pub(super) before: bool,
}

/// The result, in samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reconciliation {
    pub(super) read: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) stored: u64,
    pub(super) deduplicated: u64,
    pub(super) quarantined: BTreeMap<String, u64>,
    pub(super) resent: u64,
    /// Signals, not samples.
    pub(super) signals_rejected: BTreeMap<String, u64>,
    /// Events that this run brought.
    pub(super) new_events: BTreeSet<Eid>,
    /// What does not add up; nothing where all is well.
    pub(super) differences: Vec<String>,
}

impl Reconciliation {
    pub(super) fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(super) fn quarantined_total(&self) -> u64 {
        self.quarantined.values().sum()
    }
}

/// Whether the stores hold all samples of an event.
pub(super) fn is_settled(facts: &Facts, eid: Eid) -> bool {
    let stored = facts.stored.get(&eid).map_or(0, |stored| stored.samples);
    let quarantined = facts.quarantined.get(&eid).map_or(0, |quarantined| quarantined.samples.len() as u64);
    let acked = facts.acked.get(&eid).copied().unwrap_or_default();
    facts.archived.get(&eid).is_some_and(|event| event.copies >= acked && stored + quarantined >= event.samples)
}

/// Adds everything up.
pub(super) fn reconcile(facts: &Facts) -> Reconciliation {
    let mut result = Reconciliation { read: facts.read, refused: facts.refused.clone(), ..Reconciliation::default() };
    for eid in facts.acked.keys().filter(|eid| !facts.archived.contains_key(eid)).collect::<BTreeSet<_>>() {
        result.differences.push(format!("event {eid} was acknowledged and is not in the archive"));
    }
    for (&eid, event) in &facts.archived {
        let acked = facts.acked.get(&eid).copied().unwrap_or_default();
        result.resent += event.copies.saturating_sub(acked) * event.samples;
        if event.copies < acked {
            let copies = event.copies;
            result
                .differences
                .push(format!("event {eid} was acknowledged {acked} times and is {copies} times in the archive"));
        }
        if acked == 0 {
            continue;
        }
        let stored = facts.stored.get(&eid);
        let parked = facts.quarantined.get(&eid);
        // Every sample of it may have been set aside: then it is in quarantine alone.
        let before = stored.map_or_else(|| parked.is_some_and(|parked| parked.before), |stored| stored.before);
        if before {
            result.deduplicated += acked * event.samples;
            continue;
        }
        let stored = stored.map_or(0, |stored| stored.samples);
        result.new_events.insert(eid);
        result.stored += stored;
        result.deduplicated += (acked - 1) * event.samples;
        for reason in parked.iter().flat_map(|parked| parked.samples.values()) {
            *result.quarantined.entry(reason.clone()).or_default() += 1;
        }
        for (reason, count) in &event.signals_rejected {
            *result.signals_rejected.entry(reason.clone()).or_default() += count;
        }
        let parked = parked.map_or(0, |parked| parked.samples.len() as u64);
        if stored + parked != event.samples {
            let samples = event.samples;
            result
                .differences
                .push(format!("event {eid} has {samples} samples: {stored} are stored and {parked} quarantined"));
        }
    }
    let accounted = result.refused_total() + result.stored + result.deduplicated + result.quarantined_total();
    if result.read != accounted {
        result.differences.push(format!("{} samples were read and {accounted} are accounted for", result.read));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eid(n: i64) -> Eid {
        Eid::first_at(roadcast_domain::Timestamp::from_ms(n))
    }

    fn archived(copies: u64, samples: u64) -> Archived {
        Archived { copies, samples, signals_rejected: BTreeMap::from([("out_of_range".to_owned(), 1)]) }
    }

    fn parked(places: &[usize], before: bool) -> Quarantined {
        Quarantined { samples: places.iter().map(|&place| (place, "time_invalid".to_owned())).collect(), before }
    }

    /// Ten rows of one event, of which two are in quarantine.
    fn one_event() -> Facts {
        Facts {
            read: 10,
            acked: HashMap::from([(eid(1), 1)]),
            archived: BTreeMap::from([(eid(1), archived(1, 10))]),
            stored: BTreeMap::from([(eid(1), Stored { samples: 8, before: false })]),
            quarantined: BTreeMap::from([(eid(1), parked(&[0, 4], false))]),
            ..Facts::default()
        }
    }

    #[test]
    fn a_new_event_is_stored_and_quarantined_and_nothing_else() {
        let facts = one_event();
        assert!(is_settled(&facts, eid(1)));
        let result = reconcile(&facts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total(), result.resent), (8, 0, 2, 0));
        assert_eq!(result.signals_rejected, BTreeMap::from([("out_of_range".to_owned(), 1)]));
        assert_eq!(result.differences, Vec::<String>::new());
    }

    #[test]
    fn what_was_known_before_the_run_is_a_duplicate_altogether() {
        let mut facts = one_event();
        facts.stored.insert(eid(1), Stored { samples: 8, before: true });
        let result = reconcile(&facts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total()), (0, 10, 0));
        assert_eq!((result.differences, result.new_events), (Vec::new(), BTreeSet::new()));
    }

    #[test]
    fn an_event_whose_samples_are_all_in_quarantine_is_known_by_them() {
        let mut facts = one_event();
        facts.stored.clear();
        facts.archived.insert(eid(1), archived(1, 2));
        facts.read = 2;
        assert_eq!(reconcile(&facts).quarantined_total(), 2);
        facts.quarantined.insert(eid(1), parked(&[0, 4], true));
        let result = reconcile(&facts);
        assert_eq!((result.quarantined_total(), result.deduplicated, result.differences.len()), (0, 2, 0));
    }

    #[test]
    fn rows_sent_twice_are_duplicates_and_lost_answers_are_not() {
        let mut facts = one_event();
        facts.read = 20;
        facts.acked.insert(eid(1), 2);
        facts.archived.insert(eid(1), archived(3, 10));
        let result = reconcile(&facts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total(), result.resent), (8, 10, 2, 10));
        assert_eq!(result.differences, Vec::<String>::new());
    }

    #[test]
    fn a_sample_that_is_nowhere_is_a_difference() {
        let mut facts = one_event();
        facts.stored.insert(eid(1), Stored { samples: 7, before: false });
        assert!(!is_settled(&facts, eid(1)));
        assert_eq!(reconcile(&facts).differences.len(), 2, "the event's, and the sum");
    }

    #[test]
    fn an_acknowledged_event_that_is_not_in_the_archive_is_a_difference() {
        let mut facts = one_event();
        facts.archived.clear();
        assert!(reconcile(&facts).differences[0].contains("not in the archive"));
        let mut facts = one_event();
        facts.acked.insert(eid(1), 2);
        assert!(reconcile(&facts).differences[0].contains("acknowledged 2 times"));
    }

    #[test]
    fn somebody_elses_events_do_not_count() {
        let mut facts = one_event();
        facts.archived.insert(eid(2), archived(1, 5));
        facts.stored.insert(eid(2), Stored { samples: 5, before: false });
        let result = reconcile(&facts);
        assert_eq!((result.stored, result.resent, result.differences.len()), (8, 5, 0));
    }
}
