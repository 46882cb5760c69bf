//! `clients`: lists, changes and rotates machine clients through the API.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{Api, ApiError, Role};
use crate::console::{Cell, Console, Table, printable};
use crate::location::StackLocation;
use crate::selectors::{FleetSelector, client_id};
use crate::stack::Stack;

/// Attempts of a change while other admins change the same client.
const ATTEMPTS: u32 = 5;

/// Arguments of `clients`.
#[derive(Debug, Args)]
#[command(after_help = "A leaked secret, if the partner can wait for a new one:
  cargo roadcast clients disable CLIENT                        Refuse all its tokens within 5 seconds
  cargo roadcast clients rotate CLIENT                         Create a second credential, and print its secret once
  cargo roadcast clients remove-credential CLIENT CREDENTIAL   Remove the leaked credential
  cargo roadcast clients enable CLIENT

A leaked secret, if the partner must not be interrupted: rotate, give it the new secret, then remove-credential. The tokens
of the removed credential are refused within 5 seconds.

  cargo roadcast --stack-name roadcast-dev clients list        On AWS

CLIENT is the id of the client. `show` also accepts the id of any of its credentials, such as the one in a leaked token.")]
pub(crate) struct ClientsArgs {
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// List all clients.
    #[command(after_help = "Example:
  cargo roadcast clients list --kind ingest")]
    List {
        /// List only clients of this kind.
        #[arg(long, value_parser = ["admin", "fleet", "ingest"])]
        kind: Option<String>,
    },
    /// Show a client, its vehicles and its newest changes.
    #[command(after_help = "Example:
  cargo roadcast clients show 4d1kq8example0client")]
    Show {
        /// Id of the client or of one of its credentials.
        #[arg(value_parser = client_id)]
        client: String,
    },
    /// Create a client, and print its secret once.
    #[command(after_help = "Example:
  cargo roadcast clients create logger --source urn:example:logger")]
    Create {
        /// Display name.
        name: String,
        /// Create an application of this fleet, named by id or name.
        #[arg(long, value_name = "FLEET", conflicts_with_all = ["source", "admin"], required_unless_present_any = ["source", "admin"])]
        fleet: Option<FleetSelector>,
        /// Create an admin.
        #[arg(long, conflicts_with = "source")]
        admin: bool,
        /// Create an ingest client of this source; repeatable. A source that ends with / or : is a prefix.
        #[arg(long)]
        source: Vec<String>,
    },
    /// Change the name or the sources of a client.
    #[command(after_help = "Example:
  cargo roadcast clients update 4d1kq8example0client --name tracker")]
    Update {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
        /// New display name.
        #[arg(long, required_unless_present = "source")]
        name: Option<String>,
        /// New source; repeatable. Replaces all sources of an ingest client.
        #[arg(long)]
        source: Vec<String>,
    },
    /// Refuse all tokens of a client within 5 seconds, until it is enabled.
    #[command(after_help = "Example:
  cargo roadcast clients disable 4d1kq8example0client")]
    Disable {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
    },
    /// Accept the tokens of a disabled client again.
    #[command(after_help = "Example:
  cargo roadcast clients enable 4d1kq8example0client")]
    Enable {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
    },
    /// Create a second credential, and print its secret once. The first one stays valid until it is removed.
    #[command(after_help = "Example:
  cargo roadcast clients rotate 4d1kq8example0client")]
    Rotate {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
    },
    /// Remove a credential: its tokens are refused within 5 seconds.
    #[command(after_help = "Example:
  cargo roadcast clients remove-credential 4d1kq8example0client 4d1kq8example0client")]
    RemoveCredential {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
        /// Id of the credential.
        #[arg(value_parser = client_id)]
        credential: String,
    },
    /// Delete a client with all its credentials. Its vehicles and events stay.
    #[command(after_help = "Example:
  cargo roadcast clients delete 4d1kq8example0client")]
    Delete {
        /// Id of the client.
        #[arg(value_parser = client_id)]
        client: String,
    },
}

/// A client, as the API returns it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    #[serde(rename = "clientId")]
    id: String,
    name: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fleet_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<String>>,
    credentials: Vec<Credential>,
    disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_shown_at: Option<String>,
    created_at: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    client_id: String,
    created_at: String,
}

impl Client {
    fn state(&self) -> String {
        self.disabled_since.as_ref().map_or("enabled".to_owned(), |since| format!("disabled since {since}"))
    }

    /// The fleet or the sources of the client; empty for an admin.
    fn owner(&self) -> String {
        self.fleet_id.clone().unwrap_or_else(|| self.sources.clone().unwrap_or_default().join(" "))
    }

    fn line(&self) -> String {
        let (state, of) = (self.state(), self.owner());
        let credentials = if self.credentials.len() == 1 { "1 credential" } else { "2 credentials" };
        printable(&format!("{}  {}  {}  {of}  {credentials}, {state}", self.id, self.kind, self.name))
    }
}

fn table(clients: &[Client]) -> Table {
    let titles = ["client", "kind", "name", "fleet or sources", "credentials", "state", "created"];
    let mut table = Table::new(&titles, "no clients");
    for client in clients {
        table.row([
            Cell::text(&client.id),
            Cell::text(&client.kind),
            Cell::text(&client.name),
            Cell::text(client.owner()),
            Cell::number(&client.credentials.len()),
            Cell::state(client.state()),
            Cell::time(&client.created_at),
        ]);
    }
    table
}

