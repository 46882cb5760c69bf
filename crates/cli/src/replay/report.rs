//! The output of a replay.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::feed_drain::DeliveryCounts;
use super::reconcile::Reconciliation;
use super::send::SendOutcome;

/// The maximum number of differences in the text output. JSON output has all of them.
const PRINTED_DIFFERENCES: usize = 20;

/// The totals of sending, as JSON.
pub(super) fn sent(sent: &SendOutcome, seconds: f64) -> Value {
    json!({
        "read": sent.read,
        "refused": sent.refused_total(),
        "refusedReasons": sent.refused,
        "accepted": sent.acked_samples,
        "uploads": sent.uploads,
        "seconds": seconds,
    })
}

/// The totals of sending, as text.
pub(super) fn sent_text(sent: &SendOutcome, seconds: f64) -> String {
    let refused = counted(sent.refused_total(), &sent.refused);
    format!("{} samples read, {} accepted, {refused} refused, in {seconds:.0} s", sent.read, sent.acked_samples)
}

/// Whether all samples are accounted for, and the fleet received all events that it is entitled to.
pub(super) fn counts_match(result: &Reconciliation, delivered: Option<&DeliveryCounts>) -> bool {
    result.differences.is_empty() && delivered.is_none_or(|delivered| delivered.missing == 0)
}

/// The reconciliation, as JSON and as text.
pub(super) fn reconciliation(result: &Reconciliation, delivered: Option<&DeliveryCounts>, seconds: f64) -> (Value, String) {
    let samples: BTreeMap<&str, u64> = delivered.iter().map(|fleet| (fleet.fleet_id.as_str(), fleet.samples)).collect();
    let missing: BTreeMap<&str, usize> =
        delivered.iter().filter(|fleet| fleet.missing > 0).map(|fleet| (fleet.fleet_id.as_str(), fleet.missing)).collect();
    let object = json!({
        "read": result.read,
        "refused": result.refused_total(),
        "refusedReasons": result.refused,
        "stored": result.stored,
        "deduplicated": result.deduplicated,
        "quarantined": result.quarantined,
        "delivered": samples,
        "undeliveredEvents": missing,
        "signalsRejected": result.signals_rejected,
        "resent": result.resent,
        "differences": result.differences,
        "seconds": seconds,
    });

    let mut text = format!(
        "read          {:>8}\n  refused     {:>8}{}\n  stored      {:>8}\n  deduplicated{:>8}\n  quarantined {:>8}{}\n",
        result.read,
        result.refused_total(),
        listed(&result.refused),
        result.stored,
        result.deduplicated,
        result.quarantined_total(),
        listed(&result.quarantined),
    );
    for (fleet_id, count) in &samples {
        let _ = writeln!(text, "delivered     {count:>8}  to {fleet_id}");
    }
    for (fleet_id, count) in &missing {
        let _ = writeln!(text, "undelivered   {count:>8}  events to {fleet_id}");
    }
    if !result.signals_rejected.is_empty() {
        let total: u64 = result.signals_rejected.values().sum();
        let _ = writeln!(text, "signals rejected {total:>5}{}", listed(&result.signals_rejected));
    }
    if result.resent > 0 {
        let _ = writeln!(text, "resent        {:>8}  (responses were lost; the copies had no effect)", result.resent);
    }
    let verdict = if counts_match(result, delivered) { "All samples are accounted for" } else { "THE COUNTS DO NOT MATCH" };
    let _ = writeln!(text, "{verdict} ({seconds:.0} s).");
    for difference in result.differences.iter().take(PRINTED_DIFFERENCES) {
        let _ = writeln!(text, "  {difference}");
    }
    if result.differences.len() > PRINTED_DIFFERENCES {
        let _ = writeln!(text, "  … and {} more", result.differences.len() - PRINTED_DIFFERENCES);
    }
    (object, text)
}

fn counted(total: u64, reasons: &BTreeMap<String, u64>) -> String {
    format!("{total}{}", listed(reasons))
}

fn listed(reasons: &BTreeMap<String, u64>) -> String {
    if reasons.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("  ({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_the_members_that_scripts_read() {
        let result = Reconciliation {
            read: 3,
            stored: 1,
            refused: BTreeMap::from([("not_json".to_owned(), 1)]),
            quarantined: BTreeMap::from([("time_invalid".to_owned(), 1)]),
            ..Reconciliation::default()
        };
        let (object, text) = reconciliation(&result, None, 1.0);
        assert_eq!((&object["read"], &object["refused"], &object["stored"]), (&json!(3), &json!(1), &json!(1)));
        assert_eq!(object["quarantined"], json!({"time_invalid": 1}));
        assert_eq!(object["refusedReasons"], json!({"not_json": 1}));
        assert_eq!((&object["delivered"], &object["signalsRejected"]), (&json!({}), &json!({})));
        assert!(text.contains("All samples are accounted for"), "{text}");
    }

    #[test]
    fn undelivered_event_is_a_difference() {
        let result = Reconciliation::default();
        let delivered = |missing| DeliveryCounts { fleet_id: "flt_x".to_owned(), samples: 1, missing };
        assert!(counts_match(&result, None) && counts_match(&result, Some(&delivered(0))));
        assert!(!counts_match(&result, Some(&delivered(1))));
        let (object, text) = reconciliation(&result, Some(&delivered(1)), 1.0);
        assert_eq!((&object["delivered"], &object["undeliveredEvents"]), (&json!({"flt_x": 1}), &json!({"flt_x": 1})));
        assert!(text.contains("THE COUNTS DO NOT MATCH"), "{text}");
    }
}
