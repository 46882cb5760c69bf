//! Checks of the request of a redrive.

use std::collections::BTreeSet;

use roadcast_domain::dead_letter::{LetterFilter, RedriveRequest};
use roadcast_domain::ids::DeadLetterId;

use crate::{InvalidField, ServiceError};

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
            if !(1..=MAX_LETTERS).contains(&dead_letter_ids.len()) {
                return Err(ServiceError::invalid(["deadLetterIds"], format!("must have 1 to {MAX_LETTERS} entries")));
            }
            let mut seen = BTreeSet::new();
            if let Some(index) = dead_letter_ids.iter().position(|id| !seen.insert(*id)) {
                let pointer = roadcast_domain::json_pointer::JsonPointer::from(["deadLetterIds"]).index(index);
                return Err(ServiceError::Invalid(vec![InvalidField::new(pointer, "is given more than once")]));
            }
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
