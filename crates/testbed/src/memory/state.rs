//! The state that the ports in memory share.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use roadcast_domain::audit::Change;
use roadcast_domain::entitlement::Grant;
use roadcast_domain::erasure::Erasure;
use roadcast_domain::event::{CustomType, StoredEvent};
use roadcast_domain::fleet::{Client, Fleet, FleetState};
use roadcast_domain::ids::{ChangeId, ClientId, Eid, ErasureId, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::name_history::NameHistory;
use roadcast_domain::package::{CustomPackage, PackageName, Packages};
use roadcast_domain::schema::EventSchema;
use roadcast_domain::secret::StackSecrets;
use roadcast_domain::state::VehicleState;
use roadcast_domain::subject::VehicleName;
use roadcast_domain::subscription::Subscription;
use roadcast_domain::vehicle::Vehicle;
use roadcast_ports::archive::{QuarantinedItem, RawBatch};
use roadcast_ports::bus::{Batch, FleetBatch};
use roadcast_ports::clients::Credentials;
use roadcast_ports::feed::{FeedPointer, RestoredPart};
use roadcast_ports::provisioning::{FeedProof, WorkflowRun};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::alert_notices::NoticeStore;
use super::alert_state::EvaluationStore;
use super::alerts::AlertStore;
use super::channel_start::{ChannelStart, StartingChannel};
use super::dead_letters::LetterStore;
use super::queue::Queue;
use super::redrive::Redelivered;
use super::requests::ClaimedKey;
use super::secrets::secret;
use super::webhooks::WebhookStore;

/// The default quota of EventBridge in most Regions, 300, without the rule of webhooks.
const RULES_PER_BUS: usize = 299;

/// What [`Memory`](super::Memory) stores.
#[derive(Debug)]
pub(super) struct MemoryState {
    pub(super) visibility_ms: i64,
    /// Each with the time at which it was stored.
    pub(super) archived: Vec<(Timestamp, RawBatch)>,
    /// The keys of archived batches that cannot be read.
    pub(super) unreadable_batches: BTreeSet<String>,
    pub(super) quarantined: Vec<QuarantinedItem>,
    pub(super) alerts: AlertStore,
    pub(super) letters: LetterStore,
    pub(super) webhooks: WebhookStore,
    pub(super) alert_state: EvaluationStore,
    pub(super) notices: NoticeStore,
    pub(super) redelivered: Redelivered,
    pub(super) published: Vec<Batch>,
    pub(super) deliveries: Vec<FleetBatch>,
    pub(super) undeliverable: Vec<String>,
    pub(super) pointers: BTreeMap<FleetId, Vec<FeedPointer>>,
    pub(super) restored_parts: BTreeSet<RestoredPart>,
    pub(super) request_counts: BTreeMap<(FleetId, Timestamp), u32>,
    pub(super) responses: BTreeMap<String, ClaimedKey>,
    pub(super) events: BTreeMap<(VehicleId, Eid), StoredEvent>,
    pub(super) states: BTreeMap<VehicleId, VehicleState>,
    pub(super) vehicles: BTreeMap<VehicleId, Vehicle>,
    pub(super) names: HashMap<VehicleName, NameHistory>,
    pub(super) erased_vehicles: BTreeSet<VehicleId>,
    pub(super) erasures: BTreeMap<ErasureId, Erasure>,
    pub(super) vehicles_version: u64,
    pub(super) fleets: BTreeMap<FleetId, Fleet>,
    /// By the fleet, `None` for ingest clients, and by id.
    pub(super) changes: BTreeMap<(Option<FleetId>, ChangeId), Change>,
    pub(super) clients: BTreeMap<ClientId, Client>,
    /// By client: its name in the user pool and its credentials.
    pub(super) credentials: BTreeMap<ClientId, (String, Credentials)>,
    pub(super) app_clients_created: usize,
    pub(super) subscriptions: BTreeMap<(FleetId, SubscriptionId), Subscription>,
    pub(super) grants: BTreeMap<(VehicleId, FleetId), BTreeMap<SubscriptionId, Grant>>,
    pub(super) epochs: BTreeMap<(FleetId, VehicleId), u64>,
    pub(super) entitlements_version: u64,
    pub(super) packages: Packages,
    pub(super) custom_packages: BTreeMap<PackageName, CustomPackage>,
    pub(super) schemas: BTreeMap<CustomType, Vec<EventSchema>>,
    pub(super) secrets: StackSecrets,
    pub(super) workflows: Vec<WorkflowRun>,
    pub(super) queues: BTreeMap<FleetId, Queue>,
    pub(super) rules: BTreeSet<(String, FleetId)>,
    /// The quota of rules on a bus.
    pub(super) rules_per_bus: usize,
    pub(super) channel_start: ChannelStart,
    pub(super) starting_channels: BTreeMap<FleetId, StartingChannel>,
    pub(super) feed_proofs: BTreeMap<FleetId, FeedProof>,
    /// The number of fleets with a place on each bus.
    pub(super) bus_counts: BTreeMap<String, u32>,
}

impl MemoryState {
    /// Returns the state without records, with the built-in packages.
    pub(super) fn empty() -> Self {
        Self {
            visibility_ms: 30_000,
            archived: Vec::new(),
            unreadable_batches: BTreeSet::new(),
            quarantined: Vec::new(),
            alerts: AlertStore::default(),
            letters: LetterStore::default(),
            webhooks: WebhookStore::default(),
            alert_state: EvaluationStore::default(),
            notices: NoticeStore::default(),
            redelivered: Redelivered::default(),
            published: Vec::new(),
            deliveries: Vec::new(),
            undeliverable: Vec::new(),
            pointers: BTreeMap::new(),
            restored_parts: BTreeSet::new(),
            request_counts: BTreeMap::new(),
            responses: BTreeMap::new(),
            events: BTreeMap::new(),
            states: BTreeMap::new(),
            vehicles: BTreeMap::new(),
            names: HashMap::new(),
            erased_vehicles: BTreeSet::new(),
            erasures: BTreeMap::new(),
            vehicles_version: 0,
            fleets: BTreeMap::new(),
            changes: BTreeMap::new(),
            clients: BTreeMap::new(),
            credentials: BTreeMap::new(),
            app_clients_created: 0,
            subscriptions: BTreeMap::new(),
            grants: BTreeMap::new(),
            epochs: BTreeMap::new(),
            entitlements_version: 0,
            packages: Packages::built_in(),
            custom_packages: BTreeMap::new(),
            schemas: BTreeMap::new(),
            secrets: StackSecrets::single(secret(0)),
            workflows: Vec::new(),
            queues: BTreeMap::new(),
            rules: BTreeSet::new(),
            rules_per_bus: RULES_PER_BUS,
            channel_start: ChannelStart::default(),
            starting_channels: BTreeMap::new(),
            feed_proofs: BTreeMap::new(),
            bus_counts: BTreeMap::new(),
        }
    }

    pub(super) fn record_change(&mut self, change: &Change) {
        self.changes.insert((change.fleet_id.clone(), change.change_id), change.clone());
    }

    /// Fails with `Conflict` unless the stored client has the version of `client`.
    pub(super) fn check_client_version(&self, client: &Client, context: &'static str) -> Result<(), PortError> {
        let stored = self.clients.get(&client.client_id).map_or(0, |stored| stored.version);
        if stored == client.version { Ok(()) } else { Err(PortError::new(PortErrorKind::Conflict, context)) }
    }

    /// Fails with `Conflict` if the fleet is being or has been offboarded. An unregistered fleet passes.
    pub(super) fn check_active(&self, fleet_id: &FleetId, context: &'static str) -> Result<(), PortError> {
        let offboarded = self.fleets.get(fleet_id).is_some_and(|fleet| fleet.state != FleetState::Active);
        if offboarded { Err(PortError::new(PortErrorKind::Conflict, context)) } else { Ok(()) }
    }
}

pub(super) fn insert_new<K: Ord, V: Clone>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: &V,
    context: &'static str,
) -> Result<(), PortError> {
    match map.entry(key) {
        Entry::Occupied(_) => Err(PortError::new(PortErrorKind::Conflict, context)),
        Entry::Vacant(entry) => {
            entry.insert(value.clone());
            Ok(())
        }
    }
}
