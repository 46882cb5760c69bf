//! The signing secrets of endpoints.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::Change;
use roadcast_domain::ids::EndpointId;
use roadcast_domain::webhook::{Endpoint, SealedSecret, SigningSecret};
use roadcast_ports::clock::{Clock as _, Randomness as _};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Endpoints as _, Sealer as _};
use roadcast_ports::{PortError, PortErrorKind};

use super::EndpointManagement;
use crate::ServiceError;
use crate::authz::FleetManager;

const ROTATED_CONCURRENTLY: &str = "the endpoint is being modified concurrently; retry";
const IN_ROTATION: ServiceError = ServiceError::Conflict(
    "an older secret is still valid; wait until it ends, or rotate with overlapSeconds 0, which ends all older secrets",
);

impl<Ports: PortSet> EndpointManagement<Ports> {
    /// Creates a new secret for an endpoint, and returns it; no later response contains it. Deliveries are signed with the secret
    /// before it as well for `overlap_s` seconds, [`Endpoint::DEFAULT_OVERLAP_S`] if not stated. Fails with `Conflict` if a
    /// rotation is in progress, unless `overlap_s` is 0.
    pub async fn rotate(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        overlap_s: Option<u32>,
    ) -> Result<(Endpoint, String), ServiceError> {
        let overlap_s = overlap_s.unwrap_or(Endpoint::DEFAULT_OVERLAP_S);
        if overlap_s > Endpoint::MAX_OVERLAP_S {
            let detail = format!("must be at most {}", Endpoint::MAX_OVERLAP_S);
            return Err(ServiceError::invalid(["overlapSeconds"], detail));
        }
        let before = self.get(manager, endpoint_id).await?;
        let now = self.clock.now();
        if overlap_s > 0 && before.signing_secrets(now).count() >= Endpoint::MAX_SECRETS {
            return Err(IN_ROTATION);
        }
        let (secret, sealed) = self.new_secret(endpoint_id, now).await?;
        let mut secrets = vec![sealed];
        if overlap_s > 0 {
            let expires_at = Some(now.plus_ms(i64::from(overlap_s) * 1000));
            secrets.extend(before.signing_secrets(now).map(|old| SealedSecret { expires_at, ..old.clone() }));
        }
        let after = Endpoint { secrets, updated_at: now, ..before.clone() };
        let change = Change::endpoint_changed(manager.author(), Some(&before), &after, now);
        let replaced = self.endpoints.replace(&after, None, &change).await;
        replaced.map_err(|error| ServiceError::or_conflict(error, ROTATED_CONCURRENTLY))?;
        Ok((Endpoint { version: before.version + 1, ..after }, secret))
    }

    /// Returns the secret that was created at this time, for a caller that created it and lost the response. Fails with
    /// `NotFound` if it is no longer in force.
    pub async fn secret(
        &self,
        manager: &FleetManager,
        endpoint_id: &EndpointId,
        created_at: Timestamp,
    ) -> Result<String, ServiceError> {
        let endpoint = self.get(manager, endpoint_id).await?;
        let mut in_force = endpoint.signing_secrets(self.clock.now());
        let sealed = in_force.find(|secret| secret.created_at == created_at).ok_or(ServiceError::NotFound)?;
        Ok(self.sealer.open(endpoint_id, &sealed.sealed).await?)
    }

    /// Returns a new secret, and it sealed.
    pub(super) async fn new_secret(
        &self,
        endpoint_id: &EndpointId,
        now: Timestamp,
    ) -> Result<(String, SealedSecret), PortError> {
        let bytes = [self.randomness.bits().to_be_bytes(), self.randomness.bits().to_be_bytes()].concat();
        let secret = SigningSecret::new(bytes)
            .map_err(|error| PortError::new(PortErrorKind::Internal, "creating a secret").caused_by(error))?
            .reveal();
        let sealed = self.sealer.seal(endpoint_id, &secret).await?;
        Ok((secret, SealedSecret { sealed, created_at: now, expires_at: None }))
    }
}
