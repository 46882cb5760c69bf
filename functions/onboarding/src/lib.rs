//! Onboarding over HTTP: fleets, clients and subscriptions.

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
    ListMappedVehicles,
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
const SECRET: &str = "/fleets/{fleetId}/clients/{clientId}/secret";
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
    Route::new("DELETE", "/fleets/{fleetId}", ADMINS, Operation::OffboardFleet).with_query(&["feed"]),
    Route::new("GET", "/fleets/{fleetId}/audit", ADMINS, Operation::ListChanges).with_query(&["limit", "cursor"]),
    Route::new("GET", "/fleets/{fleetId}/vehicles", ADMINS, Operation::ListMappedVehicles)
        .with_query(&["removed", "limit", "cursor"]),
    Route::new("GET", "/fleets/{fleetId}/clients", ADMINS, Operation::ListClients).with_query(&["limit", "cursor"]),
    Route::new("DELETE", "/fleets/{fleetId}/clients/{clientId}", ADMINS, Operation::RemoveClient),
    Route::new("POST", SECRET, ADMINS, Operation::ShowClientSecret).creating(),
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

/// Onboarding over HTTP.
pub struct OnboardingApi<F, C, A, U, V, E, W, I, K, R, M> {
    /// Takes fleets in.
    pub onboarding: Onboarding<F, C, A, U, V, E, W, K, R>,
    /// Says what subscriptions brought.
    pub receipts: Receipts<F, U, I, K>,
    /// Lists the vehicles of customers.
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

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        match operation {
            Operation::ListFleets => self.list_fleets(request, caller).await,
            Operation::CreateFleet => self.create_fleet(request, caller).await,
            Operation::GetFleet => self.get_fleet(request, caller).await,
            Operation::OffboardFleet => self.offboard(request, caller).await,
            Operation::ListChanges => self.list_changes(request, caller).await,
            Operation::ListMappedVehicles => fleet_vehicles::list(&self.fleet_vehicles, request, caller).await,
            Operation::ListClients => self.list_clients(request, caller).await,
            Operation::CreateClient => self.create_client(request, caller).await,
            Operation::RemoveClient => self.remove_client(request, caller).await,
            Operation::ShowClientSecret => self.show_secret(request, caller).await,
            Operation::ListSubscriptions => self.list_subscriptions(request, caller).await,
            Operation::CreateSubscription => self.subscribe(request, caller).await,
            Operation::GetSubscription => self.get_subscription(request, caller).await,
            Operation::ReplaceSubscription => self.replace_subscription(request, caller).await,
            Operation::ProvisionSubscription => self.provision_again(request, caller).await,
            Operation::GetReceipt => {
                let (fleet_id, id) = (request.path("fleetId")?, request.path("subscriptionId")?);
                let time = |name| request.query(name, "an RFC 3339 time");
                Response::ok(&self.receipts.receipt(caller, &fleet_id, &id, time("from")?, time("to")?).await?)
            }
            Operation::SuspendSubscription => self.move_subscription(request, caller, Transition::Suspend).await,
            Operation::ResumeSubscription => self.move_subscription(request, caller, Transition::Resume).await,
            Operation::RevokeSubscription => self.move_subscription(request, caller, Transition::Revoke).await,
        }
    }

    /// An answer with a secret, to the admin who lost it: the secret comes from the user pool, which alone keeps it.
    async fn restore(&self, operation: Operation, caller: &Caller, answer: Response) -> Result<Response, Problem> {
        match operation {
            Operation::CreateClient | Operation::ShowClientSecret => self.restore_secret(caller, answer).await,
            _ => Ok(answer),
        }
    }
}

/// How many items a page is asked to hold at most.
fn page_limit(request: &Request) -> Result<usize, Problem> {
    Ok(request.query_number("limit", 1..=100, 50)? as usize)
}

/// The last item of a page that is full: the next one starts after it.
fn last_of_full_page<T>(items: &[T], limit: usize) -> Option<&T> {
    items.last().filter(|_| items.len() == limit)
}
