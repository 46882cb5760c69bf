//! Which signals a query returns: what the caller may see and requests.

use std::collections::HashMap;

use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::Coverage;
use roadcast_domain::selection::Selection;
use roadcast_signals::{POSITION, SignalPath};

use crate::query::visibility::Visibility;

/// The index of a coverage in [`Coverages`].
pub(super) type CoverageIndex = u32;

/// The distinct coverages of the events of a query, and which signals each returns. Events mostly have the same coverage, and a
/// package may have many patterns.
pub(super) struct Coverages<'q> {
    visibility: &'q Visibility,
    selection: &'q Selection,
    entries: Vec<Entry<'q>>,
}

struct Entry<'q> {
    /// `None` if the caller may see everything.
    coverage: Option<Coverage<'q>>,
    /// Whether the query returns a signal of the catalogue, by its number. Other paths are evaluated each time, because a
    /// sender can invent any number of them.
    by_number: HashMap<u16, bool>,
    /// Whether the query returns both coordinates of a position.
    has_position: bool,
}

impl<'q> Coverages<'q> {
    pub(super) fn new(visibility: &'q Visibility, selection: &'q Selection) -> Self {
        Self { visibility, selection, entries: Vec::new() }
    }

    /// Returns the coverage of an event received at `received`, as it is at `now`; `None` if it covers nothing.
    pub(super) fn index_of(&mut self, received: Timestamp, now: Timestamp) -> Option<CoverageIndex> {
        let coverage = self.visibility.coverage(received, now);
        if coverage.as_ref().is_some_and(Coverage::is_empty) {
            return None;
        }
        let is_same = |entry: &Entry<'_>| match (&entry.coverage, &coverage) {
            (Some(known), Some(coverage)) => known.is_same(coverage),
            (None, None) => true,
            _ => false,
        };
        // Most events have the coverage of the previous one, which is among the last.
        let known = self.entries.iter().rposition(is_same);
        let index = known.unwrap_or_else(|| {
            let is_covered = |path: &str| coverage.as_ref().is_none_or(|coverage| coverage.contains_signal(path));
            let has_position = POSITION.iter().all(|path| is_covered(path) && self.selection.contains_signal(path));
            self.entries.push(Entry { coverage, by_number: HashMap::new(), has_position });
            self.entries.len() - 1
        });
        CoverageIndex::try_from(index).ok()
    }

    /// Whether a query returns this signal of an event with this coverage.
    pub(super) fn contains(&mut self, index: CoverageIndex, path: &SignalPath) -> bool {
        let Some(entry) = self.entries.get_mut(index as usize) else { return false };
        let Some(def) = path.def() else {
            return entry.coverage.is_none() && self.selection.contains_signal(path.as_str());
        };
        *entry.by_number.entry(def.number).or_insert_with(|| {
            entry.coverage.as_ref().is_none_or(|coverage| coverage.contains_signal(def.path))
                && self.selection.contains_signal(def.path)
        })
    }

    /// Whether a query returns both coordinates of a position, of an event with this coverage.
    pub(super) fn contains_position(&self, index: CoverageIndex) -> bool {
        self.entries.get(index as usize).is_some_and(|entry| entry.has_position)
    }
}
