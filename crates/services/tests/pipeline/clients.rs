//! Clients and their credentials: changes, rotation, deletion and audit trails.

use std::sync::{Arc, Mutex};

use roadcast_domain::audit::Change;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition, ClientRole};
use roadcast_domain::ids::{ChangeId, ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_domain::vehicle::VehicleDetails;
use roadcast_ports::PortError;
use roadcast_ports::clients::{AppClients as _, Clients, Credentials};
use roadcast_services::ServiceError;
use roadcast_services::authz::{Admin, AnyClient, Proof as _, Sender};
use roadcast_services::fleets::{ClientUpdate, Onboarding};
use roadcast_services::vehicles::listing::VehicleFilter;
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_testbed::{InMemory, ManualClock, Memory, SeededRandomness, fixtures, port_set};

use crate::fixture::admin;

port_set! {
    /// The ports in memory, with another admin who changes clients.
    enum WithOtherAdmin {
        Clients = ContendedClients;
    }
}

/// A change by another admin.
type OtherChange = fn(&mut Client);

/// Clients in memory. Before each `replace` and `remove`, another admin makes one of the changes.
#[derive(Clone, Default)]
struct ContendedClients {
    memory: Memory,
    changes: Arc<Mutex<Vec<OtherChange>>>,
}

impl ContendedClients {
    async fn change(&self, client_id: &ClientId) {
        let Some(change) = self.changes.lock().unwrap().pop() else { return };
        let before = self.memory.get(client_id).await.unwrap().unwrap();
        let mut after = before.clone();
        change(&mut after);
        self.memory.replace(&before, &after, &fixtures::client_creation(&after)).await.unwrap();
    }
}

impl Clients for ContendedClients {
    async fn put(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        self.memory.put(client, change).await
    }

    async fn replace(&self, before: &Client, after: &Client, change: &Change) -> Result<(), PortError> {
        self.change(&before.client_id).await;
        self.memory.replace(before, after, change).await
    }

    async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        Clients::get(&self.memory, client_id).await
    }

    async fn list(
        &self,
        kind: Option<ClientKind>,
        after: Option<&ClientPosition>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        Clients::list(&self.memory, kind, after, limit).await
    }

    async fn list_by_fleet(
        &self,
        fleet_id: &FleetId,
        after: Option<&ClientId>,
        limit: usize,
    ) -> Result<Vec<Client>, PortError> {
        Clients::list_by_fleet(&self.memory, fleet_id, after, limit).await
    }

    async fn remove(&self, client: &Client, change: &Change) -> Result<(), PortError> {
        self.change(&client.client_id).await;
        Clients::remove(&self.memory, client, change).await
    }

    async fn changes(&self, client_id: &ClientId, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>, PortError> {
        Clients::changes(&self.memory, client_id, before, limit).await
    }
}

struct ClientsFixture {
    clients: ContendedClients,
    onboarding: Onboarding<WithOtherAdmin>,
}

impl ClientsFixture {
    fn new() -> Self {
        let clients = ContendedClients::default();
        let memory = || clients.memory.clone();
        let onboarding = Onboarding {
            fleets: memory(),
            clients: clients.clone(),
            app_clients: memory(),
            subscriptions: memory(),
            vehicles: memory(),
            entitlements: memory(),
            workflow: memory(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: Some(ClientId::new("first-admin")),
            clock: clients.memory.clock().clone(),
            randomness: SeededRandomness::new(1),
        };
        Self { clients, onboarding }
    }

    async fn ingest_client(&self) -> Client {
        let role = ClientRole::Ingest { sources: vec!["urn:a".to_owned()] };
        self.onboarding.create_client(&admin(), "gateway", role).await.unwrap().0
    }

    async fn add_credential(&self, client: &Client) -> Result<Credentials, ServiceError> {
        self.onboarding.add_credential(&admin(), &client.client_id).await
    }

    async fn remove_credential(&self, client: &Client, credential_id: &ClientId) -> Result<(), ServiceError> {
        self.onboarding.remove_credential(&admin(), &client.client_id, credential_id).await
    }

    async fn stored(&self, client: &Client) -> Client {
        self.onboarding.client(&admin(), &client.client_id).await.unwrap()
    }

    /// Whether the user pool issues tokens to this app client.
    async fn is_in_pool(&self, credential_id: &ClientId) -> bool {
        self.clients.memory.credentials(credential_id).await.unwrap().is_some()
    }

    /// Another admin makes this change before the next write.
    fn before_next_write(&self, change: OtherChange) {
        self.clients.changes.lock().unwrap().push(change);
    }
}

fn update(client: &Client, disabled: bool) -> ClientUpdate {
    let sources = match &client.role {
        ClientRole::Ingest { sources } => Some(sources.clone()),
        ClientRole::Admin | ClientRole::Fleet { .. } => None,
    };
    ClientUpdate { name: client.name.clone(), sources, disabled }
}

#[tokio::test]
async fn leaked_secret_is_rotated_with_an_overlap() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let second = fixture.add_credential(&client).await.unwrap();
    let both = fixture.stored(&client).await;
    assert!(both.accepts(&client.client_id) && both.accepts(&second.client_id), "both are accepted during the overlap");
    fixture.remove_credential(&client, &client.client_id).await.unwrap();
    let rotated = fixture.stored(&client).await;
    assert!(!rotated.accepts(&client.client_id), "tokens of the leaked credential are refused");
    assert!(rotated.accepts(&second.client_id));
    assert!(!fixture.is_in_pool(&client.client_id).await && fixture.is_in_pool(&second.client_id).await);
    assert_eq!(rotated.client_id, client.client_id, "the client keeps its id");
    let by_credential = fixture.onboarding.client(&admin(), &second.client_id).await.unwrap();
    assert_eq!(by_credential, rotated, "an admin finds the client by the id of any credential");
}

#[tokio::test]
async fn client_has_one_or_two_credentials() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let last = fixture.remove_credential(&client, &client.client_id).await;
    assert!(matches!(last, Err(ServiceError::Conflict(_))), "{last:?}");
    let second = fixture.add_credential(&client).await.unwrap();
    let third = fixture.add_credential(&client).await;
    assert!(matches!(third, Err(ServiceError::Conflict(_))), "{third:?}");
    assert_eq!(fixture.clients.memory.pool_clients().len(), 2, "no app client is left over");
    let missing = fixture.remove_credential(&client, &ClientId::new("other")).await;
    assert!(matches!(missing, Err(ServiceError::NotFound)), "{missing:?}");
    for times in ["once", "twice"] {
        let removed = fixture.remove_credential(&client, &second.client_id).await;
        assert!(removed.is_ok(), "removed {times}: {removed:?}");
    }
}

