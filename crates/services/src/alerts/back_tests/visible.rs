//! Which alerts of a back-test the owner may see.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::alert::RuleOwner;
use roadcast_domain::back_test::BackTestAlert;
use roadcast_domain::entitlement::{Coverage, Entitlement};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::package::Packages;
use roadcast_ports::PortError;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::port_set::PortSet;

use crate::cache::CachedEntitlements;

/// What the owner of a back-test may see of some vehicles.
#[derive(Debug)]
pub(in crate::alerts) enum VisibleAlerts {
    /// Everything.
    All,
    /// What the fleet is entitled to.
    Covered {
        /// By vehicle.
        entitlements: BTreeMap<VehicleId, Entitlement>,
        /// The packages.
        packages: Packages,
        /// The time for which it was read.
        now: Timestamp,
    },
}

impl VisibleAlerts {
    /// Reads what an owner may see of these vehicles.
    pub(in crate::alerts) async fn read<Ports: PortSet>(
        owner: &RuleOwner,
        vehicles: BTreeSet<VehicleId>,
        cache: &CachedEntitlements<Ports>,
        now: Timestamp,
    ) -> Result<Self, PortError> {
        let Some(fleet_id) = owner.fleet_id() else { return Ok(Self::All) };
        let mut entitlements = BTreeMap::new();
        for (vid, found) in cache.list_by_vehicles(vehicles).await {
            let own = found?.into_iter().find(|entitlement| entitlement.fleet_id == *fleet_id);
            entitlements.extend(own.filter(|entitlement| entitlement.is_live(now)).map(|entitlement| (vid, entitlement)));
        }
        Ok(Self::Covered { entitlements, packages: cache.packages().await?, now })
    }

    /// Whether the owner may know that a vehicle exists.
    pub(in crate::alerts) fn has_vehicle(&self, vid: &VehicleId) -> bool {
        match self {
            Self::All => true,
            Self::Covered { entitlements, .. } => entitlements.contains_key(vid),
        }
    }

    /// Returns what covers data of a vehicle that was received at `received`; `None` if everything does.
    pub(in crate::alerts) fn coverage(&self, vid: &VehicleId, received: Timestamp) -> Option<Coverage<'_>> {
        match self {
            Self::All => None,
            Self::Covered { entitlements, packages, now } => {
                let own = entitlements.get(vid).map(|own| own.coverage(packages, received, *now));
                Some(own.unwrap_or_else(|| Coverage::of([], packages)))
            }
        }
    }

    /// Whether the owner may see an alert: all that it was computed from, by the time it was received.
    pub(in crate::alerts) fn contains(&self, found: &BackTestAlert) -> bool {
        self.coverage(&found.vid, found.received()).is_none_or(|coverage| found.alert.is_covered(&coverage))
    }
}
