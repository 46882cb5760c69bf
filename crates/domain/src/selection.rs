//! The selection of event types and signals that a caller requests. It narrows what the caller may see and never widens it.

use std::collections::BTreeSet;
use std::str::FromStr;

use roadcast_signals::SignalPath;

use crate::event::{Body, Event, EventType, Telemetry};
use crate::package::{Package, pattern_matches};

/// A signal pattern: the path of a signal, or a branch followed by `.*` for every signal below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalPattern(String);

/// A text that is neither a path nor a branch followed by `.*`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the path of a signal, or a branch followed by .*")]
pub struct InvalidPattern;

impl FromStr for SignalPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let path = text.strip_suffix(".*").unwrap_or(text);
        SignalPath::parse(path).map(|_| Self(text.to_owned())).map_err(|_| InvalidPattern)
    }
}

impl SignalPattern {
    /// Whether the pattern matches the signal with this path.
    pub fn matches(&self, path: &str) -> bool {
        pattern_matches(&self.0, path)
    }
}

/// The requested part of the events. Without any filter, it is everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only events of these types.
    pub types: Option<BTreeSet<EventType>>,
    /// Only what this package contains.
    pub package: Option<Package>,
    /// Only signals that match one of these patterns. Events other than telemetry are omitted.
    pub signals: Option<Vec<SignalPattern>>,
}

impl Selection {
    /// Reduces the event to what is selected. Omits samples without a selected signal; `None` if nothing remains.
    pub fn apply(&self, event: Event) -> Option<Event> {
        let event_type = event.event_type();
        if self.types.as_ref().is_some_and(|types| !types.contains(&event_type)) {
            return None;
        }
        let Event { eid, vid, received, body } = event;
        let body = match body {
            Body::Telemetry(telemetry) if self.package.is_none() && self.signals.is_none() => Body::Telemetry(telemetry),
            Body::Telemetry(Telemetry { mut samples }) => {
                samples.retain_columns(|path| self.contains_signal(path.as_str()));
                (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }))?
            }
            Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) if self.signals.is_some() => return None,
            body @ (Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_)) => {
                let is_selected = self.package.as_ref().is_none_or(|package| package.event_types.contains(&event_type));
                is_selected.then_some(body)?
            }
        };
        Some(Event { eid, vid, received, body })
    }

    /// Whether the signal with this path is selected.
    pub fn contains_signal(&self, path: &str) -> bool {
        self.package.as_ref().is_none_or(|package| package.contains_signal(path))
            && self.signals.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(path)))
    }
}

#[cfg(test)]
mod tests {
    use roadcast_signals::{Sample, Timestamp, Value};

    use super::*;
    use crate::diagnostic::Diagnostic;
    use crate::ids::{Eid, VehicleId};
    use crate::package::Packages;

    fn event(body: Body) -> Event {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let vid = VehicleId::from_random_bits(1);
        Event { eid: Eid::for_event(&vid, "s", "i", at), vid, received: at, body }
    }

    fn telemetry(samples: &[&[&str]]) -> Event {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let signals =
            |paths: &[&str]| paths.iter().map(|path| (SignalPath::parse(path).unwrap(), Value::Number(1.0))).collect();
        let samples = samples.iter().map(|paths| Sample { at, signals: signals(paths) }).collect();
        event(Body::Telemetry(Telemetry { samples }))
    }

    fn diagnosis() -> Event {
        let at = Timestamp::from_ms(1_700_000_000_000);
        event(Body::Diagnostic(Diagnostic { at, mil: Some(true), dtcs: vec![] }))
    }

    const SPEED: &str = "Vehicle.Speed";
    const LATITUDE: &str = "Vehicle.CurrentLocation.Latitude";

    #[test]
    fn empty_selection_keeps_everything() {
        for event in [telemetry(&[&[SPEED], &["Acme.X"]]), diagnosis()] {
            assert_eq!(Selection::default().apply(event.clone()), Some(event));
        }
    }

    #[test]
    fn signal_patterns_reduce_samples_and_omit_empty_events() {
        let patterns = ["Vehicle.CurrentLocation.*", "Acme.X"].map(|text| text.parse().unwrap());
        let selection = Selection { signals: Some(patterns.to_vec()), ..Selection::default() };
        let selected = selection.apply(telemetry(&[&[SPEED, LATITUDE], &[SPEED], &["Acme.X", "Acme.XY"]]));
        assert_eq!(selected, Some(telemetry(&[&[LATITUDE], &["Acme.X"]])));
        assert_eq!(selection.apply(telemetry(&[&[SPEED]])), None);
        assert_eq!(selection.apply(diagnosis()), None);
    }

    #[test]
    fn package_selects_its_signals_and_event_types() {
        let packages = Packages::built_in();
        let select = |name: &str| Selection { package: packages.get(name).cloned(), ..Selection::default() };
        assert_eq!(select("track-and-trace").apply(telemetry(&[&[SPEED, LATITUDE]])), Some(telemetry(&[&[LATITUDE]])));
        assert_eq!(select("track-and-trace").apply(diagnosis()), None);
        assert_eq!(select("diagnostics").apply(diagnosis()), Some(diagnosis()));
    }

    #[test]
    fn event_types_omit_other_types() {
        let selection = Selection { types: Some([EventType::Diagnostic].into()), ..Selection::default() };
        assert_eq!(selection.apply(telemetry(&[&[SPEED]])), None);
        assert_eq!(selection.apply(diagnosis()), Some(diagnosis()));
    }

    #[test]
    fn pattern_is_a_path_or_a_branch() {
        for text in ["", "*", ".*", "Vehicle.*.Speed", "Vehicle*", "a b", "a,b"] {
            assert!(text.parse::<SignalPattern>().is_err(), "{text}");
        }
        let branch: SignalPattern = "Vehicle.OBD.*".parse().unwrap();
        assert!(
            branch.matches("Vehicle.OBD.Speed") && !branch.matches("Vehicle.OBDX.Speed") && !branch.matches("Vehicle.OBD")
        );
    }
}
