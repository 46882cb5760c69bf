//! [`Clients`] and [`AppClients`]

use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole};

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::clients::{AppClients, Clients};
use crate::clock::Randomness;

/// What every [`Clients`] does.
pub async fn clients(clients: &impl Clients, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let sources = vec!["urn:partner:".to_owned(), "https://gateway.example/7".to_owned()];
    for role in [ClientRole::Fleet { fleet_id: fresh.fleet_id() }, ClientRole::Ingest { sources }] {
        let client = fresh.client(role);
        let before = clients.get(&client.client_id).await.expect("get answers");
        assert_eq!(before, None, "a client is not there before it is put");
        for times in ["once", "twice"] {
            clients.put(&client, None).await.expect("put takes a client");
            let kept = clients.get(&client.client_id).await.expect("get answers");
            assert_eq!(kept.as_ref(), Some(&client), "a client put {times} is kept as it was given");
        }
        a_secret_is_shown_once(clients, client.clone()).await;
        clients.remove(&client, None).await.expect("a client is removed");
        let kept = clients.get(&client.client_id).await.expect("get answers");
        assert_eq!(kept, None, "a client that was removed is gone");
        let again = clients.remove(&client, None).await.map_err(|error| error.kind());
        assert_eq!(again, Err(PortErrorKind::Conflict), "what is gone is not removed again");
        let shown = clients.keep_shown(&client, None).await.map_err(|error| error.kind());
        assert_eq!(shown, Err(PortErrorKind::Conflict), "and its secret is shown no more");
    }
    a_fleet_lists_its_own(clients, &fresh).await;
}

async fn a_secret_is_shown_once(clients: &impl Clients, client: Client) {
    let shown = Client { secret_shown_at: Some(NOON.plus_ms(5)), ..client };
    clients.keep_shown(&shown, None).await.expect("it was not shown before");
    let kept = clients.get(&shown.client_id).await.expect("get answers");
    assert_eq!(kept.as_ref(), Some(&shown), "it is kept when it was");
    if let Some(fleet_id) = shown.fleet_id() {
        let listed = clients.of_fleet(fleet_id, None, 10).await.expect("of_fleet answers");
        assert_eq!(listed, std::slice::from_ref(&shown), "also where its fleet's clients are listed");
    }
    let late = Client { secret_shown_at: Some(NOON.plus_ms(6)), ..shown };
    let again = clients.keep_shown(&late, None).await.map_err(|error| error.kind());
    assert_eq!(again, Err(PortErrorKind::Conflict), "a second time is a conflict");
}

async fn a_fleet_lists_its_own(clients: &impl Clients, fresh: &Fresh<'_, impl Randomness>) {
    let fleet_id = fresh.fleet_id();
    let role = || ClientRole::Fleet { fleet_id: fleet_id.clone() };
    let mut mine: Vec<Client> = (0..3).map(|_| fresh.client(role())).collect();
    for client in &mine {
        clients.put(client, None).await.expect("put takes a client");
    }
    let other = ClientRole::Fleet { fleet_id: fresh.fleet_id() };
    clients.put(&fresh.client(other), None).await.expect("put takes a client");
    mine.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    for limit in [1, 2, 10] {
        let mut listed: Vec<Client> = Vec::new();
        loop {
            let after = listed.last().map(|client| &client.client_id);
            let page = clients.of_fleet(&fleet_id, after, limit).await.expect("of_fleet answers");
            assert!(page.len() <= limit, "a page holds at most its limit of {limit}");
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed, mine, "a fleet's clients are listed by id, and no other's");
    }
    clients.remove(&mine[1], None).await.expect("a client is removed");
    let left = clients.of_fleet(&fleet_id, None, 10).await.expect("of_fleet answers");
    assert_eq!(left, [mine[0].clone(), mine[2].clone()], "one that was removed is listed no more");
}

/// What every [`AppClients`] does. It makes two clients in the user pool.
pub async fn app_clients(clients: &impl AppClients, random: &impl Randomness) {
    let name = Fresh::new(random).word();
    let first = clients.create(&name, Scope::Read).await.expect("a client is made");
    let second = clients.create(&name, Scope::Ingest).await.expect("a second client of that name is made");
    assert_ne!(first.client_id, second.client_id, "two clients of one name have ids of their own");
    assert_ne!(first.client_secret, second.client_secret, "each client has a secret of its own");
    let nobody = clients.credentials(&Fresh::new(random).client_id()).await.expect("credentials answers");
    assert!(nobody.is_none(), "a client that was not made has none");
    let mut named = clients.named(&name).await.expect("named answers");
    let mut made = vec![first.client_id.clone(), second.client_id.clone()];
    named.sort();
    made.sort();
    assert_eq!(named, made, "clients are found by their name, each of them");
    for credentials in [first, second] {
        let kept = clients.credentials(&credentials.client_id).await.expect("credentials answers");
        let kept = kept.map(|kept| (kept.client_id, kept.client_secret));
        assert_eq!(kept, Some((credentials.client_id.clone(), credentials.client_secret.clone())), "they are found again");
        assert!(!credentials.client_id.as_str().is_empty(), "a client has an id");
        assert!(!credentials.client_secret.is_empty(), "a client has a secret");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains(&credentials.client_secret), "debug output never shows a secret");
        for _ in 0..2 {
            clients.remove(&credentials.client_id).await.expect("a client is removed, or found removed");
        }
        let gone = clients.credentials(&credentials.client_id).await.expect("credentials answers");
        assert!(gone.is_none(), "one that was removed has none");
    }
    assert_eq!(clients.named(&name).await.expect("named answers"), [], "and nobody is of that name any more");
}
