//! Onboarding over HTTP: fleets, clients and subscriptions.

mod mapped;

use http::StatusCode;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::{ClientRole, Fleet};
use roadcast_domain::ids::{ClientId, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::package::PackageName;
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription, SubscriptionState, Validity};
use roadcast_lambda_kit::http::{Access, Api, Page, Request, Response, Route};
use roadcast_lambda_kit::problem::{Problem, ProblemType};
use roadcast_ports::bulk::VehicleMap;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::FeedIndex;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::ProvisioningWorkflow;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::mapped::Mapped;
use roadcast_services::onboard::{Move, Onboard, SubscriptionRequest};
use roadcast_services::receipts::Receipts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The operations of onboarding.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /fleets`
    ListFleets,
    /// `POST /fleets`
    CreateFleet,
    /// `GET /fleets/{fleetId}`
    GetFleet,
    /// `GET /fleets/{fleetId}/audit`
    ListChanges,
    /// `GET /fleets/{fleetId}/vehicles`
    ListMappedVehicles,
    /// `POST /clients`
    CreateClient,
    /// `GET /fleets/{fleetId}/subscriptions`
    ListSubscriptions,
    /// `POST /fleets/{fleetId}/subscriptions`
    CreateSubscription,
    /// `GET /fleets/{fleetId}/subscriptions/{subscriptionId}`
    GetSubscription,
    /// `PUT /fleets/{fleetId}/subscriptions/{subscriptionId}`
    ReplaceSubscription,
    /// `POST /fleets/{fleetId}/subscriptions/{subscriptionId}/provision`
    ProvisionSubscription,
    /// `GET /fleets/{fleetId}/subscriptions/{subscriptionId}/receipt`
    GetReceipt,
    /// `POST /fleets/{fleetId}/subscriptions/{subscriptionId}/suspend`
    SuspendSubscription,
    /// `POST /fleets/{fleetId}/subscriptions/{subscriptionId}/resume`
    ResumeSubscription,
    /// `POST /fleets/{fleetId}/subscriptions/{subscriptionId}/revoke`
    RevokeSubscription,
}

const ADMINS: Access = Access::Scopes(&[Scope::Admin]);
const READERS: Access = Access::Scopes(&[Scope::Read, Scope::Admin]);
const SUBSCRIPTIONS: &str = "/fleets/{fleetId}/subscriptions";
const SUBSCRIPTION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}";
const PROVISION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/provision";
const RECEIPT: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt";
const SUSPEND: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend";
const RESUME: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume";
const REVOKE: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke";

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/fleets", READERS, Operation::ListFleets).with_query(&["limit", "cursor"]),
    Route::new("POST", "/fleets", ADMINS, Operation::CreateFleet).creating(),
    Route::new("GET", "/fleets/{fleetId}", READERS, Operation::GetFleet),
    Route::new("GET", "/fleets/{fleetId}/audit", ADMINS, Operation::ListChanges).with_query(&["limit", "cursor"]),
    Route::new("GET", "/fleets/{fleetId}/vehicles", ADMINS, Operation::ListMappedVehicles)
        .with_query(&["removed", "limit", "cursor"]),
    Route::new("POST", "/clients", ADMINS, Operation::CreateClient).creating(),
    Route::new("GET", SUBSCRIPTIONS, READERS, Operation::ListSubscriptions).with_query(&["limit", "cursor"]),
    Route::new("POST", SUBSCRIPTIONS, ADMINS, Operation::CreateSubscription).creating(),
    Route::new("GET", SUBSCRIPTION, READERS, Operation::GetSubscription),
    Route::new("PUT", SUBSCRIPTION, ADMINS, Operation::ReplaceSubscription),
    Route::new("POST", PROVISION, ADMINS, Operation::ProvisionSubscription),
    Route::new("GET", RECEIPT, READERS, Operation::GetReceipt).with_query(&["from", "to"]),
    Route::new("POST", SUSPEND, ADMINS, Operation::SuspendSubscription),
    Route::new("POST", RESUME, ADMINS, Operation::ResumeSubscription),
    Route::new("POST", REVOKE, ADMINS, Operation::RevokeSubscription),
];

/// The member of a new client's answer that is shown once.
const SECRET: &str = "clientSecret";

/// Onboarding over HTTP.
pub struct Onboarding<F, C, A, U, V, E, W, I, K, R, M> {
    /// Takes fleets in.
    pub onboard: Onboard<F, C, A, U, V, E, W, K, R>,
    /// Says what subscriptions brought.
    pub receipts: Receipts<F, U, I, K>,
    /// Lists the vehicles of customers.
    pub mapped: Mapped<M, F>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetInput {
    name: String,
    #[serde(default)]
    plan: Plan,
}

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

impl<F, C, A, U, V, E, W, I, K, R, M> Api for Onboarding<F, C, A, U, V, E, W, I, K, R, M>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    U: Subscriptions,
    V: Vehicles,
    E: Entitlements,
    W: ProvisioningWorkflow,
    I: FeedIndex,
    K: Clock,
    R: Randomness,
    M: VehicleMap,
{
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let onboard = &self.onboard;
        match operation {
            Operation::ListFleets => {
                let page = Page::of(request, caller);
                let limit = request.query_number("limit", 1..=100, 50)? as usize;
                let fleets = onboard.fleets(caller, page.start()?.as_ref(), limit).await?;
                let next = fleets.last().filter(|_| fleets.len() == limit).map(|last| &last.fleet_id);
                page.answer(json!({"items": fleets.iter().map(fleet_view).collect::<Vec<_>>()}), next)
            }
            Operation::CreateFleet => {
                let FleetInput { name, plan } = request.json()?;
                let fleet = onboard.create_fleet(caller, &name, plan).await?;
                // Relative: behind a stage, the path has a prefix.
                let location = format!("fleets/{}", fleet.fleet_id);
                Ok(Response::json(StatusCode::CREATED, &fleet_view(&fleet))?.with_header("location", location))
            }
            Operation::GetFleet => Response::ok(&fleet_view(&onboard.fleet(caller, &request.path("fleetId")?).await?)),
            Operation::ListChanges => {
                let page = Page::of(request, caller);
                let limit = request.query_number("limit", 1..=100, 50)? as usize;
                let changes = onboard.changes(caller, &request.path("fleetId")?, page.start()?, limit).await?;
                let next = changes.last().filter(|_| changes.len() == limit).map(|last| &last.change_id);
                page.answer(json!({ "items": changes }), next)
            }
            Operation::ListMappedVehicles => mapped::list(&self.mapped, request, caller).await,
            Operation::CreateClient => self.create_client(request, caller).await,
            Operation::ListSubscriptions => {
                let page = Page::of(request, caller);
                let limit = request.query_number("limit", 1..=100, 50)? as usize;
                let fleet_id = request.path("fleetId")?;
                let subscriptions = onboard.subscriptions(caller, &fleet_id, page.start()?.as_ref(), limit).await?;
                let next = subscriptions.last().filter(|_| subscriptions.len() == limit).map(|last| &last.subscription_id);
                page.answer(json!({"items": subscriptions.iter().map(SubscriptionView::from).collect::<Vec<_>>()}), next)
            }
            Operation::CreateSubscription => self.subscribe(request, caller).await,
            Operation::GetSubscription => {
                let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
                with_etag(&onboard.subscription(caller, &fleet_id, &id).await?)
            }
            Operation::ReplaceSubscription => self.resubscribe(request, caller).await,
            Operation::ProvisionSubscription => self.provision_again(request, caller).await,
            Operation::GetReceipt => {
                let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
                let time = |name| request.query(name, "an RFC 3339 time");
                Response::ok(&self.receipts.receipt(caller, &fleet_id, &id, time("from")?, time("to")?).await?)
            }
            Operation::SuspendSubscription => self.move_subscription(request, caller, Move::Suspend).await,
            Operation::ResumeSubscription => self.move_subscription(request, caller, Move::Resume).await,
            Operation::RevokeSubscription => self.move_subscription(request, caller, Move::Revoke).await,
        }
    }

    /// A new client's answer, to the admin who lost it: the secret comes from the user pool, which alone keeps it.
    async fn restore(&self, operation: Operation, caller: &Caller, mut answer: Response) -> Result<Response, Problem> {
        if operation != Operation::CreateClient {
            return Ok(answer);
        }
        let mut view: Value = serde_json::from_str(answer.body()).map_err(Problem::internal)?;
        let client_id = ClientId::new(view["clientId"].as_str().unwrap_or_default());
        view[SECRET] = json!(self.onboard.credentials(caller, &client_id).await?.client_secret);
        answer.set_json(&view);
        Ok(answer)
    }
}

impl<F, C, A, U, V, E, W, I, K, R, M> Onboarding<F, C, A, U, V, E, W, I, K, R, M>
where
    F: Fleets,
    C: Clients,
    A: AppClients,
    U: Subscriptions,
    V: Vehicles,
    E: Entitlements,
    W: ProvisioningWorkflow,
    I: FeedIndex,
    K: Clock,
    R: Randomness,
{
    async fn create_client(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (name, role) = request.json::<ClientInput>()?.role()?;
        let (client, credentials) = self.onboard.create_client(caller, &name, role).await?;
        let mut view = json!({
            "clientId": client.client_id,
            SECRET: credentials.client_secret,
            "name": client.name,
        });
        match client.role {
            ClientRole::Fleet { fleet_id } => {
                view["kind"] = json!("fleet");
                view["fleetId"] = json!(fleet_id);
            }
            ClientRole::Ingest { sources } => {
                view["kind"] = json!("ingest");
                view["sources"] = json!(sources);
            }
        }
        // The secret is shown this once: nobody on the way may keep it, and we do not either.
        let created = Response::json(StatusCode::CREATED, &view)?.with_secret(SECRET);
        Ok(created.with_header("cache-control", "no-store"))
    }

    async fn provision_again(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        let subscription = self.onboard.provision_again(caller, &fleet_id, &id).await?;
        let accepted = Response::json(StatusCode::ACCEPTED, &SubscriptionView::from(&subscription))?;
        Ok(accepted.with_header("retry-after", "1"))
    }

    async fn subscribe(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path("fleetId")?;
        let wanted: SubscriptionRequest = request.json()?;
        let subscription = self.onboard.subscribe(caller, &fleet_id, wanted).await?;
        let location = format!("subscriptions/{}", subscription.subscription_id);
        let accepted = Response::json(StatusCode::ACCEPTED, &SubscriptionView::from(&subscription))?;
        Ok(accepted.with_header("location", location).with_header("retry-after", "1"))
    }

    async fn resubscribe(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        let Some(tag) = request.header("if-match") else {
            let detail = "send If-Match with the ETag that GET answered";
            return Err(Problem::new(ProblemType::PreconditionRequired).with_detail(detail));
        };
        let wanted: SubscriptionRequest = request.json()?;
        with_etag(&self.onboard.resubscribe(caller, &fleet_id, &id, wanted, version(tag)).await?)
    }

    async fn move_subscription(&self, request: &Request, caller: &Caller, step: Move) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
        with_etag(&self.onboard.move_subscription(caller, &fleet_id, &id, step).await?)
    }
}

/// A subscription as callers see it: its version is in the `ETag`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView<'s> {
    subscription_id: &'s SubscriptionId,
    fleet_id: &'s FleetId,
    vehicles: &'s [VehicleId],
    packages: &'s [PackageName],
    delivery_format: DeliveryFormat,
    #[serde(flatten)]
    validity: Validity,
    state: SubscriptionState,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'s str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'s> From<&'s Subscription> for SubscriptionView<'s> {
    fn from(subscription: &'s Subscription) -> Self {
        Self {
            subscription_id: &subscription.subscription_id,
            fleet_id: &subscription.fleet_id,
            vehicles: &subscription.vehicles,
            packages: &subscription.packages,
            delivery_format: subscription.delivery_format,
            validity: subscription.validity,
            state: subscription.state,
            reason: subscription.reason.as_deref(),
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
        }
    }
}

fn with_etag(subscription: &Subscription) -> Result<Response, Problem> {
    Ok(Response::ok(&SubscriptionView::from(subscription))?.with_header("etag", format!("\"{}\"", subscription.version)))
}

/// The version that an `If-Match` names. A tag that is none of ours cannot match.
fn version(tag: &str) -> u64 {
    tag.trim().trim_matches('"').parse().unwrap_or(0)
}

/// A fleet as callers see it: which bus carries its events is not their concern.
fn fleet_view(fleet: &Fleet) -> Value {
    json!({"fleetId": fleet.fleet_id, "name": fleet.name, "plan": fleet.plan, "createdAt": fleet.created_at})
}
