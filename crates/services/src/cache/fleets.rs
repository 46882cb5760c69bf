use roadcast_domain::fleet::{Client, Fleet};
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_ports::PortError;
use roadcast_ports::clients::Clients;
use roadcast_ports::clock::Clock;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::port_set::PortSet;

use super::{NAME_TTL_MS, TTL_MS, TtlCache};

/// Caches fleets by id.
pub struct CachedFleets<Ports: PortSet> {
    fleets: Ports::Fleets,
    clock: Ports::Clock,
    by_id: TtlCache<FleetId, Option<Fleet>>,
}

impl<Ports: PortSet> CachedFleets<Ports> {
    /// An empty cache over `fleets`.
    pub fn new(fleets: Ports::Fleets, clock: Ports::Clock) -> Self {
        Self { fleets, clock, by_id: TtlCache::new(TTL_MS) }
    }

    /// Returns the fleet, or `None` if it does not exist.
    pub async fn get(&self, fleet_id: &FleetId) -> Result<Option<Fleet>, PortError> {
        self.by_id.get_or_load(fleet_id, self.clock.now(), || self.fleets.get(fleet_id)).await
    }
}

/// Caches the plans of fleets for [`NAME_TTL_MS`]: a new plan may take effect late, and a poller should not pay for extra
/// reads.
pub struct CachedPlans<Ports: PortSet> {
    fleets: Ports::Fleets,
    clock: Ports::Clock,
    by_id: TtlCache<FleetId, Plan>,
}

impl<Ports: PortSet> CachedPlans<Ports> {
    /// An empty cache over `fleets`.
    pub fn new(fleets: Ports::Fleets, clock: Ports::Clock) -> Self {
        Self { fleets, clock, by_id: TtlCache::new(NAME_TTL_MS) }
    }

    /// Returns the plan of the fleet; the default plan if the fleet does not exist.
    pub async fn get(&self, fleet_id: &FleetId) -> Result<Plan, PortError> {
        let load = || async { Ok(self.fleets.get(fleet_id).await?.map(|fleet| fleet.plan).unwrap_or_default()) };
        self.by_id.get_or_load(fleet_id, self.clock.now(), load).await
    }
}

/// Caches clients by id.
pub struct CachedClients<Ports: PortSet> {
    clients: Ports::Clients,
    clock: Ports::Clock,
    by_id: TtlCache<ClientId, Option<Client>>,
}

impl<Ports: PortSet> CachedClients<Ports> {
    /// An empty cache over `clients`.
    pub fn new(clients: Ports::Clients, clock: Ports::Clock) -> Self {
        Self { clients, clock, by_id: TtlCache::new(TTL_MS) }
    }

    /// Returns the client, or `None` if it does not exist.
    pub async fn get(&self, client_id: &ClientId) -> Result<Option<Client>, PortError> {
        self.by_id.get_or_load_existing(client_id, self.clock.now(), || self.clients.get(client_id)).await
    }
}
