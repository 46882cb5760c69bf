//! The HTTP API of webhook endpoints: their settings, secrets and health, test events, attempts, deliveries and redrives.

mod body;
mod view;

use std::time::Duration;

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, EndpointId, FleetId};
use roadcast_domain::webhook::Endpoint;
use roadcast_lambda_kit::http::query::{integer, text};
use roadcast_lambda_kit::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, Operation, Page, Request, Response, parameters, response, restore, serve,
};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::AttemptPosition;
use roadcast_services::authz::{FleetManager, Manager};
use roadcast_services::webhooks::attempts::AttemptQueries;
use roadcast_services::webhooks::endpoints::{EndpointManagement, EndpointSettings};
use roadcast_services::webhooks::redrive::EndpointRedriver;
use roadcast_services::{ServiceError, VersionCondition};
use serde_json::{Value, json};

use crate::body::{RedriveInput, RotationInput};
use crate::view::{AttemptView, DeliveryView, DetailsView, EndpointView, RedriveView, SecretView};

const ENDPOINTS: &str = "/fleets/{fleetId}/endpoints";
const ENDPOINT: &str = "/fleets/{fleetId}/endpoints/{endpointId}";
const SECRETS: &str = "/fleets/{fleetId}/endpoints/{endpointId}/secrets";
const TEST: &str = "/fleets/{fleetId}/endpoints/{endpointId}/test";
const ATTEMPTS: &str = "/fleets/{fleetId}/endpoints/{endpointId}/attempts";
const DELIVERY: &str = "/fleets/{fleetId}/endpoints/{endpointId}/deliveries/{deliveryId}";
const REDRIVE: &str = "/fleets/{fleetId}/endpoints/{endpointId}/redrives/{redriveId}";

/// The member of a response that contains a signing secret.
const SECRET_MEMBER: &str = "secret";
/// The part of the remaining time in which a redrive starts no further delivery, so that the started ones end before the
/// deadline.
const TIME_FOR_STARTED_DELIVERIES: Duration = Duration::from_secs(10);

/// The HTTP API of webhook endpoints.
pub struct EndpointsApi<Ports: PortSet> {
    /// Manages endpoints and their secrets.
    pub endpoints: EndpointManagement<Ports>,
    /// Lists attempts and shows deliveries.
    pub attempts: AttemptQueries<Ports>,
    /// Delivers failed events again.
    pub redriver: EndpointRedriver<Ports>,
    /// The current time, of which the shown health and schedule depend.
    pub clock: Ports::Clock,
}

parameters! {
    /// The query of the list of attempts.
    struct ListAttempts {
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

impl<Ports: PortSet> Api for EndpointsApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", ENDPOINTS, serve!(list)),
        Operation::new("POST", ENDPOINTS, serve!(create)).with_idempotency_key().with_secret(restore!(add_secret)),
        Operation::new("GET", ENDPOINT, serve!(get)),
        Operation::new("PUT", ENDPOINT, serve!(replace)),
        Operation::new("DELETE", ENDPOINT, serve!(delete)),
        Operation::new("POST", SECRETS, serve!(rotate)).with_idempotency_key().with_secret(restore!(add_secret)),
        Operation::new("POST", TEST, serve!(test)).with_idempotency_key(),
        Operation::new("GET", ATTEMPTS, serve!(list_attempts)),
        Operation::new("GET", DELIVERY, serve!(get_delivery)),
        Operation::new("PUT", REDRIVE, serve!(put_redrive)),
        Operation::new("GET", REDRIVE, serve!(get_redrive)),
    ];
}

impl<Ports: PortSet> EndpointsApi<Ports> {
    async fn list(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let now = self.clock.now();
        let endpoints = self.endpoints.list(&fleet(caller, request)?).await?;
        let items: Vec<_> = endpoints.iter().map(|endpoint| EndpointView::new(endpoint, now)).collect();
        response::ok(&json!({ "items": items }))
    }

    async fn create(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let fleet = fleet(caller, request)?;
        let settings: EndpointSettings = request.json()?;
        let (endpoint, secret) = self.endpoints.create(&fleet, settings).await?;
        let view = EndpointView::new(&endpoint, self.clock.now());
        // Relative, because the stage may add a path prefix.
        let location = format!("endpoints/{}", endpoint.endpoint_id);
        let response =
            response::json(StatusCode::CREATED, &SecretView::new(view, secret))?.with_header(LOCATION, location)?;
        Ok(with_etag(response, &endpoint)?.with_secret(SECRET_MEMBER))
    }

    async fn get(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let endpoint = self.endpoints.get(&fleet, &id).await?;
        let health = self.endpoints.health(&fleet, &id).await?;
        with_etag(response::ok(&DetailsView::new(&endpoint, &health, self.clock.now()))?, &endpoint)
    }

    async fn replace(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let condition = required_condition(request)?;
        let settings: EndpointSettings = request.json()?;
        let endpoint = self.endpoints.replace(&fleet, &id, settings, condition).await?;
        with_etag(response::ok(&EndpointView::new(&endpoint, self.clock.now()))?, &endpoint)
    }

    async fn delete(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        self.endpoints.remove(&fleet, &id, required_condition(request)?).await?;
        Ok(response::no_content())
    }

