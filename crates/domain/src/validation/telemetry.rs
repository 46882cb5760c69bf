//! Validation of telemetry events.

use std::borrow::Cow;

use roadcast_signals::{RejectedValue, Samples, SignalRejection, Timestamp, accept_samples};

use super::window::fullest_window;
use super::{EventData, QuarantinedSample, RejectedSignal, ValidatedData, check_clock};
use crate::event::{Body, Telemetry};
use crate::json_pointer::JsonPointer;
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::sent_samples::{RejectedSent, SentSamples, TooManyUnknown, read_again};

pub(super) fn validate_telemetry(data: EventData<'_>, received: Timestamp) -> Result<ValidatedData, Refusal> {
    match data {
        EventData::Json(json) => CheckedSamples::of_json(SentSamples::parse(&json)?)?.validate(received),
        EventData::Read(sent) => CheckedSamples::of_json(sent)?.validate(received),
        EventData::Samples(samples) => CheckedSamples::of_columns(samples)?.validate(received),
    }
}

/// The samples of an event, each value checked by itself. Each sent sample is a row.
struct CheckedSamples<'a> {
    times: Vec<Timestamp>,
    has_signals: Vec<bool>,
    /// By row, why a sample cannot be used, and the member that shows it.
    faults: Vec<Option<(Reason, Option<&'static str>)>>,
    rejected: Vec<RejectedSent<'a>>,
    values: CheckedValues<'a>,
}

/// The accepted values, and what was sent.
enum CheckedValues<'a> {
    /// The values, or why they are not kept, and the JSON of each sample.
    Json(Result<Samples, TooManyUnknown>, Vec<&'a str>),
    /// The values, and what was sent if it differs.
    Columns(Samples, Option<Samples>),
}

impl CheckedValues<'_> {
    /// Returns the bytes of a sample, as it was sent.
    fn bytes(&self, row: usize) -> String {
        match self {
            Self::Json(_, sent) => sent.get(row).map(|json| (*json).to_owned()).unwrap_or_default(),
            Self::Columns(accepted, sent) => {
                let sample = sent.as_ref().unwrap_or(accepted).row(row);
                sample.and_then(|sample| serde_json::to_string(&sample).ok()).unwrap_or_default()
            }
        }
    }

    /// Returns the values of the samples whose flag is set.
    fn usable(self, is_usable: &[bool]) -> Result<Samples, TooManyUnknown> {
        let mut samples = match self {
            Self::Json(Ok(samples), _) | Self::Columns(samples, _) => samples,
            Self::Json(Err(TooManyUnknown), sent) => {
                let usable = sent.iter().zip(is_usable).filter(|(_, is_usable)| **is_usable);
                return read_again(&usable.map(|(json, _)| *json).collect::<Vec<_>>());
            }
        };
        samples.retain_rows(is_usable);
        Ok(samples)
    }
}

impl<'a> CheckedSamples<'a> {
    fn of_json(sent: SentSamples<'a>) -> Result<Self, Refusal> {
        let SentSamples { samples, times, has_signals, faults: form_faults, rejected, bytes } = sent;
        check_count(times.len())?;
        let mut faults = vec![None; times.len()];
        for (row, reason) in form_faults {
            faults[row] = Some((reason, (reason != Reason::SampleInvalid).then_some("at")));
        }
        Ok(Self { times, has_signals, faults, rejected, values: CheckedValues::Json(samples, bytes) })
    }

    fn of_columns(sent: Samples) -> Result<Self, Refusal> {
        check_count(sent.len())?;
        let times = sent.times().to_vec();
        let mut rejected = Vec::new();
        let values = match accept_samples(&sent) {
            None => CheckedValues::Columns(sent, None),
            Some((accepted, values)) => {
                let of_value = |RejectedValue { row, path, reason }| RejectedSent {
                    row,
                    path: Cow::Owned(path.as_str().to_owned()),
                    reason,
                };
                rejected.extend(values.into_iter().map(of_value));
                CheckedValues::Columns(accepted, Some(sent))
            }
        };
        let has_signals = match &values {
            CheckedValues::Columns(accepted, _) | CheckedValues::Json(Ok(accepted), _) => accepted.has_signals(),
            CheckedValues::Json(Err(TooManyUnknown), _) => Vec::new(),
        };
        Ok(Self { faults: vec![None; times.len()], times, has_signals, rejected, values })
    }