#[tokio::test]
async fn client_disabled_during_a_rotation_stays_disabled() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    fixture.before_next_write(|client| client.disabled_since = Some(client.created_at));
    let second = fixture.add_credential(&client).await.unwrap();
    let stored = fixture.stored(&client).await;
    assert_eq!(stored.credentials.len(), 2);
    assert!(!stored.accepts(&client.client_id) && !stored.accepts(&second.client_id));
}

#[tokio::test]
async fn credential_added_by_another_admin_leaves_no_third_app_client() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    fixture.before_next_write(|client| {
        let mut other = client.credentials[0].clone();
        other.client_id = ClientId::new("of-other-admin");
        client.credentials.push(other);
    });
    let added = fixture.add_credential(&client).await.map(|_| ());
    assert!(matches!(added, Err(ServiceError::Conflict(_))), "{added:?}");
    assert_eq!(fixture.clients.memory.pool_clients().len(), 1);
    assert!(fixture.stored(&client).await.has_credential(&ClientId::new("of-other-admin")));
}

#[tokio::test]
async fn concurrent_removals_leave_one_credential() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let second = fixture.add_credential(&client).await.unwrap();
    fixture.before_next_write(|client| client.credentials.truncate(1));
    let removed = fixture.remove_credential(&client, &client.client_id).await;
    assert!(matches!(removed, Err(ServiceError::Conflict(_))), "{removed:?}");
    assert!(fixture.is_in_pool(&client.client_id).await, "the last credential stays in the user pool");
    assert!(!fixture.stored(&client).await.has_credential(&second.client_id));
}

