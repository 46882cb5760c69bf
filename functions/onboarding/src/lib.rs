//! The HTTP API of onboarding: fleets, clients and subscriptions, and erasures of vehicles.

mod clients;
mod erasures;
mod fleet_vehicles;
mod fleets;
mod subscriptions;

use roadcast_domain::Timestamp;
use roadcast_lambda_kit::http::query::{integer, optional, text};
use roadcast_lambda_kit::http::{Api, ApiRequest as _, Call, Operation, Response, parameters, response, restore, serve};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Reader;
use roadcast_services::erasure::ErasureRequests;
use roadcast_services::fleets::Onboarding;
use roadcast_services::fleets::receipts::Receipts;
use roadcast_services::response_budget::take_fitting;
use roadcast_services::vehicles::fleet_vehicles::FleetVehicles;
use serde::Serialize;

const CREDENTIALS: &str = "/clients/{clientId}/credentials";
const CREDENTIAL: &str = "/clients/{clientId}/credentials/{credentialId}";
const CLIENT_SECRET: &str = "/fleets/{fleetId}/clients/{clientId}/secret";
const SUBSCRIPTIONS: &str = "/fleets/{fleetId}/subscriptions";
const SUBSCRIPTION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}";
const PROVISION: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/provision";
const RECEIPT: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/receipt";
const SUSPEND: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend";
const RESUME: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume";
const REVOKE: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke";

parameters! {
    /// The query of lists without filters.
    pub(crate) struct PageQuery {
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

parameters! {
    /// The query of `GET /fleets/{fleetId}/subscriptions/{subscriptionId}/receipt`.
    struct GetReceipt {
        from: Option<Timestamp> = "from" => optional("an RFC 3339 time"),
        to: Option<Timestamp> = "to" => optional("an RFC 3339 time"),
    }
}

/// The HTTP API of onboarding.
pub struct OnboardingApi<Ports: PortSet> {
    /// Manages fleets, clients and subscriptions.
    pub onboarding: Onboarding<Ports>,
    /// Reports what subscriptions delivered.
    pub receipts: Receipts<Ports>,
    /// Erases vehicles.
    pub erasures: ErasureRequests<Ports>,
    /// Lists the vehicles that bulk files assign to fleets.
    pub fleet_vehicles: FleetVehicles<Ports>,
}

impl<Ports: PortSet> Api for OnboardingApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/fleets", serve!(list_fleets)),
        Operation::new("POST", "/fleets", serve!(create_fleet)).with_idempotency_key(),
        Operation::new("GET", "/fleets/{fleetId}", serve!(get_fleet)),
        Operation::new("DELETE", "/fleets/{fleetId}", serve!(offboard)),
        Operation::new("GET", "/fleets/{fleetId}/audit", serve!(list_changes)),
        Operation::new("GET", "/fleets/{fleetId}/vehicles", serve!(list_fleet_vehicles)),
        Operation::new("GET", "/fleets/{fleetId}/clients", serve!(list_clients)),
        Operation::new("DELETE", "/fleets/{fleetId}/clients/{clientId}", serve!(remove_client)),
        Operation::new("POST", CLIENT_SECRET, serve!(show_secret))
            .with_idempotency_key()
            .with_secret(restore!(add_client_secret)),
        Operation::new("POST", "/clients", serve!(create_client))
            .with_idempotency_key()
            .with_secret(restore!(add_client_secret)),
        Operation::new("GET", "/clients", serve!(list_all_clients)),
        Operation::new("GET", "/clients/{clientId}", serve!(get_client)),
        Operation::new("PUT", "/clients/{clientId}", serve!(replace_client)),
        Operation::new("DELETE", "/clients/{clientId}", serve!(delete_client)),
        Operation::new("GET", "/clients/{clientId}/audit", serve!(list_client_changes)),
        Operation::new("POST", CREDENTIALS, serve!(add_credential))
            .with_idempotency_key()
            .with_secret(restore!(add_client_secret)),
        Operation::new("DELETE", CREDENTIAL, serve!(remove_credential)),
        Operation::new("GET", "/erasures", serve!(list_erasures)),
        Operation::new("POST", "/erasures", serve!(erase_vehicles)).with_idempotency_key(),
        Operation::new("GET", "/erasures/{erasureId}", serve!(get_erasure)),
        Operation::new("POST", "/erasures/{erasureId}/restart", serve!(restart_erasure)),
        Operation::new("GET", SUBSCRIPTIONS, serve!(list_subscriptions)),
        Operation::new("POST", SUBSCRIPTIONS, serve!(subscribe)).with_idempotency_key(),
        Operation::new("GET", SUBSCRIPTION, serve!(get_subscription)),
        Operation::new("PUT", SUBSCRIPTION, serve!(replace_subscription)),
        Operation::new("POST", PROVISION, serve!(retry_provisioning)),
        Operation::new("GET", RECEIPT, serve!(get_receipt)),
        Operation::new("POST", SUSPEND, serve!(suspend)),
        Operation::new("POST", RESUME, serve!(resume)),
        Operation::new("POST", REVOKE, serve!(revoke)),
    ];
}

impl<Ports: PortSet> OnboardingApi<Ports> {
    async fn get_receipt(&self, Call { query, request, caller }: Call<'_, GetReceipt, Reader>) -> Result<Response, Problem> {
        let (fleet_id, id) = (request.path_parameter("fleetId")?, request.path_parameter("subscriptionId")?);
        response::ok(&self.receipts.receipt(&caller.of_fleet(&fleet_id)?, &id, query.from, query.to).await?)
    }
}

/// Removes the items at the end of a page that do not fit in a response. Returns the last remaining item, after which the next
/// page starts. None if the page is neither full nor shortened.
fn last_of_fitting_page<T: Serialize>(items: &mut Vec<T>, limit: usize) -> Option<&T> {
    let found = items.len();
    items.truncate(take_fitting(items.iter()).len());
    let is_last_page = found < limit && items.len() == found;
    items.last().filter(|_| !is_last_page)
}

/// Returns the last item of a full page, after which the next page starts. None if the page is not full.
fn last_of_full_page<T>(items: &[T], limit: usize) -> Option<&T> {
    items.last().filter(|_| items.len() == limit)
}