pub(crate) async fn run(location: &StackLocation, console: &Console, args: &ClientsArgs) -> Result<ExitCode> {
    let api = Stack::open(location).await?.admin().await?;
    let (object, text) = match &args.command {
        ClientsCommand::List { kind } => {
            let query = kind.as_ref().map(|kind| format!("?kind={kind}")).unwrap_or_default();
            let clients: Vec<Client> = api.pages(&format!("/clients{query}")).await?;
            let text = table(&clients).render(console.style());
            (json!({ "items": clients }), text)
        }
        ClientsCommand::Show { client } => show(&api, client).await?,
        ClientsCommand::Create { name, fleet, admin, source } => {
            let sources: Vec<&str> = source.iter().map(String::as_str).collect();
            let other = if *admin { Role::Admin } else { Role::Ingest(&sources) };
            let fleet_id = match fleet {
                Some(fleet) => Some(fleet.id(&api).await?),
                None => None,
            };
            let role = fleet_id.as_deref().map_or(other, Role::Fleet);
            let created: Value = api.create("/clients", &role.client_input(name)).await?;
            let text = secret_text(&created);
            (created, text)
        }
        ClientsCommand::Update { client, name, source } => {
            let changed = change(&api, client, |client| {
                if let Some(name) = name {
                    client.name.clone_from(name);
                }
                if !source.is_empty() {
                    client.sources = Some(source.clone());
                }
            });
            changed_result(&changed.await?)
        }
        ClientsCommand::Disable { client } => changed_result(&change(&api, client, |client| client.disabled = true).await?),
        ClientsCommand::Enable { client } => changed_result(&change(&api, client, |client| client.disabled = false).await?),
        ClientsCommand::Rotate { client } => {
            let added: Value = api.create(&format!("/clients/{client}/credentials"), &json!({})).await?;
            let text = format!(
                "{}\nThe earlier credential stays valid. Remove it when the new one is in use:\n  cargo roadcast clients \
                 remove-credential {client} {client}",
                secret_text(&added)
            );
            (added, text)
        }
        ClientsCommand::RemoveCredential { client, credential } => {
            delete(&api, &format!("/clients/{client}/credentials/{credential}")).await?;
            let text = format!("{credential} was removed; its tokens are refused within 5 seconds");
            (json!({ "clientId": client, "removedCredential": credential }), text)
        }
        ClientsCommand::Delete { client } => {
            delete(&api, &format!("/clients/{client}")).await?;
            (json!({ "clientId": client, "deleted": true }), format!("{client} was deleted"))
        }
    };
    console.print_result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &Api, client: &str) -> Result<(Value, String)> {
    let client: Client = api.json(Method::GET, &format!("/clients/{client}"), None).await?;
    let id = &client.id;
    let changes: Value = api.json(Method::GET, &format!("/clients/{id}/audit?limit=10"), None).await?;
    let vehicles: Value = api.json(Method::GET, &format!("/vehicles?registeredBy={id}&limit=100"), None).await?;
    let vids: Vec<&Value> = vehicles["items"].as_array().into_iter().flatten().map(|vehicle| &vehicle["vid"]).collect();
    let more = if vehicles["next"].is_null() { "" } else { " or more" };
    let credentials = client.credentials.iter().map(|of| format!("  {}  created {}\n", of.client_id, of.created_at));
    let text = format!(
        "{}\ncredentials:\n{}vehicles registered: {}{more}\nchanges: {}",
        client.line(),
        credentials.collect::<String>(),
        vids.len(),
        changes["items"].as_array().map_or(0, Vec::len)
    );
    Ok((json!({ "client": client, "vehicles": vids, "changes": changes["items"] }), text))
}

/// Changes a client at the version that was read. Reads it again if another admin changed it.
async fn change(api: &Api, client_id: &str, edit: impl Fn(&mut Client)) -> Result<Client> {
    let path = format!("/clients/{client_id}");
    for _ in 1..ATTEMPTS {
        match change_once(api, &path, &edit).await {
            Err(error) if is_stale(&error) => {}
            changed => return changed,
        }
    }
    change_once(api, &path, &edit).await
}

async fn change_once(api: &Api, path: &str, edit: impl Fn(&mut Client)) -> Result<Client> {
    let (mut client, etag): (Client, String) = api.versioned(path).await?;
    edit(&mut client);
    let mut body = json!({ "name": client.name, "disabled": client.disabled });
    if let Some(sources) = &client.sources {
        body["sources"] = json!(sources);
    }
    api.replace(path, &etag, &body).await
}

fn is_stale(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.status == StatusCode::PRECONDITION_FAILED)
}

async fn delete(api: &Api, path: &str) -> Result<()> {
    let response = api.send(Method::DELETE, path, None).await?;
    if response.status.is_success() { Ok(()) } else { Err(response.to_error(&format!("DELETE {path}")).into()) }
}

fn changed_result(client: &Client) -> (Value, String) {
    (json!(client), client.line())
}

fn secret_text(credentials: &Value) -> String {
    let text = |member: &str| credentials[member].as_str().unwrap_or_default().to_owned();
    format!("client id: {}\nclient secret, shown once: {}", text("clientId"), text("clientSecret"))
}