#[tokio::test]
async fn client_deleted_during_a_rotation_leaves_no_app_client() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let second = fixture.clients.memory.create("gateway", Scope::Ingest).await.unwrap();
    assert_eq!(second.client_id, ClientId::new("client-2"));
    fixture.before_next_write(|client| {
        let mut other = client.credentials[0].clone();
        other.client_id = ClientId::new("client-2");
        client.credentials.push(other);
    });
    fixture.onboarding.remove_client(&admin(), &client.client_id).await.unwrap();
    assert_eq!(fixture.clients.memory.pool_clients(), Vec::new());
    for id in [&client.client_id, &second.client_id] {
        let found = fixture.onboarding.client(&admin(), id).await;
        assert!(matches!(found, Err(ServiceError::NotFound)), "{found:?}");
    }
}

#[tokio::test]
async fn admin_is_created_rotated_disabled_and_removed_as_other_clients() {
    let fixture = ClientsFixture::new();
    let client = fixture.onboarding.create_client(&admin(), "operator", ClientRole::Admin).await.unwrap().0;
    let second = fixture.add_credential(&client).await.unwrap();
    fixture.remove_credential(&client, &client.client_id).await.unwrap();
    assert!(fixture.stored(&client).await.accepts(&second.client_id));
    let listed = fixture.onboarding.all_clients(&admin(), Some(ClientKind::Admin), None, 10).await.unwrap();
    assert_eq!(listed, [fixture.stored(&client).await]);
    let disabled = fixture.onboarding.update_client(&admin(), &client.client_id, update(&client, true), 3).await.unwrap();
    assert!(!disabled.accepts(&second.client_id));
    fixture.onboarding.remove_client(&admin(), &client.client_id).await.unwrap();
    assert_eq!(fixture.clients.memory.pool_clients(), Vec::new());
}

#[tokio::test]
async fn first_admin_gets_a_record_with_its_first_change() {
    let fixture = ClientsFixture::new();
    let first = ClientId::new("first-admin");
    let found = fixture.onboarding.client(&admin(), &first).await.unwrap();
    assert_eq!((found.version, &found.role), (0, &ClientRole::Admin));
    let disable = async |version| fixture.onboarding.update_client(&admin(), &first, update(&found, true), version).await;
    let disabled = disable(0).await.unwrap();
    assert_eq!((disabled.version, disabled.disabled_since.is_some()), (1, true));
    assert_eq!(fixture.stored(&found).await, disabled);
    assert!(matches!(disable(0).await, Err(ServiceError::Stale)), "another admin has not read the record");
    let removed = fixture.onboarding.remove_client(&admin(), &first).await;
    assert!(matches!(removed, Err(ServiceError::Conflict(_))), "without its record it would be accepted: {removed:?}");
}

#[tokio::test]
async fn admin_cannot_lock_itself_out() {
    let fixture = ClientsFixture::new();
    let client = fixture.onboarding.create_client(&admin(), "operator", ClientRole::Admin).await.unwrap().0;
    let own = Admin::prove(&Caller::Admin(client.client_id.clone())).unwrap();
    let disabled = fixture.onboarding.update_client(&own, &client.client_id, update(&client, true), 1).await;
    assert!(matches!(disabled, Err(ServiceError::Conflict(_))), "{disabled:?}");
    let removed = fixture.onboarding.remove_client(&own, &client.client_id).await;
    assert!(matches!(removed, Err(ServiceError::Conflict(_))), "{removed:?}");
    assert!(fixture.stored(&client).await.accepts(&client.client_id));
}

#[tokio::test]
async fn update_with_an_earlier_version_is_stale() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let disable =
        async |version| fixture.onboarding.update_client(&admin(), &client.client_id, update(&client, true), version).await;
    fixture.before_next_write(|client| client.name = "renamed".to_owned());
    assert!(matches!(disable(1).await, Err(ServiceError::Stale)), "changed between reading and writing");
    assert!(matches!(disable(1).await, Err(ServiceError::Stale)), "changed before");
    let disabled = disable(2).await.unwrap();
    assert_eq!((disabled.version, disabled.disabled_since.is_some()), (3, true));
    assert_eq!(disable(3).await.unwrap().disabled_since, disabled.disabled_since, "the first time is kept");
    assert_eq!(fixture.stored(&client).await, disabled, "an update without a change writes nothing");
}

