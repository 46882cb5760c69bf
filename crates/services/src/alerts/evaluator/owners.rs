//! Whose rules concern a vehicle, and what their owners may see of it.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_alerts::VehicleRules;
use roadcast_domain::Timestamp;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::entitlement::{Coverage, Entitlement, Visibility};
use roadcast_domain::event::{Body, Event, EventType};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::package::Packages;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::port_set::PortSet;

use crate::cache::{CachedAlertRules, CachedEntitlements, CachedVehicles, RulesSummary};

/// Finds the owners whose rules are evaluated on a vehicle: the operator, and the fleets that may see it now. All of it is cached, and
/// a change takes effect within five seconds.
pub struct RuleOwners<Ports: PortSet> {
    /// The entitlements of fleets.
    pub entitlements: CachedEntitlements<Ports>,
    /// The rules.
    pub rules: CachedAlertRules<Ports>,
    /// The vehicles, for the attributes that rules name.
    pub vehicles: CachedVehicles<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// An owner with rules, and what it may see of a vehicle.
#[derive(Clone, Debug)]
pub(super) struct VehicleOwner {
    pub(super) owner: RuleOwner,
    rules: RulesSummary,
    pub(super) view: View,
    /// The attributes of the vehicle; `None` if no rule of the owner names one.
    attributes: Option<BTreeMap<String, String>>,
}

/// What an owner may see of a vehicle.
#[derive(Clone, Debug)]
pub(super) struct View {
    rights: Rights,
    packages: Packages,
    now: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
enum Rights {
    /// The operator sees everything.
    All,
    /// An entitlement, and which of its grants are within their validity.
    Granted { entitlement: Entitlement, valid: Vec<bool> },
}

/// On what an evaluation is based. If it changes, the evaluation is restored: it may have to forget what its owner may no longer
/// see, and other rules apply.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Basis {
    rules_version: u64,
    rights: Rights,
    packages: Packages,
    attributes: Option<BTreeMap<String, String>>,
}

impl<Ports: PortSet> RuleOwners<Ports> {
    /// Whether there has never been a rule.
    pub(super) async fn are_none(&self) -> Result<bool, PortError> {
        Ok(self.rules.version().await? == 0)
    }

    /// Returns the owners with rules of each of these vehicles.
    pub(super) async fn of_vehicles(
        &self,
        vids: BTreeSet<VehicleId>,
    ) -> Result<BTreeMap<VehicleId, Result<Vec<VehicleOwner>, PortError>>, PortError> {
        let operator = self.rules.summary(&RuleOwner::Operator).await?;
        let packages = self.entitlements.packages().await?;
        let mut owners = BTreeMap::new();
        for (vid, entitlements) in self.entitlements.list_by_vehicles(vids).await {
            let found = match entitlements {
                Ok(entitlements) => self.of_vehicle(&vid, entitlements, operator, &packages).await,
                Err(error) => Err(error),
            };
            owners.insert(vid, found);
        }
        Ok(owners)
    }

    async fn of_vehicle(
        &self,
        vid: &VehicleId,
        entitlements: Vec<Entitlement>,
        operator: RulesSummary,
        packages: &Packages,
    ) -> Result<Vec<VehicleOwner>, PortError> {
        let now = self.clock.now();
        let mut owners = Vec::new();
        let mut add = |owner, rules: RulesSummary, rights| {
            if !rules.is_empty {
                let view = View { rights, packages: packages.clone(), now };
                owners.push(VehicleOwner { owner, rules, view, attributes: None });
            }
        };
        for entitlement in entitlements {
            if entitlement.is_live(now) {
                let owner = RuleOwner::Fleet(entitlement.fleet_id.clone());
                let valid = entitlement.grants.iter().map(|grant| grant.validity.contains(now)).collect();
                let rules = self.rules.summary(&owner).await?;
                add(owner, rules, Rights::Granted { entitlement, valid });
            }
        }
        add(RuleOwner::Operator, operator, Rights::All);
        if owners.iter().any(|owner| owner.rules.names_attributes) {
            let vehicle = self.vehicles.get(vid).await?;
            let attributes = vehicle.map(|vehicle| vehicle.details.rule_attributes()).unwrap_or_default();
            for owner in owners.iter_mut().filter(|owner| owner.rules.names_attributes) {
                owner.attributes = Some(attributes.clone());
            }
        }
        Ok(owners)
    }

    /// Returns the rules of an owner that concern a vehicle. The owner then states their version.
    pub(super) async fn rules(&self, owner: &mut VehicleOwner, vid: &VehicleId) -> Result<VehicleRules, PortError> {
        let all = self.rules.get(&owner.owner).await?;
        owner.rules.version = all.version;
        let none = BTreeMap::new();
        Ok(all.rules.for_vehicle(vid, owner.attributes.as_ref().unwrap_or(&none)))
    }
}

impl VehicleOwner {
    /// Whether an evaluation is still based on what applies now.
    pub(super) fn is_basis(&self, basis: &Basis) -> bool {
        let Basis { rules_version, rights, packages, attributes } = basis;
        *rules_version == self.rules.version
            && *rights == self.view.rights
            && *packages == self.view.packages
            && *attributes == self.attributes
    }

    /// On what an evaluation is based that begins now.
    pub(super) fn basis(&self) -> Basis {
        Basis {
            rules_version: self.rules.version,
            rights: self.view.rights.clone(),
            packages: self.view.packages.clone(),
            attributes: self.attributes.clone(),
        }
    }
}

impl View {
    /// Returns the part of an event that rules read out of what the owner may see; `None` if nothing remains.
    pub(super) fn select(&self, rules: &VehicleRules, event: &Event) -> Option<Event> {
        match self.coverage(event.received) {
            None => rules.select(event, |_| true, true),
            Some(coverage) => {
                let sees_diagnostics = coverage.contains_event_type(&EventType::Diagnostic);
                rules.select(event, |signal| coverage.contains_signal(signal.path), sees_diagnostics)
            }
        }
    }

    /// Whether the owner may see an alert.
    pub(super) fn shows(&self, event: &Event) -> bool {
        match (&event.body, self.coverage(event.received)) {
            (Body::Alert(alert), Some(coverage)) => alert.is_covered(&coverage),
            _ => true,
        }
    }

    /// Returns what the owner sees; `None` if it sees everything.
    pub(super) fn visibility(&self) -> Option<Visibility> {
        match &self.rights {
            Rights::All => None,
            Rights::Granted { entitlement, .. } => Some(entitlement.visibility(&self.packages, self.now)),
        }
    }

    /// The packages.
    pub(super) const fn packages(&self) -> &Packages {
        &self.packages
    }

    /// Returns what covers data that was received at a time; `None` if the owner may see everything.
    fn coverage(&self, received: Timestamp) -> Option<Coverage<'_>> {
        match &self.rights {
            Rights::All => None,
            Rights::Granted { entitlement, .. } => Some(entitlement.coverage(&self.packages, received, self.now)),
        }
    }
}
