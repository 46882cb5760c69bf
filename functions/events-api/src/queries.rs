//! Queries for events: of a vehicle by event time, of a fleet by received time.

use std::collections::{BTreeMap, BTreeSet};

use roadcast_domain::Timestamp;
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::ids::Eid;
use roadcast_domain::selection::{Selection, SignalPattern};
use roadcast_lambda_kit::http::query::{integer, list, optional, text};
use roadcast_lambda_kit::http::{ApiRequest as _, Call, Page, Response, parameters, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{FleetOwner, Reader};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::EventsRange;
use roadcast_services::query::fleet_events::{ArrivalPosition, DEFAULT_LOOKBACK_MS, FleetEventsRange};
use roadcast_services::response_budget::event_json;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::EventsApi;

pub(crate) const TIME: &str = "an RFC 3339 date and time";
/// The attributes that `fields` may select. `id` is always included.
const FIELDS: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "receivedtime", "data"];

parameters! {
    /// The query of `GET /vehicles/{vid}/events` and `GET /events`.
    pub(crate) struct ListEvents {
        from: Option<Timestamp> = "from" => optional(TIME),
        to: Option<Timestamp> = "to" => optional(TIME),
        types: Option<Vec<EventType>> = "type" => list(event_type),
        package: Option<String> = "package" => text,
        signals: Option<Vec<SignalPattern>> = "signal" => list(signal_pattern),
        fields: Option<Vec<&'static str>> = "fields" => list(field),
        limit: usize = "limit" => integer(1..=1000, 100),
        cursor: Option<String> = "cursor" => text,
    }
}

/// A page of events.
#[derive(Serialize)]
struct EventsBody {
    events: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<bool>,
}

impl<Ports: PortSet> EventsApi<Ports> {
    /// Returns a page of the events of a vehicle.
    pub(crate) async fn list_vehicle_events(
        &self,
        Call { query, request, caller }: Call<'_, ListEvents, Reader>,
    ) -> Result<Response, Problem> {
        check_interval(query.from, query.to)?;
        let mut range = EventsRange::between(request.path_parameter("vid")?, query.from, query.to, query.limit);
        range.selection = selection(query.types, query.package, query.signals, &self.queries.entitlements).await?;
        let page = Page::new(request, &caller, query.cursor);
        if let Some(start) = page.start::<Eid>().await? {
            range.from = start;
        }
        let result = self.queries.events(&caller, &range).await?;
        let fields = Fields(query.fields);
        let body = EventsBody { events: fields.select_all(&result.events)?, more: None };
        drop(result.events);
        page.json_response(body, result.next.as_ref()).await
    }

    /// Returns one event.
    pub(crate) async fn get_vehicle_event(
        &self,
        Call { request, caller, .. }: Call<'_, (), Reader>,
    ) -> Result<Response, Problem> {
        let (vid, eid) = (request.path_parameter("vid")?, request.path_parameter("eid")?);
        let event = self.queries.event(&caller, &vid, eid).await?;
        response::ok(&event_json(&event).and_then(RawValue::from_string).map_err(Problem::internal)?)
    }

    /// Returns a page of the events of a fleet, in order of arrival.
    pub(crate) async fn list_fleet_events(
        &self,
        Call { query, request, caller }: Call<'_, ListEvents, FleetOwner>,
    ) -> Result<Response, Problem> {
        check_interval(query.from, query.to)?;
        let from = query.from.unwrap_or(self.fleet_events.clock.now().plus_ms(-DEFAULT_LOOKBACK_MS));
        let selection = selection(query.types, query.package, query.signals, &self.fleet_events.entitlements).await?;
        let page = Page::new(request, &caller, query.cursor).with_large_positions();
        let start = page.start::<ArrivalPosition>().await?;
        if start.is_none() && query.to.is_some_and(|to| to <= from) {
            return Err(Problem::invalid_parameter("to", "must be later than from, which is 24 hours ago if it is absent"));
        }
        let from = start.unwrap_or_else(|| ArrivalPosition::first_at(from));
        let range = FleetEventsRange { from, to: query.to, selection, limit: query.limit };
        let result = self.fleet_events.page(&caller, &range).await?;
        let fields = Fields(query.fields);
        let body = EventsBody { events: fields.select_all(&result.events)?, more: Some(result.more) };
        drop(result.events);
        page.json_response(body, result.next.as_ref()).await
    }
}

/// Fails with `invalid-parameter` if the half-open interval is empty.
pub(crate) fn check_interval(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(), Problem> {
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Problem::invalid_parameter("to", "must be later than from")),
        _ => Ok(()),
    }
}

/// Returns which events, and which parts of them, a request selects. Fails with `invalid-parameter` if the package does not
/// exist.
pub(crate) async fn selection<Ports: PortSet>(
    types: Option<Vec<EventType>>,
    package: Option<String>,
    signals: Option<Vec<SignalPattern>>,
    entitlements: &CachedEntitlements<Ports>,
) -> Result<Selection, Problem> {
    let package =
        match package {
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

fn event_type(name: &str) -> Result<EventType, String> {
    EventType::from_name(name).ok_or_else(|| "must be event types, such as roadcast.telemetry.v1".to_owned())
}

pub(crate) fn signal_pattern(text: &str) -> Result<SignalPattern, String> {
    text.parse().map_err(|_| "must be signal paths, or branches followed by .*".to_owned())
}

fn field(name: &str) -> Result<&'static str, String> {
    let field = FIELDS.into_iter().find(|field| *field == name);
    field.ok_or_else(|| format!("must be a list of {}", FIELDS.join(",")))
}

/// The attributes of events that the response includes; `None` for all.
struct Fields(Option<Vec<&'static str>>);

impl Fields {
    fn select_all(&self, events: &[Event]) -> Result<Vec<Box<RawValue>>, Problem> {
        events.iter().map(|event| self.select(event)).collect::<Result<_, _>>().map_err(Problem::internal)
    }

    fn select(&self, event: &Event) -> serde_json::Result<Box<RawValue>> {
        let json = event_json(event)?;
        let Some(fields) = &self.0 else { return RawValue::from_string(json) };
        let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(&json)?;
        // Data is in `data_base64` if the event is a block.
        members.retain(|name, _| *name == "id" || fields.contains(&name.strip_suffix("_base64").unwrap_or(name)));
        to_raw_value(&members)
    }
}
