//! Reconciliation: compares the samples read with those in archive, event log and quarantine.
//!
//! The archive has at least as many `copies` of an event as it has acknowledgements (`acked`). If the event was stored before
//! the run, all `acked × samples` are duplicates. Otherwise its `samples` must be stored or quarantined, and
//! `(acked − 1) × samples` are duplicates. The `copies − acked` further copies come from attempts whose response was lost, here
//! or inside the service. They are counted as `resent`, separately, because no row was read for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roadcast_domain::ids::Eid;

/// The counts of reading and sending, and the content of the stores.
#[derive(Clone, Debug, Default)]
pub(super) struct RunCounts {
    /// The number of rows in the recordings.
    pub(super) read: u64,
    /// The number of refused samples, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// The number of acknowledgements of each event.
    pub(super) acked: HashMap<Eid, u64>,
    /// The events of this run in the archive.
    pub(super) archived: BTreeMap<Eid, Archived>,
    /// Those of them in the event log.
    pub(super) stored: BTreeMap<Eid, Stored>,
    /// Those of them with samples in quarantine.
    pub(super) quarantined: BTreeMap<Eid, Quarantined>,
}

/// An event in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Archived {
    /// The number of distinct stream records that contain the event.
    pub(super) copies: u64,
    pub(super) samples: u64,
    /// The number of rejected signals, by reason.
    pub(super) signals_rejected: BTreeMap<String, u64>,
}

/// An event in the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) samples: u64,
    /// Whether the event was received before this run.
    pub(super) before_run: bool,
}

/// The samples of an event in quarantine: index → reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quarantined {
    pub(super) samples: BTreeMap<usize, String>,
    /// Whether any of them arrived before this run.
    pub(super) before_run: bool,
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
    /// The number of rejected signals, not samples.
    pub(super) signals_rejected: BTreeMap<String, u64>,
    /// The events that this run stored or quarantined for the first time.
    pub(super) new_events: BTreeSet<Eid>,
    /// A message for each mismatch; empty if all samples are accounted for.
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

/// Whether archive, event log and quarantine together have all samples of an event.
pub(super) fn is_complete(counts: &RunCounts, eid: Eid) -> bool {
    let stored = counts.stored.get(&eid).map_or(0, |stored| stored.samples);
    let quarantined = counts.quarantined.get(&eid).map_or(0, |quarantined| quarantined.samples.len() as u64);
    let acked = counts.acked.get(&eid).copied().unwrap_or_default();
    counts.archived.get(&eid).is_some_and(|event| event.copies >= acked && stored + quarantined >= event.samples)
}

