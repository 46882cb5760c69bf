//! Validation of events. The HTTP API and the stream use the same validation.
//!
//! An entire event is refused only because of its envelope or the form of its data. An invalid signal is removed and
//! counted. A sample without a valid signal, or with an invalid time, is quarantined with its bytes. The samples of one event
//! are within 5 minutes: those outside the 5 minutes with the most samples are quarantined. The remaining values are rounded
//! once to their resolution.
//!
//! An event of a custom type is validated with the schema in force. It is accepted unchanged or refused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use roadcast_signals::{Samples, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use self::custom::validate_custom;
use self::diagnostic::validate_diagnostic;
use self::telemetry::validate_telemetry;
use crate::cloudevent::Envelope;
use crate::event::{Body, CustomType, Event, EventType, Origin, StoredEvent};
use crate::ids::{Eid, VehicleId};
use crate::json_pointer::JsonPointer;
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::schema::SchemaRegistry;
use crate::sent_samples::SentSamples;

mod custom;
mod diagnostic;
mod telemetry;
mod window;

/// The data of an event, whatever form it was sent in.
#[derive(Clone, Debug)]
pub enum EventData<'a> {
    /// JSON.
    Json(Cow<'a, RawValue>),
    /// The samples of telemetry in JSON that were read together with the envelope.
    Read(SentSamples<'a>),
    /// The samples of telemetry that was sent in columns. They are not checked yet.
    Samples(Samples),
}

impl<'a> From<&'a RawValue> for EventData<'a> {
    fn from(json: &'a RawValue) -> Self {
        Self::Json(Cow::Borrowed(json))
    }
}

/// The result for an event that is not refused.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationOutcome {
    /// The event's id.
    pub eid: Eid,
    /// The stored event; `None` if no sample is accepted.
    pub accepted: Option<StoredEvent>,
    /// Quarantined samples.
    pub quarantined: Vec<QuarantinedSample>,
    /// Removed signals.
    pub rejected: Vec<RejectedSignal>,
    /// The number of samples that were sent. An event of another type than telemetry counts as one sample.
    pub sample_count: usize,
}

/// A quarantined sample with its original bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedSample {
    /// Index of the sample in the event, as it was sent.
    pub index: usize,
    /// JSON pointer to the invalid part of the event.
    pub pointer: JsonPointer,
    /// The reason.
    pub reason: Reason,
    /// The bytes of the sample, unchanged.
    pub bytes: String,
}

/// A removed signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedSignal {
    /// JSON pointer to the signal in the event.
    pub pointer: JsonPointer,
    /// The reason: a code of [`SignalRejection`](roadcast_signals::SignalRejection), or `bad_code` for an invalid trouble
    /// code.
    pub reason: &'static str,
}

impl ValidationOutcome {
    /// Returns the number of removed signals by reason.
    pub fn rejected_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for rejected in &self.rejected {
            *counts.entry(rejected.reason).or_default() += 1;
        }
        counts
    }
}

/// Validates an event about `vid` that was received at `received`. `schemas` are the schemas in force.
///
/// # Errors
///
/// A [`Refusal`] if the entire event is refused.
pub fn validate_event(
    envelope: &Envelope<'_>,
    data: EventData<'_>,
    vid: &VehicleId,
    received: Timestamp,
    schemas: &dyn SchemaRegistry,
) -> Result<ValidationOutcome, Refusal> {
    let validated = match (EventType::from_name(&envelope.event_type), data) {
        (Some(EventType::Telemetry), data) => validate_telemetry(data, received)?,
        (Some(EventType::Diagnostic), EventData::Json(data)) => validate_diagnostic(&data, received)?,
        (Some(EventType::Custom(event_type)), EventData::Json(data)) => {
            validate_custom(envelope, event_type, &data, received, schemas)?
        }
        (Some(EventType::Diagnostic | EventType::Custom(_)), EventData::Read(_) | EventData::Samples(_)) => {
            return Err(samples_not_allowed());
        }
        (Some(EventType::Alert) | None, _) => return Err(type_unknown()),
    };
    let time = validated.time.unwrap_or(envelope.time);
    let eid = Eid::for_event(vid, &envelope.source, &envelope.id, time);
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

fn samples_not_allowed() -> Refusal {
    let detail = format!("only {} may be sent as a block", EventType::Telemetry.as_str());
    Refusal::new(Reason::DataInvalid, ["datacontenttype"], detail)
}

fn type_unknown() -> Refusal {
    Refusal::new(Reason::TypeUnknown, ["type"], "unregistered event type; send a built-in type or register the type first")
}

/// Counts the samples of an event that may be invalid. Returns 1 if the samples cannot be counted, and for a custom type,
/// whatever members its data has.
pub fn count_samples(event: &RawValue) -> usize {
    #[derive(Deserialize)]
    struct Counted<'a> {
        #[serde(borrow, default)]
        r#type: Cow<'a, str>,
        data: CountedData,
    }
    #[derive(Deserialize)]
    struct CountedData {
        // A list of these takes no memory.
        samples: Vec<IgnoredAny>,
    }
    match serde_json::from_str::<Counted<'_>>(event.get()) {
        Ok(counted) if counted.r#type.parse::<CustomType>().is_err() => counted.data.samples.len().max(1),
        _ => 1,
    }
}

/// The result for the data of an event.
struct ValidatedData {
    body: Option<Body>,
    /// The time of the earliest accepted sample; if none is accepted only because of the clock, the time that the event would
    /// have. `None` stands for the time of the envelope.
    time: Option<Timestamp>,
    quarantined: Vec<QuarantinedSample>,
    rejected: Vec<RejectedSignal>,
    sample_count: usize,
}

/// Checks that a time is plausible: not before [`limits::EARLIEST_MS`] and at most [`limits::CLOCK_AHEAD_MS`] after
/// `received`.
fn check_clock(at: Timestamp, received: Timestamp) -> Result<Timestamp, Reason> {
    if at.ms() < limits::EARLIEST_MS {
        Err(Reason::TimeBefore2000)
    } else if at.ms_since(received) > limits::CLOCK_AHEAD_MS {
        Err(Reason::TimeAhead)
    } else {
        Ok(at)
    }
}

#[cfg(test)]
mod tests;
