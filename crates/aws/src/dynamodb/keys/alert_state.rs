//! Keys of `alertState`, which holds what the alert evaluator stores between its batches:
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `vehicle#<vid>` | `<fleetId>` or `operator` | the checkpoint of the evaluation of the rules of an owner; expires |
//! | `shard#<shard>` | `instance` | the instance of the evaluator that took the shard last |
//! | `watched#<shard>` | `<vid>#<fleetId>` or `<vid>#operator` | an evaluation that may raise an alert without further data |
//! | `notice#<eid>` | `sent` | whether the notice of an alert was sent; expires |

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::ids::Eid;
use roadcast_ports::alert_state::EvaluationKey;

use super::{Key, KeyRange, PK, SK};

/// Sorts before every vehicle.
const FIRST_VEHICLE: &str = "veh_";
/// Sorts after every character that occurs in ids.
const AFTER_ANY_ID: char = '~';

impl Key {
    /// The checkpoint of an evaluation.
    pub fn alert_checkpoint(key: &EvaluationKey) -> Self {
        Self::in_alert_state(format!("vehicle#{}", key.vid), owner_text(&key.owner).to_owned())
    }

    /// The instance of the evaluator that took a shard last.
    pub fn shard_instance(shard: &str) -> Self {
        Self::in_alert_state(format!("shard#{shard}"), "instance".to_owned())
    }

    /// An evaluation whose silence is watched.
    pub fn watched_evaluation(shard: &str, key: &EvaluationKey) -> Self {
        Self::in_alert_state(watched_partition(shard), watched_sort(key))
    }

    /// Whether the notice of an alert was sent.
    pub fn sent_notice(notice_id: Eid) -> Self {
        Self::in_alert_state(format!("notice#{notice_id}"), "sent".to_owned())
    }

    fn in_alert_state(pk: String, sk: String) -> Self {
        Self { partition: (PK, pk), sort: Some((SK, sk)) }
    }
}

impl KeyRange {
    /// The evaluations of a shard whose silence is watched, after `after`.
    pub fn watched_evaluations(shard: &str, after: Option<&EvaluationKey>) -> Self {
        // `!` sorts before every character that follows another key in it.
        let from = after.map_or_else(|| FIRST_VEHICLE.to_owned(), |after| format!("{}!", watched_sort(after)));
        let partition = (PK, watched_partition(shard));
        Self { partition, sort: SK, from, to: AFTER_ANY_ID.to_string(), consistent: true, descending: false }
    }
}

/// Returns the key in the sort key of a watched evaluation; `None` if it is none.
pub(crate) fn parse_watched(sort: &str) -> Option<EvaluationKey> {
    let (vid, owner) = sort.split_once('#')?;
    let owner = if owner == OPERATOR { RuleOwner::Operator } else { RuleOwner::Fleet(owner.parse().ok()?) };
    Some(EvaluationKey { vid: vid.parse().ok()?, owner })
}

const OPERATOR: &str = "operator";

fn owner_text(owner: &RuleOwner) -> &str {
    owner.fleet_id().map_or(OPERATOR, |fleet_id| fleet_id.as_str())
}

fn watched_partition(shard: &str) -> String {
    format!("watched#{shard}")
}

fn watched_sort(key: &EvaluationKey) -> String {
    format!("{}#{}", key.vid, owner_text(&key.owner))
}
