//! A fleet's feed over HTTP.

use std::str::FromStr;

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::ids::FleetId;
use roadcast_lambda_kit::http::{Access, Api, Request, Response, Route};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::FeedQueue;
use roadcast_services::ServiceError;
use roadcast_services::delivery::feed::{FeedReader, NOT_A_TOKEN};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The operations on a feed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /fleets/{fleetId}/feed`
    ReadFeed,
    /// `POST /fleets/{fleetId}/feed/ack`
    AcknowledgeFeed,
}

/// A feed is its fleet's own.
const ITS_FLEET: Access = Access::Scopes(&[Scope::Read]);

/// The operations' routes.
pub const ROUTES: &[Route<Operation>] = &[
    Route::new("GET", "/fleets/{fleetId}/feed", ITS_FLEET, Operation::ReadFeed).with_query(&["max", "wait", "ack"]),
    Route::new("POST", "/fleets/{fleetId}/feed/ack", ITS_FLEET, Operation::AcknowledgeFeed),
];

/// A fleet's feed over HTTP.
pub struct FleetDelivery<Q, E, K> {
    /// Hands out feeds.
    pub deliver: FeedReader<Q, E, K>,
}

#[derive(Serialize)]
struct Answer {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    ack: String,
}

impl<Q: FeedQueue, E: Entitlements, K: Clock> Api for FleetDelivery<Q, E, K> {
    type Operation = Operation;

    const ROUTES: &'static [Route<Operation>] = ROUTES;

    async fn call(&self, operation: Operation, request: &Request, caller: &Caller) -> Result<Response, Problem> {
        let fleet_id: FleetId = request.path("fleetId")?;
        match operation {
            Operation::ReadFeed => self.read(request, caller, &fleet_id).await,
            Operation::AcknowledgeFeed => self.acknowledge(request, caller, &fleet_id).await,
        }
    }
}

impl<Q: FeedQueue, E: Entitlements, K: Clock> FleetDelivery<Q, E, K> {
    async fn read(&self, request: &Request, caller: &Caller, fleet_id: &FleetId) -> Result<Response, Problem> {
        let max = small(request.query_number("max", 1..=10, 10)?);
        let wait_s = small(request.query_number("wait", 0..=20, 0)?);
        // The answer before, acknowledged on the way: one call in place of two.
        if let Some(token) = request.query::<Token>("ack", "a token of this feed, as it was given")? {
            self.deliver.acknowledge(caller, fleet_id, &token.receipts).await.map_err(|error| match error {
                ServiceError::Invalid(_) => Problem::invalid_parameter("ack", NOT_A_TOKEN),
                error => error.into(),
            })?;
        }
        let feed = self.deliver.feed(caller, fleet_id, max, wait_s).await?;
        for error in &feed.unreadable {
            tracing::error!(%fleet_id, error, "a message of fleet {fleet_id} cannot be read and stays in its queue: {error}");
        }
        let events = feed.cloud_events().map_err(Problem::internal)?;
        let ack = (!feed.receipts.is_empty()).then(|| Token { receipts: feed.receipts }.to_string());
        let answer = Answer { events, ack };
        // Nobody on the way may keep it: what it holds can be taken away.
        Ok(Response::ok(&answer)?.with_header("cache-control", "no-store"))
    }

    async fn acknowledge(&self, request: &Request, caller: &Caller, fleet_id: &FleetId) -> Result<Response, Problem> {
        let Acknowledgement { ack } = request.json()?;
        let wrong = |()| Problem::invalid_body("/ack", NOT_A_TOKEN);
        let token: Token = ack.parse().map_err(wrong)?;
        self.deliver.acknowledge(caller, fleet_id, &token.receipts).await?;
        Ok(Response::no_content())
    }
}

/// Receipts of all messages of one answer, as one opaque text: none holds a line feed, so lines keep them apart.
struct Token {
    receipts: Vec<String>,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&roadcast_lambda_kit::token::write(&self.receipts.join("\n")))
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let receipts: Vec<String> = roadcast_lambda_kit::token::read(text).ok_or(())?.lines().map(str::to_owned).collect();
        if receipts.is_empty() || receipts.len() > 10 { Err(()) } else { Ok(Self { receipts }) }
    }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
