//! The vehicles that bulk files assign to a fleet.

use roadcast_domain::caller::Caller;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, MappedDetails, VehicleMapping};
use roadcast_lambda_kit::http::{Page, Request, Response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::bulk::VehicleMappings;
use roadcast_ports::fleets::Fleets;
use roadcast_services::vehicles::fleet_vehicles::{FleetVehicleListing, FleetVehicles};
use serde::Serialize;
use serde_json::json;

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

/// `GET /fleets/{fleetId}/vehicles`
pub(crate) async fn list(
    fleet_vehicles: &FleetVehicles<impl VehicleMappings, impl Fleets>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let page = Page::new(request, caller);
    let fleet_id: FleetId = request.path("fleetId")?;
    let listing = FleetVehicleListing {
        after: page.start()?,
        removed: request.query("removed", "true or false")?.unwrap_or(false),
        limit: request.query_number("limit", 1..=1000, 100)?,
    };
    let found = fleet_vehicles.vehicles(caller, &fleet_id, &listing).await?;
    let items: Vec<_> = found.mappings.iter().map(FleetVehicleView::from).collect();
    page.json_response(json!({ "items": items }), found.next.as_ref())
}
