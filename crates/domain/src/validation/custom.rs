//! Validation of events of custom types.

use roadcast_signals::Timestamp;
use serde_json::value::RawValue;

use super::{QuarantinedSample, ValidatedData, check_clock, type_unknown};
use crate::cloudevent::Envelope;
use crate::event::{Body, Custom, CustomType};
use crate::json_pointer::JsonPointer;
use crate::limits;
use crate::refusal::{Reason, Refusal};
use crate::schema::{SchemaRegistry, SchemaViolation};
use crate::strict_json::parse_strict_json;

/// Data of a custom type is accepted entirely or refused: it is unknown which parts of it could be removed.
pub(super) fn validate_custom(
    envelope: &Envelope<'_>,
    event_type: CustomType,
    data: &RawValue,
    received: Timestamp,
    schemas: &dyn SchemaRegistry,
) -> Result<ValidatedData, Refusal> {
    let invalid = |pointer: &JsonPointer, detail: String| {
        Refusal::new(Reason::DataInvalid, JsonPointer::from(["data"]).join(pointer), detail)
    };
    if data.get().len() > limits::CUSTOM_DATA_BYTES {
        return Err(invalid(&JsonPointer::ROOT, format!("must have at most {} bytes", limits::CUSTOM_DATA_BYTES)));
    }
    let value =
        parse_strict_json(data.get(), limits::CUSTOM_DATA_VALUES).map_err(|error| invalid(&error.pointer, error.detail))?;
    schemas.check(&event_type, &value).map_err(|violation| match violation {
        SchemaViolation::UnknownType => type_unknown(),
        SchemaViolation::Invalid { pointer, detail } => invalid(&pointer, detail),
    })?;
    let mut validated =
        ValidatedData { body: None, time: None, quarantined: Vec::new(), rejected: Vec::new(), sample_count: 1 };
    match check_clock(envelope.time, received) {
        Ok(_) => validated.body = Some(Body::Custom(Custom { event_type, data: data.to_owned() })),
        Err(reason) => {
            // The time is in the envelope, so the data alone would not show what is invalid.
            let bytes = envelope.to_json().unwrap_or_else(|_| data.get().to_owned());
            validated.quarantined.push(QuarantinedSample { index: 0, pointer: ["time"].into(), reason, bytes });
        }
    }
    Ok(validated)
}
