//! Size limits of events, samples, uploads, schemas and packages.

/// Maximum bytes of one upload about one vehicle. It becomes one stream record, which may have 1 MiB including its key
/// and, as the functions receive it, base64 encoding.
pub const UPLOAD_BYTES: usize = 768 * 1024;

/// Maximum bytes of a stream record after decompression: several times the largest upload. Protects against decompression
/// bombs.
pub const UNPACKED_RECORD_BYTES: usize = 4 * 1024 * 1024;

/// Maximum bytes of the block of one event after decoding: 500 samples of 130 signals. Each value counts as 16 bytes,
/// plus the bytes of texts. A stationary vehicle encodes that many samples in a few hundred bytes, so the size of a block
/// does not show how much it decodes to.
pub const UNPACKED_BLOCK_BYTES: usize = 1024 * 1024;

/// Maximum bytes of all blocks of one stream record after decoding: 1,000 events of 60 samples of 30 signals.
pub const UNPACKED_BLOCKS_BYTES: usize = 32 * 1024 * 1024;

/// Maximum samples of one event.
pub const SAMPLES_PER_EVENT: usize = 500;

/// Maximum time between the first and the last sample of one event, in milliseconds.
pub const EVENT_SPAN_MS: i64 = 5 * 60 * 1000;

/// Maximum distinct signal paths outside the catalogue in one event.
pub const UNKNOWN_SIGNALS_PER_EVENT: usize = 64;

/// Maximum time of a sample after the received time, in milliseconds. Allows for clock drift.
pub const CLOCK_AHEAD_MS: i64 = 5 * 60 * 1000;

/// Earliest valid time of a sample: 2000-01-01T00:00:00Z. Devices without a position fix count from 1970 or 1980.
pub const EARLIEST_MS: i64 = 946_684_800_000;

/// Maximum bytes of a CloudEvents `id`, `source` or `subject`.
pub const ATTRIBUTE_BYTES: usize = 512;

/// Maximum bytes of the name of a CloudEvents extension attribute. CloudEvents recommends 20.
pub const ATTRIBUTE_NAME_BYTES: usize = 64;

/// Maximum trouble codes of one diagnostic event.
pub const CODES_PER_EVENT: usize = 256;

/// Maximum events of one upload, and of one stream record.
pub const EVENTS_PER_UPLOAD: usize = 1000;

/// Maximum vehicles of one subscription.
pub const VEHICLES_PER_SUBSCRIPTION: usize = 1000;

/// Maximum packages of one subscription: the number of all possible packages. Each grant of a vehicle contains them.
pub const PACKAGES_PER_SUBSCRIPTION: usize = CUSTOM_PACKAGES + BUILT_IN_PACKAGES;

/// Maximum bytes of a custom event's data.
pub const CUSTOM_DATA_BYTES: usize = 64 * 1024;

/// Maximum JSON values in a custom event's data: each list and object counts, and so does each value in it. All of them are
/// checked, so together with [`SCHEMA_CHECKS`] this limits the work that the sender of an event can cause.
pub const CUSTOM_DATA_VALUES: usize = 10_000;

/// Maximum number of custom event types. Every function that validates events holds all of them in memory.
pub const CUSTOM_TYPES: usize = 100;

/// Maximum bytes of a schema, without whitespace.
pub const SCHEMA_BYTES: usize = 64 * 1024;

/// Maximum nesting depth of a schema, including referenced schemas.
pub const SCHEMA_DEPTH: usize = 32;

/// Maximum number of checks of one value by a schema. Each schema that applies to the value counts as one check, a
/// pattern as eight, and 16 values of an `enum` as one.
pub const SCHEMA_CHECKS: usize = 32;

/// Maximum number of patterns in a schema.
pub const SCHEMA_PATTERNS: usize = 32;

/// Maximum bytes of a pattern in its source form.
pub const SCHEMA_PATTERN_BYTES: usize = 256;

/// Maximum bytes of a pattern in its compiled form: `(a{99}){99}` is short only in its source form.
pub const SCHEMA_PATTERN_COMPILED_BYTES: usize = 64 * 1024;

/// Maximum number of schema versions of one event type. They are listed and compared together.
pub const SCHEMA_VERSIONS: u32 = 100;

/// Maximum number of custom packages. Every function that redacts events holds all of them in memory.
pub const CUSTOM_PACKAGES: usize = 100;

/// Number of built-in packages.
pub const BUILT_IN_PACKAGES: usize = 6;

/// Maximum bytes of a package name.
pub const PACKAGE_NAME_BYTES: usize = 64;

/// Maximum signal patterns of one package. Each is compared with each signal of an event.
pub const PACKAGE_SIGNALS: usize = 200;

/// Maximum event types of one package: the number of all possible types.
pub const PACKAGE_EVENT_TYPES: usize = CUSTOM_TYPES + 2;

/// Retention of unread messages in a fleet's feed, in seconds in total. A fleet that is offline for a long weekend loses
/// nothing. Older events remain in the event log.
pub const FEED_RETENTION_S: i64 = 4 * 24 * 60 * 60;
