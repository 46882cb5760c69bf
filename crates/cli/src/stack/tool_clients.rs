//! The clients of the API that this tool uses itself: one that sends events, and one for each fleet whose events it reads.

use anyhow::Result;
use serde::Deserialize;

use super::Stack;
use crate::api::{Api, Role};
use crate::confirmation::Confirmation;
use crate::console::note;

/// The `CloudEvents` source of simulated vehicles.
pub(crate) const SIMULATOR_SOURCE: &str = "urn:roadcast:simulator";
/// The `CloudEvents` source of replayed recordings.
pub(crate) const REPLAY_SOURCE: &str = "urn:roadcast:replay";
const INGEST_NAME: &str = "Demo vehicles";

/// A client in a list of the API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedClient {
    client_id: String,
    name: String,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    credentials: Vec<Credential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    client_id: String,
}

/// The API as the ingest client of simulated and replayed vehicles, which is created if it does not exist. It must stay the same
/// client, because a vehicle accepts events only from the client that registered it. Asks before it creates one in production.
pub(crate) async fn ingest_client(stack: &mut Stack, admin: &Api, confirmation: Confirmation) -> Result<Api> {
    let recorded = stack.file.demo.ingest_client_id.clone();
    let found = find(stack, admin, &recorded, "/clients?kind=ingest", INGEST_NAME).await?;
    let client_id = if let Some(client_id) = found {
        client_id
    } else {
        confirmation.ask(stack, &format!("creates the client \"{INGEST_NAME}\""))?;
        create(stack, admin, INGEST_NAME, &Role::Ingest(&[SIMULATOR_SOURCE, REPLAY_SOURCE])).await?
    };
    if recorded != client_id {
        stack.file.demo.ingest_client_id.clone_from(&client_id);
        stack.save()?;
    }
    stack.client(&client_id).await
}

/// The API as a client of the fleet, which is created if it does not exist. Asks before it creates one in production.
pub(crate) async fn feed_client(stack: &mut Stack, admin: &Api, fleet_id: &str, confirmation: Confirmation) -> Result<Api> {
    let name = format!("Roadcast CLI {fleet_id}");
    let recorded = stack.file.feed_clients.get(fleet_id).cloned().unwrap_or_default();
    let found = find(stack, admin, &recorded, &format!("/fleets/{fleet_id}/clients"), &name).await?;
    let client_id = if let Some(client_id) = found {
        client_id
    } else {
        confirmation.ask(stack, &format!("creates the client \"{name}\""))?;
        create(stack, admin, &name, &Role::Fleet(fleet_id)).await?
    };
    if recorded != client_id {
        stack.file.feed_clients.insert(fleet_id.to_owned(), client_id.clone());
        stack.save()?;
    }
    stack.client(&client_id).await
}

/// The recorded client, or else the newest enabled one of the list with the name. None if there is neither.
async fn find(stack: &Stack, admin: &Api, recorded: &str, list: &str, name: &str) -> Result<Option<String>> {
    if !recorded.is_empty() && stack.credentials(recorded).await?.is_some() {
        return Ok(Some(recorded.to_owned()));
    }
    let clients: Vec<ListedClient> = admin.pages(list).await?;
    let found = clients.into_iter().find(|client| client.name == name && !client.disabled);
    // The first credential may have been removed after a rotation.
    Ok(found.map(|client| client.credentials.into_iter().next().map_or(client.client_id, |credential| credential.client_id)))
}

async fn create(stack: &Stack, admin: &Api, name: &str, role: &Role<'_>) -> Result<String> {
    let client_id = admin.create_client(name, role).await?;
    if stack.is_deployed() {
        note(&format!(
            "Created the client {client_id} \"{name}\" in {}. Delete it with `cargo roadcast clients delete {client_id}` when \
             the tool does not need it any more.",
            stack.name()
        ));
    }
    Ok(client_id)
}
