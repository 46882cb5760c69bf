//! Reference designs for comparison.
//!
//! Their quantities are known, so they are counted and not run. The first one validates the meter: its monthly bill was
//! calculated independently, item by item, and the meter gives the same result.

use crate::meter::{Item, Meter, Usage, rules};

use crate::workload::{DAYS, HOURS, SAMPLE_BYTES, SAMPLES_PER_UPLOAD, Workload};
use crate::{Bill, GIB};

/// Lambda usage of the naive design in GB-seconds per request, derived from its published bill.
const GB_SECONDS_PER_REQUEST: f64 = 0.233;
/// Bytes logged per request of the naive design.
const LOG_BYTES: f64 = 300.0;
/// The published monthly cost in dollars of create and read, for 10,000 vehicles at the prices of 2016.
pub const PUBLISHED: f64 = 1048.05;

/// Returns the monthly usage of REST with one item per sample, create and read only. The uploads of ten vehicles in a day
/// are counted one by one and scaled to the workload.
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
    usage.add_scaled(&meter.usage(), workload.uploads() / f64::from(UPLOADS));
    usage
}

/// Returns the usage of the naive design with each sample also delivered to a fleet, over two buses and its queue.
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
    // Two buses, one event per sample.
    add(Item::BusChunk, 2.0 * samples * rules::chunks(SAMPLE_BYTES));
    // One invocation of enrichment per event: 50 ms at 128 MB.
    add(Item::LambdaRequest, samples);
    add(Item::LambdaGbSecond, samples * 0.05 * 0.125);
    // Sent one by one; received and deleted in batches of ten.
    add(Item::SqsRequest, samples * 1.2);
    usage
}

/// Returns the published bill of the proof of concept, scaled to the number of vehicles.
pub fn published(workload: &Workload) -> Bill {
    Bill::single_line("create and read, prices of 2016", PUBLISHED * f64::from(workload.vehicles) / 10_000.0)
}

/// Number of uploads that are metered: those of ten vehicles in a day.
const UPLOADS: u32 = 10 * 40 * 60 / SAMPLES_PER_UPLOAD as u32;
const _: () = assert!(DAYS > 0.0);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Prices;

    fn check(usage: fn(&Workload) -> Usage, vehicles: u32, dollars: f64, tolerance: f64) {
        let bill = Bill::of(&Prices::bundled().unwrap(), &usage(&Workload { vehicles, fleets: 10 }), &Usage::default());
        assert!(
            (bill.total() / dollars - 1.0).abs() < tolerance,
            "{vehicles} vehicles: {} instead of {dollars}",
            bill.total()
        );
    }

    #[test]
    fn metered_bill_equals_the_calculated_bill_of_the_naive_design() {
        check(naive, 10_000, 1094.38, 0.001);
        check(naive, 1_000, 97.0, 0.01);
        check(naive, 100_000, 10_813.0, 0.01);
        check(naive, 1_000_000, 103_573.0, 0.01);
    }

    #[test]
    fn delivery_triples_the_bill_of_the_naive_design() {
        check(naive_with_delivery, 10_000, 3484.0, 0.01);
    }
}
