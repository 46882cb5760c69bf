//! Machine clients: their role, their credentials, and whether they are disabled.

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use crate::caller::Scope;
use crate::ids::{ClientId, FleetId};

/// The maximum number of credentials of a client: the old and the new one while a secret is rotated.
pub const CREDENTIALS_PER_CLIENT: usize = 2;

/// A machine client and its role. Its credentials are app clients of the user pool, which may change; its id stays the same
/// and identifies it in vehicles, in the audit trail and in cursors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "StoredClient")]
pub struct Client {
    /// The client's id: the id of its first credential, also after that credential was removed.
    pub client_id: ClientId,
    /// The display name.
    pub name: String,
    /// The role.
    #[serde(flatten)]
    pub role: ClientRole,
    /// The credentials, the oldest first.
    pub credentials: Vec<Credential>,
    /// Since when the client is disabled; absent if it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_since: Option<Timestamp>,
    /// When the secret was shown to an admin, which happens once. Absent for a client that provisioning created until its
    /// secret is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_shown_at: Option<Timestamp>,
    /// The number of the version. Each change raises it by one. 0 for a client that is not stored, see
    /// [`Client::first_admin`].
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A credential: an app client of the user pool. A token states the id of the credential with which it was requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The id of the app client.
    pub client_id: ClientId,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Client {
    /// Creates an enabled client in version 1, whose only credential is the app client `client_id`.
    pub fn new(client_id: ClientId, name: String, role: ClientRole, created_at: Timestamp) -> Self {
        let credentials = vec![Credential { client_id: client_id.clone(), created_at }];
        Self { client_id, name, role, credentials, disabled_since: None, secret_shown_at: None, version: 1, created_at }
    }

    /// Returns the first admin as long as it has no record: the app client that a deployment creates. Its first change stores
    /// version 1.
    pub fn first_admin(client_id: ClientId, now: Timestamp) -> Self {
        Self { version: 0, ..Self::new(client_id, "First admin".to_owned(), ClientRole::Admin, now) }
    }

    /// Returns the fleet; `None` for an admin or an ingest client.
    pub const fn fleet_id(&self) -> Option<&FleetId> {
        match &self.role {
            ClientRole::Fleet { fleet_id } => Some(fleet_id),
            ClientRole::Admin | ClientRole::Ingest { .. } => None,
        }
    }

    /// Returns the position of the client in the list of all clients.
    pub fn position(&self) -> ClientPosition {
        ClientPosition { kind: self.role.kind(), client_id: self.client_id.clone() }
    }

    /// Whether this is one of the client's credentials.
    pub fn has_credential(&self, credential_id: &ClientId) -> bool {
        self.credentials.iter().any(|credential| credential.client_id == *credential_id)
    }

    /// Whether a token of this credential is accepted: it is one of the client's, and the client is not disabled.
    pub fn accepts(&self, credential_id: &ClientId) -> bool {
        self.disabled_since.is_none() && self.has_credential(credential_id)
    }
}

/// The role of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ClientRole {
    /// An operator. Manages fleets, clients and vehicles.
    Admin,
    /// An application of a fleet. Reads events.
    Fleet {
        /// The fleet.
        fleet_id: FleetId,
    },
    /// A partner or gateway. Sends events.
    Ingest {
        /// The CloudEvents sources that the client may use. An entry that ends with `/` or `:` allows every source with
        /// that prefix; every other entry allows exactly that source.
        sources: Vec<String>,
    },
}

impl ClientRole {
    /// Returns the kind of client.
    pub const fn kind(&self) -> ClientKind {
        match self {
            Self::Admin => ClientKind::Admin,
            Self::Fleet { .. } => ClientKind::Fleet,
            Self::Ingest { .. } => ClientKind::Ingest,
        }
    }

    /// Returns the scope of the role: that of the client's tokens.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Admin => Scope::Admin,
            Self::Fleet { .. } => Scope::Read,
            Self::Ingest { .. } => Scope::Ingest,
        }
    }
}

/// The kind of a client: its role without details.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientKind {
    /// An operator.
    Admin,
    /// An application of a fleet.
    Fleet,
    /// A partner or gateway.
    Ingest,
}

impl ClientKind {
    /// All kinds, in order.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Fleet, Self::Ingest];

    /// The kind as it appears in records and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Fleet => "fleet",
            Self::Ingest => "ingest",
        }
    }
}

/// A position in the list of all clients, which is ordered by kind, then by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientPosition {
    /// The kind.
    pub kind: ClientKind,
    /// The id.
    pub client_id: ClientId,
}

/// Whether an ingest client with these `sources` may send events of `source`.
pub fn is_source_allowed(sources: &[String], source: &str) -> bool {
    sources
        .iter()
        .any(|allowed| allowed == source || (allowed.ends_with(['/', ':']) && source.starts_with(allowed.as_str())))
}

/// A stored client. A client that was stored before credentials and versions existed has one credential, its own id, and
/// version 1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredClient {
    client_id: ClientId,
    name: String,
    #[serde(flatten)]
    role: ClientRole,
    #[serde(default)]
    credentials: Option<Vec<Credential>>,
    #[serde(default)]
    disabled_since: Option<Timestamp>,
    #[serde(default)]
    secret_shown_at: Option<Timestamp>,
    #[serde(default)]
    version: Option<u64>,
    created_at: Timestamp,
}

impl From<StoredClient> for Client {
    fn from(stored: StoredClient) -> Self {
        let new = Self::new(stored.client_id, stored.name, stored.role, stored.created_at);
        Self {
            credentials: stored.credentials.unwrap_or(new.credentials),
            disabled_since: stored.disabled_since,
            secret_shown_at: stored.secret_shown_at,
            version: stored.version.unwrap_or(new.version),
            ..new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ClientId {
        ClientId::new(text)
    }

    #[test]
    fn client_stored_before_credentials_existed_has_its_own_id() {
        let stored = r#"{"clientId":"c","name":"n","kind":"ingest","sources":["urn:a"],"createdAt":"2026-01-01T00:00:00Z"}"#;
        let client: Client = serde_json::from_str(stored).unwrap();
        assert_eq!((client.version, client.disabled_since), (1, None));
        assert_eq!(client.credentials, [Credential { client_id: id("c"), created_at: client.created_at }]);
        assert!(client.accepts(&id("c")));
        assert_eq!(serde_json::from_str::<Client>(&serde_json::to_string(&client).unwrap()).unwrap(), client);
    }

    #[test]
    fn token_is_accepted_only_of_a_credential_of_an_enabled_client() {
        let role = ClientRole::Ingest { sources: vec![] };
        let mut client = Client::new(id("c"), "n".to_owned(), role, Timestamp::from_ms(0));
        client.credentials[0].client_id = id("second");
        assert!(client.accepts(&id("second")));
        assert!(!client.accepts(&id("c")), "the id of a removed credential");
        client.disabled_since = Some(Timestamp::from_ms(1));
        assert!(!client.accepts(&id("second")), "a disabled client");
    }

    #[test]
    fn client_may_use_its_sources_and_sources_below_a_prefix() {
        let sources = vec!["urn:partner:a".to_owned(), "https://gateway.example/".to_owned()];
        assert!(is_source_allowed(&sources, "urn:partner:a"));
        assert!(is_source_allowed(&sources, "https://gateway.example/north/7"));
        assert!(!is_source_allowed(&sources, "urn:partner:ab"));
        assert!(!is_source_allowed(&sources, "https://gateway.example.evil/"));
        assert!(!is_source_allowed(&[], "urn:partner:a"));
    }
}
