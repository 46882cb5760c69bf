//! Subscriptions, and the entitlements that follow from their grants.

use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use super::Memory;
use super::state::{MemoryState, insert_new};

impl Subscriptions for Memory {
    async fn create(&self, subscription: &Subscription, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        state.check_active(&subscription.fleet_id, "creating a subscription")?;
        insert_new(&mut state.subscriptions, key(subscription), subscription, "creating a subscription")?;
        state.record_change(change);
        Ok(())
    }

    async fn get(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<Option<Subscription>, PortError> {
        Ok(self.state().subscriptions.get(&(fleet_id.clone(), subscription_id.clone())).cloned())
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, PortError> {
        let state = self.state();
        let of_fleet = state.subscriptions.values().filter(|subscription| subscription.fleet_id == *fleet_id);
        let remaining = of_fleet.filter(|subscription| after.is_none_or(|after| subscription.subscription_id > *after));
        Ok(remaining.take(limit).cloned().collect())
    }

    async fn replace(&self, subscription: &Subscription, from: SubscriptionState) -> Result<(), PortError> {
        let mut state = self.state();
        match state.subscriptions.get_mut(&key(subscription)) {
            Some(stored) if stored.state == from && stored.version == subscription.version => {
                *stored = Subscription { version: stored.version + 1, ..subscription.clone() };
                state.record_change(&Change::provisioning_step(from, subscription));
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "replacing a subscription")),
        }
    }

    async fn update(&self, subscription: &Subscription, change: &Change) -> Result<(), PortError> {
        let mut state = self.state();
        state.put_next(subscription, "updating a subscription")?;
        state.record_change(change);
        Ok(())
    }

    async fn claim_version(&self, stored: &Subscription) -> Result<(), PortError> {
        self.state().put_next(stored, "claiming a version of a subscription")
    }

    async fn write_grants(&self, subscription: &Subscription) -> Result<(), PortError> {
        let mut state = self.state();
        if state.check_version(subscription, "writing grants")? == SubscriptionState::Revoked {
            return Err(PortError::new(PortErrorKind::Conflict, "writing grants"));
        }
        let grant = Grant::for_subscription(subscription);
        for vid in &subscription.vehicles {
            let grants = state.grants.entry((vid.clone(), subscription.fleet_id.clone())).or_default();
            grants.insert(subscription.subscription_id.clone(), grant.clone());
        }
        state.entitlements_version += 1;
        Ok(())
    }

    async fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        left: Option<&Grant>,
    ) -> Result<(), PortError> {
        let mut state = self.state();
        state.check_version(subscription, "narrowing grants")?;
        for vid in vehicles {
            let (fleet_id, id) = key(subscription);
            *state.epochs.entry((fleet_id.clone(), vid.clone())).or_default() += 1;
            let grants = state.grants.entry((vid.clone(), fleet_id)).or_default();
            match left {
                Some(left) => grants.insert(id, left.clone()),
                None => grants.remove(&id),
            };
        }
        state.entitlements_version += 1;
        Ok(())
    }
}

impl Entitlements for Memory {
    async fn list_by_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        let state = self.state();
        // The all-zero id is the smallest one: the vehicle's grants start there.
        let first = (vid.clone(), FleetId::from_random_bits(0));
        let granted = state.grants.range(first..).map(|(key, _)| key).take_while(|(granted, _)| granted == vid);
        let fleets = granted.map(|(_, fleet_id)| fleet_id);
        Ok(fleets.filter_map(|fleet_id| state.entitlement(fleet_id, vid)).collect())
    }

    async fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        Ok(self.state().entitlement(fleet_id, vid))
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        let state = self.state();
        let vids = state.grants.keys().filter(|(_, granted)| granted == fleet_id).map(|(vid, _)| vid);
        let remaining = vids.filter(|vid| after.is_none_or(|after| *vid > after));
        Ok(remaining.filter_map(|vid| state.entitlement(fleet_id, vid)).take(limit).collect())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(self.state().entitlements_version)
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        let state = self.state();
        Ok(state.packages.with_custom(state.custom_packages.values().cloned()))
    }
}

impl MemoryState {
    /// Returns a fleet's entitlement to a vehicle, from the written grants, or `None` without a grant.
    fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Option<Entitlement> {
        let grants: Vec<Grant> = self.grants.get(&(vid.clone(), fleet_id.clone()))?.values().cloned().collect();
        let epoch = self.epochs.get(&(fleet_id.clone(), vid.clone())).copied().unwrap_or_default();
        (!grants.is_empty()).then(|| Entitlement { fleet_id: fleet_id.clone(), vid: vid.clone(), epoch, grants })
    }

    /// Stores the subscription as its next version. Fails with `Conflict` if the stored version differs.
    fn put_next(&mut self, subscription: &Subscription, context: &'static str) -> Result<(), PortError> {
        self.check_version(subscription, context)?;
        let next = Subscription { version: subscription.version + 1, ..subscription.clone() };
        self.subscriptions.insert(key(subscription), next);
        Ok(())
    }

    /// Returns the state of the stored subscription. Fails with `Conflict` if its version differs.
    fn check_version(&self, subscription: &Subscription, context: &'static str) -> Result<SubscriptionState, PortError> {
        let stored = self.subscriptions.get(&key(subscription)).filter(|stored| stored.version == subscription.version);
        stored.map(|stored| stored.state).ok_or(PortError::new(PortErrorKind::Conflict, context))
    }
}

fn key(subscription: &Subscription) -> (FleetId, SubscriptionId) {
    (subscription.fleet_id.clone(), subscription.subscription_id.clone())
}
