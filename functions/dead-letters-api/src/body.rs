//! The body of a redrive.

use roadcast_domain::Timestamp;
use roadcast_domain::dead_letter::{Hop, LetterFilter, RedriveRequest};
use roadcast_domain::ids::{DeadLetterId, FleetId};
use roadcast_services::ServiceError;
use roadcast_services::dead_letters::redrive::new_request;
use serde::Deserialize;

/// The body of `PUT /redrives/{redriveId}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RedriveInput {
    dead_letter_ids: Option<Vec<DeadLetterId>>,
    #[serde(default)]
    again: bool,
    selection: Option<Selection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selection {
    hop: Option<Hop>,
    fleet_id: Option<FleetId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl RedriveInput {
    /// Returns the request. Fails with `Invalid` unless the body has either letters or a selection.
    pub(crate) fn into_request(self) -> Result<RedriveRequest, ServiceError> {
        let filter = |Selection { hop, fleet_id, since, until }| LetterFilter { hop, fleet_id, since, until, state: None };
        new_request(self.dead_letter_ids, self.again, self.selection.map(filter))
    }
}
