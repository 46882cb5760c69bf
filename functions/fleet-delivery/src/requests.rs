//! The bodies of requests, and the token of a response.

use roadcast_domain::ids::FleetId;
use roadcast_lambda_kit::problem::Problem;
use roadcast_lambda_kit::token;
use serde::Deserialize;

/// The maximum number of messages in a response.
const MAX_MESSAGES: usize = 10;

/// The body of a request to read a feed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FeedRequest {
    /// The token of the previous response.
    #[serde(default, deserialize_with = "roadcast_domain::deserialize_non_null")]
    pub(crate) ack: Option<String>,
    /// The maximum number of messages.
    #[serde(default)]
    pub(crate) max: Bounded<1, 10, 10>,
    /// How long to wait for the first message.
    #[serde(default)]
    pub(crate) wait_seconds: Bounded<0, 20, 0>,
}

/// The body of a request to acknowledge a response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledgement {
    pub(crate) ack: String,
}

/// A number from `MIN` to `MAX`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(crate) struct Bounded<const MIN: u8, const MAX: u8, const DEFAULT: u8>(u8);

impl<const MIN: u8, const MAX: u8, const DEFAULT: u8> Bounded<MIN, MAX, DEFAULT> {
    /// Returns the number.
    pub(crate) const fn get(self) -> u8 {
        self.0
    }
}

impl<const MIN: u8, const MAX: u8, const DEFAULT: u8> Default for Bounded<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<const MIN: u8, const MAX: u8, const DEFAULT: u8> TryFrom<i64> for Bounded<MIN, MAX, DEFAULT> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        let number = u8::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(|| format!("must be an integer from {MIN} to {MAX}"))
    }
}

/// The handles of all messages of a response, as one opaque token. Handles contain no line feeds, so line feeds separate them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AckToken {
    pub(crate) ack_handles: Vec<String>,
}

impl AckToken {
    /// Encodes the token of a fleet; `None` if there is nothing to acknowledge.
    pub(crate) fn encode(&self, fleet_id: &FleetId) -> Option<String> {
        (!self.ack_handles.is_empty()).then(|| token::encode(fleet_id.as_str(), &self.ack_handles.join("\n")))
    }

    /// Fails with `invalid-body` if the text is not a token of this fleet.
    pub(crate) fn parse(fleet_id: &FleetId, text: &str) -> Result<Self, Problem> {
        let handles = token::decode(fleet_id.as_str(), text);
        let ack_handles: Vec<String> = handles.iter().flat_map(|handles| handles.lines()).map(str::to_owned).collect();
        if ack_handles.is_empty() || ack_handles.len() > MAX_MESSAGES {
            let detail = "is not a token of this feed; send it exactly as the feed returned it";
            return Err(Problem::invalid_body(["ack"], detail));
        }
        Ok(Self { ack_handles })
    }
}
