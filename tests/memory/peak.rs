//! Peak memory of a function for one input.

use std::future::Future;

/// One mebibyte.
pub(crate) const MIB: usize = 1024 * 1024;

/// Runs the work of a function on one input, and returns its output and the bytes of its allocations at their peak. What was
/// allocated before does not count: the stores in memory, and what their caches hold.
pub(crate) fn peak<Output>(work: impl Future<Output = Output>) -> (Output, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut output = None;
    let measured = allocation_counter::measure(|| output = Some(runtime.block_on(work)));
    (output.unwrap(), usize::try_from(measured.bytes_max).unwrap())
}

/// Runs the work and fails if its peak exceeds `bound` bytes. Prints the peak, which is the figure of `docs/reliability.md`.
pub(crate) fn assert_peak<Output>(input: &str, bound: usize, work: impl Future<Output = Output>) -> Output {
    let (output, bytes) = peak(work);
    println!("{input}: {:.1} of {} MiB", bytes as f64 / MIB as f64, bound / MIB);
    assert!(bytes <= bound, "{input}: {bytes} of {bound} bytes");
    output
}
