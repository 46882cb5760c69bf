//! The vehicles that a customer has, as files of bulk data say it.

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

/// A vehicle of a customer as admins see it: which file says so is the file of that version, at that line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MappedVehicle<'m> {
    vid: &'m VehicleId,
    #[serde(flatten)]
    described: &'m MappedDetails,
    removed: bool,
    file_version: &'m FileVersion,
    line: u64,
}

impl<'m> From<&'m VehicleMapping> for MappedVehicle<'m> {
    fn from(mapping: &'m VehicleMapping) -> Self {
        Self {
            vid: &mapping.vid,
            described: &mapping.described,
            removed: mapping.removed,
            file_version: &mapping.version,
            line: mapping.line,
        }
    }
}

/// `GET /fleets/{fleetId}/vehicles`
pub(crate) async fn list(
    mapped: &FleetVehicles<impl VehicleMappings, impl Fleets>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let page = Page::of(request, caller);
    let fleet_id: FleetId = request.path("fleetId")?;
    let listing = FleetVehicleListing {
        after: page.start()?,
        removed: request.query("removed", "true or false")?.unwrap_or(false),
        limit: request.query_number("limit", 1..=1000, 100)? as usize,
    };
    let found = mapped.vehicles(caller, &fleet_id, &listing).await?;
    let items: Vec<_> = found.mappings.iter().map(MappedVehicle::from).collect();
    page.answer(json!({ "items": items }), found.next.as_ref())
}
