//! Plans: how much a fleet may ask for.

use serde::{Deserialize, Serialize};

/// A fleet's plan.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// For an application or two.
    #[default]
    Standard,
    /// For many applications, or dashboards that ask often.
    Plus,
}

impl Plan {
    /// Requests that the fleet's applications may make together in a minute.
    pub const fn requests_per_minute(self) -> u32 {
        match self {
            Self::Standard => 600,
            Self::Plus => 6_000,
        }
    }
}
