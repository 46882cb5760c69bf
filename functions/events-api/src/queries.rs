//! Queries for events: of a vehicle by event time, of a fleet by received time.

use std::collections::BTreeSet;

use http::header::CACHE_CONTROL;
use roadcast_domain::Timestamp;
use roadcast_domain::event::{Event, EventType};
use roadcast_domain::ids::Eid;
use roadcast_domain::selection::{Selection, SignalPattern};
use roadcast_lambda_kit::http::query::{integer, list, optional, text};
use roadcast_lambda_kit::http::{ApiRequest as _, ApiResponse as _, Call, Page, Response, parameters, response};
use roadcast_lambda_kit::problem::Problem;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::port_set::PortSet;
use roadcast_services::authz::{FleetOwner, Reader};
use roadcast_services::cache::CachedEntitlements;
use roadcast_services::query::EventsRange;
use roadcast_services::query::fleet_events::{ArrivalPosition, DEFAULT_LOOKBACK_MS, FleetEventsRange};
use serde_json::{Value, json};

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
        if let Some(start) = page.start::<Eid>()? {
            range.from = start;
        }
        let result = self.queries.events(&caller, &range).await?;
        let fields = Fields(query.fields);
        page.json_response(json!({ "events": fields.select_all(&result.events)? }), result.next.as_ref())
    }

    /// Returns one event.
    pub(crate) async fn get_vehicle_event(
        &self,
        Call { request, caller, .. }: Call<'_, (), Reader>,
    ) -> Result<Response, Problem> {
        let (vid, eid) = (request.path_parameter("vid")?, request.path_parameter("eid")?);
        response::ok(&self.queries.event(&caller, &vid, eid).await?.to_cloud_event())
    }

    /// Returns a page of the events of a fleet, in order of arrival.
    pub(crate) async fn list_fleet_events(
        &self,
        Call { query, request, caller }: Call<'_, ListEvents, FleetOwner>,
    ) -> Result<Response, Problem> {
        check_interval(query.from, query.to)?;
        let from = query.from.unwrap_or(self.fleet_events.clock.now().plus_ms(-DEFAULT_LOOKBACK_MS));
        let selection = selection(query.types, query.package, query.signals, &self.fleet_events.entitlements).await?;
        let page = Page::new(request, &caller, query.cursor);
        let start = page.start::<ArrivalPosition>()?;
        if start.is_none() && query.to.is_some_and(|to| to <= from) {
            return Err(Problem::invalid_parameter("to", "must be later than from, which is 24 hours ago if it is absent"));
        }
        let from = start.unwrap_or_else(|| ArrivalPosition::first_at(from));
        let range = FleetEventsRange { from, to: query.to, selection, limit: query.limit };
        let result = self.fleet_events.page(&caller, &range).await?;
        let fields = Fields(query.fields);
        let body = json!({ "events": fields.select_all(&result.events)?, "more": result.more });
        // A later change of the entitlement may exclude these events, so that proxies must not cache them.
        page.json_response(body, result.next.as_ref())?.with_header(CACHE_CONTROL, "no-store")
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
