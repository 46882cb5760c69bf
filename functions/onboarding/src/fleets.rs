//! Fleets: created, listed and offboarded.

use http::StatusCode;
use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState, OffboardingStatus};
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_lambda_kit::http::{Page, Request, Response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::ProvisioningWorkflow;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{OnboardingApi, last_of_full_page, page_limit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetInput {
    name: String,
    #[serde(default)]
    plan: Plan,
}

impl<F, C, A, U, V, E, W, I, K, R, M> OnboardingApi<F, C, A, U, V, E, W, I, K, R, M>
where
    F: Fleets,
    W: ProvisioningWorkflow,
    K: Clock,
    R: Randomness,
{
    pub(crate) async fn list_fleets(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let page = Page::new(request, caller);
        let limit = page_limit(request)?;
        let fleets = self.onboarding.fleets(caller, page.start()?.as_ref(), limit).await?;
        let next = last_of_full_page(&fleets, limit).map(|last| &last.fleet_id);
        page.json_response(json!({"items": fleets.iter().map(FleetView::from).collect::<Vec<_>>()}), next)
    }

    pub(crate) async fn create_fleet(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let FleetInput { name, plan } = request.json()?;
        let fleet = self.onboarding.create_fleet(caller, &name, plan).await?;
        // Relative, because the stage may add a path prefix.
        let location = format!("fleets/{}", fleet.fleet_id);
        Ok(Response::json(StatusCode::CREATED, &FleetView::from(&fleet))?.with_header("location", location))
    }

    pub(crate) async fn get_fleet(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        Response::ok(&FleetView::from(&self.onboarding.fleet(caller, &request.path("fleetId")?).await?))
    }

    pub(crate) async fn offboard(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let feed = match request.query::<String>("feed", "drain or discard")?.as_deref() {
            None | Some("drain") => FeedDisposition::Drain,
            Some("discard") => FeedDisposition::Discard,
            Some(_) => return Err(Problem::invalid_parameter("feed", "must be drain or discard")),
        };
        let fleet = self.onboarding.offboard(caller, &request.path("fleetId")?, feed).await?;
        Ok(Response::json(StatusCode::ACCEPTED, &FleetView::from(&fleet))?.with_header("retry-after", "1"))
    }

    pub(crate) async fn list_changes(&self, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let page = Page::new(request, caller);
        let limit = page_limit(request)?;
        let changes = self.onboarding.changes(caller, &request.path("fleetId")?, page.start()?, limit).await?;
        let next = last_of_full_page(&changes, limit).map(|last| &last.change_id);
        page.json_response(json!({ "items": changes }), next)
    }
}

/// The JSON representation of a fleet. It omits the delivery bus, which is internal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetView<'f> {
    fleet_id: &'f FleetId,
    name: &'f str,
    plan: Plan,
    state: FleetState,
    #[serde(skip_serializing_if = "Option::is_none")]
    offboarding: Option<OffboardingView<'f>>,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct OffboardingView<'f> {
    feed: FeedDisposition,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'f str>,
}

impl<'f> From<&'f Fleet> for FleetView<'f> {
    fn from(fleet: &'f Fleet) -> Self {
        let status = |status: &'f OffboardingStatus| OffboardingView {
            feed: status.feed,
            since: status.since,
            reason: status.reason.as_deref(),
        };
        Self {
            fleet_id: &fleet.fleet_id,
            name: &fleet.name,
            plan: fleet.plan,
            state: fleet.state,
            offboarding: fleet.offboarding.as_ref().map(status),
            created_at: fleet.created_at,
        }
    }
}
