//! The vehicles that bulk files assign to a fleet.

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails, VehicleMapping};
use roadcast_lambda_kit::http::query::{integer, optional, text};
use roadcast_lambda_kit::http::{ApiRequest as _, Call, Page, Response, parameters};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Admin;
use roadcast_services::vehicles::fleet_vehicles::FleetVehicleListing;
use serde::Serialize;
use serde_json::json;

use crate::OnboardingApi;

/// The JSON representation of a vehicle of a fleet, with the version and the line of the file that assigned it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetVehicleView<'m> {
    vid: &'m VehicleId,
    #[serde(flatten)]
    details: &'m MappedDetails,
    removed: bool,
    file_version: &'m FileVersion,
    line: u64,
}

impl<'m> From<&'m VehicleMapping> for FleetVehicleView<'m> {
    fn from(mapping: &'m VehicleMapping) -> Self {
        Self {
            vid: &mapping.vid,
            details: &mapping.details,
            removed: mapping.removed,
            file_version: &mapping.version,
            line: mapping.line,
        }
    }
}

parameters! {
    /// The query of `GET /fleets/{fleetId}/vehicles`.
    pub(crate) struct ListFleetVehicles {
        removed: Option<bool> = "removed" => optional("true or false"),
        limit: usize = "limit" => integer(1..=1000, 100),
        cursor: Option<String> = "cursor" => text,
    }
}

impl<Ports: PortSet> OnboardingApi<Ports> {
    pub(crate) async fn list_fleet_vehicles(
        &self,
        Call { query, request, caller }: Call<'_, ListFleetVehicles, Admin>,
    ) -> Result<Response, Problem> {
        let page = Page::new(request, &caller, query.cursor);
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let listing =
            FleetVehicleListing { after: page.start().await?, removed: query.removed.unwrap_or(false), limit: query.limit };
        let found = self.fleet_vehicles.vehicles(&caller, &fleet_id, &listing).await?;
        let items: Vec<_> = found.mappings.iter().map(FleetVehicleView::from).collect();
        page.json_response(json!({ "items": items }), found.next.as_ref()).await
    }
}
