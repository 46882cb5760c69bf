//! All rules of one owner, found by vehicle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use roadcast_domain::ids::VehicleId;

use super::{CompiledRule, RuleVersion, VehicleRules};

/// The rules of one owner. Those that concern a vehicle are found without looking at the others.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<CompiledRule>>,
    /// The rules that name the vehicle.
    by_vehicle: HashMap<VehicleId, Vec<usize>>,
    /// The rules that name no vehicle but attributes, by the first of them.
    by_attribute: HashMap<(String, String), Vec<usize>>,
    /// The rules that name neither.
    of_all: Vec<usize>,
}

impl RuleSet {
    /// Compiles rules.
    pub fn new(versions: impl IntoIterator<Item = RuleVersion>) -> Self {
        let mut set = Self::default();
        for version in versions {
            set.insert(version);
        }
        set
    }

    fn insert(&mut self, version: RuleVersion) {
        let index = self.rules.len();
        let scope = &version.rule.scope;
        if let Some(vehicles) = &scope.vehicles {
            for vid in vehicles {
                self.by_vehicle.entry(vid.clone()).or_default().push(index);
            }
        } else if let Some((name, value)) = scope.attributes.first_key_value() {
            self.by_attribute.entry((name.clone(), value.clone())).or_default().push(index);
        } else {
            self.of_all.push(index);
        }
        self.rules.push(Arc::new(CompiledRule::new(version)));
    }

    /// Returns the number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a rule names attributes of vehicles.
    pub fn names_attributes(&self) -> bool {
        self.rules.iter().any(|rule| !rule.version.rule.scope.attributes.is_empty())
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the rules that concern a vehicle with these attributes.
    pub fn for_vehicle(&self, vid: &VehicleId, attributes: &BTreeMap<String, String>) -> VehicleRules {
        let by_vehicle = self.by_vehicle.get(vid).into_iter().flatten();
        let by_attribute = attributes.iter().filter_map(|(name, value)| {
            // A borrowed pair cannot be looked up in a map of owned pairs.
            self.by_attribute.get(&(name.clone(), value.clone()))
        });
        let candidates: BTreeSet<usize> = by_vehicle.chain(by_attribute.flatten()).chain(&self.of_all).copied().collect();
        let rules = candidates.into_iter().filter_map(|index| self.rules.get(index));
        VehicleRules::new(rules.filter(|rule| rule.version.rule.scope.contains(vid, attributes)).cloned())
    }
}
