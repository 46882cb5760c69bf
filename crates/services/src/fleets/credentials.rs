//! Rotation of a client's credentials: a second app client behind the same record, then removal of the first.

use roadcast_domain::audit::Change;
use roadcast_domain::fleet::{CREDENTIALS_PER_CLIENT, Client, Credential};
use roadcast_domain::ids::ClientId;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clients::{AppClients, Clients, Credentials};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;

use super::clients::CHANGED_CONCURRENTLY;
use super::onboarding::Onboarding;
use crate::ServiceError;
use crate::authz::Admin;

/// Attempts of a change that conflicts with a concurrent change.
const ATTEMPTS: u32 = 4;
/// How many of the newest changes of a client show that a credential was removed from it.
const CHANGES_SEARCHED: usize = 100;
const TOO_MANY: ServiceError = ServiceError::Conflict("the client has two credentials; delete one of them first");
const LAST_CREDENTIAL: ServiceError =
    ServiceError::Conflict("the client has no other credential; add one first, or disable or delete the client");

impl<Ports: PortSet> Onboarding<Ports> {
    /// Adds a credential to a client. Only the response contains its secret. The other credential stays valid until it is
    /// removed. Fails with `Conflict` if the client has two credentials.
    pub async fn add_credential(&self, admin: &Admin, client_id: &ClientId) -> Result<Credentials, ServiceError> {
        let client = self.client_by_id(client_id).await?;
        if client.credentials.len() >= CREDENTIALS_PER_CLIENT {
            return Err(TOO_MANY);
        }
        let secret = self.app_clients.create(&client.name, client.role.scope()).await?;
        let credential = Credential { client_id: secret.client_id.clone(), created_at: self.clock.now() };
        let added = self.change_credentials(admin, client_id, |credentials| {
            if credentials.len() >= CREDENTIALS_PER_CLIENT {
                return Err(TOO_MANY);
            }
            credentials.push(credential.clone());
            Ok(())
        });
        match added.await {
            Ok(()) => Ok(secret),
            Err(error) => {
                // The credential could not be stored, so it must not stay in the user pool.
                self.app_clients.remove(&credential.client_id).await?;
                Err(error)
            }
        }
    }

    /// Removes a credential of a client: its tokens become invalid within seconds, and it gets no new ones. Succeeds if it
    /// was removed before. Fails with `Conflict` if it is the client's last credential.
    pub async fn remove_credential(
        &self,
        admin: &Admin,
        client_id: &ClientId,
        credential_id: &ClientId,
    ) -> Result<(), ServiceError> {
        let client = self.client_by_id(client_id).await?;
        if client.has_credential(credential_id) {
            // The record first: two concurrent removals must not delete both app clients.
            let removed = self.change_credentials(admin, client_id, |credentials| {
                if !credentials.iter().any(|credential| credential.client_id == *credential_id) {
                    return Ok(());
                }
                if credentials.len() == 1 {
                    return Err(LAST_CREDENTIAL);
                }
                credentials.retain(|credential| credential.client_id != *credential_id);
                Ok(())
            });
            removed.await?;
        } else if !self.was_credential(client_id, credential_id).await? {
            return Err(ServiceError::NotFound);
        }
        // Also if it was removed before: the deletion in the user pool may have failed.
        Ok(self.app_clients.remove(credential_id).await?)
    }

    /// Changes the credentials of a client. Retries after concurrent changes, so that a credential is never lost and a
    /// disabled client stays disabled.
    async fn change_credentials(
        &self,
        admin: &Admin,
        client_id: &ClientId,
        edit: impl Fn(&mut Vec<Credential>) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        for _ in 0..ATTEMPTS {
            let before = self.client_by_id(client_id).await?;
            let mut after: Client = before.clone();
            edit(&mut after.credentials)?;
            if after == before {
                return Ok(());
            }
            let change = Change::client_changed(admin.author(), Some(&before), &after, self.clock.now());
            match self.clients.replace(&before, &after, &change).await {
                Err(error) if error.kind() == PortErrorKind::Conflict => {}
                replaced => return Ok(replaced?),
            }
        }
        Err(ServiceError::Conflict(CHANGED_CONCURRENTLY))
    }

    /// Whether the client had this credential, according to its newest changes.
    async fn was_credential(&self, client_id: &ClientId, credential_id: &ClientId) -> Result<bool, ServiceError> {
        let changes = self.clients.changes(client_id, None, CHANGES_SEARCHED).await?;
        let had = |change: &Change| {
            let before = change.before.as_ref().and_then(|before| before.get("credentials")?.as_array());
            before.is_some_and(|before| before.iter().any(|credential| credential["clientId"] == credential_id.as_str()))
        };
        Ok(changes.iter().any(had))
    }
}
