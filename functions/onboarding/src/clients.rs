//! Machine clients, and their credentials, whose secrets are shown once.

use http::StatusCode;
use http::header::ETAG;
use roadcast_domain::Timestamp;
use roadcast_domain::fleet::{Client, ClientKind, ClientPosition, ClientRole, Credential};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_lambda_kit::http::query::{integer, text};
use roadcast_lambda_kit::http::{ApiRequest as _, ApiResponse as _, Call, Page, Request, Response, parameters, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Admin;
use roadcast_services::fleets::ClientUpdate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{OnboardingApi, PageQuery, last_of_fitting_page};

/// The member of a response that contains the client secret.
const SECRET_MEMBER: &str = "clientSecret";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientInput {
    name: String,
    kind: ClientKind,
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    fleet_id: Option<FleetId>,
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    sources: Option<Vec<String>>,
}

impl ClientInput {
    /// Returns the name and the role. A client of kind fleet requires `fleetId`, a client of kind ingest `sources`; no other
    /// kind allows them.
    fn role(self) -> Result<(String, ClientRole), Problem> {
        let invalid = |member: &str, detail: &str| Err(Problem::invalid_body([member], detail));
        match (self.kind, self.fleet_id, self.sources) {
            (ClientKind::Admin, None, None) => Ok((self.name, ClientRole::Admin)),
            (ClientKind::Admin, Some(_), _) => invalid("fleetId", "is not allowed for kind admin"),
            (ClientKind::Admin, None, Some(_)) => invalid("sources", "is not allowed for kind admin"),
            (ClientKind::Fleet, Some(fleet_id), None) => Ok((self.name, ClientRole::Fleet { fleet_id })),
            (ClientKind::Ingest, None, Some(sources)) => Ok((self.name, ClientRole::Ingest { sources })),
            (ClientKind::Fleet, None, _) => invalid("fleetId", "is required for kind fleet"),
            (ClientKind::Fleet, _, Some(_)) => invalid("sources", "is not allowed for kind fleet"),
            (ClientKind::Ingest, _, None) => invalid("sources", "is required for kind ingest"),
            (ClientKind::Ingest, Some(_), _) => invalid("fleetId", "is not allowed for kind ingest"),
        }
    }
}

/// The body of `PUT /clients/{clientId}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClientUpdateInput {
    name: String,
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    sources: Option<Vec<String>>,
    disabled: bool,
}

