//! The difference between the specification and the stack, and its output.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use crate::console::Console;

/// How a resource of the specification differs from the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It exists as specified.
    Existing,
    /// It does not exist. It is created.
    New,
    /// It exists with other values. They are changed.
    Changed,
    /// It exists with another value that the API cannot change.
    Unchangeable,
}

/// The resources of the specification, in order.
#[derive(Debug, Default)]
pub(super) struct Difference {
    lines: Vec<(State, String)>,
    /// The new app clients with their secrets.
    credentials: Vec<Value>,
}

impl Difference {
    pub(super) fn existing(&mut self, what: impl Into<String>) {
        self.lines.push((State::Existing, what.into()));
    }

    pub(super) fn new_resource(&mut self, what: impl Into<String>) {
        self.lines.push((State::New, what.into()));
    }

    pub(super) fn changed(&mut self, what: impl Into<String>) {
        self.lines.push((State::Changed, what.into()));
    }

    pub(super) fn unchangeable(&mut self, what: impl Into<String>) {
        self.lines.push((State::Unchangeable, what.into()));
    }

    pub(super) fn credentials(&mut self, client: Value) {
        self.credentials.push(client);
    }

    fn count(&self, state: State) -> usize {
        self.lines.iter().filter(|line| line.0 == state).count()
    }

    /// The counts, for the progress line.
    pub(super) fn summary(&self) -> String {
        let changed = self.count(State::Changed) + self.count(State::Unchangeable);
        format!("{} new, {changed} different, {} existing", self.count(State::New), self.count(State::Existing))
    }

    /// Whether the stack differs from the specification after the run.
    pub(super) fn remains(&self, dry_run: bool) -> bool {
        self.count(State::Unchangeable) > 0 || (dry_run && self.count(State::Existing) < self.lines.len())
    }

    /// Prints the difference and the new credentials.
    pub(super) fn print(&self, console: &Console, dry_run: bool) -> Result<()> {
        console.print_result(&self.to_json(dry_run), &self.to_text(dry_run)?)
    }

    fn to_json(&self, dry_run: bool) -> Value {
        let of = |state| {
            let lines = self.lines.iter().filter(move |line| line.0 == state);
            lines.map(|line| line.1.as_str()).collect::<Vec<_>>()
        };
        json!({
            "dryRun": dry_run,
            "new": of(State::New),
            "changed": of(State::Changed),
            "unchangeable": of(State::Unchangeable),
            "existing": of(State::Existing),
            "clients": self.credentials,
        })
    }

    fn to_text(&self, dry_run: bool) -> Result<String> {
        let mut text = String::new();
        for (state, what) in &self.lines {
            match state {
                State::Existing => writeln!(text, "= {what}")?,
                State::New => writeln!(text, "+ {what}")?,
                State::Changed => writeln!(text, "~ {what}")?,
                State::Unchangeable => writeln!(text, "~ {what} (the API cannot change it)")?,
            }
        }
        for client in &self.credentials {
            let field = |name: &str| client[name].as_str().unwrap_or_default();
            writeln!(text, "\n{}: client id {}", field("name"), field("clientId"))?;
            writeln!(text, "{:1$}  secret    {2}  (printed only once)", "", field("name").len(), field("clientSecret"))?;
        }
        if dry_run {
            writeln!(text, "\nNothing was changed. Run without --dry-run to apply what is marked with + or ~.")?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dry_run_leaves_each_difference_and_a_run_only_the_unchangeable() {
        let mut difference = Difference::default();
        difference.existing("a");
        assert!(!difference.remains(true));
        difference.changed("b");
        assert!(difference.remains(true) && !difference.remains(false));
        difference.unchangeable("c");
        assert!(difference.remains(true) && difference.remains(false));
    }

    #[test]
    fn text_marks_each_line_and_json_lists_them_by_state() {
        let mut difference = Difference::default();
        difference.existing("a");
        difference.new_resource("b");
        difference.changed("c");
        difference.unchangeable("d");
        let text = difference.to_text(true).unwrap();
        assert!(text.starts_with("= a\n+ b\n~ c\n~ d (the API cannot change it)\n"), "{text}");
        let object = difference.to_json(true);
        assert_eq!((&object["changed"], &object["unchangeable"]), (&json!(["c"]), &json!(["d"])));
    }
}
