//! Reasons why an event or a sample is refused.

use crate::json_pointer::JsonPointer;
use std::fmt;

use serde::Serialize;

/// A reason, with a stable code. The code is the name of a quarantine folder, a metric dimension and a problem type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes are not JSON.
    NotJson,
    /// A record or a block is larger than allowed after decompression.
    TooLarge,
    /// Not a CloudEvents 1.0 event: an attribute is missing or invalid.
    NotACloudEvent,
    /// The envelope has no `time`, which Roadcast requires.
    TimeMissing,
    /// The event type is not registered.
    TypeUnknown,
    /// `data` does not have the form that its event type requires.
    DataInvalid,
    /// More samples than one event may have.
    TooManySamples,
    /// No 5 minutes contain half of the samples of the event.
    SamplesTooFarApart,
    /// More paths outside the catalogue than one event may have.
    TooManyUnknownSignals,
    /// The event has no vehicle, or one that is not registered.
    VehicleUnknown,
    /// The sample is not an object with `at` and `signals`.
    SampleInvalid,
    /// The time of the sample is not an RFC 3339 date and time.
    TimeInvalid,
    /// The time of the sample is before 2000-01-01.
    TimeBefore2000,
    /// The time of the sample is more than five minutes after the time at which it was received.
    TimeAhead,
    /// The sample is outside the 5 minutes that contain the most samples of its event.
    TimeOutOfWindow,
    /// The sample has no valid signal.
    NoValidSignal,
    /// The event cannot be stored, for example because it is too large.
    Unstorable,
    /// A record of an alert that Roadcast did not write.
    AlertNotAuthentic,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::NotJson,
        Self::TooLarge,
        Self::NotACloudEvent,
        Self::TimeMissing,
        Self::TypeUnknown,
        Self::DataInvalid,
        Self::TooManySamples,
        Self::SamplesTooFarApart,
        Self::TooManyUnknownSignals,
        Self::VehicleUnknown,
        Self::SampleInvalid,
        Self::TimeInvalid,
        Self::TimeBefore2000,
        Self::TimeAhead,
        Self::TimeOutOfWindow,
        Self::NoValidSignal,
        Self::Unstorable,
        Self::AlertNotAuthentic,
    ];

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::NotACloudEvent => "not_a_cloudevent",
            Self::TimeMissing => "time_missing",
            Self::TypeUnknown => "type_unknown",
            Self::DataInvalid => "data_invalid",
            Self::TooManySamples => "too_many_samples",
            Self::SamplesTooFarApart => "samples_too_far_apart",
            Self::TooManyUnknownSignals => "too_many_unknown_signals",
            Self::VehicleUnknown => "vehicle_unknown",
            Self::SampleInvalid => "sample_invalid",
            Self::TimeInvalid => "time_invalid",
            Self::TimeBefore2000 => "time_before_2000",
            Self::TimeAhead => "time_ahead",
            Self::TimeOutOfWindow => "time_out_of_window",
            Self::NoValidSignal => "no_valid_signal",
            Self::Unstorable => "unstorable",
            Self::AlertNotAuthentic => "alert_not_authentic",
        }
    }

    /// Returns a description for the sender.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotJson => "the bytes are not JSON",
            Self::TooLarge => "the record or block is too large after decompression",
            Self::NotACloudEvent => "not a CloudEvents 1.0 event",
            Self::TimeMissing => "time is required",
            Self::TypeUnknown => "unregistered event type",
            Self::DataInvalid => "data does not have the form that its event type requires",
            Self::TooManySamples => "too many samples in one event",
            Self::SamplesTooFarApart => "half of the samples of one event must be within 5 minutes",
            Self::TooManyUnknownSignals => "too many paths outside the catalogue in one event",
            Self::VehicleUnknown => "no vehicle has this subject (vid, vin:… or scheme:value)",
            Self::SampleInvalid => "a sample must be an object with at and signals",
            Self::TimeInvalid => "at must be an RFC 3339 date and time",
            Self::TimeBefore2000 => "at must not be before 2000-01-01",
            Self::TimeAhead => "at must not be more than 5 minutes in the future",
            Self::TimeOutOfWindow => "at must be within the 5 minutes in which most samples of the event are",
            Self::NoValidSignal => "the sample has no valid signal",
            Self::Unstorable => "the event is too large to be stored",
            Self::AlertNotAuthentic => "only Roadcast writes records of alerts",
        }
    }

    /// Returns the reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// The refusal of an entire event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {:?}: {detail}", pointer.as_str())]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// JSON pointer to the invalid part of the event.
    pub pointer: JsonPointer,
    /// What is wrong and what to send. Contains no values of the event, only names of attributes.
    pub detail: String,
}

impl Refusal {
    /// Creates a refusal.
    pub fn new(reason: Reason, pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> Self {
        Self { reason, pointer: pointer.into(), detail: detail.into() }
    }

    /// Refuses an event whose subject names no vehicle that the sender may send events about.
    pub fn vehicle_unknown() -> Self {
        Self::new(Reason::VehicleUnknown, ["subject"], Reason::VehicleUnknown.explanation())
    }
}
