//! What one event, sample or upload may hold.

/// Bytes of one upload about one vehicle: it becomes one stream record, which may hold 1 MiB with its key and, as the
/// functions see it, base64.
pub const UPLOAD_BYTES: usize = 768 * 1024;

/// Bytes that a compressed record of the stream may unpack to: several times what any upload holds, and no more, whatever
/// its few bytes claim.
pub const UNPACKED_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that the block of one event may unpack to, each value counted as 16 and texts besides: 500 samples of 130 signals. A
/// vehicle that stands still says that in some hundred bytes, so what a block holds cannot be told from its size.
pub const UNPACKED_BLOCK_BYTES: usize = 1024 * 1024;

/// The same of all blocks of one record of the stream: 1,000 events of 60 samples of 30 signals.
pub const UNPACKED_BLOCKS_BYTES: usize = 32 * 1024 * 1024;

/// Samples of one event.
pub const SAMPLES_PER_EVENT: usize = 500;

/// How far apart the samples of one event may lie, in milliseconds.
pub const EVENT_SPAN_MS: i64 = 5 * 60 * 1000;

/// Signals of one event whose paths the catalogue does not know (counted as distinct paths).
pub const UNKNOWN_SIGNALS_PER_EVENT: usize = 64;

/// How far ahead of the received time a sample may be, in milliseconds: clocks drift that much.
pub const CLOCK_AHEAD_MS: i64 = 5 * 60 * 1000;

/// The earliest time a sample may carry: 2000-01-01T00:00:00Z. Devices without a fix count from 1970 or 1980.
pub const EARLIEST_MS: i64 = 946_684_800_000;

/// Bytes of a CloudEvents `id`, `source` or `subject`.
pub const ATTRIBUTE_BYTES: usize = 512;

/// Trouble codes of one diagnostic event.
pub const CODES_PER_EVENT: usize = 256;

/// Events of one upload, and of one record of the stream.
pub const EVENTS_PER_UPLOAD: usize = 1000;

/// Vehicles of one subscription.
pub const VEHICLES_PER_SUBSCRIPTION: usize = 1000;

/// Bytes of a custom event's data.
pub const CUSTOM_DATA_BYTES: usize = 64 * 1024;

/// Values of a custom event's data, lists and objects counted with what is in them. Each is checked, so with
/// [`SCHEMA_CHECKS`] this bounds what the sender of an event can make us do.
pub const CUSTOM_DATA_VALUES: usize = 10_000;

/// Custom event types. Every function that judges events keeps them all in memory.
pub const CUSTOM_TYPES: usize = 100;

/// Bytes of a schema, without blanks.
pub const SCHEMA_BYTES: usize = 64 * 1024;

/// Schemas within one another, what is referred to included.
pub const SCHEMA_DEPTH: usize = 32;

/// Checks that a schema may ask for of one value: each schema that is about it counts, a pattern for eight, 16 values of an
/// enumeration for one.
pub const SCHEMA_CHECKS: usize = 32;

/// Patterns of a schema.
pub const SCHEMA_PATTERNS: usize = 32;

/// Bytes of a pattern as it is written.
pub const SCHEMA_PATTERN_BYTES: usize = 256;

/// Bytes of a pattern as it is compiled: `(a{99}){99}` is short only as it is written.
pub const SCHEMA_PATTERN_COMPILED_BYTES: usize = 64 * 1024;

/// Versions of one type's schema: they are listed and compared all at once.
pub const SCHEMA_VERSIONS: u32 = 100;

/// Packages that admins made. Every function that cuts events keeps them all in memory.
pub const CUSTOM_PACKAGES: usize = 100;

/// Bytes of a package's name.
pub const PACKAGE_NAME_BYTES: usize = 64;

/// Signals and branches of one package. Each is compared with each signal of an event.
pub const PACKAGE_SIGNALS: usize = 200;

/// Event types of one package: every one that there can be.
pub const PACKAGE_EVENT_TYPES: usize = CUSTOM_TYPES + 2;

/// Seconds for which a fleet's feed keeps what nobody takes, in all. A fleet that is away for a long weekend loses nothing; the
/// event log has the rest.
pub const FEED_RETENTION_S: i64 = 4 * 24 * 60 * 60;
