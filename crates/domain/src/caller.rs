//! Who is calling. Every operation takes one of these as an argument, so that forgetting to ask does not compile.

use crate::ids::{ClientId, FleetId};

/// An authenticated caller, as far as its token and the reference data tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// May do everything but read a fleet's feed, which is that fleet's own.
    Admin(ClientId),
    /// An application of one fleet: sees what the fleet is entitled to.
    Fleet(FleetId),
    /// Sends events of its own sources about its own vehicles.
    Ingest(ClientId),
}

/// A scope of the resource server `roadcast`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `roadcast/admin`
    Admin,
    /// `roadcast/read`
    Read,
    /// `roadcast/ingest`
    Ingest,
}

impl Scope {
    /// The scope as it stands in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "roadcast/admin",
            Self::Read => "roadcast/read",
            Self::Ingest => "roadcast/ingest",
        }
    }

    /// The scopes that a token's space-separated `scope` claim holds; others are not ours to judge.
    pub fn parse_claim(claim: &str) -> Vec<Self> {
        claim
            .split_ascii_whitespace()
            .filter_map(|scope| [Self::Admin, Self::Read, Self::Ingest].into_iter().find(|s| s.as_str() == scope))
            .collect()
    }
}
