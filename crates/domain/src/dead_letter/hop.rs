//! The hops of the data flow.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A hop of the data flow at which something can fail for good.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Hop {
    /// From the stream to the log: a batch of records that the stream processor could not process.
    Stream,
    /// From the stream to the log: events or samples that are invalid.
    Quarantine,
    /// From the ingest bus to the delivery bus: an entry that enrichment could not process.
    Enrichment,
    /// From the delivery bus to the queue of a fleet: an entry that could not be delivered.
    Feed,
    /// From a device to the stream: a message that the device rule could not put onto the stream.
    DeviceRule,
    /// From a bulk file to the reference data: a file whose import failed.
    BulkImport,
    /// From the delivery bus to a webhook endpoint: a delivery that failed, or a message that could not be processed.
    Webhook,
    /// From a task to the next one of a back-test: a task that ended without a response.
    BackTest,
    /// From an alert of the operator to people and incident tools: an entry or a notice that could not be sent.
    Notice,
    /// A message whose format is not known.
    Unknown,
}

/// A text that is not the code of a hop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hop ({})", Hop::ALL.map(Hop::code).join(", "))]
pub struct InvalidHop;

impl Hop {
    /// All hops.
    pub const ALL: [Self; 10] = [
        Self::Stream,
        Self::Quarantine,
        Self::Enrichment,
        Self::Feed,
        Self::DeviceRule,
        Self::BulkImport,
        Self::Webhook,
        Self::BackTest,
        Self::Notice,
        Self::Unknown,
    ];

    /// Returns the code: a value of the API, a key and a prefix of objects.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Quarantine => "quarantine",
            Self::Enrichment => "enrichment",
            Self::Feed => "feed",
            Self::DeviceRule => "device-rule",
            Self::BulkImport => "bulk-import",
            Self::Webhook => "webhook",
            Self::BackTest => "back-test",
            Self::Notice => "notice",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the number, which is part of the ids of dead letters. Never change the number of a hop.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Stream => 1,
            Self::Quarantine => 2,
            Self::Enrichment => 3,
            Self::Feed => 4,
            Self::DeviceRule => 5,
            Self::BulkImport => 6,
            Self::Webhook => 7,
            Self::BackTest => 8,
            Self::Notice => 9,
        }
    }

    /// Returns the hop with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|hop| hop.number() == number)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Hop {
    type Err = InvalidHop;

    fn from_str(code: &str) -> Result<Self, InvalidHop> {
        Self::ALL.into_iter().find(|hop| hop.code() == code).ok_or(InvalidHop)
    }
}

impl TryFrom<String> for Hop {
    type Error = InvalidHop;

    fn try_from(code: String) -> Result<Self, InvalidHop> {
        code.parse()
    }
}

impl From<Hop> for &'static str {
    fn from(hop: Hop) -> Self {
        hop.code()
    }
}