parameters! {
    /// The query of `GET /clients`.
    pub(crate) struct ListClients {
        kind: Option<ClientKind> = "kind" => kind,
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

fn kind(name: &str, text: Option<&str>) -> Result<Option<ClientKind>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let kind = ClientKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.map(Some).ok_or_else(|| Problem::invalid_parameter(name, "must be admin, fleet or ingest"))
}

impl<Ports: PortSet> OnboardingApi<Ports> {
    pub(crate) async fn create_client(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let (name, role) = request.json::<ClientInput>()?.role()?;
        let (client, credentials) = self.onboarding.create_client(&caller, &name, role).await?;
        let mut view = view(&client);
        view[SECRET_MEMBER] = json!(credentials.client_secret);
        Ok(response::json(StatusCode::CREATED, &view)?.with_secret(SECRET_MEMBER))
    }

    pub(crate) async fn list_clients(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let mut clients = self
            .onboarding
            .clients(&caller, &request.path_parameter("fleetId")?, page.start().await?.as_ref(), limit)
            .await?;
        let next = last_of_fitting_page(&mut clients, limit).map(|last| last.client_id.clone());
        page.json_response(json!({"items": clients.iter().map(ClientView::from).collect::<Vec<_>>()}), next.as_ref()).await
    }

    pub(crate) async fn list_all_clients(
        &self,
        Call { query, request, caller }: Call<'_, ListClients, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let after: Option<ClientPosition> = page.start().await?;
        let mut clients = self.onboarding.all_clients(&caller, query.kind, after.as_ref(), query.limit).await?;
        let next = last_of_fitting_page(&mut clients, query.limit).map(Client::position);
        let items: Vec<_> = clients.iter().map(ClientView::from).collect();
        page.json_response(json!({ "items": items }), next.as_ref()).await
    }

    pub(crate) async fn get_client(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        with_etag(&self.onboarding.client(&caller, &client_id(request)?).await?)
    }

    pub(crate) async fn replace_client(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let condition = request.version_condition();
        if !condition.requires_existence() {
            return Err(Problem::precondition_required());
        }
        let ClientUpdateInput { name, sources, disabled } = request.json()?;
        let update = ClientUpdate { name, sources, disabled };
        with_etag(&self.onboarding.update_client(&caller, &client_id(request)?, update, condition).await?)
    }

    pub(crate) async fn delete_client(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        self.onboarding.remove_client(&caller, &client_id(request)?).await?;
        Ok(response::no_content())
    }

    pub(crate) async fn list_client_changes(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let mut changes = self.onboarding.client_changes(&caller, &client_id(request)?, page.start().await?, limit).await?;
        let next = last_of_fitting_page(&mut changes, limit).map(|last| last.change_id);
        page.json_response(json!({ "items": changes }), next.as_ref()).await
    }

    pub(crate) async fn add_credential(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let credentials = self.onboarding.add_credential(&caller, &client_id(request)?).await?;
        let view = json!({ "clientId": credentials.client_id, SECRET_MEMBER: credentials.client_secret });
        Ok(response::json(StatusCode::CREATED, &view)?.with_secret(SECRET_MEMBER))
    }

    pub(crate) async fn remove_credential(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let credential_id = ClientId::new(request.path_parameter::<String>("credentialId")?);
        self.onboarding.remove_credential(&caller, &client_id(request)?, &credential_id).await?;
        Ok(response::no_content())
    }

    pub(crate) async fn show_secret(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let (fleet_id, client_id) = (request.path_parameter("fleetId")?, client_id(request)?);
        let credentials = self.onboarding.show_secret(&caller, &fleet_id, &client_id).await?;
        let view = json!({ "clientId": credentials.client_id, SECRET_MEMBER: credentials.client_secret });
        Ok(response::ok(&view)?.with_secret(SECRET_MEMBER))
    }

    pub(crate) async fn remove_client(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        self.onboarding.remove_client_of_fleet(&caller, &request.path_parameter("fleetId")?, &client_id(request)?).await?;
        Ok(response::no_content())
    }

    /// Adds the client secret, which is stored only in the user pool, to a response.
    pub(crate) async fn add_client_secret(&self, caller: Admin, mut response: Response) -> Result<Response, Problem> {
        let mut view: Value = serde_json::from_slice(response.body()).map_err(Problem::internal)?;
        let client_id = ClientId::new(view["clientId"].as_str().unwrap_or_default());
        view[SECRET_MEMBER] = json!(self.onboarding.credentials(&caller, &client_id).await?.client_secret);
        response.set_json(&view);
        Ok(response)
    }
}

fn client_id(request: &Request) -> Result<ClientId, Problem> {
    Ok(ClientId::new(request.path_parameter::<String>("clientId")?))
}

fn view(client: &Client) -> Value {
    let mut view = json!({ "clientId": client.client_id, "name": client.name, "kind": client.role.kind() });
    match &client.role {
        ClientRole::Admin => {}
        ClientRole::Fleet { fleet_id } => view["fleetId"] = json!(fleet_id),
        ClientRole::Ingest { sources } => view["sources"] = json!(sources),
    }
    view
}

/// The JSON representation of a client. Its version is in the `ETag`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientView<'c> {
    client_id: &'c ClientId,
    name: &'c str,
    #[serde(flatten)]
    role: &'c ClientRole,
    credentials: &'c [Credential],
    disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_shown_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl<'c> From<&'c Client> for ClientView<'c> {
    fn from(client: &'c Client) -> Self {
        Self {
            client_id: &client.client_id,
            name: &client.name,
            role: &client.role,
            credentials: &client.credentials,
            disabled: client.disabled_since.is_some(),
            disabled_since: client.disabled_since,
            secret_shown_at: client.secret_shown_at,
            created_at: client.created_at,
        }
    }
}

fn with_etag(client: &Client) -> Result<Response, Problem> {
    response::ok(&ClientView::from(client))?.with_header(ETAG, format!("\"{}\"", client.version))
}
