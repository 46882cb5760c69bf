//! The table of the ports' operations, from which decorators are generated.
//!
//! [`metered_ports!`](crate::metered_ports) and [`unmetered_ports!`](crate::unmetered_ports) pass the table to a macro of a
//! decorator, which generates the methods. The decorators are `Faulty` in `roadcast-testbed` and `Metered` in
//! `roadcast-cost`. A decorator imports the [`prelude`]. `EventItems` has a table of its own in `roadcast-event-log`.
//!
//! # Grammar
//!
//! A port is `Trait { rows }`, and a row is `kind method(arguments) -> output;`, where arguments and output are those of the
//! trait's method. The kind is `one` if the method returns one `Result<output, PortError>`, or `each` if it returns a
//! `Vec` with one such result per entry of a slice, which is written last, after a `;`, with the type of an entry. The name
//! of the operation in a fault plan is that of the method, unless the row states another one: `one store as archive(…)`.
//!
//! # Compile errors
//!
//! A method without a row fails to compile (E0046), as does a row without a method (E0407). A method with a default
//! implementation has no row: it calls the required methods of the decorator.

/// Every name that the rows contain.
pub mod prelude {
    pub use std::collections::{BTreeMap, BTreeSet};

    pub use roadcast_domain::alert::RuleOwner;
    pub use roadcast_domain::alert_notice::AlertNotice;
    pub use roadcast_domain::alert_rule::AlertRuleRecord;
    pub use roadcast_domain::audit::Change;
    pub use roadcast_domain::back_test::{BackTest, BackTestAlert, BackTestTask};
    pub use roadcast_domain::caller::Scope;
    pub use roadcast_domain::dead_letter::{
        ClaimOutcome, Content, DeadLetter, Redrive, RedriveClaim, RedriveId, RedriveMark,
    };
    pub use roadcast_domain::entitlement::{Entitlement, Grant};
    pub use roadcast_domain::erasure::{ErasedStore, Erasure, ErasureScope};
    pub use roadcast_domain::event::{CustomType, StoredEvent};
    pub use roadcast_domain::fleet::{Client, ClientKind, ClientPosition, Fleet};
    pub use roadcast_domain::ids::{
        BackTestId, ChangeId, ClientId, DeadLetterId, DeliveryId, Eid, EndpointId, ErasureId, FleetId, RuleId,
        SubscriptionId, VehicleId,
    };
    pub use roadcast_domain::name_history::NameHistory;
    pub use roadcast_domain::package::{CustomPackage, PackageName, Packages};
    pub use roadcast_domain::schema::EventSchema;
    pub use roadcast_domain::secret::StackSecrets;
    pub use roadcast_domain::state::VehicleState;
    pub use roadcast_domain::subject::Subject;
    pub use roadcast_domain::subscription::{Subscription, SubscriptionState};
    pub use roadcast_domain::vehicle::Vehicle;
    pub use roadcast_domain::webhook::{
        Attempt, Delivery as WebhookDelivery, DeliveryKey, Endpoint, EndpointHealth, EndpointRedrive,
    };
    pub use roadcast_signals::Timestamp;

