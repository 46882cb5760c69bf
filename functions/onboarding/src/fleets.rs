//! Fleets: created, listed and offboarded.

use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER};
use roadcast_domain::Timestamp;
use roadcast_domain::fleet::{FeedDisposition, Fleet, FleetState, OffboardingStatus};
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_lambda_kit::http::{ApiRequest as _, ApiResponse as _, Call, Page, Response, parameters, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{Admin, Reader};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{OnboardingApi, PageQuery, last_of_fitting_page, last_of_full_page};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetInput {
    name: String,
    #[serde(default)]
    plan: Plan,
}

parameters! {
    /// The query of `DELETE /fleets/{fleetId}`.
    pub(crate) struct OffboardFleet {
        feed: FeedDisposition = "feed" => feed_disposition,
    }
}

fn feed_disposition(name: &str, text: Option<&str>) -> Result<FeedDisposition, Problem> {
    match text {
        None | Some("drain") => Ok(FeedDisposition::Drain),
        Some("discard") => Ok(FeedDisposition::Discard),
        Some(_) => Err(Problem::invalid_parameter(name, "must be drain or discard")),
    }
}

impl<Ports: PortSet> OnboardingApi<Ports> {
    pub(crate) async fn list_fleets(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Reader>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let fleets = self.onboarding.fleets(&caller, page.start().await?.as_ref(), limit).await?;
        let next = last_of_full_page(&fleets, limit).map(|last| &last.fleet_id);
        page.json_response(json!({"items": fleets.iter().map(FleetView::from).collect::<Vec<_>>()}), next).await
    }

    pub(crate) async fn create_fleet(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let FleetInput { name, plan } = request.json()?;
        let fleet = self.onboarding.create_fleet(&caller, &name, plan).await?;
        // Relative, because the stage may add a path prefix.
        let location = format!("fleets/{}", fleet.fleet_id);
        response::json(StatusCode::CREATED, &FleetView::from(&fleet))?.with_header(LOCATION, location)
    }

    pub(crate) async fn get_fleet(&self, Call { request, caller, .. }: Call<'_, (), Reader>) -> Result<Response, Problem> {
        let fleet = caller.of_fleet(&request.path_parameter("fleetId")?)?;
        response::ok(&FleetView::from(&self.onboarding.fleet(&fleet).await?))
    }

    pub(crate) async fn offboard(
        &self,
        Call { query, request, caller }: Call<'_, OffboardFleet, Admin>,
    ) -> Result<Response, Problem> {
        let fleet = self.onboarding.offboard(&caller, &request.path_parameter("fleetId")?, query.feed).await?;
        response::json(StatusCode::ACCEPTED, &FleetView::from(&fleet))?.with_header(RETRY_AFTER, "1")
    }

    pub(crate) async fn list_changes(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let mut changes =
            self.onboarding.changes(&caller, &request.path_parameter("fleetId")?, page.start().await?, limit).await?;
        let next = last_of_fitting_page(&mut changes, limit).map(|last| last.change_id);
        page.json_response(json!({ "items": changes }), next.as_ref()).await
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
