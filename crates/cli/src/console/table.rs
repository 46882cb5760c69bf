//! Tables and lists of properties: the two forms in which commands print what they read.

use super::style::{Cell, Style};

/// The space between columns.
const GAP: &str = "  ";

/// A table with a title for each column.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Row>,
    /// What is printed instead of a table without rows.
    empty: &'static str,
    /// Whether there are more items than rows.
    more: bool,
}

#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    /// A line below the row.
    note: Option<String>,
}

impl Table {
    /// A table without rows, which prints `empty`.
    pub(crate) fn new(titles: &[&'static str], empty: &'static str) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new(), empty, more: false }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(Row { cells: cells.into(), note: None });
    }

    /// Adds a line below the last row.
    pub(crate) fn note(&mut self, text: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.note = Some(super::style::printable(text));
        }
    }

    /// States that there are more items.
    pub(crate) fn with_more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }

    /// The table as text.
    pub(crate) fn render(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return self.empty.to_owned();
        }
        let texts: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.cells.iter().map(|cell| style.text(cell)).collect()).collect();
        let widths: Vec<usize> = self
            .titles
            .iter()
            .enumerate()
            .map(|(column, title)| {
                let cells = texts.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count());
                cells.chain([title.chars().count()]).max().unwrap_or_default()
            })
            .collect();
        let titles = self.titles.iter().zip(&widths).map(|(title, &width)| format!("{:<width$}", title.to_uppercase()));
        let mut lines = vec![style.title(titles.collect::<Vec<_>>().join(GAP).trim_end())];
        for (row, texts) in self.rows.iter().zip(&texts) {
            let cells = row.cells.iter().zip(texts).zip(&widths).map(|((cell, text), &width)| match cell {
                Cell::Number(_) => format!("{text:>width$}"),
                _ => style.coloured(cell, &format!("{text:<width$}")),
            });
            lines.push(cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned());
            lines.extend(row.note.iter().map(|note| format!("    {note}")));
        }
        if self.more {
            lines.push(format!("and more than these {}: raise --limit", self.rows.len()));
        }
        lines.join("\n")
    }
}

/// The properties of one thing, one in a line.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    lines: Vec<(&'static str, Cell)>,
}

impl Properties {
    /// Adds a property.
    pub(crate) fn add(&mut self, name: &'static str, value: Cell) {
        self.lines.push((name, value));
    }

    /// Adds a property unless its value is absent.
    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<Cell>) {
        self.lines.extend(value.map(|value| (name, value)));
    }

    /// The properties as text.
    pub(crate) fn render(&self, style: Style) -> String {
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        let line = |(name, cell): &(&str, Cell)| format!("{name:<width$}  {}", style.coloured(cell, &style.text(cell)));
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_are_at_the_right() {
        let mut table = Table::new(&["fleet", "state", "vehicles"], "no fleets");
        assert_eq!(table.render(Style::PLAIN), "no fleets");
        table.row([Cell::text("Überland"), Cell::state("active"), Cell::number(&7)]);
        table.row([Cell::text("B"), Cell::state("offboarding"), Cell::number(&1200)]);
        table.note("a note");
        let expected = "FLEET     STATE        VEHICLES\n\
                        Überland  active              7\n\
                        B         offboarding      1200\n    a note\n\
                        and more than these 2: raise --limit";
        assert_eq!(table.with_more(true).render(Style::PLAIN), expected);
    }

    #[test]
    fn colours_do_not_change_the_alignment() {
        let mut table = Table::new(&["state", "name"], "");
        table.row([Cell::state("ok"), Cell::text("a")]);
        let style = Style { colour: true, now: None };
        assert_eq!(table.render(style), "\u{1b}[1mSTATE  NAME\u{1b}[0m\n\u{1b}[32mok   \u{1b}[0m  a");
    }

    #[test]
    fn properties_are_aligned() {
        let mut properties = Properties::default();
        properties.add("name", Cell::text("x"));
        properties.add_some("left", None);
        properties.add("valid until", Cell::time("never"));
        assert_eq!(properties.render(Style::PLAIN), "name         x\nvalid until  never");
    }
}
