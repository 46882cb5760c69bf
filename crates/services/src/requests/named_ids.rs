//! The check of a list of ids in a request.

use std::collections::BTreeSet;

use roadcast_domain::json_pointer::JsonPointer;

use crate::{InvalidField, ServiceError};

/// Fails with `Invalid` unless the list that this member of a request holds has one to `max` ids, none of them twice. The position
/// of a redrive is the id that it did last, so an id must have one place.
pub(crate) fn check_named_ids<Id: Ord>(member: &str, ids: &[Id], max: usize) -> Result<(), ServiceError> {
    if !(1..=max).contains(&ids.len()) {
        return Err(ServiceError::invalid([member], format!("must have 1 to {max} entries")));
    }
    let mut seen = BTreeSet::new();
    match ids.iter().position(|id| !seen.insert(id)) {
        None => Ok(()),
        Some(index) => {
            let pointer = JsonPointer::from([member]).index(index);
            Err(ServiceError::Invalid(vec![InvalidField::new(pointer, "is given more than once")]))
        }
    }
}
