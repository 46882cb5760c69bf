//! Lines of a file of event schemas.

use roadcast_domain::event::CustomType;
use roadcast_domain::json_pointer::JsonPointer;
use roadcast_domain::limits;
use roadcast_domain::schema::EventSchema;
use roadcast_domain::strict_json::parse_strict_json;
use roadcast_domain::vehicle_mapping::RowFault;
use serde_json::Value;

use crate::InvalidField;
use crate::bulk::row_outcome::RowOutcome;
use crate::catalogue::event_schemas::RegistrationFault;

/// The pointer to an entire line.
pub(super) const ENTIRE_LINE: JsonPointer = JsonPointer::ROOT;

/// A valid line: a schema to register.
pub(super) struct SchemaLine {
    pub(super) event_type: CustomType,
    pub(super) version: Option<u32>,
    pub(super) schema: Value,
}

/// The outcome of a line. An invalid line has a reason code and its invalid fields.
pub(super) type SchemaOutcome = RowOutcome<(&'static str, Vec<InvalidField>)>;

fn invalid(reason: &'static str, pointer: impl Into<JsonPointer>, detail: impl Into<String>) -> SchemaOutcome {
    RowOutcome::Invalid((reason, vec![InvalidField::new(pointer, detail)]))
}

pub(super) fn invalid_row(fault: RowFault, pointer: impl Into<JsonPointer>) -> SchemaOutcome {
    invalid(fault.code(), pointer, fault.to_string())
}

impl SchemaLine {
    /// Parses a line: `{"type", "version"?, "schema"}`. Fails with the outcome of an invalid line.
    pub(super) fn parse(line: &str) -> Result<Self, SchemaOutcome> {
        let value = parse_strict_json(line, limits::SCHEMA_BYTES)
            .map_err(|error| invalid("not_json", error.pointer, error.detail))?;
        let Value::Object(mut members) = value else { return Err(invalid_row(RowFault::NotJson, ENTIRE_LINE)) };
        let mut member = |name: &str| members.remove(name);
        let (event_type, version, schema) = (member("type"), member("version"), member("schema"));
        if let Some(name) = members.keys().next() {
            let detail = "unknown member; a line contains type, version and schema";
            return Err(invalid(RowFault::Member.code(), [name.as_str()], detail));
        }
        let event_type = match event_type {
            Some(Value::String(name)) => name,
            Some(_) => return Err(invalid_row(RowFault::Type, ["type"])),
            None => return Err(invalid_row(RowFault::Missing, ["type"])),
        };
        let event_type: CustomType =
            event_type.parse().map_err(|error| invalid("event_type", ["type"], format!("{error}")))?;
        let version = match version {
            None => None,
            Some(number) => match number.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Some(number),
                None => return Err(invalid_row(RowFault::Type, ["version"])),
            },
        };
        let schema = schema.ok_or_else(|| invalid_row(RowFault::Missing, ["schema"]))?;
        Ok(Self { event_type, version, schema })
    }

    /// Returns the outcome if the line repeats or contradicts an earlier version than the latest.
    pub(super) fn compare_with_earlier(&self, versions: &[EventSchema]) -> Option<SchemaOutcome> {
        let (_, earlier) = versions.split_last()?;
        let has_version = |earlier: &&EventSchema| self.version.is_none_or(|version| version == earlier.version);
        let mut candidates = earlier.iter().filter(has_version).peekable();
        candidates.peek()?;
        // One at a time, because a parsed schema takes many times its text.
        if candidates.any(|candidate| candidate.schema.parse().as_ref() == Ok(&self.schema)) {
            return Some(RowOutcome::Unchanged);
        }
        self.version.map(|version| {
            invalid(
                code(RegistrationFault::Version),
                ["version"],
                format!("version {version} is registered with a different schema; versions cannot be changed"),
            )
        })
    }
}

/// Returns the reason code of a fault in reports.
pub(super) const fn code(fault: RegistrationFault) -> &'static str {
    match fault {
        RegistrationFault::Schema => "schema",
        RegistrationFault::Incompatible => "incompatible",
        RegistrationFault::Version => "version",
        RegistrationFault::LimitReached => "full",
    }
}
