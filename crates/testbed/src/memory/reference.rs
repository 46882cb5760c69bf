//! Fleets, clients, subscriptions and what follows from them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::fleet::{Client, Fleet, FleetState};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::Packages;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::{PortError, PortErrorKind};

use super::{Memory, World};

impl Fleets for Memory {
    async fn create(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        insert_new(&mut world.fleets, fleet.fleet_id.clone(), fleet, "creating a fleet")?;
        world.keep_change(change);
        Ok(())
    }

    async fn update(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        match world.fleets.get_mut(&fleet.fleet_id) {
            Some(kept) if kept.version == fleet.version => {
                *kept = Fleet { version: kept.version + 1, ..fleet.clone() };
                world.keep_change(change);
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "updating a fleet")),
        }
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        Ok(self.world().fleets.get(fleet_id).cloned())
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        let world = self.world();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(world.fleets.range((after, Bound::Unbounded)).map(|(_, fleet)| fleet).take(limit).cloned().collect())
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<Eid>, limit: usize) -> Result<Vec<Change>, PortError> {
        let world = self.world();
        let its = world.changes.values().filter(|change| change.fleet_id == *fleet_id);
        let left = its.rev().filter(|change| before.is_none_or(|before| change.change_id < before));
        Ok(left.take(limit).cloned().collect())
    }
}

impl Clients for Memory {
    async fn put(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        if let Some(fleet_id) = client.fleet_id() {
            world.check_stays(fleet_id, "keeping a client")?;
        }
        world.clients.insert(client.client_id.clone(), client.clone());
        world.keep_change(change);
        Ok(())
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        Ok(self.world().clients.get(client_id).cloned())
    }

    async fn of_fleet(&self, fleet_id: &FleetId, after: Option<&ClientId>, limit: usize) -> Result<Vec<Client>, PortError> {
        let world = self.world();
        let its = world.clients.values().filter(|client| client.fleet_id() == Some(fleet_id));
        let left = its.filter(|client| after.is_none_or(|after| client.client_id > *after));
        Ok(left.take(limit).cloned().collect())
    }

    async fn keep_shown(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        match world.clients.get_mut(&client.client_id) {
            Some(kept) if kept.secret_shown_at.is_none() => kept.clone_from(client),
            _ => return Err(PortError::new(PortErrorKind::Conflict, "keeping that a client's secret was shown")),
        }
        world.keep_change(change);
        Ok(())
    }

    async fn remove(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        if world.clients.remove(&client.client_id).is_none() {
            return Err(PortError::new(PortErrorKind::Conflict, "removing a client"));
        }
        world.keep_change(change);
        Ok(())
    }
}

impl AppClients for Memory {
    async fn create(&self, name: &str, _scope: Scope) -> Result<Credentials, PortError> {
        let mut world = self.world();
        world.made_clients += 1;
        let made = world.made_clients;
        let client_id = ClientId::new(format!("client-{made}"));
        let credentials = Credentials { client_id: client_id.clone(), client_secret: format!("secret-{made}") };
        world.credentials.insert(client_id, (name.to_owned(), credentials.clone()));
        Ok(credentials)
    }

    async fn credentials(&self, client_id: &ClientId) -> Result<Option<Credentials>, PortError> {
        Ok(self.world().credentials.get(client_id).map(|(_, credentials)| credentials.clone()))
    }

    async fn named(&self, name: &str) -> Result<Vec<ClientId>, PortError> {
        let world = self.world();
        let its = world.credentials.iter().filter(|(_, (its_name, _))| its_name == name);
        Ok(its.map(|(client_id, _)| client_id.clone()).collect())
    }

    async fn remove(&self, client_id: &ClientId) -> Result<(), PortError> {
        self.world().credentials.remove(client_id);
        Ok(())
    }
}

impl Subscriptions for Memory {
    async fn create(&self, subscription: &Subscription, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        world.check_stays(&subscription.fleet_id, "creating a subscription")?;
        insert_new(&mut world.subscriptions, key(subscription), subscription, "creating a subscription")?;
        world.keep_change(change);
        Ok(())
    }

