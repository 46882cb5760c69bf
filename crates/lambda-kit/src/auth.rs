//! Who is calling: from a token's claims to a [`Caller`].

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::ClientRole;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_services::cache::CachedClients;

use crate::http::Claims;
use crate::problem::{Problem, ProblemType};

/// Finds callers. The gateway has checked the token's signature and scopes; whom a client acts for is in the reference
/// data, remembered for a few seconds.
pub struct Callers<C, K> {
    clients: CachedClients<C, K>,
}

impl<C: Clients, K: Clock> Callers<C, K> {
    /// Finds them in `clients`.
    pub fn new(clients: CachedClients<C, K>) -> Self {
        Self { clients }
    }

    /// The caller behind the claims, if it may do what needs one of `scopes`.
    pub async fn caller(&self, claims: Option<&Claims>, scopes: &[Scope]) -> Result<Caller, Problem> {
        let claims = claims.ok_or_else(|| Problem::new(ProblemType::Unauthorized))?;
        let may = |scope| scopes.contains(&scope) && claims.scopes.contains(&scope);
        if may(Scope::Admin) {
            return Ok(Caller::Admin(claims.client_id.clone()));
        }
        let role = if may(Scope::Read) || may(Scope::Ingest) {
            self.clients.get(&claims.client_id).await?.map(|client| client.role)
        } else {
            None
        };
        match role {
            Some(ClientRole::Fleet { fleet_id }) if may(Scope::Read) => Ok(Caller::Fleet(fleet_id)),
            Some(ClientRole::Ingest { .. }) if may(Scope::Ingest) => Ok(Caller::Ingest(claims.client_id.clone())),
            _ => Err(Problem::new(ProblemType::Forbidden)),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::Client;
    use roadcast_domain::ids::{ClientId, FleetId};
    use roadcast_testbed::Memory;

    use super::*;

    async fn caller(role: Option<ClientRole>, token: &[Scope], needed: &[Scope]) -> Option<Caller> {
        let (memory, client_id) = (Memory::default(), ClientId::new("c"));
        if let Some(role) = role {
            let (name, created_at) = ("n".to_owned(), memory.clock().now());
            let client = Client { client_id: client_id.clone(), name, role, secret_shown_at: None, created_at };
            memory.put(&client, None).await.unwrap();
        }
        let callers = Callers::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        callers.caller(Some(&Claims { client_id: client_id.clone(), scopes: token.to_vec() }), needed).await.ok()
    }

    #[tokio::test]
    async fn a_client_is_what_both_its_token_and_the_reference_data_say() {
        let fleet_id = FleetId::from_random(1);
        let fleet = || Some(ClientRole::Fleet { fleet_id: fleet_id.clone() });
        let ingest = || Some(ClientRole::Ingest { sources: vec![] });
        let read = [Scope::Read, Scope::Admin];
        assert_eq!(caller(fleet(), &[Scope::Read], &read).await, Some(Caller::Fleet(fleet_id.clone())));
        assert_eq!(caller(ingest(), &[Scope::Read], &read).await, None, "an ingest client with a stray scope");
        assert_eq!(caller(fleet(), &[Scope::Ingest], &[Scope::Ingest]).await, None, "a fleet's client with a stray scope");
        assert_eq!(caller(None, &[Scope::Read], &read).await, None, "unknown to us");
        assert_eq!(caller(fleet(), &[Scope::Read], &[Scope::Ingest]).await, None, "another operation's scope");
        assert_eq!(caller(None, &[Scope::Admin], &read).await, Some(Caller::Admin(ClientId::new("c"))));
        assert_eq!(caller(None, &[Scope::Admin], &[Scope::Read]).await, None, "not even an admin, where only fleets may");
    }

    #[tokio::test]
    async fn without_a_token_it_is_401() {
        let memory = Memory::default();
        let callers = Callers::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let problem = callers.caller(None, &[Scope::Read]).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Unauthorized);
    }
}
