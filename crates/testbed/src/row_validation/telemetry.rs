//! Validation of the samples of an event.

use std::collections::BTreeSet;

use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::refusal::{Reason, Refusal};
use roadcast_domain::validation::{QuarantinedSample, RejectedSignal};
use roadcast_signals::{Sample, SignalPath, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::signals::SentSignals;
use super::window::fullest_window;

/// The result for the data of an event that is not refused.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedRows {
    /// The accepted samples.
    pub samples: Vec<Sample>,
    /// The time of the event, if its samples give one.
    pub time: Option<Timestamp>,
    /// The quarantined samples.
    pub quarantined: Vec<QuarantinedSample>,
    /// The rejected signals.
    pub rejected: Vec<RejectedSignal>,
    /// The number of samples that were sent.
    pub sample_count: usize,
}

/// Validates the data of a telemetry event that was received at `received`, sample by sample and signal by signal.
pub fn validate_rows(data: &RawValue, received: Timestamp) -> Result<ValidatedRows, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        samples: Vec<&'a RawValue>,
    }
    let Ok(Data { samples: sent }) = serde_json::from_str(data.get()) else {
        return Err(Refusal::new(
            Reason::DataInvalid,
            ["data", "samples"],
            "telemetry data must be {\"samples\": [{\"at\": time, \"signals\": {path: value}}]}",
        ));
    };
    if sent.is_empty() {
        return Err(Refusal::new(Reason::DataInvalid, ["data", "samples"], "must have at least one sample"));
    }
    if sent.len() > limits::SAMPLES_PER_EVENT {
        let detail = format!("must have at most {} samples; this event has {}", limits::SAMPLES_PER_EVENT, sent.len());
        return Err(Refusal::new(Reason::TooManySamples, ["data", "samples"], detail));
    }

    let mut validated = ValidatedSamples::default();
    for (index, raw) in sent.iter().enumerate() {
        validated.push(index, raw, received);
    }
    let ValidatedSamples { mut usable, mut quarantined, mut rejected, ahead } = validated;
    if let Some((window, count)) = fullest_window(usable.iter().map(|(_, sample)| sample.at).collect()) {
        if count * 2 < usable.len() {
            let detail = "half of the samples of one event must be within 5 minutes; send them as several events";
            return Err(Refusal::new(Reason::SamplesTooFarApart, ["data", "samples"], detail));
        }
        let outside = usable.extract_if(.., |(_, sample)| !window.contains(&sample.at)).map(|(index, _)| index);
        let outside: BTreeSet<usize> = outside.collect();
        rejected.retain(|(index, _)| !outside.contains(index));
        quarantined
            .extend(outside.into_iter().map(|index| quarantine(index, sent[index], Reason::TimeOutOfWindow, Some("at"))));
        quarantined.sort_by_key(|sample| sample.index);
    }
    let samples: Vec<Sample> = usable.into_iter().map(|(_, sample)| sample).collect();
    check_unknown_paths(&samples)?;
    // The time of samples that are ahead counts only if no other is usable. If the same event is validated again a moment
    // later, one at the limit is accepted, and the event must have the same eid.
    let accepted = samples.iter().map(|sample| sample.at).min();
    let time = accepted.or_else(|| fullest_window(ahead).map(|(window, _)| *window.start()));
    let rejected = rejected.into_iter().map(|(_, signal)| signal).collect();
    Ok(ValidatedRows { samples, time, quarantined, rejected, sample_count: sent.len() })
}

/// The samples of an event, each validated by itself. The indices are those of the sent samples.
#[derive(Default)]
struct ValidatedSamples {
    usable: Vec<(usize, Sample)>,
    quarantined: Vec<QuarantinedSample>,
    rejected: Vec<(usize, RejectedSignal)>,
    /// The times of samples that would be usable if they were not ahead of the received time.
    ahead: Vec<Timestamp>,
}

impl ValidatedSamples {
    fn push(&mut self, index: usize, raw: &RawValue, received: Timestamp) {
        let Ok(sample) = serde_json::from_str::<SentSample<'_>>(raw.get()) else {
            self.quarantined.push(quarantine(index, raw, Reason::SampleInvalid, None));
            return;
        };
        let at = match parse_time(sample.at) {
            Ok(at) => at,
            Err(reason) => {
                self.quarantined.push(quarantine(index, raw, reason, Some("at")));
                return;
            }
        };
        let mut rejected = Vec::new();
        let signals = sample.signals.validate(&pointer(index), &mut rejected);
        if let Err(reason) = check_clock(at, received) {
            if reason == Reason::TimeAhead && !signals.is_empty() {
                self.ahead.push(at);
            }
            self.quarantined.push(quarantine(index, raw, reason, Some("at")));
            return;
        }
        self.rejected.extend(rejected.into_iter().map(|signal| (index, signal)));
        if signals.is_empty() {
            self.quarantined.push(quarantine(index, raw, Reason::NoValidSignal, Some("signals")));
        } else {
            self.usable.push((index, Sample { at, signals }));
        }
    }
}

fn pointer(index: usize) -> JsonPointer {
    JsonPointer::from(["data", "samples"]).index(index)
}

fn quarantine(index: usize, raw: &RawValue, reason: Reason, member: Option<&str>) -> QuarantinedSample {
    let sample = pointer(index);
    let pointer = member.map_or_else(|| sample.clone(), |member| sample.child(member));
    QuarantinedSample { index, pointer, reason, bytes: raw.get().to_owned() }
}

#[derive(Deserialize)]
struct SentSample<'a> {
    #[serde(borrow)]
    at: &'a RawValue,
    #[serde(borrow)]
    signals: SentSignals<'a>,
}

fn check_unknown_paths(samples: &[Sample]) -> Result<(), Refusal> {
    let unknown: BTreeSet<&str> = samples
        .iter()
        .flat_map(|sample| sample.signals.keys())
        .filter(|path| path.def().is_none())
        .map(SignalPath::as_str)
        .collect();
    if unknown.len() > limits::UNKNOWN_SIGNALS_PER_EVENT {
        let detail =
            format!("must have at most {} different paths outside the catalogue", limits::UNKNOWN_SIGNALS_PER_EVENT);
        return Err(Refusal::new(Reason::TooManyUnknownSignals, ["data", "samples"], detail));
    }
    Ok(())
}

fn parse_time(at: &RawValue) -> Result<Timestamp, Reason> {
    let text = serde_json::from_str::<String>(at.get()).ok();
    text.and_then(|text| Timestamp::parse_rfc3339(&text).ok()).ok_or(Reason::TimeInvalid)
}

fn check_clock(at: Timestamp, received: Timestamp) -> Result<Timestamp, Reason> {
    if at.ms() < limits::EARLIEST_MS {
        Err(Reason::TimeBefore2000)
    } else if at.ms_since(received) > limits::CLOCK_AHEAD_MS {
        Err(Reason::TimeAhead)
    } else {
        Ok(at)
    }
}
