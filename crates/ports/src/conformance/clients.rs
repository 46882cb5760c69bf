//! [`Clients`] and [`AppClients`]

use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole};
use roadcast_domain::ids::FleetId;

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clients::{AppClients, Clients};
use crate::clock::Randomness;

/// Checks every implementation of [`Clients`].
pub async fn clients(clients: &impl Clients, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    fleet_client_is_stored_and_removed(clients, &fixtures).await;
    ingest_client_is_stored(clients, &fixtures).await;
    fleet_lists_its_own_clients(clients, &fixtures).await;
}

async fn fleet_client_is_stored_and_removed(clients: &impl Clients, fixtures: &Fixtures<'_, impl Randomness>) {
    let fleet_id = fixtures.fleet_id();
    let change = || fixtures.change(&fleet_id);
    let client = fixtures.client(ClientRole::Fleet { fleet_id: fleet_id.clone() });
    assert_eq!(get(clients, &client).await, None, "a client does not exist before it is stored");
    for times in ["once", "twice"] {
        clients.put(&client, &change()).await.expect("a client is stored");
        assert_eq!(get(clients, &client).await.as_ref(), Some(&client), "a client stored {times} is returned unchanged");
    }
    secret_is_shown_once(clients, fixtures, &fleet_id, client.clone()).await;
    clients.remove(&client, &change()).await.expect("a client is removed");
    assert_eq!(get(clients, &client).await, None, "a removed client does not exist");
    let again = clients.remove(&client, &change()).await.map_err(|error| error.kind());
    assert_eq!(again, Err(PortErrorKind::Conflict), "removing it again is a conflict");
    let shown = clients.record_secret_shown(&client, &change()).await.map_err(|error| error.kind());
    assert_eq!(shown, Err(PortErrorKind::Conflict), "showing the secret of a removed client is a conflict");
}

async fn ingest_client_is_stored(clients: &impl Clients, fixtures: &Fixtures<'_, impl Randomness>) {
    let sources = vec!["urn:partner:".to_owned(), "https://gateway.example/7".to_owned()];
    let client = fixtures.client(ClientRole::Ingest { sources });
    assert_eq!(get(clients, &client).await, None, "a client does not exist before it is stored");
    for times in ["once", "twice"] {
        clients.put_ingest(&client).await.expect("an ingest client is stored");
        assert_eq!(get(clients, &client).await.as_ref(), Some(&client), "a client stored {times} is returned unchanged");
    }
    let of_fleet = fixtures.client(ClientRole::Fleet { fleet_id: fixtures.fleet_id() });
    let rejected = clients.put_ingest(&of_fleet).await.map_err(|error| error.kind());
    assert_eq!(rejected, Err(PortErrorKind::Rejected), "a fleet's client is not stored without a change");
    assert_eq!(get(clients, &of_fleet).await, None, "a rejected client is not stored");
}

async fn get(clients: &impl Clients, client: &Client) -> Option<Client> {
    clients.get(&client.client_id).await.expect("get succeeds")
}

async fn secret_is_shown_once(
    clients: &impl Clients,
    fixtures: &Fixtures<'_, impl Randomness>,
    fleet_id: &FleetId,
    client: Client,
) {
    let shown = Client { secret_shown_at: Some(NOON.plus_ms(5)), ..client };
    let change = fixtures.change(fleet_id);
    clients.record_secret_shown(&shown, &change).await.expect("showing the secret is recorded");
    assert_eq!(get(clients, &shown).await.as_ref(), Some(&shown), "the time of showing is returned");
    let listed = clients.list_by_fleet(fleet_id, None, 10).await.expect("list_by_fleet succeeds");
    assert_eq!(listed, std::slice::from_ref(&shown), "the list of the fleet has the time, too");
    let late = Client { secret_shown_at: Some(NOON.plus_ms(6)), ..shown };
    let again = clients.record_secret_shown(&late, &change).await.map_err(|error| error.kind());
    assert_eq!(again, Err(PortErrorKind::Conflict), "showing the secret again is a conflict");
}

async fn fleet_lists_its_own_clients(clients: &impl Clients, fixtures: &Fixtures<'_, impl Randomness>) {
    let fleet_id = fixtures.fleet_id();
    let role = || ClientRole::Fleet { fleet_id: fleet_id.clone() };
    let mut mine: Vec<Client> = (0..3).map(|_| fixtures.client(role())).collect();
    for client in &mine {
        clients.put(client, &fixtures.change(&fleet_id)).await.expect("a client is stored");
    }
    let other = fixtures.fleet_id();
    let of_other = fixtures.client(ClientRole::Fleet { fleet_id: other.clone() });
    clients.put(&of_other, &fixtures.change(&other)).await.expect("a client is stored");
    mine.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    for limit in [1, 2, 10] {
        let mut listed: Vec<Client> = Vec::new();
        loop {
            let after = listed.last().map(|client| &client.client_id);
            let page = clients.list_by_fleet(&fleet_id, after, limit).await.expect("list_by_fleet succeeds");
            assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, mine, "the list has only the fleet's clients, ordered by id");
    }
    clients.remove(&mine[1], &fixtures.change(&fleet_id)).await.expect("a client is removed");
    let remaining = clients.list_by_fleet(&fleet_id, None, 10).await.expect("list_by_fleet succeeds");
    assert_eq!(remaining, [mine[0].clone(), mine[2].clone()], "a removed client is not listed");
}

/// Checks every implementation of [`AppClients`]. It creates two app clients in the user pool.
pub async fn app_clients(clients: &impl AppClients, random: &impl Randomness) {
    let name = Fixtures::new(random).word();
    let first = clients.create(&name, Scope::Read).await.expect("an app client is created");
    let second = clients.create(&name, Scope::Ingest).await.expect("a second app client with the same name is created");
    assert_ne!(first.client_id, second.client_id, "app clients with the same name have different ids");
    assert_ne!(first.client_secret, second.client_secret, "each app client has its own secret");
    let unknown = clients.credentials(&Fixtures::new(random).client_id()).await.expect("credentials succeeds");
    assert!(unknown.is_none(), "an unknown app client has no credentials");
    let mut found = clients.find_by_name(&name).await.expect("find_by_name succeeds");
    let mut created = vec![first.client_id.clone(), second.client_id.clone()];
    found.sort();
    created.sort();
    assert_eq!(found, created, "all app clients with a name are found");
    for credentials in [first, second] {
        let stored = clients.credentials(&credentials.client_id).await.expect("credentials succeeds");
        let stored = stored.map(|stored| (stored.client_id, stored.client_secret));
        assert_eq!(
            stored,
            Some((credentials.client_id.clone(), credentials.client_secret.clone())),
            "credentials are returned"
        );
        assert!(!credentials.client_id.as_str().is_empty(), "a client has an id");
        assert!(!credentials.client_secret.is_empty(), "a client has a secret");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains(&credentials.client_secret), "debug output hides the secret");
        for _ in 0..2 {
            clients.remove(&credentials.client_id).await.expect("removing an app client is idempotent");
        }
        let removed = clients.credentials(&credentials.client_id).await.expect("credentials succeeds");
        assert!(removed.is_none(), "a removed app client has no credentials");
    }
    assert_eq!(
        clients.find_by_name(&name).await.expect("find_by_name succeeds"),
        [],
        "removed app clients are not found by name"
    );
}
