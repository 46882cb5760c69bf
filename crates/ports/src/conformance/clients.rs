//! [`Clients`] and [`AppClients`]

use roadcast_domain::audit::{Author, Change};
use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientKind, ClientRole, Credential};

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::clients::{AppClients, Clients};
use crate::clock::Randomness;

/// Checks every implementation of [`Clients`].
pub async fn clients(clients: &impl Clients, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let fleet = || ClientRole::Fleet { fleet_id: fixtures.fleet_id() };
    let ingest = || ClientRole::Ingest { sources: vec!["urn:partner:".to_owned(), "https://gateway.example/7".to_owned()] };
    for role in [ClientRole::Admin, fleet(), ingest()] {
        client_is_stored_replaced_and_removed(clients, fixtures.client(role.clone())).await;
        client_is_found_by_each_credential(clients, &fixtures, fixtures.client(role.clone())).await;
        client_has_an_audit_trail(clients, fixtures.client(role)).await;
    }
    fleet_lists_its_own_clients(clients, &fixtures).await;
    let one_of_each = [ClientRole::Admin, fleet(), ingest()].map(|role| fixtures.client(role));
    all_clients_are_listed_by_kind(clients, one_of_each).await;
    first_admin_is_stored_once(clients, fixtures.client(ClientRole::Admin)).await;
}

async fn first_admin_is_stored_once(clients: &impl Clients, client: Client) {
    let without_record = Client::first_admin(client.client_id, NOON);
    let disabled = Client { disabled_since: Some(NOON), ..without_record.clone() };
    let change = || changed(&without_record, &disabled);
    clients.replace(&without_record, &disabled, &change()).await.expect("version 0 is replaced if there is no record");
    let disabled = Client { version: 1, ..disabled.clone() };
    assert_eq!(get(clients, &without_record).await.as_ref(), Some(&disabled), "the first record has version 1");
    let again = clients.replace(&without_record, &without_record, &change()).await.map_err(|error| error.kind());
    assert_eq!(again, Err(PortErrorKind::Conflict), "a concurrent first change is a conflict");
    let removal = Change::client_removed(Author::Provisioning, &disabled, NOON.plus_ms(6));
    clients.remove(&disabled, &removal).await.expect("a client is removed");
}

async fn client_is_stored_replaced_and_removed(clients: &impl Clients, client: Client) {
    assert_eq!(get(clients, &client).await, None, "a client does not exist before it is stored");
    let missing = clients.replace(&client, &client, &changed(&client, &client)).await.map_err(|error| error.kind());
    assert_eq!(missing, Err(PortErrorKind::Conflict), "replacing a client that does not exist is a conflict");
    for times in ["once", "twice"] {
        clients.put(&client, &created(&client)).await.expect("a client is stored");
        assert_eq!(get(clients, &client).await.as_ref(), Some(&client), "a client stored {times} is returned unchanged");
    }
    let disabled = Client {
        name: "Renamed".to_owned(),
        disabled_since: Some(NOON.plus_ms(4)),
        secret_shown_at: Some(NOON.plus_ms(5)),
        ..client.clone()
    };
    clients.replace(&client, &disabled, &changed(&client, &disabled)).await.expect("a client is replaced");
    let disabled = Client { version: 2, ..disabled };
    assert_eq!(get(clients, &client).await.as_ref(), Some(&disabled), "a replaced client has the next version");
    if let Some(fleet_id) = client.fleet_id() {
        let listed = clients.list_by_fleet(fleet_id, None, 10).await.expect("list_by_fleet succeeds");
        assert_eq!(listed, std::slice::from_ref(&disabled), "the list of the fleet has the change, too");
    }
    let removal = Change::client_removed(Author::Provisioning, &disabled, NOON.plus_ms(6));
    for stale in
        [clients.replace(&client, &client, &changed(&client, &client)).await, clients.remove(&client, &removal).await]
    {
        assert_eq!(stale.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "an earlier version is a conflict");
    }
    assert_eq!(get(clients, &client).await.as_ref(), Some(&disabled), "a conflict changes nothing");
    clients.remove(&disabled, &removal).await.expect("a client is removed");
    assert_eq!(get(clients, &client).await, None, "a removed client does not exist");
    for again in [
        clients.replace(&disabled, &disabled, &changed(&disabled, &disabled)).await,
        clients.remove(&disabled, &removal).await,
    ] {
        assert_eq!(again.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "a removed client is a conflict");
    }
}