    fn validate(mut self, received: Timestamp) -> Result<ValidatedData, Refusal> {
        let ahead = self.check_clock(received);
        self.check_window()?;
        let quarantined: Vec<QuarantinedSample> = self
            .faults
            .iter()
            .enumerate()
            .filter_map(|(row, fault)| fault.map(|(reason, member)| quarantine(row, self.values.bytes(row), reason, member)))
            .collect();
        let rejected = self.rejected_signals();
        let sample_count = self.times.len();
        let is_usable: Vec<bool> = self.faults.iter().map(Option::is_none).collect();
        let samples = self.values.usable(&is_usable).map_err(|TooManyUnknown| too_many_unknown())?;
        check_unknown_paths(&samples)?;
        // The time of samples that are ahead counts only if no other is usable. If the same event is validated again a moment
        // later, one at the limit is accepted, and the event must have the same eid.
        let accepted = samples.times().iter().copied().min();
        let time = accepted.or_else(|| fullest_window(ahead).map(|(window, _)| *window.start()));
        let body = (!samples.is_empty()).then_some(Body::Telemetry(Telemetry { samples }));
        Ok(ValidatedData { body, time, quarantined, rejected, sample_count })
    }

    /// Marks the samples whose time is implausible, and those without a signal. Returns the times of the samples that would be
    /// usable if they were not ahead of the received time.
    fn check_clock(&mut self, received: Timestamp) -> Vec<Timestamp> {
        let mut ahead = Vec::new();
        for ((at, fault), has_signals) in self.times.iter().zip(&mut self.faults).zip(&self.has_signals) {
            if fault.is_some() {
                continue;
            }
            *fault = match check_clock(*at, received) {
                Err(reason) => {
                    if reason == Reason::TimeAhead && *has_signals {
                        ahead.push(at.within_rfc3339());
                    }
                    Some((reason, Some("at")))
                }
                Ok(_) if !has_signals => Some((Reason::NoValidSignal, Some("signals"))),
                Ok(_) => None,
            };
        }
        ahead
    }

    /// Marks the usable samples outside the fullest window.
    fn check_window(&mut self) -> Result<(), Refusal> {
        let usable = || self.times.iter().zip(&self.faults).filter(|(_, fault)| fault.is_none());
        let (Some(first), Some(last)) = (usable().map(|(at, _)| *at).min(), usable().map(|(at, _)| *at).max()) else {
            return Ok(());
        };
        if last.ms_since(first) <= limits::EVENT_SPAN_MS {
            return Ok(());
        }
        let times: Vec<Timestamp> = usable().map(|(at, _)| *at).collect();
        let usable = times.len();
        let Some((window, count)) = fullest_window(times) else { return Ok(()) };
        if count * 2 < usable {
            let detail = "half of the samples of one event must be within 5 minutes; send them as several events";
            return Err(Refusal::new(Reason::SamplesTooFarApart, ["data", "samples"], detail));
        }
        for (at, fault) in self.times.iter().zip(&mut self.faults) {
            if fault.is_none() && !window.contains(at) {
                *fault = Some((Reason::TimeOutOfWindow, Some("at")));
            }
        }
        Ok(())
    }

    /// Returns the rejected signals of the samples that are usable or would be with a valid signal: by sample, and within a
    /// sample by path, followed by those of a position of zeros.
    fn rejected_signals(&mut self) -> Vec<RejectedSignal> {
        let mut rejected = std::mem::take(&mut self.rejected);
        rejected.retain(|signal| matches!(self.faults[signal.row], None | Some((Reason::NoValidSignal, _))));
        let is_null = |signal: &RejectedSent<'_>| signal.reason == SignalRejection::NullPosition;
        rejected.sort_by(|a, b| (a.row, is_null(a), &a.path).cmp(&(b.row, is_null(b), &b.path)));
        let signal = |RejectedSent { row, path, reason }: RejectedSent<'_>| RejectedSignal {
            pointer: pointer(row).child("signals").child(&path),
            reason: reason.code(),
        };
        rejected.into_iter().map(signal).collect()
    }
}

fn pointer(row: usize) -> JsonPointer {
    JsonPointer::from(["data", "samples"]).index(row)
}

fn quarantine(index: usize, bytes: String, reason: Reason, member: Option<&str>) -> QuarantinedSample {
    let sample = pointer(index);
    let pointer = member.map_or_else(|| sample.clone(), |member| sample.child(member));
    QuarantinedSample { index, pointer, reason, bytes }
}

fn check_count(samples: usize) -> Result<(), Refusal> {
    if samples > 0 {
        return Ok(());
    }
    Err(Refusal::new(Reason::DataInvalid, ["data", "samples"], "must have at least one sample"))
}

fn check_unknown_paths(samples: &Samples) -> Result<(), Refusal> {
    let unknown = samples.columns().iter().filter(|column| column.path.def().is_none()).count();
    if unknown > limits::UNKNOWN_SIGNALS_PER_EVENT { Err(too_many_unknown()) } else { Ok(()) }
}

fn too_many_unknown() -> Refusal {
    let detail = format!("must have at most {} different paths outside the catalogue", limits::UNKNOWN_SIGNALS_PER_EVENT);
    Refusal::new(Reason::TooManyUnknownSignals, ["data", "samples"], detail)
}
