//! Machine clients, and the one time that a secret is shown.

use http::StatusCode;
use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{Client, ClientRole};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_lambda_kit::http::{Page, Request, Response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{OnboardingApi, last_of_full_page, page_limit};

/// The member of an answer that is shown once.
const SECRET: &str = "clientSecret";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientInput {
    name: String,
    kind: ClientKind,
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    fleet_id: Option<FleetId>,
    #[serde(default, deserialize_with = "roadcast_domain::present")]
    sources: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ClientKind {
    Fleet,
    Ingest,
}

impl ClientInput {
    /// Whom the client is to act for: a fleet's needs its fleet and has no sources, an ingest client's is the other way round.
    fn role(self) -> Result<(String, ClientRole), Problem> {
        let wrong = |pointer: &str, detail: &str| Err(Problem::invalid_body(pointer, detail));
        match (self.kind, self.fleet_id, self.sources) {
            (ClientKind::Fleet, Some(fleet_id), None) => Ok((self.name, ClientRole::Fleet { fleet_id })),
            (ClientKind::Ingest, None, Some(sources)) => Ok((self.name, ClientRole::Ingest { sources })),
            (ClientKind::Fleet, None, _) => wrong("/fleetId", "is required of a client of kind fleet"),
            (ClientKind::Fleet, _, Some(_)) => wrong("/sources", "a client of kind fleet has none"),
            (ClientKind::Ingest, _, None) => wrong("/sources", "are required of a client of kind ingest"),
            (ClientKind::Ingest, Some(_), _) => wrong("/fleetId", "a client of kind ingest has none"),
        }
    }
}

impl<F, C, A, U, V, E, W, I, K, R, M> OnboardingApi<F, C, A, U, V, E, W, I, K, R, M>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    K: Clock,
    R: Randomness,
{
    pub(crate) async fn create_client(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (name, role) = request.json::<ClientInput>()?.role()?;
        let (client, credentials) = self.onboarding.create_client(caller, &name, role).await?;
        let mut view = view(&client);
        view[SECRET] = json!(credentials.client_secret);
        Ok(secretly(Response::json(StatusCode::CREATED, &view)?))
    }

    pub(crate) async fn list_clients(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let page = Page::of(request, caller);
        let limit = page_limit(request)?;
        let clients = self.onboarding.clients(caller, &request.path("fleetId")?, page.start()?.as_ref(), limit).await?;
        let next = last_of_full_page(&clients, limit).map(|last| &last.client_id);
        let items = clients.iter().map(|client| {
            let mut view = view(client);
            view["createdAt"] = json!(client.created_at);
            if let Some(shown_at) = client.secret_shown_at {
                view["secretShownAt"] = json!(shown_at);
            }
            view
        });
        page.answer(json!({"items": items.collect::<Vec<_>>()}), next)
    }

    pub(crate) async fn show_secret(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, client_id) = (request.path("fleetId")?, client_id(request)?);
        let credentials = self.onboarding.show_secret(caller, &fleet_id, &client_id).await?;
        let view = json!({ "clientId": credentials.client_id, SECRET: credentials.client_secret });
        Ok(secretly(Response::ok(&view)?))
    }

    pub(crate) async fn remove_client(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        self.onboarding.remove_client(caller, &request.path("fleetId")?, &client_id(request)?).await?;
        Ok(Response::no_content())
    }

    /// The answer with its secret, which is kept by the user pool alone.
    pub(crate) async fn restore_secret(&self, caller: &Caller, mut answer: Response) -> Result<Response, Problem> {
        let mut view: Value = serde_json::from_str(answer.body()).map_err(Problem::internal)?;
        let client_id = ClientId::new(view["clientId"].as_str().unwrap_or_default());
        view[SECRET] = json!(self.onboarding.credentials(caller, &client_id).await?.client_secret);
        answer.set_json(&view);
        Ok(answer)
    }
}

fn client_id(request: &Request) -> Result<ClientId, Problem> {
    Ok(ClientId::new(request.path::<String>("clientId")?))
}

fn view(client: &Client) -> Value {
    let mut view = json!({ "clientId": client.client_id, "name": client.name });
    match &client.role {
        ClientRole::Fleet { fleet_id } => {
            view["kind"] = json!("fleet");
            view["fleetId"] = json!(fleet_id);
        }
        ClientRole::Ingest { sources } => {
            view["kind"] = json!("ingest");
            view["sources"] = json!(sources);
        }
    }
    view
}

/// The secret is shown this once: nobody on the way may keep it, and we do not either.
fn secretly(answer: Response) -> Response {
    answer.with_secret(SECRET).with_header("cache-control", "no-store")
}
