//! Loading files of schemas: each line registers a version of an event type's schema.
//!
//! Schemas only ever widen, so the order of files matters less than it seems: of two schemas, the wider one is in force in the
//! end, whichever came first, and the narrower one is either an earlier version or was never registered.

use std::collections::BTreeSet;

use roadcast_codec::bulk_file::{Form, LineFault, form_of};
use roadcast_domain::Timestamp;
use roadcast_domain::event::CustomType;
use roadcast_domain::limits;
use roadcast_domain::schema::{EventSchema, incompatibilities, pointer_to, read_strictly};
use roadcast_domain::vehicle_mapping::RowFault;
use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress};
use roadcast_ports::clock::Clock;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::Value;

use super::progress::{self, Progress};
use super::reader::{FileRefusal, LineReader};
use super::run::{EndOfRun, ImportOutcome, ImportRun};
use crate::InvalidField;
use crate::catalogue::event_schemas::{RegistrationError, RegistrationFault, SchemaRegistration};

/// The longest line: a schema may be written with many blanks.
const LONGEST_LINE_BYTES: usize = 4 * limits::SCHEMA_BYTES;
/// Lines after which it is kept how far the file is loaded.
const LINES_PER_CHECKPOINT: u64 = 100;
/// A fault of a whole line.
const WHOLE: &str = "";

/// Loads files of schemas.
pub struct SchemaImport<B, L, S, K> {
    /// The files.
    pub files: B,
    /// How far they are loaded.
    pub loads: L,
    /// Keeps the schemas.
    pub register: SchemaRegistration<S, K>,
}

/// A line that can be registered.
struct SchemaLine {
    event_type: CustomType,
    version: Option<u32>,
    schema: Value,
}

/// What became of a line: where it is wrong, for which reason, and at which places.
type RowOutcome = progress::RowOutcome<(&'static str, Vec<InvalidField>)>;

impl RowOutcome {
    fn wrong(reason: &'static str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidField((reason, vec![InvalidField::new(pointer, detail)]))
    }

    fn row(fault: RowFault, pointer: impl Into<String>) -> Self {
        Self::wrong(fault.code(), pointer, fault.to_string())
    }
}

/// What a run knows beside how far it is.
struct ImportContext {
    /// When the bucket took the file.
    taken_at: Option<Timestamp>,
    /// Types that lines of this run registered. A run that goes on forgets them: what is wrong may then count as superseded.
    registered: BTreeSet<CustomType>,
}

impl<B: BulkFiles, L: ImportProgress, S: Schemas, K: Clock> SchemaImport<B, L, S, K> {
    /// Loads a file from where it was left, to its end or until that time; then it comes again. So it does where something fails
    /// after some of it was loaded; where nothing could be loaded, the failure is answered.
    pub async fn file(&self, file: &BulkFile, until: Timestamp) -> Result<ImportOutcome, PortError> {
        let checkpoint = self.loads.checkpoint(file).await?.unwrap_or_default();
        if checkpoint.done {
            return Ok(ImportOutcome::Known);
        }
        let run = ImportRun { files: &self.files, loads: &self.loads, clock: &self.register.clock, file };
        let mut progress = Progress::after(checkpoint, run.clock.now());
        match self.lines(&run, &mut progress, until).await {
            Ok(EndOfRun::OfFile(refused)) => {
                let summary = run.report(&mut progress, refused).await?;
                run.done(progress, summary).await
            }
            Ok(EndOfRun::OfTime) => run.pause(progress).await,
            Err(error) if error.kind() == PortErrorKind::Conflict => Ok(ImportOutcome::Replaced),
            Err(error) if progress.has_moved() => {
                tracing::warn!(error = %error, "the file goes on later: {error}");
                run.pause(progress).await
            }
            Err(error) => Err(error),
        }
    }

    async fn lines(
        &self,
        run: &ImportRun<'_, B, L, K>,
        progress: &mut Progress,
        until: Timestamp,
    ) -> Result<EndOfRun, PortError> {
        let Some((Form::Ndjson, packing)) = form_of(&run.file.key) else {
            return Ok(EndOfRun::OfFile(Some(FileRefusal::NotNdjson)));
        };
        let opened = LineReader::open(run.files, run.file, packing, &progress.checkpoint, LONGEST_LINE_BYTES).await?;
        let mut lines = match opened {
            Ok(lines) => lines,
            Err(refused) => return Ok(EndOfRun::OfFile(Some(refused))),
        };
        let mut known = ImportContext { taken_at: run.file.version.taken_at(), registered: BTreeSet::new() };
        loop {
            let text = match lines.next().await? {
                Ok(Some(line)) => line.text,
                Ok(None) => return Ok(EndOfRun::OfFile(None)),
                Err(refused) => return Ok(EndOfRun::OfFile(Some(refused))),
            };
            if !text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                let outcome = self.line(text, &mut known).await?;
                if let Some((reason, wrong)) = progress.count(&outcome) {
                    for InvalidField { pointer, detail } in wrong {
                        progress.record_outcome(lines.line, pointer, reason, detail);
                    }
                }
            }
            (progress.checkpoint.line, progress.checkpoint.offset) = (lines.line, lines.offset);
            if run.clock.now() >= until {
                return Ok(EndOfRun::OfTime);
            }
            if lines.line.is_multiple_of(LINES_PER_CHECKPOINT) {
                run.keep(progress).await?;
            }
        }
    }

    async fn line(&self, text: Result<String, LineFault>, known: &mut ImportContext) -> Result<RowOutcome, PortError> {
        let said = match text {
            Ok(text) => SchemaLine::read(&text),
            Err(LineFault::TooLong) => Err(RowOutcome::row(RowFault::TooLong, WHOLE)),
            Err(LineFault::NotUtf8) => Err(RowOutcome::row(RowFault::NotUtf8, WHOLE)),
        };
        let said = match said {
            Ok(said) => said,
            Err(wrong) => return Ok(wrong),
        };
        let versions = self.register.schemas.versions(&said.event_type).await?;
        if let Some(outcome) = said.against_earlier(&versions) {
            return Ok(outcome);
        }
        match self.register.keep(&said.event_type, &said.schema, said.version).await {
            Ok(kept) if kept.is_new => {
                known.registered.insert(said.event_type);
                Ok(RowOutcome::Loaded)
            }
            Ok(_) => Ok(RowOutcome::Unchanged),
            Err(RegistrationError::InvalidField(RegistrationFault::Incompatible, _))
                if known.is_superseded(&said, versions.last()) =>
            {
                Ok(RowOutcome::Superseded)
            }
            Err(RegistrationError::InvalidField(fault, wrong)) => Ok(RowOutcome::InvalidField((code(fault), wrong))),
            Err(RegistrationError::Port(error)) if error.kind() == PortErrorKind::Rejected => {
                tracing::warn!(error = %error, "a schema is refused: {error}");
                Ok(RowOutcome::row(RowFault::Unstorable, WHOLE))
            }
            Err(RegistrationError::Port(error)) if error.kind() != PortErrorKind::Conflict => Err(error),
            // A conflict would be taken for a file that was replaced.
            Err(RegistrationError::Port(_) | RegistrationError::Busy) => {
                Err(PortError::new(PortErrorKind::Unavailable, "registering a schema that others register too"))
            }
        }
    }
}

