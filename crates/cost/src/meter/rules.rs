//! The billing rules of AWS, each with the page that defines it.

/// Returns the write units of an item ("Amazon DynamoDB pricing for on-demand capacity": 1 KB each, rounded up).
pub fn write_units(item_bytes: usize) -> f64 {
    units(item_bytes, 1024)
}

/// Returns the read units of a strongly consistent read or query, for all items together (the same page: 4 KB each).
pub fn read_units(bytes: usize) -> f64 {
    units(bytes, 4096)
}

/// Returns the PUT payload units of a record ("Amazon Kinesis Data Streams pricing": 25 KB each).
pub fn put_units(record_bytes: usize) -> f64 {
    units(record_bytes, 25 * 1024)
}

/// Returns the billed chunks of a bus entry ("Amazon EventBridge pricing") or queue request ("Amazon SQS pricing"): 64 KB
/// each.
pub fn chunks(bytes: usize) -> f64 {
    units(bytes, 64 * 1024)
}

/// Returns the billing increments of a message for `IoT` rules and actions ("AWS `IoT` Core pricing": 5 KB each).
pub fn iot_steps(message_bytes: usize) -> f64 {
    units(message_bytes, 5 * 1024)
}

/// Returns the shards that a peak needs ("Quotas and limits", Kinesis developer guide: 1 MiB and 1,000 records written per
/// second).
pub fn shards(bytes_per_s: f64, records_per_s: f64) -> f64 {
    (bytes_per_s / (1024.0 * 1024.0)).max(records_per_s / 1000.0).ceil().max(1.0)
}

/// Returns the billed duration of an invocation in seconds ("AWS Lambda pricing": rounded up to a millisecond).
pub fn billed_seconds(seconds: f64) -> f64 {
    ((seconds * 1000.0).ceil() / 1000.0).max(0.001)
}

/// Bytes of storage overhead per item ("Amazon DynamoDB pricing", data storage).
pub const STORED_OVERHEAD_BYTES: f64 = 100.0;

#[allow(clippy::cast_precision_loss)] // sizes are far below 2^53
fn units(bytes: usize, unit: usize) -> f64 {
    bytes.max(1).div_ceil(unit) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // exact integers
    fn partial_units_are_rounded_up() {
        assert_eq!([0, 1, 1024, 1025].map(write_units), [1.0, 1.0, 1.0, 2.0]);
        assert_eq!([4096, 4097].map(read_units), [1.0, 2.0]);
        assert_eq!([65_536, 65_537].map(chunks), [1.0, 2.0]);
        assert_eq!([shards(10.0, 10.0), shards(1.1e6, 10.0), shards(10.0, 1001.0)], [1.0, 2.0, 2.0]);
        assert_eq!([billed_seconds(0.0), billed_seconds(0.0101)], [0.001, 0.011]);
    }
}
