//! S3 adapters: the archive, the quarantine, and files of bulk data.

mod archive;
pub mod archive_lines;
mod archive_reader;
mod bulk_files;
mod multipart_upload;

pub use archive::{ObjectText, S3Archive, quarantine_objects, raw_object};
pub use archive_reader::{ArchiveSection, ArchivedObject, S3ArchiveReader};
pub use bulk_files::{RESUME_PREFIX, S3Body, S3BulkFiles};
