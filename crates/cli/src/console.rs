//! Terminal output: progress on standard error, results on standard output.

mod style;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use roadcast_domain::Timestamp;
use serde::Serialize;

pub(crate) use style::{Cell, Style, printable};
pub(crate) use table::{Properties, Table};

use crate::wall_clock::now_ms;

/// Prints a line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The output settings of a command.
pub(crate) struct Console {
    json: bool,
    terminal: bool,
    style: Style,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        let style = if std::io::stdout().is_terminal() {
            // https://no-color.org: any value but an empty one.
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Style { colour, now: Some(Timestamp::from_ms(now_ms())) }
        } else {
            Style::PLAIN
        };
        Self { json, terminal: std::io::stderr().is_terminal(), style }
    }

    /// How results are written as text.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Whether results are printed as JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints the result: `object` with `--json`, else `text`.
    pub(crate) fn print_result(&self, object: &impl Serialize, text: &str) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string(object)? } else { text.trim_end().to_owned() };
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // The reader closed the pipe. The command itself succeeded.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Prints an error with the chain of its causes.
    pub(crate) fn print_error(&self, error: &anyhow::Error) {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        if self.json {
            let _ = writeln!(std::io::stdout(), "{}", serde_json::json!({ "error": causes.join(": ") }));
        }
        note(&format!("error: {}", causes.join("\n  because: ")));
    }

    /// Starts a step of unknown length.
    pub(crate) fn step(&self, label: &str) -> Step {
        self.start_step(label, None, "{spinner} {prefix} {wide_msg} {elapsed}")
    }

    /// Starts a step of `total` parts.
    pub(crate) fn counted_step(&self, label: &str, total: u64) -> Step {
        self.start_step(label, Some(total), "{spinner} {prefix} [{bar:30}] {pos}/{len} {wide_msg} {elapsed}")
    }

    fn start_step(&self, label: &str, total: Option<u64>, template: &str) -> Step {
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
        Step {
            label: label.to_owned(),
            total,
            terminal: self.terminal,
            started: Instant::now(),
            last_line: Instant::now(),
            bar,
        }
    }
}

/// A step in progress.
pub(crate) struct Step {
    label: String,
    total: Option<u64>,
    terminal: bool,
    started: Instant,
    last_line: Instant,
    bar: ProgressBar,
}

/// How often a long step prints its progress if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

impl Step {
    /// Shows the current activity.
    pub(crate) fn set_message(&mut self, message: &str) {
        self.bar.set_message(message.to_owned());
        if !self.terminal && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            note(&format!("{}: {message}", self.label));
        }
    }

    /// Shows the number of finished parts and the current activity.
    pub(crate) fn set_position(&mut self, position: u64, message: &str) {
        self.bar.set_position(position);
        let line = match self.total {
            Some(total) if !self.terminal => format!("{position}/{total} {message}"),
            _ => message.to_owned(),
        };
        self.set_message(&line);
    }

    /// Ends the step and prints its result and duration.
    pub(crate) fn finish(self, message: &str) {
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
