//! Every port in memory, over one shared world.

mod channel;
mod delivery;
mod log;
mod packages;
mod reference;
mod register;
mod requests;
mod schemas;
mod sink;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::event::{CustomType, StoredEvent};
use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{ClientId, Eid, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::{CustomPackage, PackageName, Packages};
use roadcast_domain::schema::EventSchema;
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::Subject;
use roadcast_domain::subscription::Subscription;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::archive::{QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, FleetBatch};
use roadcast_ports::clients::Credentials;
use roadcast_ports::feed::FeedPointer;
use roadcast_ports::provisioning::WorkflowRun;
use roadcast_signals::Timestamp;

use crate::{ManualClock, MemoryStream, lock};
use delivery::Queue;
use requests::Kept;

/// The world in memory: implements every port but [`Clock`](roadcast_ports::clock::Clock) and
/// [`Randomness`](roadcast_ports::clock::Randomness), and lets a test look inside. Clones are the same world.
#[derive(Clone, Debug)]
pub struct Memory {
    clock: ManualClock,
    stream: MemoryStream,
    world: Arc<Mutex<World>>,
}

#[derive(Debug)]
struct World {
    visibility_ms: i64,
    archived: Vec<RawBatch>,
    quarantined: Vec<QuarantinedItem>,
    published: Vec<Batch>,
    deliveries: Vec<FleetBatch>,
    pointers: BTreeMap<FleetId, Vec<FeedPointer>>,
    requests: BTreeMap<(FleetId, Timestamp), u32>,
    answers: BTreeMap<String, Kept>,
    events: BTreeMap<(VehicleId, Eid), StoredEvent>,
    states: BTreeMap<VehicleId, VehicleState>,
    vehicles: BTreeMap<VehicleId, Vehicle>,
    named: HashMap<Subject, VehicleId>,
    fleets: BTreeMap<FleetId, Fleet>,
    changes: BTreeMap<(FleetId, Eid), Change>,
    clients: BTreeMap<ClientId, Client>,
    /// By client: its name in the user pool, and its credentials.
    credentials: BTreeMap<ClientId, (String, Credentials)>,
    made_clients: usize,
    subscriptions: BTreeMap<(FleetId, SubscriptionId), Subscription>,
    grants: BTreeMap<(VehicleId, FleetId), BTreeMap<SubscriptionId, Grant>>,
    epochs: BTreeMap<(FleetId, VehicleId), u64>,
    entitlements_version: u64,
    packages: Packages,
    custom_packages: BTreeMap<PackageName, CustomPackage>,
    schemas: BTreeMap<CustomType, Vec<EventSchema>>,
    workflows: Vec<WorkflowRun>,
    queues: BTreeMap<FleetId, Queue>,
    rules: BTreeSet<(String, FleetId)>,
}

impl Memory {
    /// An empty world under that clock, with the seed packages and a stream of one shard.
    pub fn new(clock: ManualClock) -> Self {
        Self::with_shards(clock, 1)
    }

    /// An empty world whose stream has so many shards.
    pub fn with_shards(clock: ManualClock, shards: usize) -> Self {
        let world = World {
            visibility_ms: 30_000,
            archived: Vec::new(),
            quarantined: Vec::new(),
            published: Vec::new(),
            deliveries: Vec::new(),
            pointers: BTreeMap::new(),
            requests: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: BTreeMap::new(),
            states: BTreeMap::new(),
            vehicles: BTreeMap::new(),
            named: HashMap::new(),
            fleets: BTreeMap::new(),
            changes: BTreeMap::new(),
            clients: BTreeMap::new(),
            credentials: BTreeMap::new(),
            made_clients: 0,
            subscriptions: BTreeMap::new(),
            grants: BTreeMap::new(),
            epochs: BTreeMap::new(),
            entitlements_version: 0,
            packages: Packages::built_in(),
            custom_packages: BTreeMap::new(),
            schemas: BTreeMap::new(),
            workflows: Vec::new(),
            queues: BTreeMap::new(),
            rules: BTreeSet::new(),
        };
        Self { stream: MemoryStream::new(clock.clone(), shards), clock, world: Arc::new(Mutex::new(world)) }
    }

    /// Sets how long a message that was taken stays hidden; 30 s unless set.
    pub fn set_visibility_ms(&self, visibility_ms: i64) {
        self.world().visibility_ms = visibility_ms;
    }

    /// Its clock.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Its stream.
    pub fn stream(&self) -> &MemoryStream {
        &self.stream
    }

    /// Every batch the archive kept, in order, repeats and overlaps as they came.
    pub fn archived(&self) -> Vec<RawBatch> {
        self.world().archived.clone()
    }

    /// Everything that was set aside, in order, repeats as they came.
    pub fn quarantined(&self) -> Vec<QuarantinedItem> {
        self.world().quarantined.clone()
    }

    /// Every entry published to the ingest bus, in order.
    pub fn published(&self) -> Vec<Batch> {
        self.world().published.clone()
    }

    /// Takes the entries of the ingest bus, as enrichment would get them.
    pub fn take_published(&self) -> Vec<Batch> {
        std::mem::take(&mut self.world().published)
    }

    /// Every entry published to the delivery buses, in order, whether or not a rule caught it.
    pub fn deliveries(&self) -> Vec<FleetBatch> {
        self.world().deliveries.clone()
    }

    /// A fleet's pointers in the feed index, in the order of their stamps, repeats as they came.
    pub fn pointers(&self, fleet_id: &FleetId) -> Vec<FeedPointer> {
        self.world().pointers.get(fleet_id).cloned().unwrap_or_default()
    }

    /// Every event in the log, by vehicle and `eid`.
    pub fn events(&self) -> Vec<StoredEvent> {
        self.world().events.values().cloned().collect()
    }

    /// The workflows that were started, in order, each once.
    pub fn workflows(&self) -> Vec<WorkflowRun> {
        self.world().workflows.clone()
    }

    /// The bodies of the messages in a fleet's queue, hidden ones too, in order.
    pub fn queued(&self, fleet_id: &FleetId) -> Vec<String> {
        self.world().queues.get(fleet_id).map(Queue::bodies).unwrap_or_default()
    }

    /// The clients that the user pool has.
    pub fn pool_clients(&self) -> Vec<ClientId> {
        self.world().credentials.keys().cloned().collect()
    }

    /// Whether a fleet has both a queue and a rule on some bus.
    pub fn is_provisioned(&self, fleet_id: &FleetId) -> bool {
        let world = self.world();
        world.queues.contains_key(fleet_id) && world.rules.iter().any(|(_, ruled)| ruled == fleet_id)
    }

    /// Raises the consent epoch of a fleet and vehicle, as taking something away does.
    pub fn raise_epoch(&self, fleet_id: &FleetId, vid: &VehicleId) {
        let mut world = self.world();
        *world.epochs.entry((fleet_id.clone(), vid.clone())).or_default() += 1;
        world.entitlements_version += 1;
    }

    /// Replaces the packages there are from the start.
    pub fn set_packages(&self, packages: Packages) {
        self.world().packages = packages;
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(ManualClock::default())
    }
}

#[cfg(test)]
mod tests;
