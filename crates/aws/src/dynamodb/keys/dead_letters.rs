//! Keys of `deadLetters`, which holds two kinds of items:
//!
//! | `pk` | `sk` | item |
//! |---|---|---|
//! | `<hop>` | `<dead letter id>` | a dead letter; ids sort by time; expires |
//! | `redrive#<redrive id>` | `meta` | a redrive; expires |

use roadcast_domain::dead_letter::{Hop, RedriveId};
use roadcast_domain::ids::DeadLetterId;

use super::{Key, KeyRange, PK, SK};

impl Key {
    /// A dead letter.
    pub fn dead_letter(hop: Hop, id: DeadLetterId) -> Self {
        Self { partition: (PK, hop.code().to_owned()), sort: Some((SK, id.to_string())) }
    }

    /// A redrive.
    pub fn redrive(id: &RedriveId) -> Self {
        Self { partition: (PK, format!("redrive#{id}")), sort: Some((SK, "meta".to_owned())) }
    }
}

impl KeyRange {
    /// The dead letters of a hop from one id to another, newest first.
    pub fn dead_letters(hop: Hop, from: DeadLetterId, to: DeadLetterId) -> Self {
        let partition = (PK, hop.code().to_owned());
        Self { partition, sort: SK, from: from.to_string(), to: to.to_string(), consistent: true, descending: true }
    }
}