    pub use crate::PortError;
    pub use crate::alert_notices::{NoticeBus, NoticeClaim, NoticeTopic, SentNotices};
    pub use crate::alert_state::{AlertCheckpoint, AlertCheckpoints, EvaluationKey, ShardEvaluations};
    pub use crate::alerts::{AlertRules, BackTestQueue, BackTests};
    pub use crate::archive::{
        Archive, ArchivedBatch, ArchivedBatches, ArchivedRecord, Quarantine, QuarantinedItem, RawBatch, RawRecord,
    };
    pub use crate::bus::{Batch, DeliveryBus, FleetBatch, IngestBus};
    pub use crate::clients::{AppClients, Clients, Credentials};
    pub use crate::dead_letters::{
        ContentDescription, DeadLetterContents, DeadLetters, LetterListing, LetterPage, LetterPut, Redrives,
    };
    pub use crate::entitlements::Entitlements;
    pub use crate::erasure::{ErasedPart, Erasures, VehicleErasure};
    pub use crate::event_log::{EventLog, EventPage, EventRange, TelemetryPage};
    pub use crate::feed::{Delivery, FeedIndex, FeedPage, FeedQueue, FeedRange, Message, ReceiveOptions, RestoredPart};
    pub use crate::fleets::{FleetCreation, Fleets};
    pub use crate::message_delay::{FailedMessage, MessageDelay};
    pub use crate::packages::CustomPackages;
    pub use crate::provisioning::{ChannelParts, FeedProof, FeedProofs, FleetChannel, ProvisioningWorkflow, WorkflowRun};
    pub use crate::redrive::{ArchivedRecords, ProcessedBatch, RecordPosition, RedriveTargets, RedrivenBatch};
    pub use crate::requests::{IdempotencyStore, KeyClaim, KeyedRequest, RateCounter, StoredResponse};
    pub use crate::schemas::Schemas;
    pub use crate::secrets::SecretSource;
    pub use crate::state::{StateStore, StoredState};
    pub use crate::stream::{ReadStart, StreamClock, StreamReader, StreamRecord, TelemetryStream};
    pub use crate::subscriptions::Subscriptions;
    pub use crate::vehicles::{VehicleListing, VehiclePage, VehicleRegistration, Vehicles};
    pub use crate::webhooks::{
        AttemptPage, AttemptPosition, Attempts, Deliveries, DeliveryPut, DeliveryQueue, DeliveryTask, DueLine,
        EndpointHealths, EndpointRedrives, Endpoints, FailedDeliveries, LineContent, Sealer, WaitingDeliveries,
        WaitingDelivery, WaitingLine,
    };
}

