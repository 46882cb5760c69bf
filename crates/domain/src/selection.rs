//! What of a vehicle's events a caller asks for: fewer types, fewer signals. It narrows what may be seen and never widens
//! it.

use std::collections::BTreeSet;
use std::str::FromStr;

use roadcast_signals::{Sample, SignalPath};

use crate::event::{Body, Event, EventType, Telemetry};
use crate::package::{Package, pattern_names};

/// Signals by name: one path, or all below a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalPattern(String);

/// A text that is neither a path nor a branch followed by `.*`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a signal's path, or a branch followed by .*")]
pub struct InvalidPattern;

impl FromStr for SignalPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let path = text.strip_suffix(".*").unwrap_or(text);
        SignalPath::parse(path).map(|_| Self(text.to_owned())).map_err(|_| InvalidPattern)
    }
}

impl SignalPattern {
    /// Whether the pattern names the signal of that path.
    pub fn names(&self, path: &str) -> bool {
        pattern_names(&self.0, path)
    }
}

/// What is asked for. Without any filter it is everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only events of these types.
    pub types: Option<BTreeSet<EventType>>,
    /// Only what this package holds.
    pub package: Option<Package>,
    /// Only these signals; events without signals fall away.
    pub signals: Option<Vec<SignalPattern>>,
}

impl Selection {
    /// The event cut to what is asked for: samples without an asked signal fall away, and the event with its last sample.
    pub fn apply(&self, event: Event) -> Option<Event> {
        let event_type = event.event_type();
        if self.types.as_ref().is_some_and(|types| !types.contains(&event_type)) {
            return None;
        }
        let Event { eid, vid, received, body } = event;
        let body = match body {
            Body::Telemetry(telemetry) if self.package.is_none() && self.signals.is_none() => Body::Telemetry(telemetry),
            Body::Telemetry(Telemetry { samples }) => {
                let samples: Vec<Sample> = samples.into_iter().filter_map(|sample| self.apply_to_sample(sample)).collect();
                (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }))?
            }
            Body::Diagnostic(_) | Body::Custom(_) if self.signals.is_some() => return None,
            whole @ (Body::Diagnostic(_) | Body::Custom(_)) => {
                let held = self.package.as_ref().is_none_or(|package| package.event_types.contains(&event_type));
                held.then_some(whole)?
            }
        };
        Some(Event { eid, vid, received, body })
    }

    /// Whether the signal of that path is asked for.
    pub fn holds_signal(&self, path: &str) -> bool {
        self.package.as_ref().is_none_or(|package| package.holds_signal(path))
            && self.signals.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.names(path)))
    }

    fn apply_to_sample(&self, mut sample: Sample) -> Option<Sample> {
        sample.signals.retain(|path, _| self.holds_signal(path.as_str()));
        (!sample.signals.is_empty()).then_some(sample)
    }
}

#[cfg(test)]
mod tests {
    use roadcast_signals::{Timestamp, Value};

    use super::*;
    use crate::diagnostic::Diagnostic;
    use crate::ids::{Eid, VehicleId};
    use crate::package::Packages;

    fn event(body: Body) -> Event {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let vid = VehicleId::from_random(1);
        Event { eid: Eid::of(&vid, "s", "i", at), vid, received: at, body }
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
    fn without_a_filter_it_is_everything() {
        for event in [telemetry(&[&[SPEED], &["Acme.X"]]), diagnosis()] {
            assert_eq!(Selection::default().apply(event.clone()), Some(event));
        }
    }

    #[test]
    fn signals_narrow_samples_and_leave_out_what_has_none() {
        let patterns = ["Vehicle.CurrentLocation.*", "Acme.X"].map(|text| text.parse().unwrap());
        let selection = Selection { signals: Some(patterns.to_vec()), ..Selection::default() };
        let cut = selection.apply(telemetry(&[&[SPEED, LATITUDE], &[SPEED], &["Acme.X", "Acme.XY"]]));
        assert_eq!(cut, Some(telemetry(&[&[LATITUDE], &["Acme.X"]])));
        assert_eq!(selection.apply(telemetry(&[&[SPEED]])), None);
        assert_eq!(selection.apply(diagnosis()), None);
    }

    #[test]
    fn a_package_narrows_to_its_signals_and_event_types() {
        let packages = Packages::built_in();
        let of = |name: &str| Selection { package: packages.get(name).cloned(), ..Selection::default() };
        assert_eq!(of("track-and-trace").apply(telemetry(&[&[SPEED, LATITUDE]])), Some(telemetry(&[&[LATITUDE]])));
        assert_eq!(of("track-and-trace").apply(diagnosis()), None);
        assert_eq!(of("diagnostics").apply(diagnosis()), Some(diagnosis()));
    }

    #[test]
    fn types_leave_out_the_others() {
        let selection = Selection { types: Some([EventType::Diagnostic].into()), ..Selection::default() };
        assert_eq!(selection.apply(telemetry(&[&[SPEED]])), None);
        assert_eq!(selection.apply(diagnosis()), Some(diagnosis()));
    }

    #[test]
    fn a_pattern_is_a_path_or_a_branch() {
        for text in ["", "*", ".*", "Vehicle.*.Speed", "Vehicle*", "a b", "a,b"] {
            assert!(text.parse::<SignalPattern>().is_err(), "{text}");
        }
        let branch: SignalPattern = "Vehicle.OBD.*".parse().unwrap();
        assert!(branch.names("Vehicle.OBD.Speed") && !branch.names("Vehicle.OBDX.Speed") && !branch.names("Vehicle.OBD"));
    }
}
