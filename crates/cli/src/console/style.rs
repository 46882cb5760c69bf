//! How cells look: with colours and ages on a terminal, as plain text otherwise.

use roadcast_domain::Timestamp;

/// What the content of a cell is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A name, an id or a sentence.
    Text(String),
    /// A number. Columns of numbers are aligned at the right.
    Number(String),
    /// A state, such as `active`, coloured by what it means.
    State(String),
    /// An RFC 3339 time, on a terminal as an age.
    Time(String),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(number: &impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    pub(crate) fn state(state: impl Into<String>) -> Self {
        Self::State(state.into())
    }

    pub(crate) fn time(time: impl Into<String>) -> Self {
        Self::Time(time.into())
    }
}

/// How standard output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether escape sequences for colours are written.
    pub(crate) colour: bool,
    /// The time from which ages count; None to write times.
    pub(crate) now: Option<Timestamp>,
}

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RESET: &str = "\u{1b}[0m";

impl Style {
    /// Text without colours and ages.
    pub(crate) const PLAIN: Self = Self { colour: false, now: None };

    /// The text of a cell, without colours. Control characters, which could change the terminal, are written as escapes.
    pub(crate) fn text(self, cell: &Cell) -> String {
        match cell {
            Cell::Text(text) | Cell::Number(text) | Cell::State(text) => printable(text),
            Cell::Time(time) => match (self.now, Timestamp::parse_rfc3339(time)) {
                (Some(now), Ok(at)) => age(now.ms_since(at)),
                _ => printable(time),
            },
        }
    }

    /// The cell with its colour, at the start of `padded`, which begins with its text.
    pub(crate) fn coloured(self, cell: &Cell, padded: &str) -> String {
        match cell {
            Cell::State(state) if self.colour => match colour_of(state) {
                Some(colour) => format!("{colour}{padded}{RESET}"),
                None => padded.to_owned(),
            },
            _ => padded.to_owned(),
        }
    }

    /// A title.
    pub(crate) fn title(self, text: &str) -> String {
        if self.colour { format!("{BOLD}{text}{RESET}") } else { text.to_owned() }
    }
}

/// Replaces control characters by escapes.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// The colour of a state, by its first word.
fn colour_of(state: &str) -> Option<&'static str> {
    Some(match state.split([' ', ':']).next().unwrap_or_default() {
        "active" | "enabled" | "complete" | "delivered" | "redriven" | "finished" | "ok" | "closed" => GREEN,
        "pending" | "provisioning" | "suspended" | "offboarding" | "paused" | "redriving" | "kept" | "running" | "check"
        | "halfOpen" => YELLOW,
        "revoked" | "offboarded" | "retired" | "disabled" | "failed" | "wrong" | "open" => RED,
        _ => return None,
    })
}

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// A duration in its largest unit, with at least two of it: `90 s ago`, `in 3 h`.
fn age(ms: i64) -> String {
    let seconds = ms.unsigned_abs() / 1000;
    let text = match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / MINUTE_S),
        7_200..172_800 => format!("{} h", seconds / HOUR_S),
        _ => format!("{} d", seconds / DAY_S),
    };
    if ms < -999 { format!("in {text}") } else { format!("{text} ago") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn time_is_an_age_only_on_a_terminal() {
        let time = Cell::time("2026-11-20T08:15:00.000Z");
        let now = Timestamp::parse_rfc3339("2026-11-20T10:14:00Z").unwrap();
        let terminal = Style { colour: true, now: Some(now) };
        assert_eq!(terminal.text(&time), "119 min ago");
        assert_eq!(Style::PLAIN.text(&time), "2026-11-20T08:15:00.000Z");
        assert_eq!(terminal.text(&Cell::time("soon")), "soon");
        assert_eq!(
            (age(119_000), age(-3 * 3_600_000), age(10 * 86_400_000)),
            ("119 s ago".into(), "in 3 h".into(), "10 d ago".into())
        );
    }

    #[test]
    fn state_is_coloured_only_on_a_terminal() {
        let style = Style { colour: true, now: None };
        assert_eq!(style.coloured(&Cell::state("disabled: gone"), "disabled: gone"), format!("{RED}disabled: gone{RESET}"));
        assert_eq!(Style::PLAIN.coloured(&Cell::state("active"), "active "), "active ");
        assert_eq!(style.coloured(&Cell::state("other"), "other"), "other");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(Style::PLAIN.text(&Cell::text("a\u{1b}[2Jb\nc")), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("Überlandbus 7"), "Überlandbus 7");
    }
}
