use std::sync::Arc;

/// Which samples have a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Every sample.
    All,
    /// The samples whose row is `true`, but not every row is. Signals of the same presence may share it.
    Some(Arc<[bool]>),
}

impl Presence {
    /// Creates the presence from a flag for each row.
    pub fn from_flags(flags: Vec<bool>) -> Self {
        if flags.iter().all(|flag| *flag) { Self::All } else { Self::Some(flags.into()) }
    }

    /// Creates the presence from the rows that have the signal, in order, out of `rows` rows. Rows beyond are ignored.
    pub fn from_rows(present: impl IntoIterator<Item = usize>, rows: usize) -> Self {
        let mut flags = vec![false; rows];
        for row in present {
            if let Some(flag) = flags.get_mut(row) {
                *flag = true;
            }
        }
        Self::from_flags(flags)
    }

    /// Returns the rows of the samples that have the signal, in order.
    pub fn rows(&self, rows: usize) -> impl Iterator<Item = usize> {
        (0..rows).filter(|row| self.has(*row))
    }

    /// Returns whether the sample in this row has the signal.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(flags) => flags.get(row).copied().unwrap_or_default(),
        }
    }

    /// Returns the number of samples that have the signal, out of `rows`.
    pub fn count(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Some(flags) => count(flags),
        }
    }

    /// Returns the number of samples before this row that have the signal: the index of the value of the row.
    pub fn count_before(&self, row: usize) -> usize {
        match self {
            Self::All => row,
            Self::Some(flags) => flags.iter().take(row).filter(|flag| **flag).count(),
        }
    }

    /// Returns the presence in the rows of a range.
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Some(flags) => Self::from_flags(flags.get(rows).unwrap_or_default().to_vec()),
        }
    }
}

/// Finds the values of a row in a column whose samples do not all have the signal.
#[derive(Clone, Debug)]
pub struct ValueIndex {
    /// `None` if every sample has the signal.
    partial: Option<PartialIndex>,
}

#[derive(Clone, Debug)]
struct PartialIndex {
    present: Arc<[bool]>,
    /// The number of values before every [`ROWS_PER_COUNT`] rows.
    counts: Vec<usize>,
}

/// A count for each row would take four times the memory of the presence itself.
const ROWS_PER_COUNT: usize = 64;

impl ValueIndex {
    /// Creates the index of a column.
    pub fn new(presence: &Presence) -> Self {
        let Presence::Some(present) = presence else { return Self { partial: None } };
        let mut before = 0;
        let counts = present.chunks(ROWS_PER_COUNT).map(|rows| {
            let start = before;
            before += count(rows);
            start
        });
        Self { partial: Some(PartialIndex { counts: counts.collect(), present: Arc::clone(present) }) }
    }

    /// Returns the number of values of the rows before `row`: the index of the value of `row`, if it has one.
    pub fn values_before(&self, row: usize) -> usize {
        let Some(PartialIndex { present, counts }) = &self.partial else { return row };
        let row = row.min(present.len());
        // Not the chunk after the last one, if the rows fill their chunks.
        let chunk = (row / ROWS_PER_COUNT).min(counts.len().saturating_sub(1));
        let counted = counts.get(chunk).copied().unwrap_or(0);
        counted + count(&present[chunk * ROWS_PER_COUNT..row])
    }
}

fn count(rows: &[bool]) -> usize {
    rows.iter().filter(|present| **present).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn value_index_counts_the_rows_before(present in prop::collection::vec(any::<bool>(), 0..300)) {
            let index = ValueIndex::new(&Presence::from_flags(present.clone()));
            for row in 0..=present.len() {
                prop_assert_eq!(index.values_before(row), count(&present[..row]));
            }
        }
    }
}