#[tokio::test]
async fn every_change_of_an_ingest_client_is_in_its_audit_trail() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let clock: &ManualClock = fixture.clients.memory.clock();
    clock.advance_ms(1);
    let second = fixture.add_credential(&client).await.unwrap();
    clock.advance_ms(1);
    fixture.onboarding.update_client(&admin(), &client.client_id, update(&client, true), 2).await.unwrap();
    clock.advance_ms(1);
    fixture.onboarding.remove_client(&admin(), &client.client_id).await.unwrap();
    let trail = fixture.onboarding.client_changes(&admin(), &client.client_id, None, 10).await.unwrap();
    let members = |change: &Change| change.after.keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        trail.iter().map(members).collect::<Vec<_>>(),
        ["", "disabledSince", "credentials", "credentials kind name secretShownAt sources"]
    );
    assert!(trail.iter().all(|change| change.fleet_id.is_none()));
    let text = serde_json::to_string(&trail).unwrap();
    assert!(!text.contains(&second.client_secret), "the trail has no secret");
    let unknown = fixture.onboarding.client_changes(&admin(), &ClientId::new("unknown"), None, 10).await;
    assert!(matches!(unknown, Err(ServiceError::NotFound)), "{unknown:?}");
}

#[tokio::test]
async fn sources_are_only_of_ingest_clients() {
    let fixture = ClientsFixture::new();
    let client = fixture.ingest_client().await;
    let fleet = fixture.onboarding.create_fleet(&admin(), "fleet", Plan::Standard).await.unwrap();
    let role = ClientRole::Fleet { fleet_id: fleet.fleet_id.clone() };
    let of_fleet = fixture.onboarding.create_client(&admin(), "app", role).await.unwrap().0;
    for (client, sources) in [(&client, None), (&client, Some(vec![])), (&of_fleet, Some(vec!["urn:a".to_owned()]))] {
        let update = ClientUpdate { sources, ..update(client, false) };
        let updated = fixture.onboarding.update_client(&admin(), &client.client_id, update, 1).await;
        assert!(matches!(updated, Err(ServiceError::Invalid(_))), "{updated:?}");
    }
    let renamed = ClientUpdate { name: " renamed ".to_owned(), ..update(&of_fleet, false) };
    let updated = fixture.onboarding.update_client(&admin(), &of_fleet.client_id, renamed, 1).await.unwrap();
    assert_eq!(updated.name, "renamed");
    let trail = fixture.onboarding.changes(&admin(), &fleet.fleet_id, None, 10).await.unwrap();
    assert!(trail.iter().any(|change| change.after.contains_key("name")), "the change is in the trail of the fleet, too");
}

#[tokio::test]
async fn only_admins_list_the_vehicles_of_a_client() {
    let memory = Memory::default();
    let registry = VehicleRegistry::<InMemory> {
        vehicles: memory.clone(),
        entitlements: memory.clone(),
        clock: memory.clock().clone(),
        randomness: SeededRandomness::new(1),
    };
    let caller = |id: &str| Caller::Ingest { client_id: ClientId::new(id), sources: vec![] };
    for (client, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let external_ids = vec![ExternalId::new("test", value).unwrap()];
        let details = VehicleDetails { external_ids, ..VehicleDetails::default() };
        registry.register(&Sender::prove(&caller(client)).unwrap(), details).await.unwrap();
    }
    let of_a = VehicleFilter { registered_by: Some(ClientId::new("a")), ..VehicleFilter::default() };
    let found = registry.list(&admin::<AnyClient>(), &of_a, None, 1).await.unwrap();
    let rest = registry.list(&admin(), &of_a, found.next.clone(), 10).await.unwrap();
    assert_eq!((found.vehicles.len(), rest.vehicles.len()), (1, 1));
    let by_external_id = VehicleFilter { external_id: Some(ExternalId::new("test", "2").unwrap()), ..of_a.clone() };
    assert!(registry.list(&admin(), &by_external_id, None, 10).await.unwrap().vehicles.is_empty(), "of another client");
    let refused = registry.list(&AnyClient::prove(&caller("a")).unwrap(), &of_a, None, 10).await;
    assert!(matches!(refused, Err(ServiceError::Forbidden(_))), "{refused:?}");
}
