//! Authentication: from the claims of an access token to a [`Caller`].

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::{Client, ClientRole};
use roadcast_ports::port_set::PortSet;
use roadcast_services::cache::CachedClients;

use crate::http::Claims;
use crate::problem::{Problem, ProblemType};

/// Finds callers. API Gateway has verified the signature and the scopes of the token; the role of a fleet's or an ingest
/// partner's client is in the reference data, which is cached for a few seconds. For an admin only the scope of the token
/// counts, until the token expires: a record of an admin is never read.
pub struct Callers<Ports: PortSet> {
    clients: CachedClients<Ports>,
}

impl<Ports: PortSet> Callers<Ports> {
    /// Finds callers in `clients`.
    pub fn new(clients: CachedClients<Ports>) -> Self {
        Self { clients }
    }

    /// Returns the caller with these claims if it has one of `scopes`. Fails with `unauthorized` if there are no claims, and
    /// with `forbidden` if the client has none of the scopes, or is neither an admin nor registered, or is disabled, or the
    /// credential of the token was removed. For an admin only the scope of the token counts, until the token expires.
    pub async fn caller(&self, claims: Option<&Claims>, scopes: &[Scope]) -> Result<Caller, Problem> {
        let claims = claims.ok_or_else(|| Problem::new(ProblemType::Unauthorized))?;
        let has = |scope| scopes.contains(&scope) && claims.scopes.contains(&scope);
        if has(Scope::Admin) {
            return Ok(Caller::Admin(claims.client_id.clone()));
        }
        let client = if has(Scope::Read) || has(Scope::Ingest) {
            self.clients.get(&claims.client_id).await?.filter(|client| client.accepts(&claims.client_id))
        } else {
            None
        };
        match client {
            Some(Client { role: ClientRole::Fleet { fleet_id }, .. }) if has(Scope::Read) => Ok(Caller::Fleet(fleet_id)),
            Some(Client { role: ClientRole::Ingest { sources }, client_id, .. }) if has(Scope::Ingest) => {
                Ok(Caller::Ingest { client_id, sources })
            }
            _ => Err(Problem::new(ProblemType::Forbidden)),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::Credential;
    use roadcast_domain::ids::{ClientId, FleetId};
    use roadcast_ports::clients::Clients as _;
    use roadcast_ports::clock::Clock as _;
    use roadcast_services::cache::TTL_MS;
    use roadcast_testbed::{InMemory, Memory, fixtures};

    use super::*;

    async fn caller(role: Option<ClientRole>, token: &[Scope], needed: &[Scope]) -> Option<Caller> {
        let (memory, client_id) = (Memory::default(), ClientId::new("c"));
        if let Some(role) = role {
            let client = Client::new(client_id.clone(), "n".to_owned(), role, memory.clock().now());
            memory.put(&client, &fixtures::client_creation(&client)).await.unwrap();
        }
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        callers.caller(Some(&Claims { client_id: client_id.clone(), scopes: token.to_vec() }), needed).await.ok()
    }

    #[tokio::test]
    async fn caller_needs_scope_and_registered_role() {
        let fleet_id = FleetId::from_random_bits(1);
        let fleet = || Some(ClientRole::Fleet { fleet_id: fleet_id.clone() });
        let ingest = || Some(ClientRole::Ingest { sources: vec!["urn:a".to_owned()] });
        let read = [Scope::Read, Scope::Admin];
        assert_eq!(caller(fleet(), &[Scope::Read], &read).await, Some(Caller::Fleet(fleet_id.clone())));
        assert_eq!(
            caller(ingest(), &[Scope::Ingest], &[Scope::Ingest]).await,
            Some(Caller::Ingest { client_id: ClientId::new("c"), sources: vec!["urn:a".to_owned()] }),
            "with the sources of its record"
        );
        assert_eq!(caller(ingest(), &[Scope::Read], &read).await, None, "an ingest client with a scope of another role");
        assert_eq!(
            caller(fleet(), &[Scope::Ingest], &[Scope::Ingest]).await,
            None,
            "a fleet client with a scope of another role"
        );
        assert_eq!(caller(None, &[Scope::Read], &read).await, None, "not registered");
        assert_eq!(caller(fleet(), &[Scope::Read], &[Scope::Ingest]).await, None, "the scope of another operation");
        assert_eq!(caller(None, &[Scope::Admin], &read).await, Some(Caller::Admin(ClientId::new("c"))));
        assert_eq!(caller(None, &[Scope::Admin], &[Scope::Read]).await, None, "an admin where only fleets are allowed");
    }

    #[tokio::test]
    async fn disabled_client_and_removed_credential_are_refused_within_the_ttl() {
        let memory = Memory::default();
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let role = ClientRole::Ingest { sources: vec![] };
        let first = Client::new(ClientId::new("first"), "n".to_owned(), role, memory.clock().now());
        memory.put(&first, &fixtures::client_creation(&first)).await.unwrap();
        let caller = async |credential: &str| {
            let claims = Claims { client_id: ClientId::new(credential), scopes: vec![Scope::Ingest] };
            callers.caller(Some(&claims), &[Scope::Ingest]).await.ok()
        };
        let change = async |change: &dyn Fn(&mut Client)| {
            let before = memory.get(&first.client_id).await.unwrap().unwrap();
            let mut after = before.clone();
            change(&mut after);
            memory.replace(&before, &after, &fixtures::client_creation(&after)).await.unwrap();
            memory.clock().advance_ms(TTL_MS);
        };
        let accepted = Some(Caller::Ingest { client_id: first.client_id.clone(), sources: vec![] });
        assert_eq!(caller("first").await, accepted);
        let second = Credential { client_id: ClientId::new("second"), created_at: first.created_at };
        change(&|client| client.credentials.push(second.clone())).await;
        assert_eq!((caller("first").await, caller("second").await), (accepted.clone(), accepted.clone()));
        change(&|client| client.credentials.retain(|credential| *credential == second)).await;
        assert_eq!((caller("first").await, caller("second").await), (None, accepted.clone()), "the first was removed");
        change(&|client| client.disabled_since = Some(first.created_at)).await;
        assert_eq!(caller("second").await, None, "the client is disabled");
        change(&|client| client.disabled_since = None).await;
        assert_eq!(caller("second").await, accepted, "the client is enabled again");
    }

    #[tokio::test]
    async fn missing_token_is_unauthorized() {
        let memory = Memory::default();
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let problem = callers.caller(None, &[Scope::Read]).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Unauthorized);
    }
}
