//! The HTTP API of the feed of a fleet.

use std::str::FromStr;

use http::header::CACHE_CONTROL;
use roadcast_domain::ids::FleetId;
use roadcast_lambda_kit::http::query::{integer, optional};
use roadcast_lambda_kit::http::{
    Api, ApiRequest as _, ApiResponse as _, Call, Operation, Response, parameters, response, serve,
};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::port_set::PortSet;
use roadcast_services::ServiceError;
use roadcast_services::authz::FleetOwner;
use roadcast_services::delivery::feed::{FeedReader, INVALID_TOKEN};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The HTTP API of the feed.
pub struct FleetDelivery<Ports: PortSet> {
    /// Reads and acknowledges feeds.
    pub feed_reader: FeedReader<Ports>,
}

#[derive(Serialize)]
struct FeedResponse {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    ack: String,
}

parameters! {
    /// The query of `GET /fleets/{fleetId}/feed`.
    struct ReadFeed {
        max: u8 = "max" => integer(1..=10, 10),
        wait_s: u8 = "wait" => integer(0..=20, 0),
        ack: Option<Token> = "ack" => optional("an ack token of this feed, unchanged"),
    }
}

impl<Ports: PortSet> Api for FleetDelivery<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/fleets/{fleetId}/feed", serve!(read)),
        Operation::new("POST", "/fleets/{fleetId}/feed/ack", serve!(acknowledge)),
    ];
}

impl<Ports: PortSet> FleetDelivery<Ports> {
    async fn read(&self, Call { query, request, caller }: Call<'_, ReadFeed, FleetOwner>) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let fleet = caller.of_fleet(&fleet_id)?;
        // Acknowledges the previous response and reads the next one in a single request.
        if let Some(token) = query.ack {
            self.feed_reader.acknowledge(fleet, &token.receipts).await.map_err(|error| match error {
                ServiceError::Invalid(_) => Problem::invalid_parameter("ack", INVALID_TOKEN),
                error => error.into(),
            })?;
        }
        let feed = self.feed_reader.read(fleet, query.max, query.wait_s).await?;
        for error in &feed.unreadable {
            tracing::error!(%fleet_id, error, "an unreadable message stays in the queue of fleet {fleet_id}: {error}");
        }
        let events = feed.cloud_events().map_err(Problem::internal)?;
        let ack = (!feed.receipts.is_empty()).then(|| Token { receipts: feed.receipts }.to_string());
        // A later change of the entitlement may exclude these events, so that proxies must not cache them.
        response::ok(&FeedResponse { events, ack })?.with_header(CACHE_CONTROL, "no-store")
    }

    async fn acknowledge(&self, Call { request, caller, .. }: Call<'_, (), FleetOwner>) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path_parameter("fleetId")?;
        let fleet = caller.of_fleet(&fleet_id)?;
        let Acknowledgement { ack } = request.json()?;
        let invalid = |()| Problem::invalid_body(["ack"], INVALID_TOKEN);
        let token: Token = ack.parse().map_err(invalid)?;
        self.feed_reader.acknowledge(fleet, &token.receipts).await?;
        Ok(response::no_content())
    }
}

/// The SQS receipts of all messages of a response as one opaque token. Receipts contain no line feeds, so line feeds
/// separate them.
struct Token {
    receipts: Vec<String>,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&roadcast_lambda_kit::token::encode(&self.receipts.join("\n")))
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let receipts: Vec<String> = roadcast_lambda_kit::token::decode(text).ok_or(())?.lines().map(str::to_owned).collect();
        if receipts.is_empty() || receipts.len() > 10 { Err(()) } else { Ok(Self { receipts }) }
    }
}
