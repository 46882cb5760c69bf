//! S3 adapters: the archive, the quarantine, files of bulk data, and the bytes of dead letters.

mod archive;
pub mod archive_lines;
mod archive_object;
mod archive_reader;
mod archived_batches;
mod archived_records;
mod bulk_files;
mod dead_letter_contents;
mod multipart_upload;
mod object_erasure;

pub use archive::{ObjectText, S3Archive, quarantine_objects, raw_object};
pub use archive_reader::{ArchiveSection, ArchivedObject, S3ArchiveReader};
pub use archived_batches::S3ArchivedBatches;
pub use archived_records::S3ArchivedRecords;
pub use bulk_files::{RESUME_PREFIX, S3Body, S3BulkFiles};
pub use dead_letter_contents::S3DeadLetterContents;
pub(crate) use object_erasure::ObjectErasure;