impl SchemaLine {
    /// What a line says: `{"type", "version"?, "schema"}`.
    fn read(line: &str) -> Result<Self, RowOutcome> {
        let most = limits::SCHEMA_BYTES;
        let value = read_strictly(line, most).map_err(|error| RowOutcome::wrong("not_json", WHOLE, error.to_string()))?;
        let Value::Object(mut members) = value else { return Err(RowOutcome::row(RowFault::NotJson, WHOLE)) };
        let mut take = |name: &str| members.remove(name);
        let (event_type, version, schema) = (take("type"), take("version"), take("schema"));
        if let Some(name) = members.keys().next() {
            let detail = "a line has type, version and schema, and no other member";
            return Err(RowOutcome::wrong(RowFault::Member.code(), pointer_to(WHOLE, name), detail));
        }
        let event_type = match event_type {
            Some(Value::String(name)) => name,
            Some(_) => return Err(RowOutcome::row(RowFault::Type, "/type")),
            None => return Err(RowOutcome::row(RowFault::Missing, "/type")),
        };
        let event_type: CustomType =
            event_type.parse().map_err(|error| RowOutcome::wrong("event_type", "/type", format!("{error}")))?;
        let version = match version {
            None => None,
            Some(number) => match number.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Some(number),
                None => return Err(RowOutcome::row(RowFault::Type, "/version")),
            },
        };
        let schema = schema.ok_or_else(|| RowOutcome::row(RowFault::Missing, "/schema"))?;
        Ok(Self { event_type, version, schema })
    }

    /// What becomes of it where it is an earlier version, or says that it is one.
    fn against_earlier(&self, versions: &[EventSchema]) -> Option<RowOutcome> {
        let (_, earlier) = versions.split_last()?;
        let is_this = |kept: &&EventSchema| self.version.is_none_or(|version| version == kept.version);
        let mut candidates = earlier.iter().filter(is_this).peekable();
        candidates.peek()?;
        if candidates.any(|kept| kept.schema == self.schema) {
            return Some(RowOutcome::Unchanged);
        }
        self.version.map(|version| {
            RowOutcome::wrong(
                code(RegistrationFault::Version),
                "/version",
                format!("version {version} is another schema, and stays so"),
            )
        })
    }
}

impl ImportContext {
    /// Whether a schema that cannot be the next version comes late: after it was said, a wider one was registered. A line of the
    /// same file is no reason to pass it over.
    fn is_superseded(&self, said: &SchemaLine, latest: Option<&EventSchema>) -> bool {
        let Some(latest) = latest.filter(|_| !self.registered.contains(&said.event_type)) else { return false };
        self.taken_at.is_some_and(|taken_at| taken_at < latest.registered_at)
            && incompatibilities(&said.schema, &latest.schema).is_empty()
    }
}

const fn code(fault: RegistrationFault) -> &'static str {
    match fault {
        RegistrationFault::Schema => "schema",
        RegistrationFault::Incompatible => "incompatible",
        RegistrationFault::Version => "version",
        RegistrationFault::Full => "full",
    }
}

#[cfg(test)]
mod tests;
