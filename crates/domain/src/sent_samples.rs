//! Reads the samples of telemetry from JSON into columns. Each value is checked by itself.

mod usual_form;

use std::borrow::Cow;
use std::fmt;

use roadcast_signals::{POSITION, Samples, SamplesBuilder, SignalPath, SignalRejection, Timestamp, Value, accept};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json_cursor::Cursor;
use crate::limited_list::LimitedList;
use crate::limits;
use crate::refusal::{Reason, Refusal};

/// The samples of an event as they were sent. Each is a row.
#[derive(Clone, Debug)]
pub struct SentSamples<'a> {
    /// The accepted values, or why they are not kept.
    pub(crate) samples: Result<Samples, TooManyUnknown>,
    /// The times of the samples, by row.
    pub(crate) times: Vec<Timestamp>,
    /// Whether a sample has an accepted value, by row.
    pub(crate) has_signals: Vec<bool>,
    /// The rows of samples of another form or without a readable time, which have no values.
    pub(crate) faults: Vec<(usize, Reason)>,
    /// The rejected values.
    pub(crate) rejected: Vec<RejectedSent<'a>>,
    /// The bytes of each sample.
    pub(crate) bytes: Vec<&'a str>,
}

/// The samples have more than [`limits::UNKNOWN_SIGNALS_PER_EVENT`] different paths outside the catalogue. Their values are not
/// kept: an upload has room for hundreds of thousands of paths, and a column takes more memory than a value.
#[derive(Copy, Clone, Debug)]
pub(crate) struct TooManyUnknown;

/// A rejected value.
#[derive(Clone, Debug)]
pub(crate) struct RejectedSent<'a> {
    /// The row of its sample.
    pub(crate) row: usize,
    /// The name of the signal.
    pub(crate) path: Cow<'a, str>,
    pub(crate) reason: SignalRejection,
}

impl<'a> SentSamples<'a> {
    /// Reads the data of an event.
    pub(crate) fn parse(data: &'a RawValue) -> Result<Self, Refusal> {
        let mut cursor = Cursor::new(data.get());
        if let Some(usual) = Self::read_usual(&mut cursor).filter(|_| cursor.is_at_end()) {
            return Ok(usual);
        }
        Self::parse_any(data)
    }

    /// Like [`parse`](Self::parse), by the general parser alone.
    pub(crate) fn parse_any(data: &'a RawValue) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            samples: LimitedList<'a, { limits::SAMPLES_PER_EVENT }>,
        }
        let Ok(Data { samples: LimitedList { first: sent, count } }) = serde_json::from_str(data.get()) else {
            return Err(Refusal::new(
                Reason::DataInvalid,
                ["data", "samples"],
                "telemetry data must be {\"samples\": [{\"at\": time, \"signals\": {path: value}}]}",
            ));
        };
        if count > limits::SAMPLES_PER_EVENT {
            let detail = format!("must have at most {} samples; this event has {count}", limits::SAMPLES_PER_EVENT);
            return Err(Refusal::new(Reason::TooManySamples, ["data", "samples"], detail));
        }
        let bytes: Vec<&str> = sent.into_iter().map(RawValue::get).collect();
        let mut reader = SampleReader::default();
        for (row, sample) in bytes.iter().enumerate() {
            reader.push(row, sample);
        }
        let SampleReader { builder, times, has_signals, faults, rejected, .. } = reader;
        let samples = builder.map(SamplesBuilder::finish);
        Ok(Self { samples, times, has_signals, faults, rejected, bytes })
    }

    /// Creates samples of which every value is accepted.
    pub(crate) fn of_valid(samples: Samples, has_signals: Vec<bool>, bytes: Vec<&'a str>) -> Self {
        let times = samples.times().to_vec();
        Self { samples: Ok(samples), times, has_signals, faults: Vec::new(), rejected: Vec::new(), bytes }
    }
}

/// Reads samples again of which the values were not kept.
pub(crate) fn read_again(samples: &[&str]) -> Result<Samples, TooManyUnknown> {
    let mut reader = SampleReader::default();
    for (row, sample) in samples.iter().enumerate() {
        reader.push(row, sample);
    }
    reader.builder.map(SamplesBuilder::finish)
}

