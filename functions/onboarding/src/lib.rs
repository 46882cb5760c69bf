//! The HTTP API of onboarding: fleets, clients and subscriptions.

mod clients;
mod fleet_vehicles;
mod fleets;
mod subscriptions;

use roadcast_domain::caller::{Caller, Scope};
use roadcast_lambda_kit::http::{Access, Api, Request, Response, Route};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::bulk::VehicleMappings;
use roadcast_ports::clients::{AppClients, Clients};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::FeedIndex;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::ProvisioningWorkflow;
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::fleets::{Onboarding, Transition};
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;

/// The operations of onboarding.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /fleets`
    ListFleets,
    /// `POST /fleets`
    CreateFleet,
    /// `GET /fleets/{fleetId}`
    GetFleet,
    /// `DELETE /fleets/{fleetId}`
    OffboardFleet,
    /// `GET /fleets/{fleetId}/audit`
    ListChanges,
    /// `GET /fleets/{fleetId}/vehicles`
    ListFleetVehicles,
    /// `GET /fleets/{fleetId}/clients`
    ListClients,
    /// `DELETE /fleets/{fleetId}/clients/{clientId}`
    RemoveClient,
    /// `POST /fleets/{fleetId}/clients/{clientId}/secret`
    ShowClientSecret,
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
const CLIENT_SECRET: &str = "/fleets/{fleetId}/clients/{clientId}/secret";
const SUBSCRIPTIONS: &str = "/fleets/{fleetId}/subscriptions";
const SUBSCRIPTION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}";
const PROVISION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/provision";
const RECEIPT: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt";
const SUSPEND: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend";
const RESUME: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume";
const REVOKE: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke";

/// The routes of the operations.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/fleets", READERS, Operation::ListFleets).with_query(&["limit", "cursor"]),
    Route::new("POST", "/fleets", ADMINS, Operation::CreateFleet).with_idempotency_key(),
    Route::new("GET", "/fleets/{fleetId}", READERS, Operation::GetFleet),
    Route::new("DELETE", "/fleets/{fleetId}", ADMINS, Operation::OffboardFleet).with_query(&["feed"]),
    Route::new("GET", "/fleets/{fleetId}/audit", ADMINS, Operation::ListChanges).with_query(&["limit", "cursor"]),
    Route::new("GET", "/fleets/{fleetId}/vehicles", ADMINS, Operation::ListFleetVehicles)
        .with_query(&["removed", "limit", "cursor"]),
    Route::new("GET", "/fleets/{fleetId}/clients", ADMINS, Operation::ListClients).with_query(&["limit", "cursor"]),
    Route::new("DELETE", "/fleets/{fleetId}/clients/{clientId}", ADMINS, Operation::RemoveClient),
    Route::new("POST", CLIENT_SECRET, ADMINS, Operation::ShowClientSecret).with_idempotency_key(),
    Route::new("POST", "/clients", ADMINS, Operation::CreateClient).with_idempotency_key(),
    Route::new("GET", SUBSCRIPTIONS, READERS, Operation::ListSubscriptions).with_query(&["limit", "cursor"]),
    Route::new("POST", SUBSCRIPTIONS, ADMINS, Operation::CreateSubscription).with_idempotency_key(),
    Route::new("GET", SUBSCRIPTION, READERS, Operation::GetSubscription),
    Route::new("PUT", SUBSCRIPTION, ADMINS, Operation::ReplaceSubscription),
    Route::new("POST", PROVISION, ADMINS, Operation::ProvisionSubscription),
    Route::new("GET", RECEIPT, READERS, Operation::GetReceipt).with_query(&["from", "to"]),
    Route::new("POST", SUSPEND, ADMINS, Operation::SuspendSubscription),
    Route::new("POST", RESUME, ADMINS, Operation::ResumeSubscription),
    Route::new("POST", REVOKE, ADMINS, Operation::RevokeSubscription),
];

/// The HTTP API of onboarding.
pub struct OnboardingApi<F, C, A, U, V, E, W, I, K, R, M> {
    /// Manages fleets, clients and subscriptions.
    pub onboarding: Onboarding<F, C, A, U, V, E, W, K, R>,
    /// Reports what subscriptions delivered.
    pub receipts: Receipts<F, U, I, K>,
    /// Lists the vehicles that bulk files assign to fleets.
    pub fleet_vehicles: FleetVehicles<M, F>,
}

impl<F, C, A, U, V, E, W, I, K, R, M> Api for OnboardingApi<F, C, A, U, V, E, W, I, K, R, M>
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
    M: VehicleMappings,
{
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn handle(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::ListFleets => self.list_fleets(request, caller).await,
            Operation::CreateFleet => self.create_fleet(request, caller).await,
            Operation::GetFleet => self.get_fleet(request, caller).await,
            Operation::OffboardFleet => self.offboard(request, caller).await,
            Operation::ListChanges => self.list_changes(request, caller).await,
            Operation::ListFleetVehicles => fleet_vehicles::list(&self.fleet_vehicles, request, caller).await,
            Operation::ListClients => self.list_clients(request, caller).await,
            Operation::CreateClient => self.create_client(request, caller).await,
            Operation::RemoveClient => self.remove_client(request, caller).await,
            Operation::ShowClientSecret => self.show_secret(request, caller).await,
            Operation::ListSubscriptions => self.list_subscriptions(request, caller).await,
            Operation::CreateSubscription => self.subscribe(request, caller).await,
            Operation::GetSubscription => self.get_subscription(request, caller).await,
            Operation::ReplaceSubscription => self.replace_subscription(request, caller).await,
            Operation::ProvisionSubscription => self.retry_provisioning(request, caller).await,
            Operation::GetReceipt => {
                let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
                let time = |name| request.query(name, "an RFC 3339 time");
                Response::ok(&self.receipts.receipt(caller, &fleet_id, &id, time("from")?, time("to")?).await?)
            }
            Operation::SuspendSubscription => self.transition_subscription(request, caller, Transition::Suspend).await,
            Operation::ResumeSubscription => self.transition_subscription(request, caller, Transition::Resume).await,
            Operation::RevokeSubscription => self.transition_subscription(request, caller, Transition::Revoke).await,
        }
    }

    /// Adds the client secret to a stored response. The secret is stored only in the user pool.
    async fn restore_secret(&self, operation: Operation, caller: &Caller, response: Response) -> Result<Response, Problem> {
        match operation {
            Operation::CreateClient | Operation::ShowClientSecret => self.add_client_secret(caller, response).await,
            _ => Ok(response),
        }
    }
}

/// Returns the maximum number of items of the requested page.
fn page_limit(request: &Request) -> Result<usize, Problem> {
    request.query_number("limit", 1..=100, 50)
}

/// Returns the last item of a full page, after which the next page starts. None if the page is not full.
fn last_of_full_page<T>(items: &[T], limit: usize) -> Option<&T> {
    items.last().filter(|_| items.len() == limit)
}