async fn client_is_found_by_each_credential(
    clients: &impl Clients,
    fixtures: &Fixtures<'_, impl Randomness>,
    client: Client,
) {
    clients.put(&client, &created(&client)).await.expect("a client is stored");
    let second = Credential { client_id: fixtures.client_id(), created_at: NOON.plus_ms(1) };
    let mut both = client.clone();
    both.credentials.push(second.clone());
    clients.replace(&client, &both, &changed(&client, &both)).await.expect("a credential is added");
    both.version = 2;
    for id in [&client.client_id, &second.client_id] {
        assert_eq!(clients.get(id).await.expect("get succeeds").as_ref(), Some(&both), "found by {id}");
    }
    let rotated = Client { credentials: vec![second.clone()], ..both.clone() };
    clients.replace(&both, &rotated, &changed(&both, &rotated)).await.expect("the first credential is removed");
    let rotated = Client { version: 3, ..rotated };
    for id in [&client.client_id, &second.client_id] {
        let found = clients.get(id).await.expect("get succeeds");
        assert_eq!(found.as_ref(), Some(&rotated), "found by {id} after the first credential was removed");
    }
    let first = Client { credentials: client.credentials.clone(), ..rotated.clone() };
    clients.replace(&rotated, &first, &changed(&rotated, &first)).await.expect("the second credential is removed");
    let found = clients.get(&second.client_id).await.expect("get succeeds");
    assert_eq!(found, None, "a removed credential leads to no client");
    let with_both = Client { version: 4, ..both };
    let first = Client { version: 4, ..first };
    clients.replace(&first, &with_both, &changed(&first, &with_both)).await.expect("a credential is added again");
    let last = Client { version: 5, ..with_both };
    let removal = Change::client_removed(Author::Provisioning, &last, NOON.plus_ms(6));
    clients.remove(&last, &removal).await.expect("a client is removed");
    for id in [&client.client_id, &second.client_id] {
        assert_eq!(clients.get(id).await.expect("get succeeds"), None, "a removed client is not found by {id}");
    }
}

async fn client_has_an_audit_trail(clients: &impl Clients, client: Client) {
    let creation = created(&client);
    clients.put(&client, &creation).await.expect("a client is stored");
    let renamed = Client { name: "Renamed".to_owned(), ..client.clone() };
    let renaming = changed(&client, &renamed);
    clients.replace(&client, &renamed, &renaming).await.expect("a client is replaced");
    let removal = Change::client_removed(Author::Provisioning, &Client { version: 2, ..renamed }, NOON.plus_ms(6));
    clients.remove(&Client { version: 2, ..client.clone() }, &removal).await.expect("a client is removed");
    let all = [removal, renaming, creation];
    for limit in [1, 2, 10] {
        let mut trail: Vec<Change> = Vec::new();
        loop {
            let before = trail.last().map(|last| last.change_id);
            let page = clients.changes(&client.client_id, before, limit).await.expect("changes succeeds");
            assert!(page.len() <= limit, "a page has at most `limit` items: {limit}");
            if page.is_empty() {
                break;
            }
            trail.extend(page);
        }
        assert_eq!(trail, all, "the newest change comes first, also after the client was removed");
    }
}

async fn all_clients_are_listed_by_kind(clients: &impl Clients, mine: [Client; 3]) {
    for client in &mine {
        clients.put(client, &created(client)).await.expect("a client is stored");
    }
    let [admin, fleet, ingest] = &mine;
    for (kind, listed, not_listed) in [
        (Some(ClientKind::Admin), vec![admin], vec![fleet, ingest]),
        (Some(ClientKind::Fleet), vec![fleet], vec![admin, ingest]),
        (Some(ClientKind::Ingest), vec![ingest], vec![admin, fleet]),
        (None, vec![admin, fleet, ingest], vec![]),
    ] {
        let mut all: Vec<Client> = Vec::new();
        loop {
            let after = all.last().map(Client::position);
            let page = clients.list(kind, after.as_ref(), 3).await.expect("list succeeds");
            assert!(page.len() <= 3, "a page has at most `limit` items");
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        assert!(all.is_sorted_by_key(Client::position), "the list is ordered by kind and id");
        assert!(listed.iter().all(|client| all.contains(client)), "the list has the clients of the kind: {kind:?}");
        assert!(!not_listed.iter().any(|client| all.contains(client)), "the list has no other clients: {kind:?}");
    }
    for client in &mine {
        let removal = Change::client_removed(Author::Provisioning, client, NOON.plus_ms(6));
        clients.remove(client, &removal).await.expect("a client is removed");
        let page = clients.list(Some(client.role.kind()), None, 1000).await.expect("list succeeds");
        assert!(!page.contains(client), "a removed client is not listed");
    }
}

fn created(client: &Client) -> Change {
    Change::client_changed(Author::Provisioning, None, client, client.created_at)
}

fn changed(before: &Client, after: &Client) -> Change {
    Change::client_changed(Author::Provisioning, Some(before), after, NOON.plus_ms(5))
}

async fn get(clients: &impl Clients, client: &Client) -> Option<Client> {
    clients.get(&client.client_id).await.expect("get succeeds")
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
