//! Validation of telemetry events.

use std::collections::BTreeSet;

use roadcast_signals::{Sample, SignalPath, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::signals::SentSignals;
use super::{QuarantinedSample, ValidatedData, check_time};
use crate::event::{Body, Telemetry};
use crate::limits;
use crate::refusal::{Reason, Refusal};

pub(super) fn validate_telemetry(data: &RawValue, received: Timestamp) -> Result<ValidatedData, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        samples: Vec<&'a RawValue>,
    }
    let Ok(Data { samples: sent }) = serde_json::from_str(data.get()) else {
        return Err(Refusal::new(
            Reason::DataInvalid,
            "/data/samples",
            "telemetry data must be {\"samples\": [{\"at\": time, \"signals\": {path: value}}]}",
        ));
    };
    if sent.is_empty() {
        return Err(Refusal::new(Reason::DataInvalid, "/data/samples", "must have at least one sample"));
    }
    if sent.len() > limits::SAMPLES_PER_EVENT {
        let detail = format!("must have at most {} samples; this event has {}", limits::SAMPLES_PER_EVENT, sent.len());
        return Err(Refusal::new(Reason::TooManySamples, "/data/samples", detail));
    }

    let mut quarantined = Vec::new();
    let mut rejected = Vec::new();
    let mut times = Vec::with_capacity(sent.len());
    let mut samples = Vec::with_capacity(sent.len());
    for (index, raw) in sent.iter().enumerate() {
        let pointer = format!("/data/samples/{index}");
        let quarantine = |reason, pointer| QuarantinedSample { index, pointer, reason, bytes: raw.get().to_owned() };
        let Ok(sample) = serde_json::from_str::<SentSample<'_>>(raw.get()) else {
            quarantined.push(quarantine(Reason::SampleInvalid, pointer));
            continue;
        };
        let at = serde_json::from_str(sample.at.get()).unwrap_or_default();
        match check_time(&at, received) {
            Err(reason) => quarantined.push(quarantine(reason, pointer + "/at")),
            Ok(at) => {
                times.push(at);
                let signals = sample.signals.validate(&pointer, &mut rejected);
                if signals.is_empty() {
                    quarantined.push(quarantine(Reason::NoValidSignal, pointer + "/signals"));
                } else {
                    samples.push(Sample { at, signals });
                }
            }
        }
    }
    check_span(&times)?;
    check_unknown_paths(&samples)?;
    let earliest = samples.iter().map(|sample| sample.at).min();
    let body = (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }));
    Ok(ValidatedData { body, earliest, quarantined, rejected, sample_count: sent.len() })
}

#[derive(Deserialize)]
struct SentSample<'a> {
    #[serde(borrow)]
    at: &'a RawValue,
    #[serde(borrow)]
    signals: SentSignals<'a>,
}

fn check_span(times: &[Timestamp]) -> Result<(), Refusal> {
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max())
        && last.ms_since(*first) > limits::EVENT_SPAN_MS
    {
        let detail = "the samples of one event must be within 5 minutes; send them as several events";
        return Err(Refusal::new(Reason::SamplesTooFarApart, "/data/samples", detail));
    }
    Ok(())
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
        return Err(Refusal::new(Reason::TooManyUnknownSignals, "/data/samples", detail));
    }
    Ok(())
}
