//! Validation of the signals of one sample.

use std::collections::BTreeMap;
use std::fmt;

use roadcast_signals::{SignalPath, SignalRejection, Signals, accept, reject_null_position};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::RejectedSignal;
use crate::json_pointer::JsonPointer;

/// The signals of a sample as they were sent, by name. The value of a name that occurs more than once is `None`.
///
/// Names and values are read one by one, so that one that cannot be read does not affect the others.
pub(super) struct SentSignals<'a>(BTreeMap<String, Option<&'a RawValue>>);

impl<'de: 'a, 'a> Deserialize<'de> for SentSignals<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = SentSignals<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of signals")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut signals = BTreeMap::new();
                while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
                    // A name with half of a surrogate pair remains escaped: no path is equal to it.
                    let name = serde_json::from_str(name.get()).unwrap_or_else(|_| name.get().trim_matches('"').to_owned());
                    signals.entry(name).and_modify(|value| *value = None).or_insert(Some(value));
                }
                Ok(SentSignals(signals))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl SentSignals<'_> {
    /// Returns the valid signals, rounded. Adds others to `rejected`, with pointers below `sample_pointer`. A signal that
    /// was sent twice is rejected whatever its values are: which one is meant is unknown.
    pub(super) fn validate(&self, sample_pointer: &JsonPointer, rejected: &mut Vec<RejectedSignal>) -> Signals {
        let parent = sample_pointer.child("signals");
        let mut reject = |path: &str, rejection: SignalRejection| {
            rejected.push(RejectedSignal { pointer: parent.child(path), reason: rejection.code() });
        };
        let mut signals = Signals::new();
        for (path, value) in &self.0 {
            match value.ok_or(SignalRejection::Duplicate).and_then(|value| accept(path, value)) {
                Ok((path, value)) => {
                    signals.insert(path, value);
                }
                Err(rejection) => reject(path, rejection),
            }
        }
        let paths_before: Vec<SignalPath> = signals.keys().cloned().collect();
        if reject_null_position(&mut signals) {
            for path in paths_before.iter().filter(|path| !signals.contains_key(*path)) {
                reject(path.as_str(), SignalRejection::NullPosition);
            }
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use roadcast_signals::Value;

    use super::*;

    fn validate(json: &str) -> (Signals, Vec<(String, &'static str)>) {
        let mut rejected = Vec::new();
        let signals = serde_json::from_str::<SentSignals<'_>>(json).unwrap().validate(&["s"].into(), &mut rejected);
        (signals, rejected.into_iter().map(|rejected| (rejected.pointer.into(), rejected.reason)).collect())
    }

    fn check(json: &str, accepted: &[&str], rejected: &[(&str, &str)]) {
        let (signals, found) = validate(json);
        assert_eq!(signals.keys().map(SignalPath::as_str).collect::<Vec<_>>(), accepted, "{json}");
        let found: Vec<(&str, &str)> = found.iter().map(|(pointer, reason)| (pointer.as_str(), *reason)).collect();
        assert_eq!(found, rejected, "{json}");
    }

    #[test]
    fn signal_that_is_given_twice_is_rejected_alone() {
        for twice in [
            r#"{"Vehicle.Speed":10,"Vehicle.Speed":90,"Vehicle.OBD.Speed":12}"#,
            r#"{"Vehicle.Speed":10,"Vehicle.OBD.Speed":12,"Vehicle.Speed":10}"#,
            r#"{"Vehicle.OBD.Speed":12,"Vehicle.Speed":"x","\u0056ehicle.Speed":90,"Vehicle.Speed":null}"#,
        ] {
            check(twice, &["Vehicle.OBD.Speed"], &[("/s/signals/Vehicle.Speed", "duplicate")]);
        }
    }

    #[test]
    fn unreadable_signal_does_not_affect_the_others() {
        let deep = "[".repeat(300) + &"]".repeat(300);
        for (value, reason) in [
            ("1e309", "out_of_range"),
            ("-1e99999", "out_of_range"),
            ("12345678901234567890", "not_exact"),
            (r#""\ud800""#, "bad_text"),
            (r#""\uffff""#, "bad_text"),
            ("[1e309]", "wrong_type"),
            (deep.as_str(), "wrong_type"),
            ("{\"a\":1,\"a\":1}", "wrong_type"),
        ] {
            let sent = format!(r#"{{"acme.x":{value},"Vehicle.Speed":48}}"#);
            check(&sent, &["Vehicle.Speed"], &[("/s/signals/acme.x", reason)]);
        }
        check(r#"{"\ud800":1,"Vehicle.Speed":48}"#, &["Vehicle.Speed"], &[(r"/s/signals/\ud800", "bad_path")]);
        check(r#"{"a/b~":1,"Vehicle.Speed":48}"#, &["Vehicle.Speed"], &[("/s/signals/a~1b~0", "bad_path")]);
    }

    #[test]
    fn duplicate_coordinate_leaves_the_other_coordinate() {
        let sent = r#"{"Vehicle.CurrentLocation.Latitude":0,"Vehicle.CurrentLocation.Longitude":0,
            "Vehicle.CurrentLocation.Longitude":0}"#;
        check(sent, &["Vehicle.CurrentLocation.Latitude"], &[("/s/signals/Vehicle.CurrentLocation.Longitude", "duplicate")]);
    }

    proptest! {
        /// The result depends on which signals were sent, not on their order: retries and re-serialized events agree.
        #[test]
        fn order_of_signals_does_not_change_the_result(
            (sent, shuffled) in prop::collection::vec((prop::sample::select(vec!["a.x", "a.y", "bad path"]), 0..3_u8), 0..6)
                .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
        ) {
            let text = |members: &[(&str, u8)]| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            };
            let result = validate(&text(&sent));
            prop_assert_eq!(&result, &validate(&text(&shuffled)));
            for (path, value) in &result.0 {
                let values: Vec<f64> =
                    sent.iter().filter(|(name, _)| *name == path.as_str()).map(|(_, value)| f64::from(*value)).collect();
                prop_assert_eq!(values.iter().copied().map(Value::Number).collect::<Vec<_>>(), vec![value.clone()]);
            }
        }
    }
}
