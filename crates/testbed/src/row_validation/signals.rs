//! Validation of the signals of one sample.

use std::collections::BTreeMap;
use std::fmt;

use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::validation::RejectedSignal;
use roadcast_signals::{SignalPath, SignalRejection, Signals, accept, reject_null_position};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
