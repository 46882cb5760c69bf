//! Imports files of event schemas: each line registers a version of the schema of an event type.
//!
//! Each version allows more than the one before, so the result hardly depends on the order of files: of two schemas, the
//! wider one is in force in the end, and the narrower one is either an earlier version or not registered.

mod schema_line;

use std::collections::BTreeSet;

use roadcast_codec::bulk_file::{FileFormat, LineFault, detect_format};
use roadcast_domain::Timestamp;
use roadcast_domain::event::CustomType;
use roadcast_domain::limits;
use roadcast_domain::schema::{EventSchema, incompatibilities};
use roadcast_domain::vehicle_mapping::RowFault;
use roadcast_ports::bulk::{BulkFile, ImportProgress};
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::schemas::Schemas;
use roadcast_ports::{PortError, PortErrorKind};

use super::progress::Progress;
use super::reader::{FileRefusal, LineReader};
use super::row_outcome::RowOutcome;
use super::run::{EndOfRun, ImportOutcome, ImportRun};
use crate::InvalidField;
use crate::catalogue::event_schemas::{RegistrationError, RegistrationFault, SchemaRegistration};
use schema_line::{ENTIRE_LINE, SchemaLine, SchemaOutcome, code, invalid_row};

/// The maximum length of a line: a schema may contain much white space.
const MAX_LINE_BYTES: usize = 4 * limits::SCHEMA_BYTES;
/// Lines between two checkpoints.
const LINES_PER_CHECKPOINT: u64 = 100;

/// Imports files of event schemas.
pub struct SchemaImport<Ports: PortSet> {
    /// The files.
    pub files: Ports::BulkFiles,
    /// The checkpoints of imports.
    pub progress: Ports::ImportProgress,
    /// Registers the schemas.
    pub registration: SchemaRegistration<Ports>,
}

/// The context of a run.
struct ImportContext {
    /// When the file was uploaded.
    uploaded_at: Option<Timestamp>,
    /// Types that lines of this run registered. A resumed run does not know them: an incompatible line may then count as
    /// superseded.
    registered: BTreeSet<CustomType>,
}

impl<Ports: PortSet> SchemaImport<Ports> {
    /// Imports a file from its checkpoint to its end or until `deadline`; then another run resumes the import. Another run
    /// also resumes it if a port fails after this run has processed lines; if it has processed none, the port's error is
    /// returned. After a thousand runs, the import ends, and its summary states the line.
    pub async fn import(&self, file: &BulkFile, deadline: Timestamp) -> Result<ImportOutcome, PortError> {
        let checkpoint = self.progress.checkpoint(file).await?.unwrap_or_default();
        if checkpoint.done {
            return Ok(ImportOutcome::AlreadyLoaded);
        }
        let run = ImportRun::<Ports> { files: &self.files, progress: &self.progress, clock: &self.registration.clock, file };
        let mut progress = Progress::resume(checkpoint, run.clock.now());
        let end = match self.import_lines(&run, &mut progress, deadline).await {
            Ok(end) => end,
            Err(error) if error.kind() == PortErrorKind::Conflict => return Ok(ImportOutcome::Replaced),
            Err(error) => EndOfRun::after(error, &progress)?,
        };
        match end.limited(&progress) {
            EndOfRun::FileEnd(refused) => {
                let summary = run.store_report(&mut progress, refused).await?;
                run.complete(progress, summary).await
            }
            EndOfRun::Interrupted => run.pause(progress).await,
        }
    }

