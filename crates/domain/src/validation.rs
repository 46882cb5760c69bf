//! The one judgement of an event: HTTP and the stream both go through it.
//!
//! An event is refused whole only for its envelope. A bad signal is removed and counted; a sample with none left, or with
//! a bad time, is quarantined with its bytes. What remains is transformed: each value rounded once to its resolution.
//!
//! An event of a registered type is held against the schema in force and kept as it was sent, or refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use roadcast_signals::{Sample, SignalPath, SignalRejection, Signals, Timestamp, accept, reject_null_position};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloudevent::Envelope;
use crate::diagnostic::{Diagnostic, Dtc, DtcStatus, TroubleCode};
use crate::event::{Body, Custom, CustomType, Event, EventType, Origin, StoredEvent, Telemetry};
use crate::ids::{Eid, VehicleId};
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::schema::{SchemaRegistry, SchemaViolation, read_strictly};

/// What became of an event whose envelope is right.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationOutcome {
    /// The event's id.
    pub eid: Eid,
    /// The event, if any sample is left.
    pub accepted: Option<StoredEvent>,
    /// Samples set aside.
    pub quarantined: Vec<QuarantinedSample>,
    /// Signals removed.
    pub rejected: Vec<RejectedSignal>,
    /// Samples that were sent; an event of another type counts as one.
    pub sample_count: usize,
}

/// A sample set aside, with the bytes it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedSample {
    /// Its place in the event as sent.
    pub index: usize,
    /// JSON pointer to what is wrong, within the event.
    pub pointer: String,
    /// Why.
    pub reason: Reason,
    /// Its bytes, untouched.
    pub bytes: String,
}

/// A signal removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedSignal {
    /// JSON pointer to it, within the event.
    pub pointer: String,
    /// Why: a [`SignalRejection`] code, or `bad_code` for a trouble code that is none.
    pub reason: &'static str,
}

impl ValidationOutcome {
    /// How many signals were removed, by reason.
    pub fn rejected_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for rejected in &self.rejected {
            *counts.entry(rejected.reason).or_default() += 1;
        }
        counts
    }
}

/// Judges an event about `vid` that was received at `received`. `data` is its data in JSON, whatever form it was sent in;
/// `schemas` are those in force.
pub fn validate_event(
    envelope: &Envelope<'_>,
    data: &RawValue,
    vid: &VehicleId,
    received: Timestamp,
    schemas: &dyn SchemaRegistry,
) -> Result<ValidationOutcome, Refusal> {
    let validated = match EventType::from_name(&envelope.event_type) {
        Some(EventType::Telemetry) => validate_telemetry(data, received)?,
        Some(EventType::Diagnostic) => validate_diagnostic(data, received)?,
        Some(EventType::Custom(event_type)) => validate_custom(envelope, event_type, data, received, schemas)?,
        Some(EventType::Alert) | None => return Err(type_unknown()),
    };
    let time = validated.earliest.unwrap_or(envelope.time);
    let eid = Eid::of(vid, &envelope.source, &envelope.id, time);
    let accepted = validated.body.map(|body| StoredEvent {
        event: Event { eid, vid: vid.clone(), received, body },
        origin: Origin { source: envelope.source.clone(), id: envelope.id.clone(), extensions: envelope.extensions.clone() },
    });
    Ok(ValidationOutcome {
        eid,
        accepted,
        quarantined: validated.quarantined,
        rejected: validated.rejected,
        sample_count: validated.sample_count,
    })
}

fn type_unknown() -> Refusal {
    Refusal::new(Reason::TypeUnknown, "/type", "no such event type; see the documentation for those there are")
}

/// How many samples an event holds, however wrong it is otherwise: 1 where its data cannot be counted, or has no samples by
/// its type, whatever members it has.
pub fn count_samples(event: &RawValue) -> usize {
    #[derive(Deserialize)]
    struct Counted<'a> {
        #[serde(default)]
        r#type: Cow<'a, str>,
        #[serde(borrow)]
        data: CountedData<'a>,
    }
    #[derive(Deserialize)]
    struct CountedData<'a> {
        #[serde(borrow)]
        samples: Vec<&'a RawValue>,
    }
    match serde_json::from_str::<Counted<'_>>(event.get()) {
        Ok(counted) if counted.r#type.parse::<CustomType>().is_err() => counted.data.samples.len().max(1),
        _ => 1,
    }
}

