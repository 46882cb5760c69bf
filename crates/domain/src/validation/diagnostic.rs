//! Validation of diagnostic events.

use roadcast_signals::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{QuarantinedSample, RejectedSignal, ValidatedData, check_time};
use crate::diagnostic::{Diagnostic, Dtc, DtcStatus, TroubleCode};
use crate::event::Body;
use crate::json_pointer::JsonPointer;
use crate::limits;
use crate::refusal::{Reason, Refusal};

pub(super) fn validate_diagnostic(data: &RawValue, received: Timestamp) -> Result<ValidatedData, Refusal> {
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
            "diagnostic data must be {\"at\", \"mil\", \"dtcs\": [{\"code\", \"status\": active, pending or permanent}]}";
        return Err(Refusal::new(Reason::DataInvalid, ["data"], detail));
    };
    if sent.dtcs.len() > limits::CODES_PER_EVENT {
        let detail = format!("must have at most {} trouble codes", limits::CODES_PER_EVENT);
        return Err(Refusal::new(Reason::DataInvalid, ["data", "dtcs"], detail));
    }
    let quarantine =
        |reason, pointer: JsonPointer| QuarantinedSample { index: 0, pointer, reason, bytes: data.get().to_owned() };
    let mut validated =
        ValidatedData { body: None, earliest: None, quarantined: Vec::new(), rejected: Vec::new(), sample_count: 1 };
    let at = match check_time(&sent.at, received) {
        Ok(at) => at,
        Err(reason) => {
            validated.quarantined.push(quarantine(reason, ["data", "at"].into()));
            return Ok(validated);
        }
    };
    let mut dtcs = Vec::with_capacity(sent.dtcs.len());
    for (index, SentCode { code, status }) in sent.dtcs.iter().enumerate() {
        match code.parse::<Dtc>() {
            Ok(code) => dtcs.push(TroubleCode { code, status: *status }),
            Err(_) => {
                let pointer = JsonPointer::from(["data", "dtcs"]).index(index).child("code");
                validated.rejected.push(RejectedSignal { pointer, reason: "bad_code" });
            }
        }
    }
    // An event without codes is valid: the codes were cleared. An event whose codes are all invalid is not.
    if dtcs.is_empty() && !sent.dtcs.is_empty() && sent.mil.is_none() {
        validated.quarantined.push(quarantine(Reason::NoValidSignal, ["data", "dtcs"].into()));
    } else {
        validated.earliest = Some(at);
        validated.body = Some(Body::Diagnostic(Diagnostic { at, mil: sent.mil, dtcs }));
    }
    Ok(validated)
}
