//! Operations with one result per call.

use roadcast_domain::audit::Change;
use roadcast_domain::caller::Scope;
use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::event::CustomType;
use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::{CustomPackage, Packages};
use roadcast_domain::schema::EventSchema;
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::Subject;
use roadcast_domain::subscription::{Subscription, SubscriptionState};
use roadcast_domain::vehicle::Vehicle;
use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem};
use roadcast_ports::PortError;
use roadcast_ports::archive::{Archive, Quarantine, QuarantinedItem, RawBatch};
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{Delivery, FeedIndex, FeedPage, FeedRange};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::packages::CustomPackages;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel, ProvisioningWorkflow, WorkflowRun};
use roadcast_ports::requests::{IdempotencyStore, KeyClaim, KeyedRequest, RateCounter, StoredResponse};
use roadcast_ports::schemas::Schemas;
use roadcast_ports::state::{StateStore, StoredState};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::{VehicleListing, VehiclePage, VehicleRegistration, Vehicles};

use roadcast_signals::Timestamp;

use super::Faulty;

impl<P: Sync> Faulty<P> {
    /// Awaits `call` unless the plan injects a fault that is not applied. A future that is not awaited does nothing.
    pub(super) async fn inject<A: Send>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<A, PortError>> + Send,
    ) -> Result<A, PortError> {
        match self.plan.next(operation) {
            None => call.await,
            Some(fault) => {
                if fault.is_applied() {
                    // The response is lost, whatever it is.
                    let _lost = call.await;
                }
                Err(fault.error(operation))
            }
        }
    }
}

impl<P: StateStore> StateStore for Faulty<P> {
    async fn read(&self, vid: &VehicleId) -> Result<StoredState, PortError> {
        self.inject("read", self.inner.read(vid)).await
    }

    async fn merge(&self, vid: &VehicleId, known: StoredState, readings: &VehicleState) -> Result<(), PortError> {
        self.inject("merge", self.inner.merge(vid, known, readings)).await
    }
}

impl<P: EventItems> EventItems for Faulty<P> {
    async fn put_new(&self, item: &LogItem) -> Result<(), PortError> {
        self.inject("put_new", self.inner.put_new(item)).await
    }

    async fn page(&self, range: &ItemRange<'_>) -> Result<ItemPage, PortError> {
        self.inject("page", self.inner.page(range)).await
    }
}

impl<P: Archive> Archive for Faulty<P> {
    async fn store(&self, batch: &RawBatch) -> Result<(), PortError> {
        self.inject("archive", self.inner.store(batch)).await
    }
}

impl<P: Quarantine> Quarantine for Faulty<P> {
    async fn store(&self, items: &[QuarantinedItem]) -> Result<(), PortError> {
        self.inject("quarantine", self.inner.store(items)).await
    }
}

impl<P: FeedIndex> FeedIndex for Faulty<P> {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        self.inject("record", self.inner.record(deliveries)).await
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        self.inject("read", self.inner.read(range)).await
    }
}

impl<P: Entitlements> Entitlements for Faulty<P> {
    async fn list_by_vehicle(&self, vid: &VehicleId) -> Result<Vec<Entitlement>, PortError> {
        self.inject("list_by_vehicle", self.inner.list_by_vehicle(vid)).await
    }

    async fn entitlement(&self, fleet_id: &FleetId, vid: &VehicleId) -> Result<Option<Entitlement>, PortError> {
        self.inject("entitlement", self.inner.entitlement(fleet_id, vid)).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<Entitlement>, PortError> {
        self.inject("list_by_fleet", self.inner.list_by_fleet(fleet_id, after, limit)).await
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.inject("version", self.inner.version()).await
    }

    async fn packages(&self) -> Result<Packages, PortError> {
        self.inject("packages", self.inner.packages()).await
    }
}

impl<P: Vehicles> Vehicles for Faulty<P> {
    async fn register(&self, vehicle: &Vehicle) -> Result<VehicleRegistration, PortError> {
        self.inject("register", self.inner.register(vehicle)).await
    }

    async fn get(&self, vid: &VehicleId) -> Result<Option<Vehicle>, PortError> {
        self.inject("get", self.inner.get(vid)).await
    }

    async fn replace(&self, vehicle: &Vehicle) -> Result<(), PortError> {
        self.inject("replace", self.inner.replace(vehicle)).await
    }

    async fn resolve(&self, subject: &Subject) -> Result<Option<VehicleId>, PortError> {
        self.inject("resolve", self.inner.resolve(subject)).await
    }

    async fn list(&self, page: &VehicleListing) -> Result<VehiclePage, PortError> {
        self.inject("list", self.inner.list(page)).await
    }
}

impl<P: Fleets> Fleets for Faulty<P> {
    async fn create(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("create", self.inner.create(fleet, change)).await
    }

    async fn update(&self, fleet: &Fleet, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("update", self.inner.update(fleet, change)).await
    }

    async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        self.inject("get", self.inner.get(fleet_id)).await
    }

    async fn list(&self, after: Option<&FleetId>, limit: usize) -> Result<Vec<Fleet>, PortError> {
        self.inject("list", self.inner.list(after, limit)).await
    }

    async fn changes(&self, fleet_id: &FleetId, before: Option<Eid>, limit: usize) -> Result<Vec<Change>, PortError> {
        self.inject("changes", self.inner.changes(fleet_id, before, limit)).await
    }
}