struct ValidatedData {
    body: Option<Body>,
    earliest: Option<Timestamp>,
    quarantined: Vec<QuarantinedSample>,
    rejected: Vec<RejectedSignal>,
    sample_count: usize,
}

fn validate_telemetry(data: &RawValue, received: Timestamp) -> Result<ValidatedData, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        samples: Vec<&'a RawValue>,
    }
    let Ok(Data { samples: sent }) = serde_json::from_str(data.get()) else {
        return Err(Refusal::new(
            Reason::DataInvalid,
            "/data/samples",
            "telemetry data is {\"samples\": [{\"at\", \"signals\"}]}",
        ));
    };
    if sent.is_empty() {
        return Err(Refusal::new(Reason::DataInvalid, "/data/samples", "at least one sample"));
    }
    if sent.len() > limits::SAMPLES_PER_EVENT {
        let detail = format!("at most {} samples in an event; this one has {}", limits::SAMPLES_PER_EVENT, sent.len());
        return Err(Refusal::new(Reason::TooManySamples, "/data/samples", detail));
    }

    let mut quarantined = Vec::new();
    let mut rejected = Vec::new();
    let mut times = Vec::with_capacity(sent.len());
    let mut samples = Vec::with_capacity(sent.len());
    for (index, raw) in sent.iter().enumerate() {
        let pointer = format!("/data/samples/{index}");
        let quarantine = |reason, pointer| QuarantinedSample { index, pointer, reason, bytes: raw.get().to_owned() };
        let Ok(sample) = serde_json::from_str::<SentSample>(raw.get()) else {
            quarantined.push(quarantine(Reason::SampleInvalid, pointer));
            continue;
        };
        match check_time(&sample.at, received) {
            Err(reason) => quarantined.push(quarantine(reason, pointer + "/at")),
            Ok(at) => {
                times.push(at);
                let signals = validate_signals(&sample.signals, &pointer, &mut rejected);
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
struct SentSample {
    at: serde_json::Value,
    signals: serde_json::Map<String, serde_json::Value>,
}

fn validate_signals(
    sent: &serde_json::Map<String, serde_json::Value>,
    sample_pointer: &str,
    rejected: &mut Vec<RejectedSignal>,
) -> Signals {
    let pointer = |path: &str| format!("{sample_pointer}/signals/{}", path.replace('~', "~0").replace('/', "~1"));
    let mut signals = Signals::new();
    for (path, value) in sent {
        match accept(path, value) {
            Ok((path, value)) => {
                signals.insert(path, value);
            }
            Err(rejection) => rejected.push(RejectedSignal { pointer: pointer(path), reason: rejection.code() }),
        }
    }
    let positions: Vec<String> = signals.keys().map(ToString::to_string).collect();
    if reject_null_position(&mut signals) {
        let removed = positions.iter().filter(|path| SignalPath::parse(path).is_ok_and(|path| !signals.contains_key(&path)));
        let reason = SignalRejection::NullPosition.code();
        rejected.extend(removed.map(|path| RejectedSignal { pointer: pointer(path), reason }));
    }
    signals
}

fn check_time(at: &serde_json::Value, received: Timestamp) -> Result<Timestamp, Reason> {
    let at = at.as_str().and_then(|text| Timestamp::parse_rfc3339(text).ok()).ok_or(Reason::TimeInvalid)?;
    check_clock(at, received)
}

/// Whether a time is one that a clock may have shown.
fn check_clock(at: Timestamp, received: Timestamp) -> Result<Timestamp, Reason> {
    if at.ms() < limits::EARLIEST_MS {
        Err(Reason::TimeBefore2000)
    } else if at.ms_since(received) > limits::CLOCK_AHEAD_MS {
        Err(Reason::TimeAhead)
    } else {
        Ok(at)
    }
}

fn check_span(times: &[Timestamp]) -> Result<(), Refusal> {
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max())
        && last.ms_since(*first) > limits::EVENT_SPAN_MS
    {
        let detail = "samples of one event must lie within 5 minutes of one another; send them as several events";
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
        let detail = format!("at most {} paths outside the catalogue in an event", limits::UNKNOWN_SIGNALS_PER_EVENT);
        return Err(Refusal::new(Reason::TooManyUnknownSignals, "/data/samples", detail));
    }
    Ok(())
}

fn validate_diagnostic(data: &RawValue, received: Timestamp) -> Result<ValidatedData, Refusal> {
    #[derive(Deserialize)]
    struct Data {
        at: serde_json::Value,
        #[serde(default)]
        mil: Option<bool>,
        dtcs: Vec<SentCode>,
    }
    #[derive(Deserialize)]
    struct SentCode {
        code: String,
        status: DtcStatus,
    }
    let Ok(sent) = serde_json::from_str::<Data>(data.get()) else {
        let detail =
            "diagnostic data is {\"at\", \"mil\", \"dtcs\": [{\"code\", \"status\": active, pending or permanent}]}";
        return Err(Refusal::new(Reason::DataInvalid, "/data", detail));
    };
    if sent.dtcs.len() > limits::CODES_PER_EVENT {
        let detail = format!("at most {} codes in an event", limits::CODES_PER_EVENT);
        return Err(Refusal::new(Reason::DataInvalid, "/data/dtcs", detail));
    }
    let quarantine = |reason, pointer: &str| QuarantinedSample {
        index: 0,
        pointer: pointer.to_owned(),
        reason,
        bytes: data.get().to_owned(),
    };
    let mut validated =
        ValidatedData { body: None, earliest: None, quarantined: Vec::new(), rejected: Vec::new(), sample_count: 1 };
    let at = match check_time(&sent.at, received) {
        Ok(at) => at,
        Err(reason) => {
            validated.quarantined.push(quarantine(reason, "/data/at"));
            return Ok(validated);
        }
    };
    let mut dtcs = Vec::with_capacity(sent.dtcs.len());
    for (index, SentCode { code, status }) in sent.dtcs.iter().enumerate() {
        match code.parse::<Dtc>() {
            Ok(code) => dtcs.push(TroubleCode { code, status: *status }),
            Err(_) => {
                validated.rejected.push(RejectedSignal { pointer: format!("/data/dtcs/{index}/code"), reason: "bad_code" });
            }
        }
    }
    // No codes at all is news (they were cleared); none left because all were wrong is not.
    if dtcs.is_empty() && !sent.dtcs.is_empty() && sent.mil.is_none() {
        validated.quarantined.push(quarantine(Reason::NoValidSignal, "/data/dtcs"));
    } else {
        validated.earliest = Some(at);
        validated.body = Some(Body::Diagnostic(Diagnostic { at, mil: sent.mil, dtcs }));
    }
    Ok(validated)
}

/// Data of a registered type is kept whole or not at all: nobody here knows what could be left out of it.
fn validate_custom(
    envelope: &Envelope<'_>,
    event_type: CustomType,
    data: &RawValue,
    received: Timestamp,
    schemas: &dyn SchemaRegistry,
) -> Result<ValidatedData, Refusal> {
    let invalid = |pointer: &str, detail: String| Refusal::new(Reason::DataInvalid, format!("/data{pointer}"), detail);
    if data.get().len() > limits::CUSTOM_DATA_BYTES {
        return Err(invalid("", format!("at most {} bytes of data", limits::CUSTOM_DATA_BYTES)));
    }
    let value = read_strictly(data.get(), limits::CUSTOM_DATA_VALUES).map_err(|error| invalid("", error.to_string()))?;
    schemas.check(&event_type, &value).map_err(|misfit| match misfit {
        SchemaViolation::UnknownType => type_unknown(),
        SchemaViolation::Invalid { pointer, detail } => invalid(&pointer, detail),
    })?;
    let mut validated =
        ValidatedData { body: None, earliest: None, quarantined: Vec::new(), rejected: Vec::new(), sample_count: 1 };
    match check_clock(envelope.time, received) {
        Ok(_) => validated.body = Some(Body::Custom(Custom { event_type, data: data.to_owned() })),
        Err(reason) => {
            // The time is the envelope's, so the data alone would not show what is wrong.
            let bytes = envelope.to_json().unwrap_or_else(|_| data.get().to_owned());
            validated.quarantined.push(QuarantinedSample { index: 0, pointer: "/time".to_owned(), reason, bytes });
        }
    }
    Ok(validated)
}

#[cfg(test)]
mod tests;
