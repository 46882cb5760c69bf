//! The designs to compare with.
//!
//! Their quantities are known, so they are counted and not run. That the meter counts right is shown by the first of them:
//! a month of it was worked out by others, item by item, and the meter comes to the same.

use crate::meter::{Item, Meter, Usage, rules};

use crate::workload::{DAYS, HOURS, SAMPLE_BYTES, SAMPLES_PER_UPLOAD, Workload};
use crate::{Bill, GIB};

/// Lambda of the naive design, in GB-seconds a request: what its published bill comes to.
const GB_SECONDS_PER_REQUEST: f64 = 0.233;
/// Bytes that a request of it logs.
const LOG_BYTES: f64 = 300.0;
/// The published sum for create and read, at 10,000 vehicles and the prices of 2016.
pub const PUBLISHED: f64 = 1048.05;

/// REST and an item per sample, create and read only. A tenth of a per cent of a day is put through the meter, upload by
/// upload, and taken that many times.
pub fn naive(workload: &Workload) -> Usage {
    let meter = Meter::new();
    for _ in 0..UPLOADS {
        meter.count(Item::RestRequest, 1.0);
        meter.count(Item::LambdaRequest, 1.0);
        meter.count(Item::LambdaGbSecondX86, GB_SECONDS_PER_REQUEST);
        meter.count(Item::LogGb, LOG_BYTES / GIB);
        for _ in 0..SAMPLES_PER_UPLOAD {
            meter.count(Item::DynamodbWriteUnit, rules::write_units(SAMPLE_BYTES));
            let bytes = SAMPLE_BYTES as f64 + rules::STORED_OVERHEAD_BYTES;
            meter.count(Item::DynamodbStorage, bytes / GIB);
        }
    }
    let mut usage = Usage::default();
    usage.add_times(&meter.usage(), workload.uploads() / f64::from(UPLOADS));
    usage
}

/// The same, and each sample delivered to a fleet over two buses and its queue.
pub fn naive_with_delivery(workload: &Workload) -> Usage {
    let (samples, uploads) = (workload.samples(), workload.uploads());
    let upload_bytes = SAMPLE_BYTES * SAMPLES_PER_UPLOAD;
    let mut usage = naive(workload);
    let mut add = |item, quantity| usage.add(item, None, quantity);
    add(Item::KinesisPutUnit, uploads * rules::put_units(upload_bytes));
    let uploads_per_s = workload.peak() / SAMPLES_PER_UPLOAD as f64;
    add(Item::KinesisShardHour, rules::shards(uploads_per_s * upload_bytes as f64, uploads_per_s) * HOURS);
    add(Item::S3Put, uploads);
    add(Item::S3Storage, uploads * upload_bytes as f64 / GIB);
    // Two hops, an event a sample.
    add(Item::BusChunk, 2.0 * samples * rules::chunks(SAMPLE_BYTES));
    // Enrichment once an event: 50 ms of 128 MB.
    add(Item::LambdaRequest, samples);
    add(Item::LambdaGbSecond, samples * 0.05 * 0.125);
    // Sent one by one; received and deleted by tens.
    add(Item::SqsRequest, samples * 1.2);
    usage
}

/// What the proof of concept published, for as many vehicles.
pub fn published(workload: &Workload) -> Bill {
    Bill::of_sum("create and read, prices of 2016", PUBLISHED * f64::from(workload.vehicles) / 10_000.0)
}

/// Uploads that are put through the meter: those of ten vehicles in a day, as many as there are.
const UPLOADS: u32 = 10 * 40 * 60 / SAMPLES_PER_UPLOAD as u32;
const _: () = assert!(DAYS > 0.0);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Prices;

    fn check(usage: fn(&Workload) -> Usage, vehicles: u32, dollars: f64, tolerance: f64) {
        let bill = Bill::of(&Prices::ours().unwrap(), &usage(&Workload { vehicles, fleets: 10 }), &Usage::default());
        assert!((bill.total() / dollars - 1.0).abs() < tolerance, "{vehicles} vehicles: {}, not {dollars}", bill.total());
    }

    #[test]
    fn the_meter_comes_to_the_worked_out_bill_of_the_naive_design() {
        check(naive, 10_000, 1094.38, 0.001);
        check(naive, 1_000, 97.0, 0.01);
        check(naive, 100_000, 10_813.0, 0.01);
        check(naive, 1_000_000, 103_573.0, 0.01);
    }

    #[test]
    fn with_delivery_it_comes_to_three_times_as_much() {
        check(naive_with_delivery, 10_000, 3484.0, 0.01);
    }
}
