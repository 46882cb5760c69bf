//! Authentication: from the claims of an access token to a [`Caller`].

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::ClientRole;
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
    /// with `forbidden` if the client has none of the scopes, or is neither an admin nor registered. For an admin only the scope
    /// of the token counts, until the token expires.
    pub async fn caller(&self, claims: Option<&Claims>, scopes: &[Scope]) -> Result<Caller, Problem> {
        let claims = claims.ok_or_else(|| Problem::new(ProblemType::Unauthorized))?;
        let has = |scope| scopes.contains(&scope) && claims.scopes.contains(&scope);
        if has(Scope::Admin) {
            return Ok(Caller::Admin(claims.client_id.clone()));
        }
        let role = if has(Scope::Read) || has(Scope::Ingest) {
            self.clients.get(&claims.client_id).await?.map(|client| client.role)
        } else {
            None
        };
        match role {
            Some(ClientRole::Fleet { fleet_id }) if has(Scope::Read) => Ok(Caller::Fleet(fleet_id)),
            Some(ClientRole::Ingest { sources }) if has(Scope::Ingest) => {
                Ok(Caller::Ingest { client_id: claims.client_id.clone(), sources })
            }
            _ => Err(Problem::new(ProblemType::Forbidden)),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::Client;
    use roadcast_domain::ids::{ClientId, FleetId};
    use roadcast_ports::clients::Clients as _;
    use roadcast_ports::clock::Clock as _;
    use roadcast_testbed::{InMemory, Memory, fixtures};

    use super::*;

    async fn caller(role: Option<ClientRole>, token: &[Scope], needed: &[Scope]) -> Option<Caller> {
        let (memory, client_id) = (Memory::default(), ClientId::new("c"));
        if let Some(role) = role {
            let (name, created_at) = ("n".to_owned(), memory.clock().now());
            let client = Client { client_id: client_id.clone(), name, role, secret_shown_at: None, created_at };
            match client.fleet_id() {
                Some(fleet_id) => memory.put(&client, &fixtures::change(fleet_id)).await.unwrap(),
                None => memory.put_ingest(&client).await.unwrap(),
            }
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
    async fn missing_token_is_unauthorized() {
        let memory = Memory::default();
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let problem = callers.caller(None, &[Scope::Read]).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Unauthorized);
    }
}
