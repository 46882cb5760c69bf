//! Plans: the rate limits of fleets.

use serde::{Deserialize, Serialize};

/// A fleet's plan.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// For one or two applications.
    #[default]
    Standard,
    /// For many applications, or for dashboards that poll frequently.
    Plus,
}

impl Plan {
    /// Returns the maximum number of requests per minute, of all applications of the fleet together.
    pub const fn requests_per_minute(self) -> u32 {
        match self {
            Self::Standard => 600,
            Self::Plus => 6_000,
        }
    }
}