/// Passes the ports whose usage the cost model meters to the macro `$callback`, in the grammar of the
/// [`table`](crate::table).
#[macro_export]
macro_rules! metered_ports {
    ($callback:ident) => {
        $callback! {
            Archive {
                one store as archive(batch: &RawBatch) -> ();
            }
            Quarantine {
                one store as quarantine(items: &[QuarantinedItem]) -> ();
            }
            Vehicles {
                one register(vehicle: &Vehicle) -> VehicleRegistration;
                one get(vid: &VehicleId) -> Option<Vehicle>;
                one replace(vehicle: &Vehicle) -> ();
                one history(subject: &Subject) -> Option<NameHistory>;
                one version() -> u64;
                one list(page: &VehicleListing) -> VehiclePage;
            }
            Entitlements {
                one list_by_vehicle(vid: &VehicleId) -> Vec<Entitlement>;
                one entitlement(fleet_id: &FleetId, vid: &VehicleId) -> Option<Entitlement>;
                one list_by_fleet(fleet_id: &FleetId, after: Option<&VehicleId>, limit: usize) -> Vec<Entitlement>;
                one version() -> u64;
                one packages() -> Packages;
            }
            AlertRules {
                one create as create_alert_rule(rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> ();
                one get as get_alert_rule(owner: &RuleOwner, rule_id: &RuleId) -> Option<AlertRuleRecord>;
                one list as list_alert_rules(owner: &RuleOwner) -> Vec<AlertRuleRecord>;
                one replace as replace_alert_rule(rule: &AlertRuleRecord, owner_version: u64, change: &Change) -> ();
                one remove as remove_alert_rule(rule: &AlertRuleRecord, change: &Change) -> ();
                one version as alert_rules_version() -> u64;
                one owner_version as alert_rules_owner_version(owner: &RuleOwner) -> u64;
                one operator_changes(before: Option<ChangeId>, limit: usize) -> Vec<Change>;
            }
            Fleets {
                one create_within(fleet: &Fleet, places: u32, change: &Change) -> FleetCreation;
                one update(fleet: &Fleet, change: &Change) -> ();
                one bus_counts() -> BTreeMap<String, u32>;
                one release_bus(fleet: &Fleet, change: &Change) -> ();
                one get(fleet_id: &FleetId) -> Option<Fleet>;
                one list(after: Option<&FleetId>, limit: usize) -> Vec<Fleet>;
                one changes(fleet_id: &FleetId, before: Option<ChangeId>, limit: usize) -> Vec<Change>;
            }
            Schemas {
                one put(schema: &EventSchema) -> ();
                one latest() -> Vec<EventSchema>;
                one versions(event_type: &CustomType) -> Vec<EventSchema>;
                one version() -> u64;
            }
            Clients {
                one put(client: &Client, change: &Change) -> ();
                one replace(before: &Client, after: &Client, change: &Change) -> ();
                one get(client_id: &ClientId) -> Option<Client>;
                one list(kind: Option<ClientKind>, after: Option<&ClientPosition>, limit: usize) -> Vec<Client>;
                one list_by_fleet(fleet_id: &FleetId, after: Option<&ClientId>, limit: usize) -> Vec<Client>;
                one remove(client: &Client, change: &Change) -> ();
                one changes(client_id: &ClientId, before: Option<ChangeId>, limit: usize) -> Vec<Change>;
            }
            TelemetryStream {
                each put(; records: StreamRecord) -> ();
            }
            StreamReader {
                one read as read_stream(shard: &str, from: &ReadStart, limit: usize) -> Vec<RawRecord>;
            }
            StreamClock {
                one tick(data: &[u8]) -> usize;
            }
            AlertCheckpoints {
                one get as get_checkpoint(key: &EvaluationKey) -> Option<AlertCheckpoint>;
                one replace as replace_checkpoint(key: &EvaluationKey, checkpoint: &AlertCheckpoint) -> ();
            }
            ShardEvaluations {
                one instance(shard: &str) -> Option<String>;
                one take(shard: &str, instance: &str) -> ();
                each watch(shard: &str; keys: EvaluationKey) -> ();
                each unwatch(shard: &str; keys: EvaluationKey) -> ();
                one watched(shard: &str, after: Option<&EvaluationKey>, limit: usize) -> Vec<EvaluationKey>;
            }
            IngestBus {
                each publish(; entries: Batch) -> ();
            }
            DeliveryBus {
                each publish(; entries: FleetBatch) -> ();
            }
            FeedIndex {
                one record(deliveries: &[Delivery]) -> ();
                one record_once(part: &RestoredPart, deliveries: &[Delivery]) -> bool;
                one read(range: &FeedRange) -> FeedPage;
            }
            FeedQueue {
                one receive(fleet_id: &FleetId, options: ReceiveOptions) -> Vec<Message>;
                each acknowledge(fleet_id: &FleetId; ack_handles: String) -> ();
                each release(fleet_id: &FleetId, delay_s: u16; ack_handles: String) -> ();
            }
            StateStore {
                one read(vid: &VehicleId) -> StoredState;
                one merge(vid: &VehicleId, stored: StoredState, readings: &VehicleState) -> ();
            }
        }
    };
}

/// Passes the ports that the cost model does not meter to the macro `$callback`, in the grammar of the
/// [`table`](crate::table).
#[macro_export]
macro_rules! unmetered_ports {
    ($callback:ident) => {
        $callback! {
            EventLog {
                each append(; events: StoredEvent) -> ();
                one range(range: &EventRange) -> EventPage;
                one telemetry(range: &EventRange) -> TelemetryPage;
                one get(vid: &VehicleId, eid: Eid) -> Option<StoredEvent>;
                one stored_ids(vid: &VehicleId, eids: &[Eid]) -> BTreeSet<Eid>;
            }
            Erasures {
                one create as create_erasure(erasure: &Erasure) -> ();
                one get as get_erasure(erasure_id: &ErasureId) -> Option<Erasure>;
                one list as list_erasures(after: Option<&ErasureId>, limit: usize) -> Vec<Erasure>;
                one replace as replace_erasure(erasure: &Erasure) -> ();
            }
            VehicleErasure {
                one hide(vehicle: &Vehicle, at: Timestamp) -> ();
                one erase(store: ErasedStore, scope: &ErasureScope, after: Option<&str>) -> ErasedPart;
            }
            BackTests {
                one create as create_back_test(back_test: &BackTest) -> ();
                one get as get_back_test(owner: &RuleOwner, back_test_id: &BackTestId) -> Option<BackTest>;
                one list as list_back_tests(owner: &RuleOwner) -> Vec<BackTest>;
                one replace as replace_back_test(back_test: &BackTest) -> ();
                one remove as remove_back_test(owner: &RuleOwner, back_test_id: &BackTestId) -> ();
                one store_alerts(back_test_id: &BackTestId, page: &str, alerts: &[BackTestAlert], expires_at: Timestamp) -> ();
                one alerts as read_alerts(back_test_id: &BackTestId, pages: &[String]) -> Vec<BackTestAlert>;
            }
            BackTestQueue {
                one send as send_back_test(task: &BackTestTask) -> ();
            }
            CustomPackages {
                one put(package: &CustomPackage) -> ();
                one get(name: &PackageName) -> Option<CustomPackage>;
                one list() -> Vec<CustomPackage>;
            }
            DeadLetters {
                one put(letter: &DeadLetter) -> LetterPut;
                one get(id: DeadLetterId) -> Option<DeadLetter>;
                one list(page: &LetterListing) -> LetterPage;
                one claim(id: DeadLetterId, claim: &RedriveClaim) -> ClaimOutcome;
                one finish(id: DeadLetterId, mark: &RedriveMark, sent: bool) -> ();
            }
            DeadLetterContents {
                one store as store_content(id: DeadLetterId, bytes: Vec<u8>) -> Content;
                one describe as describe_content(content: &Content) -> Option<ContentDescription>;
                one read as read_content(content: &Content, limit: usize) -> Option<Vec<u8>>;
            }
            RedriveTargets {
                one process as process_redriven(batch: &RedrivenBatch) -> ProcessedBatch;
                one enrich(lane: &str, message: &str) -> ();
                one import(notification: &str) -> ();
                one notify(message: &str) -> ();
            }
            SentNotices {
                one claim as claim_notice(notice_id: Eid, now: Timestamp, until: Timestamp) -> NoticeClaim;
                one release as release_notice(notice_id: Eid, until: Timestamp, on_bus: bool) -> ();
                one finish as finish_notice(notice_id: Eid) -> ();
            }
            NoticeBus {
                one put as put_notice(notice: &AlertNotice) -> ();
            }
            NoticeTopic {
                one publish as publish_notice(notice: &AlertNotice) -> ();
            }
            ArchivedBatches {
                one list as list_archived(hour: Timestamp, after: Option<&str>, limit: usize) -> Vec<ArchivedBatch>;
                one read as read_archived(key: &str) -> Vec<ArchivedRecord>;
            }
            ArchivedRecords {
                one quarantined(content: &Content) -> Option<Vec<RecordPosition>>;
                one find(positions: &[RecordPosition]) -> Vec<ArchivedRecord>;
            }
            Redrives {
                one create(redrive: &Redrive) -> ();
                one get(id: &RedriveId) -> Option<Redrive>;
                one replace(redrive: &Redrive) -> ();
            }
            AppClients {
                one create(name: &str, scope: Scope) -> Credentials;
                one credentials(client_id: &ClientId) -> Option<Credentials>;
                one find_by_name(name: &str) -> Vec<ClientId>;
                one remove(client_id: &ClientId) -> ();
            }
            Subscriptions {
                one create(subscription: &Subscription, change: &Change) -> ();
                one get(fleet_id: &FleetId, subscription_id: &SubscriptionId) -> Option<Subscription>;
                one list(fleet_id: &FleetId, after: Option<&SubscriptionId>, limit: usize) -> Vec<Subscription>;
                one replace(subscription: &Subscription, from: SubscriptionState) -> ();
                one update(subscription: &Subscription, change: &Change) -> ();
                one claim_version(stored: &Subscription) -> ();
                one write_grants(subscription: &Subscription) -> ();
                one narrow_grants(subscription: &Subscription, vehicles: &[VehicleId], remaining: Option<&Grant>) -> ();
            }
            MessageDelay {
                each delay(queue_arn: &str; messages: FailedMessage) -> ();
            }
            SecretSource {
                one secrets() -> std::sync::Arc<StackSecrets>;
            }
            ProvisioningWorkflow {
                one start(run: &WorkflowRun) -> ();
            }
            FleetChannel {
                one ensure_queue(fleet: &Fleet) -> ();
                one ensure_rule(fleet: &Fleet) -> ();
                one remove_rule(fleet: &Fleet) -> ();
                one is_drained(fleet: &Fleet) -> bool;
                one remove_queue(fleet: &Fleet) -> ();
                one status(fleet: &Fleet) -> ChannelParts;
                one is_current(fleet: &Fleet) -> bool;
            }
            FeedProofs {
                one get as feed_proof(fleet_id: &FleetId) -> FeedProof;
                one invalidate(fleet_id: &FleetId) -> ();
                one prove(fleet_id: &FleetId, generation: u64, at: Timestamp) -> ();
            }
            Endpoints {
                one create as create_endpoint(endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> ();
                one get as get_endpoint(fleet_id: &FleetId, endpoint_id: &EndpointId) -> Option<Endpoint>;
                one list as list_endpoints(fleet_id: &FleetId) -> Vec<Endpoint>;
                one replace as replace_endpoint(endpoint: &Endpoint, fleet: Option<&Fleet>, change: &Change) -> ();
                one remove as remove_endpoint(endpoint: &Endpoint, fleet: &Fleet, change: &Change) -> ();
            }
            Deliveries {
                one put as put_delivery(delivery: &WebhookDelivery) -> DeliveryPut;
                one get as get_delivery(key: &DeliveryKey) -> Option<WebhookDelivery>;
                one replace as replace_delivery(delivery: &WebhookDelivery) -> ();
                one list as list_deliveries(endpoint_id: &EndpointId, before: Option<DeliveryId>, limit: usize) -> Vec<WebhookDelivery>;
            }
            Attempts {
                one record as record_attempts(attempts: &[Attempt]) -> ();
                one list as list_attempts(endpoint_id: &EndpointId, before: Option<&AttemptPosition>, limit: usize) -> AttemptPage;
            }
            EndpointHealths {
                one get as get_health(endpoint_id: &EndpointId) -> EndpointHealth;
                one replace as replace_health(health: &EndpointHealth) -> ();
                one take_slot(endpoint_id: &EndpointId, slots: u32, now: Timestamp, until: Timestamp) -> Option<u32>;
                one count_attempt(endpoint_id: &EndpointId, second: Timestamp) -> u32;
                one return_slot(endpoint_id: &EndpointId, slot: u32) -> ();
            }
            WaitingDeliveries {
                one add as add_waiting(line: &WaitingLine, waiting: &WaitingDelivery) -> ();
                one first as first_waiting(line: &WaitingLine, limit: usize) -> LineContent;
                one remove as remove_waiting(line: &WaitingLine, waiting: &[WaitingDelivery]) -> ();
                one lines as due_lines(now: Timestamp, after: Option<&WaitingLine>, limit: usize) -> Vec<DueLine>;
                one reschedule as reschedule_line(line: &WaitingLine, due_at: Option<Timestamp>, revision: u64) -> ();
            }
            EndpointRedrives {
                one create as create_endpoint_redrive(redrive: &EndpointRedrive) -> ();
                one get as get_endpoint_redrive(endpoint_id: &EndpointId, redrive_id: &RedriveId) -> Option<EndpointRedrive>;
                one replace as replace_endpoint_redrive(redrive: &EndpointRedrive) -> ();
            }
            DeliveryQueue {
                each send as send_tasks(; tasks: (DeliveryTask, u32)) -> ();
                each send_ordered as send_ordered_tasks(; tasks: DeliveryTask) -> ();
            }
            FailedDeliveries {
                one send as send_dead_letter(record: &str) -> ();
            }
            Sealer {
                one seal(endpoint_id: &EndpointId, text: &str) -> String;
                one open(endpoint_id: &EndpointId, sealed: &str) -> String;
            }
            RateCounter {
                one add(fleet_id: &FleetId, window: Timestamp, requests: u32) -> u32;
            }
            IdempotencyStore {
                one claim(request: &KeyedRequest, now: Timestamp) -> KeyClaim;
                one store_response(request: &KeyedRequest, response: &StoredResponse, now: Timestamp) -> ();
                one release(request: &KeyedRequest) -> ();
            }
        }
    };
}
