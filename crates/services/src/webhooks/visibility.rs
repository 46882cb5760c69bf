//! What an endpoint may receive of an event now.

use roadcast_codec::bus_entry;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::webhook::{Endpoint, Payload};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use crate::cache::CachedEntitlements;

/// What is visible of an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Visibility {
    /// This part, under this consent epoch.
    Visible {
        /// The visible part.
        event: Box<Event>,
        /// The consent epoch.
        epoch: u64,
    },
    /// A suspended subscription covers more than is visible. The part that was visible when the event was published is a
    /// delivery of its own.
    Held,
    /// The fleet may see a part, but none that the endpoint wants.
    NotWanted,
    /// Nothing.
    Hidden,
}

/// Returns what an endpoint may receive of an event now.
pub(super) async fn visibility<Ports: PortSet>(
    entitlements: &CachedEntitlements<Ports>,
    clock: &Ports::Clock,
    fleet_id: &FleetId,
    endpoint: &Endpoint,
    event: &Event,
) -> Result<Visibility, PortError> {
    let Some(entitlement) = entitlements.entitlement(fleet_id, &event.vid).await? else { return Ok(Visibility::Hidden) };
    let packages = entitlements.packages().await?;
    let now = clock.now();
    let limited = endpoint.limit(&entitlement);
    let visible = limited.redact(event, &packages, now);
    if limited.redact_retained(event, &packages, now) != visible {
        return Ok(Visibility::Held);
    }
    Ok(match visible {
        Some(event) => Visibility::Visible { event: Box::new(event), epoch: entitlement.epoch },
        None if entitlement.redact_retained(event, &packages, now).is_some() => Visibility::NotWanted,
        None => Visibility::Hidden,
    })
}

/// Whether the fleet may see a part of the event of a payload now. A notice is always visible.
pub(super) async fn is_visible_to_fleet<Ports: PortSet>(
    entitlements: &CachedEntitlements<Ports>,
    clock: &Ports::Clock,
    fleet_id: &FleetId,
    payload: &Payload,
) -> Result<bool, PortError> {
    let Payload::Event { vid, cloud_event, .. } = payload else { return Ok(true) };
    if cloud_event.is_empty() {
        // The event was too large to be stored here. Its vehicle decides.
        return is_vehicle_visible(entitlements, clock, fleet_id, vid).await;
    }
    let Some(entitlement) = entitlements.entitlement(fleet_id, vid).await? else { return Ok(false) };
    let event = decode(cloud_event)?;
    let packages = entitlements.packages().await?;
    Ok(entitlement.redact(&event, &packages, clock.now()).is_some())
}

async fn is_vehicle_visible<Ports: PortSet>(
    entitlements: &CachedEntitlements<Ports>,
    clock: &Ports::Clock,
    fleet_id: &FleetId,
    vid: &VehicleId,
) -> Result<bool, PortError> {
    let entitlement = entitlements.entitlement(fleet_id, vid).await?;
    Ok(entitlement.is_some_and(|entitlement| entitlement.is_live(clock.now())))
}

/// Decodes the event of a delivery, which the fan-out encoded.
pub(super) fn decode(cloud_event: &str) -> Result<Event, PortError> {
    const CONTEXT: &str = "decoding the event of a delivery";
    let internal = || PortError::new(PortErrorKind::Internal, CONTEXT);
    let decoded = bus_entry::decode(cloud_event).map_err(|error| internal().caused_by(error))?;
    decoded.events.into_iter().next().ok_or_else(internal)
}
