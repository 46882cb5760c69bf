//! Erasures of vehicles: requested, shown and restarted.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER};
use roadcast_domain::Timestamp;
use roadcast_domain::erasure::{ErasedStore, Erasure, ErasureState, ErasureStep, Pass, StoreCounts};
use roadcast_domain::ids::{ErasureId, VehicleId};
use roadcast_lambda_kit::http::{ApiRequest as _, ApiResponse as _, Call, Page, Response, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Admin;
use roadcast_services::erasure::ErasureRequest;
use serde::Serialize;
use serde_json::json;

use crate::{OnboardingApi, PageQuery, last_of_full_page};

impl<Ports: PortSet> OnboardingApi<Ports> {
    pub(crate) async fn list_erasures(
        &self,
        Call { query, request, caller }: Call<'_, PageQuery, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let limit = query.limit;
        let erasures = self.erasures.list(&caller, page.start().await?.as_ref(), limit).await?;
        let next = last_of_full_page(&erasures, limit).map(|last| &last.erasure_id);
        page.json_response(json!({"items": erasures.iter().map(ErasureView::from).collect::<Vec<_>>()}), next).await
    }

    pub(crate) async fn erase_vehicles(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let wanted: ErasureRequest = request.json()?;
        let erasure = self.erasures.request(&caller, wanted).await?;
        // Relative, because the stage may add a path prefix.
        accepted(&erasure)?.with_header(LOCATION, format!("erasures/{}", erasure.erasure_id))
    }

    pub(crate) async fn get_erasure(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let erasure_id: ErasureId = request.path_parameter("erasureId")?;
        response::ok(&ErasureView::from(&self.erasures.get(&caller, &erasure_id).await?))
    }

    pub(crate) async fn restart_erasure(
        &self,
        Call { request, caller, .. }: Call<'_, (), Admin>,
    ) -> Result<Response, Problem> {
        let erasure_id: ErasureId = request.path_parameter("erasureId")?;
        accepted(&self.erasures.restart(&caller, &erasure_id).await?)
    }
}

fn accepted(erasure: &Erasure) -> Result<Response, Problem> {
    response::json(StatusCode::ACCEPTED, &ErasureView::from(erasure))?.with_header(RETRY_AFTER, "1")
}

/// The JSON representation of an erasure. It omits the names of the vehicles.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErasureView<'e> {
    erasure_id: &'e ErasureId,
    vehicles: &'e [VehicleId],
    state: ErasureState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<Pass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<ErasedStore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_pass_at: Option<Timestamp>,
    stores: &'e BTreeMap<ErasedStore, StoreCounts>,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'e str>,
    requested_by: &'e str,
    requested_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
}

impl<'e> From<&'e Erasure> for ErasureView<'e> {
    fn from(erasure: &'e Erasure) -> Self {
        let progress = Some(&erasure.progress).filter(|_| erasure.state != ErasureState::Complete);
        let step = progress.map(|progress| match progress.step {
            _ if progress.starts_second_pass() => ("wait", None),
            ErasureStep::Hide => ("hide", None),
            ErasureStep::Subscriptions => ("subscriptions", None),
            ErasureStep::Erase(store) => ("erase", Some(store)),
        });
        Self {
            erasure_id: &erasure.erasure_id,
            vehicles: &erasure.vehicles,
            state: erasure.state,
            pass: progress.map(|progress| progress.pass),
            step: step.map(|(step, _)| step),
            store: step.and_then(|(_, store)| store),
            hidden_at: erasure.hidden_at,
            second_pass_at: erasure.second_pass_at,
            stores: &erasure.stores,
            attempt: erasure.attempt,
            reason: erasure.reason.as_deref(),
            requested_by: erasure.requested_by.as_str(),
            requested_at: erasure.requested_at,
            updated_at: erasure.updated_at,
            completed_at: erasure.completed_at,
        }
    }
}
