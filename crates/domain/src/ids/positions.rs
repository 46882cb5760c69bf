//! Ids that are positions in an order of time.

use super::ulid::ulid_type;

ulid_type!(
    /// The position of a pointer in the feed index of a fleet: a ULID of the time at which the pointer was written and of a
    /// hash of its events. Stamps sort by arrival.
    ArrivalStamp, "an arrival stamp (a ULID of 26 symbols)"
);

ulid_type!(
    /// The id of a change in the audit trail: a ULID with the time of the change. The same change always has the same id.
    ChangeId, "a change id (a ULID of 26 symbols)"
);
