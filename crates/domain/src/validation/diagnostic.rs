//! Validation of diagnostic events.

use roadcast_signals::{SignalRejection, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{QuarantinedSample, RejectedSignal, ValidatedData, check_clock};
use crate::diagnostic::{Diagnostic, Dtc, DtcStatus, TroubleCode};
use crate::event::Body;
use crate::json_pointer::JsonPointer;
use crate::limited_list::LimitedList;
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::sent_samples::parse_time;

pub(super) fn validate_diagnostic(data: &RawValue, received: Timestamp) -> Result<ValidatedData, Refusal> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        at: &'a RawValue,
        #[serde(borrow, default)]
        mil: Option<&'a RawValue>,
        #[serde(borrow)]
        dtcs: LimitedList<'a, { limits::CODES_PER_EVENT }>,
    }
    let Ok(sent) = serde_json::from_str::<Data<'_>>(data.get()) else {
        let detail =
            "diagnostic data must be {\"at\", \"mil\", \"dtcs\": [{\"code\", \"status\": active, pending or permanent}]}";
        return Err(Refusal::new(Reason::DataInvalid, ["data"], detail));
    };
    if sent.dtcs.count > limits::CODES_PER_EVENT {
        let detail = format!("must have at most {} trouble codes", limits::CODES_PER_EVENT);
        return Err(Refusal::new(Reason::DataInvalid, ["data", "dtcs"], detail));
    }
    let quarantine =
        |reason, pointer: JsonPointer| QuarantinedSample { index: 0, pointer, reason, bytes: data.get().to_owned() };
    let mut validated =
        ValidatedData { body: None, time: None, quarantined: Vec::new(), rejected: Vec::new(), sample_count: 1 };
    let at = match parse_time(sent.at) {
        Ok(at) => at,
        Err(reason) => {
            validated.quarantined.push(quarantine(reason, ["data", "at"].into()));
            return Ok(validated);
        }
    };
    if let Err(reason) = check_clock(at, received) {
        // The eid of an event at the limit stays the same when the event is validated again a moment later.
        validated.time = (reason == Reason::TimeAhead).then_some(at);
        validated.quarantined.push(quarantine(reason, ["data", "at"].into()));
        return Ok(validated);
    }
    let mut reject = |pointer, reason| validated.rejected.push(RejectedSignal { pointer, reason });
    let mil = sent.mil.map(|mil| serde_json::from_str::<Option<bool>>(mil.get())).transpose().unwrap_or_else(|_| {
        reject(["data", "mil"].into(), SignalRejection::WrongType.code());
        None
    });
    let mil = mil.flatten();
    let mut dtcs = Vec::with_capacity(sent.dtcs.count);
    for (index, code) in sent.dtcs.first.iter().enumerate() {
        match parse_code(code) {
            Ok(code) => dtcs.push(code),
            Err(member) => {
                let code = JsonPointer::from(["data", "dtcs"]).index(index);
                reject(member.map_or_else(|| code.clone(), |member| code.child(member)), "bad_code");
            }
        }
    }
    // An event without codes is valid: the codes were cleared. An event whose codes are all invalid is not.
    if dtcs.is_empty() && sent.dtcs.count > 0 && mil.is_none() {
        validated.quarantined.push(quarantine(Reason::NoValidSignal, ["data", "dtcs"].into()));
    } else {
        validated.time = Some(at);
        validated.body = Some(Body::Diagnostic(Diagnostic { at, mil, dtcs }));
    }
    Ok(validated)
}

/// Parses one trouble code. Fails with the name of its invalid member, or with `None` if it is not an object with `code`
/// and `status`.
fn parse_code(sent: &RawValue) -> Result<TroubleCode, Option<&'static str>> {
    #[derive(Deserialize)]
    struct SentCode<'a> {
        #[serde(borrow)]
        code: &'a RawValue,
        #[serde(borrow)]
        status: &'a RawValue,
    }
    let SentCode { code, status } = serde_json::from_str(sent.get()).map_err(|_| None)?;
    Ok(TroubleCode {
        code: serde_json::from_str::<Dtc>(code.get()).map_err(|_| Some("code"))?,
        status: serde_json::from_str::<DtcStatus>(status.get()).map_err(|_| Some("status"))?,
    })
}
