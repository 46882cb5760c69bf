//! Idle connections, which the next attempts to their hosts reuse.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadcast_domain::webhook::{Target, TargetHost};
use tokio::time::Instant;

use crate::exchange::Connection;

/// Maximum idle connections to a host and port.
pub const MAX_IDLE_PER_HOST: usize = 2;
/// Maximum idle connections to all hosts. Each takes at most 64 KiB (`tests/attempts/memory.rs`).
pub const MAX_IDLE: usize = 64;
/// How long a connection may be idle. Many receivers close it after a minute, some after a few seconds.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// What two targets must have in common to use the same connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PoolKey {
    is_tls: bool,
    host: TargetHost,
    port: u16,
}

impl PoolKey {
    pub(crate) fn of(target: &Target) -> Self {
        Self { is_tls: target.is_tls, host: target.host.clone(), port: target.port }
    }
}

/// A connection that waits for the next request.
struct Idle {
    key: PoolKey,
    connection: Connection,
    since: Instant,
}

/// The idle connections, the longest idle one first.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
}

impl Pool {
    /// Takes the connection to a host that was used last.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut idle = self.usable();
        let position = idle.iter().rposition(|idle| idle.key == *key)?;
        idle.remove(position).map(|idle| idle.connection)
    }

    /// Keeps a connection for the next request. Closes the longest idle one if there are too many.
    pub(crate) fn put(&self, key: PoolKey, connection: Connection) {
        let mut idle = self.usable();
        if idle.iter().filter(|idle| idle.key == key).count() >= MAX_IDLE_PER_HOST
            && let Some(position) = idle.iter().position(|idle| idle.key == key)
        {
            idle.remove(position);
        }
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back(Idle { key, connection, since: Instant::now() });
    }

    /// Closes connections that are idle for too long or were closed by the receiver, and returns the others.
    fn usable(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < MAX_IDLE_TIME && !idle.connection.is_closed());
        idle
    }
}
