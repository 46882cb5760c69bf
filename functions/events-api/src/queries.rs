//! Queries for events: of a vehicle by event time, of a fleet by received time.

use std::collections::BTreeSet;

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::ids::Eid;
use roadcast_domain::selection::{Selection, SignalPattern};
use roadcast_lambda_kit::http::{Page, Request, Response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::feed::{FeedIndex, INDEX_RETENTION_MS};
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::fleet_events::{ArrivalPosition, DEFAULT_LOOKBACK_MS, FleetEvents, FleetEventsRange};
use roadcast_services::query::{EventsRange, VehicleQueries};
use serde_json::{Value, json};

const TIME: &str = "an RFC 3339 date and time";
/// The attributes that `fields` may select. `id` is always included.
const FIELDS: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "receivedtime", "data"];

/// Returns a page of the events of a vehicle.
pub(crate) async fn list_vehicle_events<V: Vehicles, E: Entitlements, L: EventLog, K: Clock>(
    queries: &VehicleQueries<V, E, L, (), K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (from, to) = interval(request)?;
    let limit = request.query_number("limit", 1..=1000, 100)?;
    let mut range = EventsRange::between(request.path("vid")?, from, to, limit);
    range.selection = selection(request, &queries.entitlements).await?;
    let fields = Fields::from_request(request)?;
    let page = Page::new(request, caller);
    if let Some(start) = page.start::<Eid>()? {
        range.from = start;
    }
    let result = queries.events(caller, &range).await?;
    page.json_response(json!({ "events": fields.select_all(&result.events)? }), result.next.as_ref())
}

/// Returns one event.
pub(crate) async fn get_vehicle_event<V: Vehicles, E: Entitlements, L: EventLog, K: Clock>(
    queries: &VehicleQueries<V, E, L, (), K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let event = queries.event(caller, &request.path("vid")?, request.path("eid")?).await?;
    Response::ok(&event.to_cloud_event())
}

/// Returns a page of the events of a fleet, in order of arrival.
pub(crate) async fn list_fleet_events<E: Entitlements, L: EventLog, I: FeedIndex, K: Clock>(
    fleet_events: &FleetEvents<E, L, I, K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (from, to) = interval(request)?;
    let limit = request.query_number("limit", 1..=1000, 100)?;
    let now = fleet_events.clock.now();
    let from = from.unwrap_or(now.plus_ms(-DEFAULT_LOOKBACK_MS)).max(now.plus_ms(-INDEX_RETENTION_MS));
    let selection = selection(request, &fleet_events.entitlements).await?;
    let fields = Fields::from_request(request)?;
    let page = Page::new(request, caller);
    let from = page.start::<ArrivalPosition>()?.unwrap_or_else(|| ArrivalPosition::first_at(from));
    let range = FleetEventsRange { from, to, selection, limit };
    let result = fleet_events.page(caller, &range).await?;
    let body = json!({ "events": fields.select_all(&result.events)?, "more": result.more });
    // A later change of the entitlement may exclude these events, so that proxies must not cache them.
    Ok(page.json_response(body, result.next.as_ref())?.with_header("cache-control", "no-store"))
}

/// Returns the requested half-open interval. Fails with `invalid-parameter` if it is empty.
pub(crate) fn interval(request: &Request) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
    let from: Option<Timestamp> = request.query("from", TIME)?;
    let to: Option<Timestamp> = request.query("to", TIME)?;
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Problem::invalid_parameter("to", "must be later than from")),
        interval => Ok(interval),
    }
}

/// Returns which events, and which parts of them, the request selects.
pub(crate) async fn selection<E: Entitlements, K: Clock>(
    request: &Request,
    entitlements: &CachedEntitlements<E, K>,
) -> Result<Selection, Problem> {
    let types = request.query_list("type", |name| {
        EventType::from_name(name).ok_or_else(|| "must be event types, such as roadcast.telemetry.v1".to_owned())
    })?;
    let signals = request.query_list("signal", |text| {
        text.parse::<SignalPattern>().map_err(|_| "must be signal paths, or branches followed by .*".to_owned())
    })?;
    let package =
        match request.query::<String>("package", "a package name")? {
            None => None,
            Some(name) => {
                let packages = entitlements.packages().await?;
                let package = packages.get(&name).cloned();
                Some(package.ok_or_else(|| {
                    Problem::invalid_parameter("package", "unknown package; GET /packages lists all packages")
                })?)
            }
        };
    Ok(Selection { types: types.map(BTreeSet::from_iter), package, signals })
}

/// The attributes of events that the response includes; `None` for all.
struct Fields(Option<Vec<&'static str>>);

impl Fields {
    fn from_request(request: &Request) -> Result<Self, Problem> {
        let field = |name: &str| {
            let field = FIELDS.into_iter().find(|field| *field == name);
            field.ok_or_else(|| format!("must be a list of {}", FIELDS.join(",")))
        };
        Ok(Self(request.query_list("fields", field)?))
    }

    fn select_all(&self, events: &[Event]) -> Result<Vec<Value>, Problem> {
        events.iter().map(|event| self.select(event)).collect::<Result<_, _>>().map_err(Problem::internal)
    }

    fn select(&self, event: &Event) -> serde_json::Result<Value> {
        let mut json = serde_json::to_value(event.to_cloud_event())?;
        if let (Some(fields), Some(members)) = (&self.0, json.as_object_mut()) {
            members.retain(|name, _| name == "id" || fields.contains(&name.as_str()));
        }
        Ok(json)
    }
}