    async fn get(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<Option<Subscription>, PortError> {
        Ok(self.world().subscriptions.get(&(fleet_id.clone(), subscription_id.clone())).cloned())
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, PortError> {
        let world = self.world();
        let its = world.subscriptions.values().filter(|subscription| subscription.fleet_id == *fleet_id);
        let left = its.filter(|subscription| after.is_none_or(|after| subscription.subscription_id > *after));
        Ok(left.take(limit).cloned().collect())
    }

    async fn replace(&self, subscription: &Subscription, from: SubscriptionState) -> Result<(), PortError> {
        let mut world = self.world();
        match world.subscriptions.get_mut(&key(subscription)) {
            Some(kept) if kept.state == from && kept.version == subscription.version => {
                *kept = Subscription { version: kept.version + 1, ..subscription.clone() };
                world.keep_change(Some(&Change::of_provisioning(from, subscription)));
                Ok(())
            }
            _ => Err(PortError::new(PortErrorKind::Conflict, "replacing a subscription")),
        }
    }

    async fn update(&self, subscription: &Subscription, change: Option<&Change>) -> Result<(), PortError> {
        let mut world = self.world();
        world.check_version(subscription, "updating a subscription")?;
        let next = Subscription { version: subscription.version + 1, ..subscription.clone() };
        world.subscriptions.insert(key(subscription), next);
        world.keep_change(change);
        Ok(())
    }

    async fn write_grants(&self, subscription: &Subscription) -> Result<(), PortError> {
        let mut world = self.world();
        if world.check_version(subscription, "writing grants")? == SubscriptionState::Revoked {
            return Err(PortError::new(PortErrorKind::Conflict, "writing grants"));
        }
        let grant = Grant::of(subscription);
        for vid in &subscription.vehicles {
            let grants = world.grants.entry((vid.clone(), subscription.fleet_id.clone())).or_default();
            grants.insert(subscription.subscription_id.clone(), grant.clone());
        }
        world.entitlements_version += 1;
        Ok(())
    }

    async fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        left: Option<&Grant>,
    ) -> Result<(), PortError> {
        let mut world = self.world();
        world.check_version(subscription, "narrowing grants")?;
        for vid in vehicles {
            let (fleet_id, id) = key(subscription);
            *world.epochs.entry((fleet_id.clone(), vid.clone())).or_default() += 1;
            let grants = world.grants.entry((vid.clone(), fleet_id)).or_default();
            match left {
                Some(left) => grants.insert(id, left.clone()),
                None => grants.remove(&id),
            };
        }
        world.entitlements_version += 1;
        Ok(())
    }
}

impl Entitlements for Memory {
    async fn to_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        let world = self.world();
        // The id of no bits is the smallest one: the vehicle's grants begin there.
        let first = (vid.clone(), FleetId::from_random(0));
        let granted = world.grants.range(first..).map(|(key, _)| key).take_while(|(granted, _)| granted == vid);
        let fleets = granted.map(|(_, fleet_id)| fleet_id);
        Ok(fleets.filter_map(|fleet_id| world.entitlement(fleet_id, vid)).collect())
    }

    async fn of_fleet_to_vehicle(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        Ok(self.world().entitlement(fleet_id, vid))
    }

    async fn of_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        let world = self.world();
        let vids = world.grants.keys().filter(|(_, granted)| granted == fleet_id).map(|(vid, _)| vid);
        let left = vids.filter(|vid| after.is_none_or(|after| *vid > after));
        Ok(left.filter_map(|vid| world.entitlement(fleet_id, vid)).take(limit).collect())
    }

    async fn version(&self) -> Result<u64, PortError> {
        Ok(self.world().entitlements_version)
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        let world = self.world();
        Ok(world.packages.and_custom(world.custom_packages.values().cloned()))
    }
}

impl World {
    /// What a fleet may see of a vehicle: the grants that are written.
    fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Option<Entitlement> {
        let grants: Vec<Grant> = self.grants.get(&(vid.clone(), fleet_id.clone()))?.values().cloned().collect();
        let epoch = self.epochs.get(&(fleet_id.clone(), vid.clone())).copied().unwrap_or_default();
        (!grants.is_empty()).then(|| Entitlement { fleet_id: fleet_id.clone(), vid: vid.clone(), epoch, grants })
    }
}

impl World {
    fn keep_change(&mut self, change: Option<&Change>) {
        self.changes.extend(change.map(|change| ((change.fleet_id.clone(), change.change_id), change.clone())));
    }

    /// A fleet that is leaving or has left is a conflict; one that is not known stays, as far as anybody knows.
    fn check_stays(&self, fleet_id: &FleetId, context: &'static str) -> Result<(), PortError> {
        let leaves = self.fleets.get(fleet_id).is_some_and(|fleet| fleet.state != FleetState::Active);
        if leaves { Err(PortError::new(PortErrorKind::Conflict, context)) } else { Ok(()) }
    }

    /// The state of the subscription that is kept, if it is still at that version.
    fn check_version(&self, subscription: &Subscription, context: &'static str) -> Result<SubscriptionState, PortError> {
        let kept = self.subscriptions.get(&key(subscription)).filter(|kept| kept.version == subscription.version);
        kept.map(|kept| kept.state).ok_or(PortError::new(PortErrorKind::Conflict, context))
    }
}

fn key(subscription: &Subscription) -> (FleetId, SubscriptionId) {
    (subscription.fleet_id.clone(), subscription.subscription_id.clone())
}

fn insert_new<K: Ord, V: Clone>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: &V,
    context: &'static str,
) -> Result<(), PortError> {
    match map.entry(key) {
        Entry::Occupied(_) => Err(PortError::new(PortErrorKind::Conflict, context)),
        Entry::Vacant(place) => {
            place.insert(value.clone());
            Ok(())
        }
    }
}
