//! Authentication: from the claims of an access token to a [`Caller`].

use roadcast_domain::caller::{Caller, Scope};
use roadcast_domain::fleet::ClientRole;
use roadcast_domain::ids::ClientId;
use roadcast_ports::port_set::PortSet;
use roadcast_services::cache::CachedClients;

use crate::http::Claims;
use crate::problem::{Problem, ProblemType};

/// Finds callers. API Gateway has verified the signature and the scopes of the token; the role of the client is in the
/// reference data, which is cached for a few seconds.
pub struct Callers<Ports: PortSet> {
    clients: CachedClients<Ports>,
    /// The admin client of the template, which needs no record.
    first_admin: Option<ClientId>,
}

impl<Ports: PortSet> Callers<Ports> {
    /// Finds callers in `clients`.
    pub fn new(clients: CachedClients<Ports>) -> Self {
        Self { clients, first_admin: None }
    }

    /// Accepts this admin without a record: the first admin, which creates all other clients. If it has a record, that record
    /// counts.
    #[must_use]
    pub fn with_first_admin(self, first_admin: Option<ClientId>) -> Self {
        Self { first_admin, ..self }
    }

    /// Returns the caller with these claims if it has one of `scopes`. Fails with `unauthorized` if there are no claims, and
    /// with `forbidden` if the token has none of the scopes, the client is not registered in the role of that scope or is
    /// disabled, or the credential of the token was removed.
    pub async fn caller(&self, claims: Option<&Claims>, scopes: &[Scope]) -> Result<Caller, Problem> {
        let Claims { client_id, scopes: granted } = claims.ok_or_else(|| Problem::new(ProblemType::Unauthorized))?;
        let forbidden = || Err(Problem::new(ProblemType::Forbidden));
        let has = |scope| scopes.contains(&scope) && granted.contains(&scope);
        if ![Scope::Admin, Scope::Read, Scope::Ingest].into_iter().any(has) {
            return forbidden();
        }
        let Some(client) = self.clients.get(client_id).await? else {
            let is_first_admin = has(Scope::Admin) && self.first_admin.as_ref() == Some(client_id);
            return if is_first_admin { Ok(Caller::Admin(client_id.clone())) } else { forbidden() };
        };
        if !client.accepts(client_id) {
            return forbidden();
        }
        match client.role {
            ClientRole::Admin if has(Scope::Admin) => Ok(Caller::Admin(client.client_id)),
            ClientRole::Fleet { fleet_id } if has(Scope::Read) => Ok(Caller::Fleet(fleet_id)),
            ClientRole::Ingest { sources } if has(Scope::Ingest) => {
                Ok(Caller::Ingest { client_id: client.client_id, sources })
            }
            _ => forbidden(),
        }
    }
}

#[cfg(test)]
mod tests {
    use roadcast_domain::fleet::{Client, Credential};
    use roadcast_domain::ids::FleetId;
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
        let admin = || Some(ClientRole::Admin);
        assert_eq!(caller(admin(), &[Scope::Admin], &read).await, Some(Caller::Admin(ClientId::new("c"))));
        assert_eq!(caller(admin(), &[Scope::Admin], &[Scope::Read]).await, None, "an admin where only fleets are allowed");
        assert_eq!(caller(admin(), &[Scope::Read], &read).await, None, "an admin with a scope of another role");
        assert_eq!(caller(None, &[Scope::Admin], &read).await, None, "an admin without a record");
        assert_eq!(
            caller(fleet(), &[Scope::Admin, Scope::Read], &[Scope::Admin]).await,
            None,
            "a fleet client with the scope"
        );
    }

    #[tokio::test]
    async fn first_admin_needs_no_record_and_its_record_disables_it() {
        let memory = Memory::default();
        let clients = CachedClients::new(memory.clone(), memory.clock().clone());
        let callers = Callers::<InMemory>::new(clients).with_first_admin(Some(ClientId::new("first")));
        let admin = async |id: &str| {
            let claims = Claims { client_id: ClientId::new(id), scopes: vec![Scope::Admin] };
            callers.caller(Some(&claims), &[Scope::Admin]).await.ok()
        };
        assert_eq!(admin("first").await, Some(Caller::Admin(ClientId::new("first"))));
        assert_eq!(admin("other").await, None, "another client of the user pool with the scope");
        let mut disabled = Client::new(ClientId::new("first"), "n".to_owned(), ClientRole::Admin, memory.clock().now());
        disabled.disabled_since = Some(disabled.created_at);
        memory.put(&disabled, &fixtures::client_creation(&disabled)).await.unwrap();
        memory.clock().advance_ms(TTL_MS);
        assert_eq!(admin("first").await, None, "disabled by its record");
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

    /// Tokens of ingest and read clients are valid for a day. Only the record ends the access of a client before.
    #[tokio::test]
    async fn day_old_token_is_refused_within_the_ttl_of_its_record() {
        let memory = Memory::default();
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let (fleet_id, now) = (FleetId::from_random_bits(1), memory.clock().now());
        let reader = Client::new(ClientId::new("r"), "n".to_owned(), ClientRole::Fleet { fleet_id: fleet_id.clone() }, now);
        memory.put(&reader, &fixtures::client_creation(&reader)).await.unwrap();
        let token = Claims { client_id: reader.client_id.clone(), scopes: vec![Scope::Read] };
        let caller = async || callers.caller(Some(&token), &[Scope::Read]).await.ok();
        let validity_ms = i64::from(Scope::Read.token_minutes()) * 60_000;
        memory.clock().advance_ms(validity_ms - TTL_MS - 1);
        assert_eq!(caller().await, Some(Caller::Fleet(fleet_id)), "used a moment ago, so that the record is cached");
        let deletion = fixtures::client_creation(&reader);
        roadcast_ports::clients::Clients::remove(&memory, &reader, &deletion).await.unwrap();
        memory.clock().advance_ms(TTL_MS);
        assert_eq!(caller().await, None, "deleted, with a token that has not expired");
    }

    #[tokio::test]
    async fn missing_token_is_unauthorized() {
        let memory = Memory::default();
        let callers = Callers::<InMemory>::new(CachedClients::new(memory.clone(), memory.clock().clone()));
        let problem = callers.caller(None, &[Scope::Read]).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Unauthorized);
    }
}