impl<P: Schemas> Schemas for Faulty<P> {
    async fn put(&self, schema: &EventSchema) -> Result<(), PortError> {
        self.inject("put", self.inner.put(schema)).await
    }

    async fn latest(&self) -> Result<Vec<EventSchema>, PortError> {
        self.inject("latest", self.inner.latest()).await
    }

    async fn versions(&self, event_type: &CustomType) -> Result<Vec<EventSchema>, PortError> {
        self.inject("versions", self.inner.versions(event_type)).await
    }

    async fn version(&self) -> Result<u64, PortError> {
        self.inject("version", self.inner.version()).await
    }
}

impl<P: CustomPackages> CustomPackages for Faulty<P> {
    async fn put(&self, package: &CustomPackage) -> Result<(), PortError> {
        self.inject("put", self.inner.put(package)).await
    }

    async fn get(&self, name: &str) -> Result<Option<CustomPackage>, PortError> {
        self.inject("get", self.inner.get(name)).await
    }

    async fn list(&self) -> Result<Vec<CustomPackage>, PortError> {
        self.inject("list", self.inner.list()).await
    }
}

impl<P: Clients> Clients for Faulty<P> {
    async fn put(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("put", self.inner.put(client, change)).await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        self.inject("get", self.inner.get(client_id)).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        self.inject("list_by_fleet", self.inner.list_by_fleet(fleet_id, after, limit)).await
    }

    async fn record_secret_shown(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("record_secret_shown", self.inner.record_secret_shown(client, change)).await
    }

    async fn remove(&self, client: &Client, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("remove", self.inner.remove(client, change)).await
    }
}

impl<P: AppClients> AppClients for Faulty<P> {
    async fn create(&self, name: &str, scope: Scope) -> Result<Credentials, PortError> {
        self.inject("create", self.inner.create(name, scope)).await
    }

    async fn credentials(&self, client_id: &ClientId) -> Result<Option<Credentials>, PortError> {
        self.inject("credentials", self.inner.credentials(client_id)).await
    }

    async fn find_by_name(&self, name: &str) -> Result<Vec<ClientId>, PortError> {
        self.inject("find_by_name", self.inner.find_by_name(name)).await
    }

    async fn remove(&self, client_id: &ClientId) -> Result<(), PortError> {
        self.inject("remove", self.inner.remove(client_id)).await
    }
}

impl<P: Subscriptions> Subscriptions for Faulty<P> {
    async fn create(&self, subscription: &Subscription, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("create", self.inner.create(subscription, change)).await
    }

    async fn get(&self, fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Result<Option<Subscription>, PortError> {
        self.inject("get", self.inner.get(fleet_id, subscription_id)).await
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, PortError> {
        self.inject("list", self.inner.list(fleet_id, after, limit)).await
    }

    async fn replace(&self, subscription: &Subscription, from: SubscriptionState) -> Result<(), PortError> {
        self.inject("replace", self.inner.replace(subscription, from)).await
    }

    async fn write_grants(&self, subscription: &Subscription) -> Result<(), PortError> {
        self.inject("write_grants", self.inner.write_grants(subscription)).await
    }

    async fn update(&self, subscription: &Subscription, change: Option<&Change>) -> Result<(), PortError> {
        self.inject("update", self.inner.update(subscription, change)).await
    }

    async fn narrow_grants(
        &self,
        subscription: &Subscription,
        vehicles: &[VehicleId],
        left: Option<&Grant>,
    ) -> Result<(), PortError> {
        self.inject("narrow_grants", self.inner.narrow_grants(subscription, vehicles, left)).await
    }
}

impl<P: ProvisioningWorkflow> ProvisioningWorkflow for Faulty<P> {
    async fn start(&self, run: &WorkflowRun) -> Result<(), PortError> {
        self.inject("start", self.inner.start(run)).await
    }
}

impl<P: FleetChannel> FleetChannel for Faulty<P> {
    async fn ensure_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.inject("ensure_queue", self.inner.ensure_queue(fleet)).await
    }

    async fn ensure_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.inject("ensure_rule", self.inner.ensure_rule(fleet)).await
    }

    async fn remove_rule(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.inject("remove_rule", self.inner.remove_rule(fleet)).await
    }

    async fn is_drained(&self, fleet: &Fleet) -> Result<bool, PortError> {
        self.inject("is_drained", self.inner.is_drained(fleet)).await
    }

    async fn remove_queue(&self, fleet: &Fleet) -> Result<(), PortError> {
        self.inject("remove_queue", self.inner.remove_queue(fleet)).await
    }

    async fn status(&self, fleet: &Fleet) -> Result<ChannelParts, PortError> {
        self.inject("status", self.inner.status(fleet)).await
    }
}

impl<P: RateCounter> RateCounter for Faulty<P> {
    async fn add(&self, fleet_id: &FleetId, window: Timestamp, requests: u32) -> Result<u32, PortError> {
        self.inject("add", self.inner.add(fleet_id, window, requests)).await
    }
}

impl<P: IdempotencyStore> IdempotencyStore for Faulty<P> {
    async fn claim(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyClaim, PortError> {
        self.inject("claim", self.inner.claim(request, now)).await
    }

    async fn store_response(
        &self,
        request: &KeyedRequest,
        response: &StoredResponse,
        now: Timestamp,
    ) -> Result<(), PortError> {
        self.inject("store_response", self.inner.store_response(request, response, now)).await
    }

    async fn release(&self, request: &KeyedRequest) -> Result<(), PortError> {
        self.inject("release", self.inner.release(request)).await
    }
}
