//! The authenticated caller and the scopes of its token. Use cases do not take a caller: they take a proof of what the caller
//! may do, which `roadcast_services::authz` creates.

use crate::ids::{ClientId, FleetId};

/// An authenticated caller, from its token and the reference data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// May use every operation except reading a fleet's feed, which only that fleet may read.
    Admin(ClientId),
    /// An application of a fleet. Sees what the fleet is entitled to.
    Fleet(FleetId),
    /// An ingest client. Sends events of its own sources about its own vehicles.
    Ingest {
        /// The client.
        client_id: ClientId,
        /// The sources of its events.
        sources: Vec<String>,
    },
}

impl Caller {
    /// Returns the role and the id of the caller.
    pub fn id(&self) -> CallerId {
        match self {
            Self::Admin(client_id) => CallerId::Admin(client_id.clone()),
            Self::Fleet(fleet_id) => CallerId::Fleet(fleet_id.clone()),
            Self::Ingest { client_id, .. } => CallerId::Ingest(client_id.clone()),
        }
    }
}

/// The role and the id of a caller. Cursors and idempotency keys are bound to it, so they stay valid when an admin changes the
/// sources of a client. Keys contain its debug output, so a change of that invalidates those in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerId {
    /// An admin.
    Admin(ClientId),
    /// All clients of a fleet.
    Fleet(FleetId),
    /// An ingest client.
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

    /// Returns the validity of the tokens with this scope, in minutes: an hour for admins, and otherwise a day, the maximum of
    /// Cognito, which bills each token. A client that is disabled or removed is refused by its record within seconds, so that a
    /// long validity prolongs no access. See `docs/decisions/0050-validity-of-tokens.md`.
    pub const fn token_minutes(self) -> u16 {
        match self {
            Self::Admin => 60,
            Self::Read | Self::Ingest => 24 * 60,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_caller_is_its_role_and_id_without_sources() {
        let ingest = |sources: &[&str]| {
            let sources = sources.iter().map(|&source| source.to_owned()).collect();
            Caller::Ingest { client_id: ClientId::new("c"), sources }.id()
        };
        assert_eq!(ingest(&["a", "b"]), ingest(&[]));
        assert_ne!(ingest(&[]), Caller::Admin(ClientId::new("c")).id());
        assert_eq!(format!("{:?}", ingest(&["a"])), r#"Ingest(ClientId("c"))"#);
    }
}
