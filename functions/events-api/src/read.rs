//! Reading events: a vehicle's by event time, a fleet's by the time they came in.

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
use roadcast_ports::feed::{FeedIndex, INDEX_KEPT_MS};
use roadcast_ports::vehicles::Vehicles;
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::arrivals::{ArrivalPosition, Arrivals, ArrivalsRange, DEFAULT_REACH_MS};
use roadcast_services::query::{EventsRange, VehicleQueries};
use serde_json::{Value, json};

const TIME: &str = "an RFC 3339 date and time";
/// What of an event may be asked for; its `id` always comes.
const FIELDS: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "receivedtime", "data"];

/// A page of a vehicle's events.
pub(crate) async fn list<V: Vehicles, E: Entitlements, L: EventLog, K: Clock>(
    query: &VehicleQueries<V, E, L, (), K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (from, to) = interval(request)?;
    let limit = request.query_number("limit", 1..=1000, 100)?;
    let mut range = EventsRange::between(request.path("vid")?, from, to, limit as usize);
    range.selection = selection(request, &query.entitlements).await?;
    let fields = Fields::of(request)?;
    let page = Page::of(request, caller);
    if let Some(start) = page.start::<Eid>()? {
        range.from = start;
    }
    let found = query.events(caller, &range).await?;
    page.answer(json!({ "events": fields.of_all(&found.events)? }), found.next.as_ref())
}

/// One event.
pub(crate) async fn get<V: Vehicles, E: Entitlements, L: EventLog, K: Clock>(
    query: &VehicleQueries<V, E, L, (), K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let event = query.event(caller, &request.path("vid")?, request.path("eid")?).await?;
    Response::ok(&event.to_cloud_event())
}

/// A page of what came in about a fleet's vehicles.
pub(crate) async fn arrivals<E: Entitlements, L: EventLog, I: FeedIndex, K: Clock>(
    arrivals: &Arrivals<E, L, I, K>,
    request: &Request,
    caller: &Caller,
) -> Result<Response, Problem> {
    let (from, to) = interval(request)?;
    let limit = request.query_number("limit", 1..=1000, 100)?;
    let now = arrivals.clock.now();
    let from = from.unwrap_or(now.plus_ms(-DEFAULT_REACH_MS)).max(now.plus_ms(-INDEX_KEPT_MS));
    let selection = selection(request, &arrivals.entitlements).await?;
    let fields = Fields::of(request)?;
    let page = Page::of(request, caller);
    let from = page.start::<ArrivalPosition>()?.unwrap_or_else(|| ArrivalPosition::first_at(from));
    let range = ArrivalsRange { from, to, selection, limit: limit as usize };
    let found = arrivals.page(caller, &range).await?;
    let body = json!({ "events": fields.of_all(&found.events)?, "more": found.more });
    // What came in an hour ago can be taken away by now: nobody on the way may keep it.
    Ok(page.answer(body, found.next.as_ref())?.with_header("cache-control", "no-store"))
}

/// The half-open interval that is asked for.
pub(crate) fn interval(request: &Request) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
    let from: Option<Timestamp> = request.query("from", TIME)?;
    let to: Option<Timestamp> = request.query("to", TIME)?;
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Problem::invalid_parameter("to", "must be later than from")),
        interval => Ok(interval),
    }
}

/// What of the events is asked for.
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
    let package = match request.query::<String>("package", "a package's name")? {
        None => None,
        Some(name) => {
            let packages = entitlements.packages().await?;
            let package = packages.get(&name).cloned();
            Some(package.ok_or_else(|| Problem::invalid_parameter("package", "no such package; GET /packages lists them"))?)
        }
    };
    Ok(Selection { types: types.map(BTreeSet::from_iter), package, signals })
}

/// Which attributes of events are answered.
struct Fields(Option<Vec<&'static str>>);

impl Fields {
    fn of(request: &Request) -> Result<Self, Problem> {
        let field = |name: &str| {
            let known = FIELDS.into_iter().find(|field| *field == name);
            known.ok_or_else(|| format!("must be some of {}", FIELDS.join(",")))
        };
        Ok(Self(request.query_list("fields", field)?))
    }

    fn of_all(&self, events: &[Event]) -> Result<Vec<Value>, Problem> {
        events.iter().map(|event| self.of_one(event)).collect::<Result<_, _>>().map_err(Problem::internal)
    }

    fn of_one(&self, event: &Event) -> serde_json::Result<Value> {
        let mut written = serde_json::to_value(event.to_cloud_event())?;
        if let (Some(fields), Some(members)) = (&self.0, written.as_object_mut()) {
            members.retain(|name, _| name == "id" || fields.contains(&name.as_str()));
        }
        Ok(written)
    }
}
