use std::cell::Cell;

use super::*;

const PATHS: [IngestPath; 3] = [IngestPath::PutRecords, IngestPath::PartnerHttp, IngestPath::VehicleHttp];

#[test]
fn runs_of_one_payload_get_the_same_uploads() {
    let workload = Workload { vehicles: 20, fleets: 2 };
    let usual = Knobs::default();
    // This run has a shorter warm-up.
    let quick = (IngestPath::PutRecords, Knobs { window_s: 10, ..usual });
    let runs: Vec<_> = PATHS.map(|path| (path, usual)).into_iter().chain([quick]).collect();
    let progress = Cell::new(0.0);
    let days = run_days(&workload, &runs, &|done| progress.set(done));
    assert!((progress.get() - 1.0).abs() < 1e-9, "{}", progress.get());
    let sent = |day: &Day| day.levels.iter().map(|level| level.sent_samples).collect::<Vec<f64>>();
    let delivered = |day: &Day| day.month().delivered.values().sum::<f64>();
    for (day, (path, _)) in days.iter().zip(&runs).take(PATHS.len()) {
        assert_eq!(sent(day), sent(&days[0]), "{}", path.name());
        assert!((delivered(day) - workload.samples()).abs() < workload.samples() * 0.01, "{}", path.name());
    }
    assert!(days.iter().all(|day| sent(day).into_iter().all(|samples| samples > 0.0)));
    // A subject makes the records of a partner longer, and compression those over HTTP shorter. After a shorter warm-up, other
    // uploads are measured.
    let json: Vec<f64> = days.iter().map(|day| day.month().sizes.json).collect();
    assert!(json[0] > 100.0 && json[..PATHS.len()].iter().all(|size| (size - json[0]).abs() < 1e-9), "{json:?}");
    assert!((json[PATHS.len()] / json[0] - 1.0).abs() < 0.01, "{json:?}");
}

#[test]
fn days_are_in_the_order_of_their_runs() {
    let workload = Workload { vehicles: 20, fleets: 2 };
    let knobs = |payload| Knobs { payload, ..Knobs::default() };
    let runs = [Payload::Json, Payload::Compact, Payload::Json].map(|payload| (IngestPath::PutRecords, knobs(payload)));
    let bytes: Vec<f64> = run_days(&workload, &runs, &|_| {}).iter().map(|day| day.month().sizes.record).collect();
    assert!(bytes[0] > 3.0 * bytes[1] && bytes[0].to_bits() == bytes[2].to_bits(), "{bytes:?}");
}
