//! The decorator that counts calls of ports.

use roadcast_event_log::{EventItems, ItemPage, ItemRange, LogItem, event_items_port};
use roadcast_ports::metered_ports;
use roadcast_ports::table::prelude::*;

use super::Meter;

/// A port whose calls are counted.
#[derive(Clone, Debug)]
pub struct Metered<Port> {
    /// The decorated port.
    pub inner: Port,
    /// The meter that counts its calls.
    pub meter: Meter,
}

impl<Port> Metered<Port> {
    /// Decorates `inner`; its calls are counted by `meter`.
    pub fn new(inner: Port, meter: &Meter) -> Self {
        Self { inner, meter: meter.clone() }
    }
}

/// Implements each port of a table (see [`roadcast_ports::table`]) for [`Metered`].
macro_rules! metered {
    ($($port:ident { $($kind:ident $method:ident $(as $operation:ident)? ($($arguments:tt)*) -> $output:ty;)* })*) => {
        $(impl<Port: $port> $port for Metered<Port> {
            $(metered_method! { $kind $port $method ($($arguments)*) -> $output })*
        })*
    };
}

/// A method of a port: the call, with the price of the operation.
macro_rules! metered_method {
    (one $port:ident $method:ident ($($argument:ident: $type:ty),*) -> $output:ty) => {
        async fn $method(&self, $($argument: $type),*) -> Result<$output, PortError> {
            let meter = &self.meter;
            price!($port::$method($($argument),*) meter, $port::$method(&self.inner, $($argument),*).await)
        }
    };
    (each $port:ident $method:ident ($($argument:ident: $type:ty),*; $entries:ident: $entry:ty) -> $output:ty) => {
        async fn $method(&self, $($argument: $type,)* $entries: &[$entry]) -> Vec<Result<$output, PortError>> {
            let meter = &self.meter;
            price!($port::$method($($argument,)* $entries) meter, $port::$method(&self.inner, $($argument,)* $entries).await)
        }
    };
}

/// The price of each operation: what `$meter` counts for a `$call`. An operation of the table without a price does not
/// compile, and a price without an operation is a warning.
///
/// A price that depends on the request is counted before the call, also if the call fails. A price that depends on the
/// response is counted only if the call succeeds.
#[warn(unused_macro_rules)]
#[rustfmt::skip] // a table: one operation per line
macro_rules! price {
    (Archive::store($batch:ident) $meter:ident, $call:expr) => {{ $meter.put_archive($batch); $call }};
    (Quarantine::store $args:tt $meter:ident, $call:expr) => {{ $meter.s3_put(); $call }};

    (Vehicles::register $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Vehicles::get $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Vehicles::replace $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Vehicles::history $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Vehicles::version $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Vehicles::list $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|page| $meter.read_references(page.vehicles.len()))
    };

    (Entitlements::list_by_vehicle $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.read_grants(found))
    };
    (Entitlements::entitlement $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Entitlements::list_by_fleet $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.read_references(found.len()))
    };
    (Entitlements::version $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    // Without custom packages this is a query as well.
    (Entitlements::packages $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};

    (AlertRules::create $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (AlertRules::get $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (AlertRules::list $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_alert_rules(found)) };
    (AlertRules::replace $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (AlertRules::remove $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (AlertRules::version $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (AlertRules::owner_version $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (AlertRules::operator_changes $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.read_references(found.len()))
    };

    (Fleets::create_within $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Fleets::update $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Fleets::bus_counts $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_references(found.len())) };
    (Fleets::release_bus $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Fleets::get $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Fleets::list $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_references(found.len())) };
    (Fleets::changes $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_references(found.len())) };

    (Schemas::put $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Schemas::latest $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_schemas(found)) };
    (Schemas::versions $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_schemas(found)) };
    (Schemas::version $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};

    (Clients::put $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Clients::replace $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Clients::get $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (Clients::list_by_fleet $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.read_references(found.len()))
    };
    (Clients::list $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_references(found.len())) };
    (Clients::remove $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (Clients::changes $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_references(found.len())) };

    (TelemetryStream::put($records:ident) $meter:ident, $call:expr) => {{ $meter.put_records($records); $call }};
    (StreamReader::read $args:tt $meter:ident, $call:expr) => {{ $meter.read_stream(); $call }};
    (StreamClock::tick $args:tt $meter:ident, $call:expr) => { $call.inspect(|shards| $meter.tick(*shards)) };
    (AlertCheckpoints::get $args:tt $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.read_checkpoint(found.as_ref()))
    };
    (AlertCheckpoints::replace($key:ident, $checkpoint:ident) $meter:ident, $call:expr) => {{
        $meter.write_checkpoint($checkpoint); $call
    }};
    (ShardEvaluations::instance $args:tt $meter:ident, $call:expr) => {{ $meter.read_references(1); $call }};
    (ShardEvaluations::take $args:tt $meter:ident, $call:expr) => {{ $meter.write_reference(); $call }};
    (ShardEvaluations::watch($shard:ident, $keys:ident) $meter:ident, $call:expr) => {{
        $meter.write_watches($keys); $call
    }};
    (ShardEvaluations::unwatch($shard:ident, $keys:ident) $meter:ident, $call:expr) => {{
        $meter.write_watches($keys); $call
    }};
    (ShardEvaluations::watched $args:tt $meter:ident, $call:expr) => { $call.inspect(|found| $meter.read_watches(found)) };
    (IngestBus::publish($entries:ident) $meter:ident, $call:expr) => {{ $meter.publish_to_ingest($entries); $call }};
    (DeliveryBus::publish($entries:ident) $meter:ident, $call:expr) => {{ $meter.publish_to_fleets($entries); $call }};

    (FeedIndex::record($deliveries:ident) $meter:ident, $call:expr) => {{ $meter.write_pointers($deliveries); $call }};
    (FeedIndex::record_once($part:ident, $deliveries:ident) $meter:ident, $call:expr) => {{
        $meter.write_pointers_once($part, $deliveries); $call
    }};
    (FeedIndex::read $args:tt $meter:ident, $call:expr) => { $call.inspect(|page| $meter.read_pointers(page)) };
    (FeedQueue::receive($fleet_id:ident, $options:ident) $meter:ident, $call:expr) => {
        $call.inspect(|found| $meter.receive($fleet_id, found))
    };
    (FeedQueue::acknowledge($fleet_id:ident, $ack_handles:ident) $meter:ident, $call:expr) => {{
        $meter.acknowledge($fleet_id); $call
    }};
    // Ten messages per request, like an acknowledgement.
    (FeedQueue::release($fleet_id:ident, $delay_s:ident, $ack_handles:ident) $meter:ident, $call:expr) => {{
        $meter.acknowledge($fleet_id); $call
    }};

    (StateStore::read $args:tt $meter:ident, $call:expr) => { $call.inspect(|stored| $meter.read_state(&stored.state)) };
    (StateStore::merge($vid:ident, $stored:ident, $readings:ident) $meter:ident, $call:expr) => {{
        $meter.write_merged(&$stored, $readings); $call
    }};

    (EventItems::put_new($item:ident) $meter:ident, $call:expr) => {{ $meter.write_log_item($item); $call }};
    (EventItems::page($range:ident) $meter:ident, $call:expr) => {
        $call.inspect(|page| $meter.read_log_items($range, page))
    };
}

metered_ports!(metered);
event_items_port!(metered);
