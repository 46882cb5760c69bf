//! What the person at the terminal sees: progress on standard error, results on standard output.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A remark on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How to talk to the caller.
pub(crate) struct Console {
    json: bool,
    terminal: bool,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: std::io::stderr().is_terminal() }
    }

    /// Whether a script reads standard output.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// The result: the object for scripts, the text for people.
    pub(crate) fn result(&self, object: &impl Serialize, text: &str) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(object)? } else { text.trim_end().to_owned() };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever reads has read enough; what was done stays done.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Says what went wrong, cause by cause.
    pub(crate) fn fail(&self, error: &anyhow::Error) {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        if self.json {
            let _ = writeln!(std::io::stdout(), "{}", serde_json::json!({ "error": causes.join(": ") }));
        }
        note(&format!("error: {}", causes.join("\n  because: ")));
    }

    /// A step whose length is not known.
    pub(crate) fn step(&self, label: &str) -> Step {
        self.begin(label, None, "{spinner} {prefix} {wide_msg} {elapsed}")
    }

    /// A step of `total` parts.
    pub(crate) fn counted(&self, label: &str, total: u64) -> Step {
        self.begin(label, Some(total), "{spinner} {prefix} [{bar:30}] {pos}/{len} {wide_msg} {elapsed}")
    }

    fn begin(&self, label: &str, total: Option<u64>, template: &str) -> Step {
        let bar = if self.terminal {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            note(&format!("{label} …"));
            ProgressBar::hidden()
        };
        Step { label: label.to_owned(), total, terminal: self.terminal, started: Instant::now(), told: Instant::now(), bar }
    }
}

/// A step under way.
pub(crate) struct Step {
    label: String,
    total: Option<u64>,
    terminal: bool,
    started: Instant,
    told: Instant,
    bar: ProgressBar,
}

/// Without a terminal, a long step says this often how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

impl Step {
    /// What it is at.
    pub(crate) fn at(&mut self, message: &str) {
        self.bar.set_message(message.to_owned());
        if !self.terminal && self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            note(&format!("{}: {message}", self.label));
        }
    }

    /// How many parts are done, and what it is at.
    pub(crate) fn reach(&mut self, position: u64, message: &str) {
        self.bar.set_position(position);
        let told = match self.total {
            Some(total) if !self.terminal => format!("{position}/{total} {message}"),
            _ => message.to_owned(),
        };
        self.at(&told);
    }

    /// It is done.
    pub(crate) fn done(self, message: &str) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        note(&format!("{}: {message} ({seconds:.1} s)", self.label));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}
