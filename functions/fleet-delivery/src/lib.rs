//! The HTTP API of the feed of a fleet.

mod requests;

use http::header::RETRY_AFTER;
use roadcast_domain::ids::FleetId;
use roadcast_domain::trace::TraceHop;
use roadcast_lambda_kit::http::{Api, ApiRequest as _, ApiResponse as _, Call, Operation, Response, response, serve};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::feed::ReceiveOptions;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::FleetOwner;
use roadcast_services::delivery::feed::{FeedReader, PollInterval};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::requests::{AckToken, Acknowledgement, FeedRequest};

/// The HTTP API of the feed.
pub struct FleetDelivery<Ports: PortSet> {
    /// Reads and acknowledges feeds.
    pub feed_reader: FeedReader<Ports>,
    /// When fleets should read their feeds again.
    pub poll_interval: PollInterval,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeedResponse {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<String>,
    next_poll_seconds: u16,
}

impl<Ports: PortSet> Api for FleetDelivery<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        // Reading hides messages from other readers, and can delete messages, so that it is not a safe method.
        Operation::new("POST", "/fleets/{fleetId}/feed", serve!(read)),
        Operation::new("POST", "/fleets/{fleetId}/feed/ack", serve!(acknowledge)),
    ];
}

impl<Ports: PortSet> FleetDelivery<Ports> {
    async fn read(&self, Call { request, caller, .. }: Call<'_, (), FleetOwner>) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let fleet = caller.of_fleet(&fleet_id)?;
        let FeedRequest { ack, max, wait_seconds } = request.json()?;
        let acknowledged = ack.map(|ack| AckToken::parse(&fleet_id, &ack)).transpose()?;
        // Acknowledges the previous response and reads the next one in a single request. If the second step fails, the caller
        // may repeat the request, because an acknowledgement can be repeated.
        if let Some(token) = acknowledged {
            self.feed_reader.acknowledge(fleet, &token.ack_handles).await?;
        }
        let timeout = request.deadline().remaining();
        let options = ReceiveOptions { max: max.get(), wait_s: wait_seconds.get(), timeout };
        let feed = self.feed_reader.read(fleet, options).await?;
        for error in &feed.unreadable {
            tracing::error!(%fleet_id, error, "an unreadable message stays in the queue of fleet {fleet_id}: {error}");
        }
        let next_poll_seconds = self.poll_interval.next_s(&feed, max.get(), self.feed_reader.clock.now());
        let passed = feed.events.iter().map(|delivered| delivered.event.eid).collect();
        let events = feed.cloud_events().map_err(Problem::internal)?;
        let ack = AckToken { ack_handles: feed.ack_handles }.encode(&fleet_id);
        response::ok(&FeedResponse { events, ack, next_poll_seconds })?
            .with_trace_candidates(TraceHop::Feed, passed)
            .with_header(RETRY_AFTER, next_poll_seconds.to_string())
    }

    async fn acknowledge(&self, Call { request, caller, .. }: Call<'_, (), FleetOwner>) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let fleet = caller.of_fleet(&fleet_id)?;
        let Acknowledgement { ack } = request.json()?;
        let token = AckToken::parse(&fleet_id, &ack)?;
        self.feed_reader.acknowledge(fleet, &token.ack_handles).await?;
        Ok(response::no_content())
    }
}

#[cfg(test)]
mod tests;
