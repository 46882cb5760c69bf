use std::num::NonZeroUsize;
use std::sync::Arc;

use roadcast_domain::ids::{EndpointId, FleetId};
use roadcast_domain::webhook::Endpoint;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::{Endpoints, Sealer};

use super::{NAME_TTL_MS, TTL_MS, TtlCache};

/// The maximum number of fleets whose endpoints are cached. A fleet has up to 20 endpoints, an endpoint up to 10 KB.
const FLEETS: NonZeroUsize = NonZeroUsize::new(200).unwrap();
/// The maximum number of endpoints that are cached one by one.
const ENDPOINTS: NonZeroUsize = NonZeroUsize::new(2000).unwrap();
/// The maximum number of opened texts that are cached, each of at most 4 KB.
const OPENED: NonZeroUsize = NonZeroUsize::new(4000).unwrap();

/// Caches endpoints, by fleet for the fan-out and one by one for the dispatcher.
pub struct CachedEndpoints<Ports: PortSet> {
    endpoints: Ports::Endpoints,
    clock: Ports::Clock,
    by_fleet: TtlCache<FleetId, Arc<[Endpoint]>>,
    by_id: TtlCache<EndpointId, Option<Arc<Endpoint>>>,
}

impl<Ports: PortSet> CachedEndpoints<Ports> {
    /// An empty cache over `endpoints`.
    pub fn new(endpoints: Ports::Endpoints, clock: Ports::Clock) -> Self {
        let (by_fleet, by_id) = (TtlCache::with_capacity(TTL_MS, FLEETS), TtlCache::with_capacity(TTL_MS, ENDPOINTS));
        Self { endpoints, clock, by_fleet, by_id }
    }

    /// Returns the endpoints of a fleet.
    pub async fn list(&self, fleet_id: &FleetId) -> Result<Arc<[Endpoint]>, PortError> {
        let load = || async { Ok(self.endpoints.list(fleet_id).await?.into()) };
        self.by_fleet.get_or_load(fleet_id, self.clock.now(), load).await
    }

    /// Returns an endpoint; `None` if it does not exist.
    pub async fn get(&self, fleet_id: &FleetId, endpoint_id: &EndpointId) -> Result<Option<Arc<Endpoint>>, PortError> {
        let load = || async { Ok(self.endpoints.get(fleet_id, endpoint_id).await?.map(Arc::new)) };
        self.by_id.get_or_load_existing(endpoint_id, self.clock.now(), load).await
    }

    /// Forgets an endpoint that was changed here.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.by_fleet.remove(&endpoint.fleet_id);
        self.by_id.remove(&endpoint.endpoint_id);
    }
}

/// Opens sealed texts of endpoints, and caches them by the sealed text, which never changes.
pub struct OpenedTexts<Ports: PortSet> {
    sealer: Ports::Sealer,
    clock: Ports::Clock,
    opened: TtlCache<String, Arc<str>>,
}

impl<Ports: PortSet> OpenedTexts<Ports> {
    /// An empty cache over `sealer`.
    pub fn new(sealer: Ports::Sealer, clock: Ports::Clock) -> Self {
        Self { sealer, clock, opened: TtlCache::with_capacity(NAME_TTL_MS, OPENED) }
    }

    /// Returns the text that was sealed for an endpoint.
    pub async fn open(&self, endpoint_id: &EndpointId, sealed: &str) -> Result<Arc<str>, PortError> {
        let load = || async { Ok(self.sealer.open(endpoint_id, sealed).await?.into()) };
        self.opened.get_or_load(&sealed.to_owned(), self.clock.now(), load).await
    }
}
