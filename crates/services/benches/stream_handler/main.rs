//! The whole stream handler, from the event of the event source mapping to the writes of state and log, in CPU time.
//!
//! A batch has 500 records: 100 vehicles, each with five uploads of ten samples of twelve signals. The archive and the quarantine
//! keep nothing; state and segmented log are in memory. So the measure contains neither the compression of the archive nor the
//! SDK.
//!
//! Without other arguments, prints the speed of each form without a subscription. `benches/run` uses the others:
//!
//! - names of forms (`json`, `zstd`, `blocks`): only these; `batches=N`
//! - `report`: prints a line for each measure: its name, a tab, and samples per second
//! - `inputs=FOLDER`: writes the batches, and does not measure
//! - `count=FORM`: processes one batch of this form after the warm-up, for `benches/instructions`

#![allow(clippy::expect_used, clippy::cast_possible_wrap, clippy::cast_precision_loss, missing_docs)]

mod delivery;
mod handler;
mod idiom;
mod inputs;
mod measure;
mod workload;

use std::path::Path;
use std::time::Duration;

use delivery::measure_delivery;
use handler::Handler;
use idiom::Idiom;
use inputs::Digest;
use measure::cpu_time;
use roadcast_domain::event::Body;
use roadcast_domain::subscription::DeliveryFormat;
use tokio::runtime::Runtime;
use workload::{Form, SAMPLES_PER_BATCH, batch};

/// That of the function. `.cargo/config.toml` has the setting that the template has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Batches before the measured ones: the first fills caches and states.
const WARM_UP: usize = 2;
/// The batches of two state buckets of five minutes: in each, every state is merged once.
const BATCHES: usize = 12;

/// The CPU time of each measured batch, and its bytes.
struct HandlerTimes {
    times: Vec<Duration>,
    received_bytes: usize,
    stored_bytes: f64,
}

fn measure_handler(runtime: &Runtime, form: Form, subscription: Option<DeliveryFormat>, batches: usize) -> HandlerTimes {
    let handler = runtime.block_on(Handler::new(subscription));
    let mut measured = HandlerTimes { times: Vec::with_capacity(batches), received_bytes: 0, stored_bytes: 0.0 };
    // Before the handler runs: the memory that the generation of a batch uses and frees would make the handler slower.
    let payloads: Vec<Vec<u8>> = (0..WARM_UP + batches).map(|n| batch(form, n)).collect();
    for (n, payload) in payloads.iter().enumerate() {
        handler.next_batch();
        let before = cpu_time();
        let stored = runtime.block_on(handler.handle(payload));
        let elapsed = cpu_time().saturating_sub(before);
        assert_eq!(stored, SAMPLES_PER_BATCH, "every sample is stored");
        let published = handler.memory.take_published();
        assert_eq!(published.is_empty(), subscription.is_none(), "only events with a subscription are published");
        if n >= WARM_UP {
            measured.times.push(elapsed);
            measured.received_bytes += payload.len();
        }
    }
    let stored: usize = handler.items.all().iter().map(roadcast_event_log::LogItem::item_bytes).sum();
    measured.stored_bytes = stored as f64 / (SAMPLES_PER_BATCH * (WARM_UP + batches)) as f64;
    measured
}

/// Checks that the handler and the idiom store the values of the batch.
fn check_outputs(runtime: &Runtime) {
    let expected = Digest::expected(0);
    for form in Form::ALL {
        let handler = runtime.block_on(Handler::new(None));
        handler.next_batch();
        runtime.block_on(handler.handle(&batch(form, 0)));
        let mut digest = Digest::default();
        for item in handler.items.all() {
            for stored in item.events().expect("an item of the log") {
                let Body::Telemetry(telemetry) = stored.event.body else { continue };
                digest.add_samples(&telemetry.samples.to_rows());
            }
        }
        assert_eq!(digest, expected, "the values of {}", form.name());
    }
    let mut idiom = Idiom::new();
    assert_eq!(idiom.handle(&batch(Form::Json, 0)), SAMPLES_PER_BATCH);
    assert_eq!(idiom.digest(), expected, "the values of the idiom");
}