    /// Imports lines until the end of the file or the deadline.
    async fn import_lines(
        &self,
        run: &ImportRun<'_, Ports>,
        progress: &mut Progress,
        deadline: Timestamp,
    ) -> Result<EndOfRun, PortError> {
        let Some((FileFormat::Ndjson, compression)) = detect_format(&run.file.key) else {
            return Ok(EndOfRun::FileEnd(Some(FileRefusal::NotNdjson)));
        };
        let opened = LineReader::open(run.files, run.file, compression, &progress.checkpoint, MAX_LINE_BYTES).await;
        let mut lines = match opened {
            Ok(lines) => lines,
            Err(error) => return Ok(EndOfRun::FileEnd(Some(error.into_refusal()?))),
        };
        let mut context = ImportContext { uploaded_at: run.file.version.uploaded_at(), registered: BTreeSet::new() };
        loop {
            let text = match lines.next().await {
                Ok(Some(line)) => line.text,
                Ok(None) => return Ok(EndOfRun::FileEnd(None)),
                Err(error) => return Ok(EndOfRun::FileEnd(Some(error.into_refusal()?))),
            };
            if !text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                let outcome = self.import_line(text, &mut context).await?;
                if let Some((reason, fields)) = progress.count(&outcome) {
                    for InvalidField { pointer, detail } in fields {
                        progress.record_fault(lines.line, pointer.as_str(), reason, detail);
                    }
                }
            }
            (progress.checkpoint.line, progress.checkpoint.offset) = (lines.line, lines.offset);
            if run.clock.now() >= deadline {
                return Ok(EndOfRun::Interrupted);
            }
            if lines.line.is_multiple_of(LINES_PER_CHECKPOINT) {
                run.save(progress).await?;
            }
        }
    }

    /// Registers the schema of a line, and returns the outcome.
    async fn import_line(
        &self,
        text: Result<String, LineFault>,
        context: &mut ImportContext,
    ) -> Result<SchemaOutcome, PortError> {
        let line = match text {
            Ok(text) => SchemaLine::parse(&text),
            Err(fault) => Err(invalid_row(fault.row_fault(), ENTIRE_LINE)),
        };
        let line = match line {
            Ok(line) => line,
            Err(outcome) => return Ok(outcome),
        };
        let versions = self.registration.schemas.versions(&line.event_type).await?;
        if let Some(outcome) = line.compare_with_earlier(&versions) {
            return Ok(outcome);
        }
        match self.registration.register_version(&line.event_type, &line.schema, line.version).await {
            Ok(registered) if registered.is_new => {
                context.registered.insert(line.event_type);
                Ok(RowOutcome::Loaded)
            }
            Ok(_) => Ok(RowOutcome::Unchanged),
            Err(RegistrationError::Refused(RegistrationFault::Incompatible, _))
                if context.is_superseded(&line, versions.last()) =>
            {
                Ok(RowOutcome::Superseded)
            }
            Err(RegistrationError::Refused(fault, fields)) => Ok(RowOutcome::Invalid((code(fault), fields))),
            Err(RegistrationError::Port(error)) if error.kind() == PortErrorKind::Rejected => {
                tracing::warn!(error = %error, "a store rejected a schema: {error}");
                Ok(invalid_row(RowFault::Unstorable, ENTIRE_LINE))
            }
            Err(RegistrationError::Port(error)) if error.kind() != PortErrorKind::Conflict => Err(error),
            // Not returned as a conflict, which would mean that the file was replaced.
            Err(RegistrationError::Port(_) | RegistrationError::ConcurrentRegistrations) => {
                Err(PortError::new(PortErrorKind::Unavailable, "register a schema concurrently with other registrations"))
            }
        }
    }
}

impl ImportContext {
    /// Whether an incompatible line is superseded: a wider schema was registered after its file was uploaded, but not by a
    /// line of the same file.
    fn is_superseded(&self, line: &SchemaLine, latest: Option<&EventSchema>) -> bool {
        let Some(latest) = latest.filter(|_| !self.registered.contains(&line.event_type)) else { return false };
        self.uploaded_at.is_some_and(|uploaded_at| uploaded_at < latest.registered_at)
            && latest.schema.parse().is_ok_and(|latest| incompatibilities(&line.schema, &latest).is_empty())
    }
}

#[cfg(test)]
mod tests;