struct SampleReader<'a> {
    builder: Result<SamplesBuilder, TooManyUnknown>,
    times: Vec<Timestamp>,
    has_signals: Vec<bool>,
    faults: Vec<(usize, Reason)>,
    rejected: Vec<RejectedSent<'a>>,
    /// The accepted signals of a sample.
    accepted: Vec<(SignalPath, Value)>,
}

impl Default for SampleReader<'_> {
    fn default() -> Self {
        Self {
            builder: Ok(SamplesBuilder::default()),
            times: Vec::new(),
            has_signals: Vec::new(),
            faults: Vec::new(),
            rejected: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

impl<'a> SampleReader<'a> {
    fn push(&mut self, row: usize, sample: &'a str) {
        let sample = serde_json::from_str::<SentSample<'_>>(sample).map_err(|_| Reason::SampleInvalid);
        let at = match sample.and_then(|sample| Ok((parse_time(sample.at)?, sample.signals))) {
            Ok((at, signals)) => {
                self.accept_signals(row, signals);
                at
            }
            Err(reason) => {
                self.faults.push((row, reason));
                // The row has no values, so that its time does not matter.
                Timestamp::default()
            }
        };
        self.times.push(at);
        self.has_signals.push(!self.accepted.is_empty());
        let Ok(builder) = &mut self.builder else {
            self.accepted.clear();
            return;
        };
        builder.start_row(at);
        for (path, value) in self.accepted.drain(..) {
            builder.push(path, value);
        }
        if builder.unknown_signals() > limits::UNKNOWN_SIGNALS_PER_EVENT {
            self.builder = Err(TooManyUnknown);
        }
    }

    /// Keeps the valid signals of a sample, rounded. A signal that was sent twice is rejected whatever its values are: which one
    /// is meant is unknown.
    fn accept_signals(&mut self, row: usize, SentSignals(mut signals): SentSignals<'a>) {
        signals.sort_by(|(a, _), (b, _)| a.cmp(b));
        for same_name in signals.chunk_by(|(a, _), (b, _)| a == b) {
            let [(name, value), more @ ..] = same_name else { continue };
            match if more.is_empty() { accept(name, value) } else { Err(SignalRejection::Duplicate) } {
                Ok(accepted) => self.accepted.push(accepted),
                Err(reason) => self.rejected.push(RejectedSent { row, path: name.clone(), reason }),
            }
        }
        self.reject_null_position(row);
    }

    /// Rejects latitude and longitude if both are exactly 0.
    fn reject_null_position(&mut self, row: usize) {
        let is_zero = |path: &&str| {
            let value = self.accepted.iter().find(|(other, _)| other.as_str() == *path);
            value.and_then(|(_, value)| value.as_number()) == Some(0.0)
        };
        if POSITION.iter().all(is_zero) {
            self.accepted.retain(|(path, _)| !POSITION.contains(&path.as_str()));
            let null_position =
                |path| RejectedSent { row, path: Cow::Borrowed(path), reason: SignalRejection::NullPosition };
            self.rejected.extend(POSITION.map(null_position));
        }
    }
}

#[derive(Deserialize)]
struct SentSample<'a> {
    #[serde(borrow)]
    at: &'a RawValue,
    #[serde(borrow)]
    signals: SentSignals<'a>,
}

/// The signals of a sample as they were sent.
///
/// Names and values are read one by one, so that one that cannot be read does not affect the others.
struct SentSignals<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for SentSignals<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = SentSignals<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of signals")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut signals = Vec::new();
                while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
                    signals.push((decoded_name(name.get()), value));
                }
                Ok(SentSignals(signals))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Decodes the name of a member. One with half of a surrogate pair remains escaped: no path is equal to it.
fn decoded_name(json: &str) -> Cow<'_, str> {
    let unquoted = json.trim_matches('"');
    if !json.contains('\\') {
        return Cow::Borrowed(unquoted);
    }
    serde_json::from_str(json).map_or(Cow::Borrowed(unquoted), Cow::Owned)
}

/// Parses the time of a sample or of a trouble code.
pub(crate) fn parse_time(at: &RawValue) -> Result<Timestamp, Reason> {
    // Read as a string: any other value could be of any size.
    let text = serde_json::from_str::<String>(at.get()).ok();
    text.and_then(|text| Timestamp::parse_rfc3339(&text).ok()).ok_or(Reason::TimeInvalid)
}

#[cfg(test)]
mod tests;