fn per_second(samples: usize, time: Duration) -> f64 {
    samples as f64 / time.as_secs_f64()
}

/// Prints every measure.
fn report(runtime: &Runtime, batches: usize) {
    check_outputs(runtime);
    let print = |name: &str, samples: usize, time: Duration| println!("{name}\t{}", per_second(samples, time));
    let samples = SAMPLES_PER_BATCH * batches;
    for (name, subscription) in [("handler", None), ("subscribed", Some(DeliveryFormat::Blocks))] {
        for form in Form::ALL {
            let measured = measure_handler(runtime, form, subscription, batches);
            print(&format!("{name}/{}", form.name()), samples, measured.times.iter().sum());
        }
    }
    let payloads: Vec<Vec<u8>> = (0..batches).map(|n| batch(Form::Json, n)).collect();
    let before = cpu_time();
    for payload in &payloads {
        std::hint::black_box(idiom::parse(payload));
    }
    print("idiom/parse", samples, cpu_time().saturating_sub(before));
    let mut idiom = Idiom::new();
    let before = cpu_time();
    let stored: usize = payloads.iter().map(|payload| idiom.handle(payload)).sum();
    print("idiom/handle", stored, cpu_time().saturating_sub(before));
    for (name, format) in [("blocks", DeliveryFormat::Blocks), ("json", DeliveryFormat::Json)] {
        let times = measure_delivery(runtime, format, batches);
        print(&format!("enrichment/{name}"), times.samples, times.enrichment);
        print(&format!("feed/{name}"), times.samples, times.feed);
    }
}

/// Processes one batch in [`handle_counted`], after those that fill caches and states.
fn count(runtime: &Runtime, form: Form) {
    let handler = runtime.block_on(Handler::new(None));
    for n in 0..WARM_UP {
        handler.next_batch();
        runtime.block_on(handler.handle(&batch(form, n)));
    }
    let payload = batch(form, WARM_UP);
    handler.next_batch();
    assert_eq!(handle_counted(runtime, &handler, &payload), SAMPLES_PER_BATCH);
}

/// Processes a batch. `benches/instructions` counts the instructions of this function, so it must not be inlined.
#[inline(never)]
fn handle_counted(runtime: &Runtime, handler: &Handler, payload: &[u8]) -> usize {
    runtime.block_on(handler.handle(payload))
}

fn print_speed(runtime: &Runtime, form: Form, batches: usize) {
    let HandlerTimes { mut times, received_bytes, stored_bytes } = measure_handler(runtime, form, None, batches);
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let samples = SAMPLES_PER_BATCH * batches;
    println!(
        "{:>7}: {:.3} M samples/s (mean), {:.3} (median), {:.3} (best); {:.0} B a sample received, {:.1} B stored",
        form.name(),
        per_second(samples, total) / 1e6,
        per_second(SAMPLES_PER_BATCH, times[times.len() / 2]) / 1e6,
        per_second(SAMPLES_PER_BATCH, times[0]) / 1e6,
        received_bytes as f64 / samples as f64,
        stored_bytes,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('='));
    let batches = value("batches").and_then(|batches| batches.parse().ok()).unwrap_or(BATCHES);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    if let Some(folder) = value("inputs") {
        return inputs::write(Path::new(folder), batches).expect("the batches are written");
    }
    if let Some(form) = value("count") {
        let form = Form::ALL.into_iter().find(|known| known.name() == form).expect("the name of a form");
        return count(&runtime, form);
    }
    if arguments.iter().any(|argument| argument == "report") {
        return report(&runtime, batches);
    }
    let is_selected = |form: &Form| arguments.iter().any(|argument| argument == form.name());
    let is_any_selected = Form::ALL.iter().any(is_selected);
    for form in Form::ALL.into_iter().filter(|form| !is_any_selected || is_selected(form)) {
        print_speed(&runtime, form, batches);
    }
}