    async fn rotate(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let RotationInput { overlap_seconds } = request.json()?;
        let (endpoint, secret) = self.endpoints.rotate(&fleet, &id, overlap_seconds).await?;
        let secrets = view::secrets(&endpoint, self.clock.now());
        let view = json!({ "endpointId": id, "fleetId": fleet.fleet_id(), "secrets": secrets, SECRET_MEMBER: secret });
        Ok(response::json(StatusCode::CREATED, &view)?.with_secret(SECRET_MEMBER))
    }

    /// Adds the secret, which is stored only in the endpoint, to the stored response of a creation or a rotation.
    async fn add_secret(&self, caller: Manager, mut response: Response) -> Result<Response, Problem> {
        let mut view: Value = serde_json::from_slice(response.body()).map_err(Problem::internal)?;
        let (fleet_id, id, created_at) =
            secret_of(&view).ok_or_else(|| Problem::internal("a stored response has no ids"))?;
        let secret =
            self.endpoints.secret(&caller.of_fleet(&fleet_id)?, &id, created_at).await.map_err(|error| match error {
                ServiceError::NotFound => ServiceError::Conflict("the secret was replaced; rotate it to get a new one"),
                other => other,
            })?;
        view[SECRET_MEMBER] = json!(secret);
        response.set_json(&view);
        Ok(response)
    }

    async fn test(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let delivery_id = self.endpoints.test(&fleet, &id).await?;
        response::json(StatusCode::ACCEPTED, &json!({ "deliveryId": delivery_id }))?
            .with_header(LOCATION, format!("deliveries/{delivery_id}"))
    }

    async fn list_attempts(
        &self,
        Call { query, request, caller }: Call<'_, ListAttempts, Manager>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let (fleet, id) = endpoint(caller, request)?;
        let before = page.start::<AttemptPosition>().await?;
        let found = self.attempts.list(&fleet, &id, before.as_ref(), query.limit).await?;
        let items: Vec<_> = found.attempts.iter().map(AttemptView::from).collect();
        page.json_response(json!({ "items": items }), found.next.as_ref()).await
    }

    async fn get_delivery(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let delivery_id: DeliveryId = request.path_parameter("deliveryId")?;
        let endpoint = self.endpoints.get(&fleet, &id).await?;
        let delivery = self.attempts.delivery(&fleet, &id, delivery_id).await?;
        response::ok(&DeliveryView::new(&delivery, &endpoint))
    }

    async fn put_redrive(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let redrive_id: RedriveId = request.path_parameter("redriveId")?;
        let input: RedriveInput = request.json()?;
        let time = request.deadline().remaining().saturating_sub(TIME_FOR_STARTED_DELIVERIES);
        let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let redrive = self.redriver.run(&fleet, &id, &redrive_id, input.into_request()?, time_ms).await?;
        let (redriven, skipped, finished) = (redrive.redriven, redrive.skipped, redrive.finished);
        tracing::info!(
            %redrive_id, endpoint_id = %id, redriven, skipped, finished,
            "redrive {redrive_id} of endpoint {id}: {redriven} deliveries are pending again, {skipped} skipped"
        );
        let status = if finished { StatusCode::OK } else { StatusCode::ACCEPTED };
        response::json(status, &RedriveView::from(redrive))
    }

    async fn get_redrive(&self, Call { request, caller, .. }: Call<'_, (), Manager>) -> Result<Response, Problem> {
        let (fleet, id) = endpoint(caller, request)?;
        let redrive_id: RedriveId = request.path_parameter("redriveId")?;
        response::ok(&RedriveView::from(self.redriver.get(&fleet, &id, &redrive_id).await?))
    }
}

/// Returns the proof that the caller may manage the fleet in the path.
fn fleet(caller: Manager, request: &Request) -> Result<FleetManager, Problem> {
    let fleet_id: FleetId = request.path_parameter("fleetId")?;
    Ok(caller.of_fleet(&fleet_id)?)
}

/// Returns the proof that the caller may manage the fleet in the path, and the endpoint in the path.
fn endpoint(caller: Manager, request: &Request) -> Result<(FleetManager, EndpointId), Problem> {
    Ok((fleet(caller, request)?, request.path_parameter("endpointId")?))
}

/// Returns the condition of a change. Fails with `precondition-required` without `If-Match`.
fn required_condition(request: &Request) -> Result<VersionCondition, Problem> {
    let condition = request.version_condition();
    if condition.requires_existence() { Ok(condition) } else { Err(Problem::precondition_required()) }
}

/// Returns of which endpoint a response shows the newest secret, and when that was created.
fn secret_of(view: &Value) -> Option<(FleetId, EndpointId, Timestamp)> {
    let text = |pointer: &str| view.pointer(pointer)?.as_str();
    let created_at = text("/secrets/0/createdAt")?.parse().ok()?;
    Some((text("/fleetId")?.parse().ok()?, text("/endpointId")?.parse().ok()?, created_at))
}

fn with_etag(response: Response, endpoint: &Endpoint) -> Result<Response, Problem> {
    response.with_header(ETAG, format!("\"{}\"", endpoint.version))
}

#[cfg(test)]
mod tests;
