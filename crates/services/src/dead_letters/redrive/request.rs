//! Checks of the request of a redrive.

use roadcast_domain::dead_letter::{LetterFilter, RedriveRequest};
use roadcast_domain::ids::DeadLetterId;

use crate::ServiceError;
use crate::requests::named_ids::check_named_ids;

/// The largest number of letters that a redrive names.
pub const MAX_LETTERS: usize = 100;

/// Returns the request of a redrive: either letters, or a selection of at least one member. Fails with `Invalid` otherwise.
pub fn new_request(
    dead_letter_ids: Option<Vec<DeadLetterId>>,
    again: bool,
    selection: Option<LetterFilter>,
) -> Result<RedriveRequest, ServiceError> {
    match (dead_letter_ids, selection) {
        (Some(dead_letter_ids), None) => {
            check_named_ids("deadLetterIds", &dead_letter_ids, MAX_LETTERS)?;
            Ok(RedriveRequest::Letters { dead_letter_ids, again })
        }
        (None, Some(_)) if again => {
            Err(ServiceError::invalid(["again"], "is allowed with deadLetterIds only; name the letters to send again"))
        }
        (None, Some(selection)) => {
            if selection == LetterFilter::default() {
                return Err(ServiceError::invalid(["selection"], "must have at least one of hop, fleetId, since and until"));
            }
            Ok(RedriveRequest::Selection(selection))
        }
        _ => Err(ServiceError::invalid(["deadLetterIds"], "send either deadLetterIds or selection")),
    }
}
