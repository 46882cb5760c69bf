//! Alert rules as they are stored. What a rule says is the JSON of its owner, which `roadcast-alerts` parses.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::alert::RuleOwner;
use crate::ids::{FleetId, RuleId};

/// A stored alert rule in one version. Every change makes a new version: alerts name the version that raised them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertRuleRecord {
    /// The owner; as `fleetId`, which the rules of the operator do not have.
    #[serde(rename = "fleetId", default = "operator", with = "fleet_of_owner", skip_serializing_if = "is_operator")]
    pub owner: RuleOwner,
    /// The rule.
    pub rule_id: RuleId,
    /// The version, from 1.
    pub version: u64,
    /// Whether the rule is evaluated.
    pub enabled: bool,
    /// The version raises no alert before this time: when it was stored, or enabled.
    pub active_from: Timestamp,
    /// When the rule was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What the rule says: the JSON that its owner wrote, without whitespace and with its defaults.
    pub definition: String,
}

impl AlertRuleRecord {
    /// Maximum rules of one owner.
    pub const MAX_PER_OWNER: usize = 500;
    /// Maximum bytes of the definition of one rule.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// Maximum bytes of the definitions of all rules of one owner. They are read together.
    pub const MAX_BYTES_PER_OWNER: usize = 2 * 1024 * 1024;
}

pub(crate) const fn operator() -> RuleOwner {
    RuleOwner::Operator
}

pub(crate) const fn is_operator(owner: &RuleOwner) -> bool {
    matches!(owner, RuleOwner::Operator)
}

/// The owner as an optional fleet.
pub(crate) mod fleet_of_owner {
    use super::{Deserialize as _, Deserializer, FleetId, RuleOwner, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(owner: &RuleOwner, serializer: S) -> Result<S::Ok, S::Error> {
        owner.fleet_id().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RuleOwner, D::Error> {
        FleetId::deserialize(deserializer).map(RuleOwner::Fleet)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn owner_is_a_fleet_or_absent() {
        let record = |owner| AlertRuleRecord {
            owner,
            rule_id: RuleId::from_random_bits(1),
            version: 1,
            enabled: true,
            active_from: Timestamp::from_ms(0),
            created_at: Timestamp::from_ms(0),
            updated_at: Timestamp::from_ms(0),
            definition: "{}".to_owned(),
        };
        let fleet_id = FleetId::from_random_bits(2);
        for (owner, fleet) in [(RuleOwner::Operator, None), (RuleOwner::Fleet(fleet_id.clone()), Some(json!(fleet_id)))] {
            let written = serde_json::to_value(record(owner.clone())).unwrap();
            assert_eq!(written.get("fleetId"), fleet.as_ref());
            assert_eq!(serde_json::from_value::<AlertRuleRecord>(written).unwrap(), record(owner));
        }
    }
}
