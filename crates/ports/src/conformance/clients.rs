//! [`Clients`] and [`AppClients`]

use roadcast_domain::caller::Scope;
use roadcast_domain::fleet::{Client, ClientRole};

use super::fresh::{Fresh, NOON};
use crate::clients::{AppClients, Clients};
use crate::clock::Randomness;

/// What every [`Clients`] does.
pub async fn clients(clients: &impl Clients, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    let sources = vec!["urn:partner:".to_owned(), "https://gateway.example/7".to_owned()];
    for role in [ClientRole::Fleet { fleet_id: fresh.fleet_id() }, ClientRole::Ingest { sources }] {
        let client = Client { client_id: fresh.client_id(), name: "Gerät 7".to_owned(), role, created_at: NOON };
        let before = clients.get(&client.client_id).await.expect("get answers");
        assert_eq!(before, None, "a client is not there before it is put");
        for times in ["once", "twice"] {
            clients.put(&client, None).await.expect("put takes a client");
            let kept = clients.get(&client.client_id).await.expect("get answers");
            assert_eq!(kept.as_ref(), Some(&client), "a client put {times} is kept as it was given");
        }
    }
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
    for credentials in [first, second] {
        let kept = clients.credentials(&credentials.client_id).await.expect("credentials answers");
        let kept = kept.map(|kept| (kept.client_id, kept.client_secret));
        assert_eq!(kept, Some((credentials.client_id.clone(), credentials.client_secret.clone())), "they are found again");
        assert!(!credentials.client_id.as_str().is_empty(), "a client has an id");
        assert!(!credentials.client_secret.is_empty(), "a client has a secret");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains(&credentials.client_secret), "debug output never shows a secret");
    }
}