/// Compares the counts.
pub(super) fn reconcile(counts: &RunCounts) -> Reconciliation {
    let mut result = Reconciliation { read: counts.read, refused: counts.refused.clone(), ..Reconciliation::default() };
    for eid in counts.acked.keys().filter(|eid| !counts.archived.contains_key(eid)).collect::<BTreeSet<_>>() {
        result.differences.push(format!("event {eid} was acknowledged but is not in the archive"));
    }
    for (&eid, event) in &counts.archived {
        let acked = counts.acked.get(&eid).copied().unwrap_or_default();
        result.resent += event.copies.saturating_sub(acked) * event.samples;
        if event.copies < acked {
            let copies = event.copies;
            result
                .differences
                .push(format!("event {eid} was acknowledged {acked} times but the archive has {copies} copies"));
        }
        if acked == 0 {
            continue;
        }
        let stored = counts.stored.get(&eid);
        let quarantined = counts.quarantined.get(&eid);
        // If all samples are quarantined, the event is in quarantine only.
        let before_run = stored.map_or_else(|| quarantined.is_some_and(|item| item.before_run), |stored| stored.before_run);
        if before_run {
            result.deduplicated += acked * event.samples;
            continue;
        }
        let stored = stored.map_or(0, |stored| stored.samples);
        result.new_events.insert(eid);
        result.stored += stored;
        result.deduplicated += (acked - 1) * event.samples;
        for reason in quarantined.iter().flat_map(|item| item.samples.values()) {
            *result.quarantined.entry(reason.clone()).or_default() += 1;
        }
        for (reason, count) in &event.signals_rejected {
            *result.signals_rejected.entry(reason.clone()).or_default() += count;
        }
        let quarantined = quarantined.map_or(0, |item| item.samples.len() as u64);
        if stored + quarantined != event.samples {
            let samples = event.samples;
            result
                .differences
                .push(format!("event {eid} has {samples} samples, but {stored} are stored and {quarantined} quarantined"));
        }
    }
    let accounted = result.refused_total() + result.stored + result.deduplicated + result.quarantined_total();
    if result.read != accounted {
        result.differences.push(format!("{} samples were read, but {accounted} are accounted for", result.read));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eid(n: i64) -> Eid {
        Eid::lower_bound(roadcast_domain::Timestamp::from_ms(n))
    }

    fn archived(copies: u64, samples: u64) -> Archived {
        Archived { copies, samples, signals_rejected: BTreeMap::from([("out_of_range".to_owned(), 1)]) }
    }

    fn quarantined(indices: &[usize], before_run: bool) -> Quarantined {
        Quarantined { samples: indices.iter().map(|&index| (index, "time_invalid".to_owned())).collect(), before_run }
    }

    /// Ten rows of one event, of which two are in quarantine.
    fn one_event() -> RunCounts {
        RunCounts {
            read: 10,
            acked: HashMap::from([(eid(1), 1)]),
            archived: BTreeMap::from([(eid(1), archived(1, 10))]),
            stored: BTreeMap::from([(eid(1), Stored { samples: 8, before_run: false })]),
            quarantined: BTreeMap::from([(eid(1), quarantined(&[0, 4], false))]),
            ..RunCounts::default()
        }
    }

    #[test]
    fn new_event_counts_as_stored_and_quarantined() {
        let counts = one_event();
        assert!(is_complete(&counts, eid(1)));
        let result = reconcile(&counts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total(), result.resent), (8, 0, 2, 0));
        assert_eq!(result.signals_rejected, BTreeMap::from([("out_of_range".to_owned(), 1)]));
        assert_eq!(result.differences, Vec::<String>::new());
    }

    #[test]
    fn event_stored_before_the_run_counts_as_duplicate() {
        let mut counts = one_event();
        counts.stored.insert(eid(1), Stored { samples: 8, before_run: true });
        let result = reconcile(&counts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total()), (0, 10, 0));
        assert_eq!((result.differences, result.new_events), (Vec::new(), BTreeSet::new()));
    }

    #[test]
    fn fully_quarantined_event_is_compared_by_its_quarantined_samples() {
        let mut counts = one_event();
        counts.stored.clear();
        counts.archived.insert(eid(1), archived(1, 2));
        counts.read = 2;
        assert_eq!(reconcile(&counts).quarantined_total(), 2);
        counts.quarantined.insert(eid(1), quarantined(&[0, 4], true));
        let result = reconcile(&counts);
        assert_eq!((result.quarantined_total(), result.deduplicated, result.differences.len()), (0, 2, 0));
    }

    #[test]
    fn repeated_rows_are_duplicates_and_lost_responses_are_resent() {
        let mut counts = one_event();
        counts.read = 20;
        counts.acked.insert(eid(1), 2);
        counts.archived.insert(eid(1), archived(3, 10));
        let result = reconcile(&counts);
        assert_eq!((result.stored, result.deduplicated, result.quarantined_total(), result.resent), (8, 10, 2, 10));
        assert_eq!(result.differences, Vec::<String>::new());
    }

    #[test]
    fn missing_sample_is_a_difference() {
        let mut counts = one_event();
        counts.stored.insert(eid(1), Stored { samples: 7, before_run: false });
        assert!(!is_complete(&counts, eid(1)));
        assert_eq!(reconcile(&counts).differences.len(), 2, "one for the event, one for the total");
    }

    #[test]
    fn acknowledged_event_missing_in_the_archive_is_a_difference() {
        let mut counts = one_event();
        counts.archived.clear();
        assert!(reconcile(&counts).differences[0].contains("not in the archive"));
        let mut counts = one_event();
        counts.acked.insert(eid(1), 2);
        assert!(reconcile(&counts).differences[0].contains("acknowledged 2 times"));
    }

    #[test]
    fn events_of_other_senders_do_not_count() {
        let mut counts = one_event();
        counts.archived.insert(eid(2), archived(1, 5));
        counts.stored.insert(eid(2), Stored { samples: 5, before_run: false });
        let result = reconcile(&counts);
        assert_eq!((result.stored, result.resent, result.differences.len()), (8, 5, 0));
    }
}
