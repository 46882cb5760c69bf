//! Reads the secret of the stack, and caches it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures::lock::Mutex;
use futures::try_join;
use roadcast_domain::secret::{Secret, StackSecrets};
use roadcast_ports::clock::Clock;
use roadcast_ports::secrets::SecretSource;
use roadcast_ports::{PortError, PortErrorKind, error_chain};
use roadcast_signals::Timestamp;

use crate::SystemClock;
use crate::sdk::LazyClient;
use crate::sdk_error::kind_of;

const READ: &str = "reading the secret of the stack";
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
const PENDING: &str = "AWSPENDING";
/// How long the secrets are used without reading them again, in milliseconds. A rotation waits longer than this between its
/// steps. Each read is billed: with five minutes, ten environments that use it all day would cost 1.73 dollars a month.
const TTL_MS: i64 = 30 * 60 * 1000;
/// How long the secrets are used while they cannot be read, in milliseconds: an outage of Secrets Manager does not stop the
/// processing of events. A rotation waits longer than this between its steps.
const MAX_AGE_MS: i64 = 60 * 60 * 1000;
/// The time between two attempts to read the secrets while cached ones are used, in milliseconds.
const RETRY_MS: i64 = 10_000;
/// The maximum duration of an attempt while cached secrets can be used.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// The secret of the stack in Secrets Manager: the versions with the staging labels `AWSCURRENT`, `AWSPREVIOUS` and
/// `AWSPENDING`. It is read when it is needed for the first time. Clones share the cached secrets; while one call reads
/// them, others wait for it.
#[derive(Clone)]
pub struct SecretsManagerSource {
    client: LazyClient<Client>,
    secret_id: Arc<str>,
    clock: Arc<dyn Clock>,
    cached: Arc<Mutex<Option<Cached>>>,
}

struct Cached {
    secrets: Arc<StackSecrets>,
    read_at: Timestamp,
    next_read_at: Timestamp,
}

impl SecretsManagerSource {
    /// Creates the adapter on the secret with this name or ARN. Does not read it.
    pub fn new(client: LazyClient<Client>, secret_id: impl Into<String>) -> Self {
        Self::with_clock(client, secret_id, SystemClock)
    }

    fn with_clock(client: LazyClient<Client>, secret_id: impl Into<String>, clock: impl Clock + 'static) -> Self {
        let secret_id = secret_id.into().into();
        Self { client, secret_id, clock: Arc::new(clock), cached: Arc::default() }
    }

    /// Reads the secrets. The labels can move between the requests; without the previous secret, no VIN would be found. So the
    /// current secret is read again at the end, until it is the same.
    async fn read(&self) -> Result<StackSecrets, PortError> {
        let mut current = self.current().await?;
        let (mut previous, mut pending);
        loop {
            (previous, pending) = try_join!(self.version(PREVIOUS), self.version(PENDING))?;
            let again = self.current().await?;
            if again == current {
                break;
            }
            current = again;
        }
        // A version may have several labels.
        let previous = previous.filter(|previous| *previous != current);
        let pending = pending.filter(|pending| *pending != current && Some(pending) != previous.as_ref());
        Ok(StackSecrets { current, previous, pending })
    }

    async fn current(&self) -> Result<Secret, PortError> {
        self.version(CURRENT).await?.ok_or_else(|| {
            unreadable(format!("{} has no version with the label {CURRENT}; restore the secret", self.secret_id))
        })
    }

    /// Returns the version with a staging label, or `None` if no version has it.
    async fn version(&self, label: &'static str) -> Result<Option<Secret>, PortError> {
        let request = self.client.get_secret_value().secret_id(&*self.secret_id).version_stage(label);
        let output = match request.send().await {
            Ok(output) => output,
            Err(error) if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
                return Ok(None);
            }
            Err(error) => {
                // Nothing that is processed is at fault, so that the failure is never final.
                let kind = match kind_of(&error) {
                    kind @ (PortErrorKind::Throttled | PortErrorKind::TimedOut) => kind,
                    _ => PortErrorKind::Unavailable,
                };
                return Err(PortError::new(kind, READ).caused_by(error));
            }
        };
        let bytes = match (output.secret_string, output.secret_binary) {
            (Some(text), _) => text.into_bytes(),
            (None, binary) => binary.map(aws_sdk_secretsmanager::primitives::Blob::into_inner).unwrap_or_default(),
        };
        Secret::new(bytes).map(Some).map_err(unreadable)
    }
}

impl SecretSource for SecretsManagerSource {
    async fn secrets(&self) -> Result<Arc<StackSecrets>, PortError> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now();
        let is_usable = |cached: &&mut Cached, until: Timestamp| now >= cached.read_at && now < until;
        if let Some(cached) = cached.as_mut().filter(|cached| is_usable(cached, cached.next_read_at)) {
            return Ok(Arc::clone(&cached.secrets));
        }
        // While a secret is cached, callers do not wait for a service that does not respond.
        let read = async {
            match cached.as_ref().filter(|cached| now < cached.read_at.plus_ms(MAX_AGE_MS)) {
                None => self.read().await,
                Some(_) => tokio::time::timeout(REFRESH_TIMEOUT, self.read())
                    .await
                    .unwrap_or_else(|elapsed| Err(PortError::new(PortErrorKind::TimedOut, READ).caused_by(elapsed))),
            }
        };
        match read.await {
            Ok(secrets) => {
                let secrets = Arc::new(secrets);
                let next_read_at = now.plus_ms(TTL_MS);
                *cached = Some(Cached { secrets: Arc::clone(&secrets), read_at: now, next_read_at });
                Ok(secrets)
            }
            Err(error) => {
                let usable = cached.as_mut().filter(|cached| is_usable(cached, cached.read_at.plus_ms(MAX_AGE_MS)));
                let Some(cached) = usable else { return Err(error) };
                let error = error_chain(&error);
                tracing::error!(error, "the secret cannot be read; the cached one is used: {error}");
                // From now on: the attempt itself may have taken seconds.
                cached.next_read_at = self.clock.now().plus_ms(RETRY_MS);
                Ok(Arc::clone(&cached.secrets))
            }
        }
    }
}

impl fmt::Debug for SecretsManagerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerSource").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

fn unreadable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::new(PortErrorKind::Unavailable, READ).caused_by(cause)
}

#[cfg(test)]
mod tests;
