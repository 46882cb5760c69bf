//! The HTTP API of events: send events, query the events of a vehicle, and list the events of a fleet in order of arrival.

mod accepted_event;
mod batch_receipt;
mod history;
mod ingest_problem;
mod queries;
mod upload_body;

use http::StatusCode;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::trace::TraceHop;
use roadcast_lambda_kit::http::{Api, ApiRequest as _, ApiResponse as _, Call, Operation, Response, response, serve};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Sender;
use roadcast_services::ingest::Ingest;
use roadcast_services::query::VehicleQueries;
use roadcast_services::query::fleet_events::FleetEvents;

use crate::batch_receipt::BatchReceiptView;

/// The HTTP API of events.
pub struct EventsApi<Ports: PortSet> {
    /// Accepts events.
    pub ingest: Ingest<Ports>,
    /// Reads the events and the history of a vehicle.
    pub queries: VehicleQueries<Ports>,
    /// Lists the events of a fleet in order of arrival.
    pub fleet_events: FleetEvents<Ports>,
}

impl<Ports: PortSet> Api for EventsApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("POST", "/vehicles/{vid}/events", serve!(send_vehicle_events)),
        Operation::new("POST", "/events", serve!(send_events)),
        Operation::new("GET", "/vehicles/{vid}/events", serve!(list_vehicle_events)),
        Operation::new("GET", "/vehicles/{vid}/events/{eid}", serve!(get_vehicle_event)),
        Operation::new("GET", "/vehicles/{vid}/history", serve!(get_vehicle_history)),
        Operation::new("GET", "/events", serve!(list_fleet_events)),
    ];
}

impl<Ports: PortSet> EventsApi<Ports> {
    async fn send_vehicle_events(&self, Call { request, caller, .. }: Call<'_, (), Sender>) -> Result<Response, Problem> {
        let vid: VehicleId = request.path_parameter("vid")?;
        let body = upload_body::events_json(request)?;
        let to_problem = |error| ingest_problem::upload_problem(error, upload_body::is_batch(&body));
        let events = self.ingest.upload(&caller, &vid, &body).await.map_err(to_problem)?;
        let passed = events.iter().map(|event| event.eid).collect();
        let response = response::json(StatusCode::ACCEPTED, &accepted_event::upload_receipt(&events))?;
        Ok(response.with_trace_candidates(TraceHop::Upload, passed))
    }

    async fn send_events(&self, Call { request, caller, .. }: Call<'_, (), Sender>) -> Result<Response, Problem> {
        let body = upload_body::events_json(request)?;
        let to_problem = |error| ingest_problem::upload_problem(error, upload_body::is_batch(&body));
        let receipt = self.ingest.batch(&caller, &body).await.map_err(to_problem)?;
        let passed = receipt.events.iter().filter_map(|event| Some(event.outcome.as_ref().ok()?.eid)).collect();
        let response = BatchReceiptView::of(receipt).into_response()?;
        Ok(response.with_trace_candidates(TraceHop::Upload, passed))
    }
}
