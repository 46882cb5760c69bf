//! Why an event or a sample was not taken.

use std::fmt;

use serde::Serialize;

/// The reasons, one stable code each. The code names a quarantine folder, a metric dimension and a problem type.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The bytes are not JSON.
    NotJson,
    /// A record or a block that unpacks to more than it may.
    TooLarge,
    /// Not a CloudEvents 1.0 event: an attribute is missing or wrong.
    NotACloudEvent,
    /// The envelope has no `time`, which Roadcast requires.
    TimeMissing,
    /// An event type that nobody registered.
    TypeUnknown,
    /// `data` does not have its type's shape.
    DataInvalid,
    /// More samples than one event may hold.
    TooManySamples,
    /// Samples of one event lie too far apart.
    SamplesTooFarApart,
    /// More paths outside the catalogue than one event may hold.
    TooManyUnknownSignals,
    /// The event names no vehicle, or one that is not registered.
    VehicleUnknown,
    /// A sample that is not an object of `at` and `signals`.
    SampleInvalid,
    /// A sample's time is no date.
    TimeInvalid,
    /// A sample's time lies before 2000-01-01.
    TimeBefore2000,
    /// A sample's time lies more than five minutes ahead of when it was received.
    TimeAhead,
    /// No signal of the sample was valid.
    NoValidSignal,
    /// The stores refuse the event, such as one too large for them.
    Unstorable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 16] = [
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
        Self::NoValidSignal,
        Self::Unstorable,
    ];

    /// The stable code.
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
            Self::NoValidSignal => "no_valid_signal",
            Self::Unstorable => "unstorable",
        }
    }

    /// The reason in words, for whoever sent it.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NotJson => "the bytes are not JSON",
            Self::TooLarge => "more than a record or a block may unpack to",
            Self::NotACloudEvent => "not a CloudEvents 1.0 event",
            Self::TimeMissing => "time is required",
            Self::TypeUnknown => "no such event type",
            Self::DataInvalid => "data does not have the shape of its type",
            Self::TooManySamples => "too many samples in one event",
            Self::SamplesTooFarApart => "samples of one event lie more than 5 minutes apart",
            Self::TooManyUnknownSignals => "too many paths outside the catalogue in one event",
            Self::VehicleUnknown => "no such vehicle",
            Self::SampleInvalid => "a sample is an object of at and signals",
            Self::TimeInvalid => "at must be an RFC 3339 date and time",
            Self::TimeBefore2000 => "at lies before 2000-01-01",
            Self::TimeAhead => "at lies more than 5 minutes ahead of now",
            Self::NoValidSignal => "no signal of the sample is valid",
            Self::Unstorable => "the event is too large to be stored",
        }
    }

    /// The reason of a code.
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

/// A whole event refused for its envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {pointer:?}: {detail}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// JSON pointer to what is wrong, within the event.
    pub pointer: String,
    /// What is wrong, for the sender to mend. Holds nothing of the event's own values but attribute names.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, pointer: pointer.into(), detail: detail.into() }
    }
}
