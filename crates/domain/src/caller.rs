//! The authenticated caller. Every operation takes it as an argument, so that code without an authorization check does not
//! compile.

use crate::ids::{ClientId, FleetId};

/// An authenticated caller, from its token and the reference data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// May use every operation except reading a fleet's feed, which only that fleet may read.
    Admin(ClientId),
    /// An application of a fleet. Sees what the fleet is entitled to.
    Fleet(FleetId),
    /// An ingest client. Sends events of its own sources about its own vehicles.
    Ingest(ClientId),
}

/// An OAuth 2.0 scope of the resource server `roadcast`.
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
    /// The scope as it appears in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "roadcast/admin",
            Self::Read => "roadcast/read",
            Self::Ingest => "roadcast/ingest",
        }
    }

    /// Returns the scopes in the space-separated `scope` claim of a token. Ignores scopes of other resource servers.
    pub fn parse_claim(claim: &str) -> Vec<Self> {
        claim
            .split_ascii_whitespace()
            .filter_map(|scope| [Self::Admin, Self::Read, Self::Ingest].into_iter().find(|s| s.as_str() == scope))
            .collect()
    }
}
