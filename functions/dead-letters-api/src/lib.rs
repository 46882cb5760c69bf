//! The HTTP API of dead letters: lists, shows and redrives them.

mod body;
mod view;

use std::time::Duration;

use http::StatusCode;
use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{Hop, LetterFilter, LetterState, RedriveId};
use roadcast_domain::ids::{DeadLetterId, FleetId};
use roadcast_lambda_kit::http::query::{integer, optional, text};
use roadcast_lambda_kit::http::{Api, ApiRequest as _, Call, Operation, Page, Response, parameters, response, serve};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::dead_letters::LetterListing;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::Admin;
use roadcast_services::dead_letters::queries::DeadLetterQueries;
use roadcast_services::dead_letters::redrive::Redriver;
use serde_json::json;

use crate::body::RedriveInput;
use crate::view::{DetailsView, LetterView, RedriveView};

/// The part of the remaining time in which no further letter is started, so that the started ones end before the deadline.
const TIME_FOR_STARTED_LETTERS: Duration = Duration::from_secs(15);

/// The HTTP API of dead letters.
pub struct DeadLettersApi<Ports: PortSet> {
    /// Lists and shows letters.
    pub queries: DeadLetterQueries<Ports>,
    /// Sends letters again.
    pub redriver: Redriver<Ports>,
}

parameters! {
    /// The query of `GET /dead-letters`.
    struct ListLetters {
        hop: Option<Hop> = "hop" => optional(
            "one of stream, quarantine, enrichment, feed, device-rule, bulk-import and unknown"
        ),
        fleet_id: Option<FleetId> = "fleetId" => optional("a fleet id"),
        since: Option<Timestamp> = "since" => optional("an RFC 3339 timestamp"),
        until: Option<Timestamp> = "until" => optional("an RFC 3339 timestamp"),
        state: Option<LetterState> = "state" => optional("one of kept, redriving and redriven"),
        limit: usize = "limit" => integer(1..=100, 50),
        cursor: Option<String> = "cursor" => text,
    }
}

impl<Ports: PortSet> Api for DeadLettersApi<Ports> {
    const OPERATIONS: &'static [Operation<Self>] = &[
        Operation::new("GET", "/dead-letters", serve!(list)),
        Operation::new("GET", "/dead-letters/{deadLetterId}", serve!(get)),
        Operation::new("PUT", "/redrives/{redriveId}", serve!(put_redrive)),
        Operation::new("GET", "/redrives/{redriveId}", serve!(get_redrive)),
    ];
}

impl<Ports: PortSet> DeadLettersApi<Ports> {
    async fn list(&self, Call { query, request, caller }: Call<'_, ListLetters, Admin>) -> Result<Response, Problem> {
        let ListLetters { hop, fleet_id, since, until, state, limit, cursor } = query;
        let filter = LetterFilter { hop, fleet_id, since, until, state };
        let page = Page::new(request, &caller, cursor);
        let before = page.start::<DeadLetterId>().await?;
        let found = self.queries.list(&caller, &LetterListing { filter, before, limit }).await?;
        let items: Vec<LetterView> = found.letters.into_iter().map(LetterView::from).collect();
        page.json_response(json!({ "items": items }), found.next.as_ref()).await
    }

    async fn get(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let id: DeadLetterId = request.path_parameter("deadLetterId")?;
        let shown = self.queries.get(&caller, id).await?;
        tracing::info!(dead_letter_id = %id, by = %caller.client_id(), "dead letter {id} was shown to an admin");
        response::ok(&DetailsView::from(shown))
    }

    async fn put_redrive(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let id: RedriveId = request.path_parameter("redriveId")?;
        let input: RedriveInput = request.json()?;
        let time = request.deadline().remaining().saturating_sub(TIME_FOR_STARTED_LETTERS);
        let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let redrive = self.redriver.run(&caller, &id, input.into_request()?, time_ms).await?;
        let (redriven, skipped, failed, finished) = (redrive.redriven, redrive.skipped, redrive.failed, redrive.finished);
        let by = caller.client_id();
        tracing::info!(
            redrive_id = %id, %by, redriven, skipped, failed, finished,
            "redrive {id} of client {by}: {redriven} letters redriven, {skipped} skipped, {failed} failed"
        );
        let status = if finished { StatusCode::OK } else { StatusCode::ACCEPTED };
        response::json(status, &RedriveView::from(redrive))
    }

    async fn get_redrive(&self, Call { request, caller, .. }: Call<'_, (), Admin>) -> Result<Response, Problem> {
        let id: RedriveId = request.path_parameter("redriveId")?;
        response::ok(&RedriveView::from(self.redriver.get(&caller, &id).await?))
    }
}

#[cfg(test)]
mod tests;
