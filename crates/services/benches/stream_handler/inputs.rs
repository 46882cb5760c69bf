//! The batches as files, for handlers in other languages and of other commits, and the values that each handler must find.

use std::collections::BTreeMap;
use std::path::Path;

use roadcast_signals::{Catalogue, Sample, Value};
use serde_json::json;

use crate::workload::{BATCH_MS, Form, SAMPLES_PER_BATCH, START_MS, VEHICLES, batch, samples_of_batch, vid};

/// The number of values and, by signal, their sum in multiples of the resolution: equal for equal values.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Digest {
    samples: usize,
    sums: BTreeMap<String, i64>,
}

impl Digest {
    /// Adds a sample.
    pub(crate) fn add<'v>(&mut self, signals: impl Iterator<Item = (&'v str, f64)>) {
        self.samples += 1;
        for (path, value) in signals {
            let resolution = Catalogue::get().by_path(path).and_then(|def| def.resolution).expect("a resolution");
            *self.sums.entry(path.to_owned()).or_default() += resolution.grid(value).expect("a value on the grid");
        }
    }

    /// Adds samples.
    pub(crate) fn add_samples<'s>(&mut self, samples: impl IntoIterator<Item = &'s Sample>) {
        for sample in samples {
            let signals = sample.signals.iter();
            self.add(signals.filter_map(|(path, value)| Some((path.as_str(), Value::as_number(value)?))));
        }
    }

    /// Returns the digest of a batch, as it was generated.
    pub(crate) fn expected(n: usize) -> Self {
        let mut digest = Self::default();
        digest.add_samples(&samples_of_batch(n));
        digest
    }
}

/// Writes batches and what other handlers must know of them.
pub(crate) fn write(folder: &Path, batches: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for form in Form::ALL {
        for n in 0..batches {
            std::fs::write(folder.join(format!("{}-{n:03}.json", form.name())), batch(form, n))?;
        }
    }
    let expected = Digest::expected(0);
    let signal = |path: &String| {
        let def = Catalogue::get().by_path(path).expect("a signal of the catalogue");
        let decimals = def.resolution.map(roadcast_signals::Resolution::decimals);
        json!({"path": path, "min": def.min, "max": def.max, "decimals": decimals})
    };
    let signals: Vec<_> = expected.sums.keys().map(signal).collect();
    let workload = json!({
        "start_ms": START_MS,
        "batch_ms": BATCH_MS,
        "samples_per_batch": SAMPLES_PER_BATCH,
        "vehicles": (0..VEHICLES).map(vid).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("expected.json"), json!(expected).to_string())?;
    std::fs::write(folder.join("signals.json"), json!(signals).to_string())?;
    std::fs::write(folder.join("workload.json"), workload.to_string())
}
