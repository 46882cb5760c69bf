//! The signal that a misspelt path may mean.

use crate::{Catalogue, SignalDef};

/// Maximum number of edits between a path and [`Catalogue::nearest`].
const MAX_EDITS: usize = 2;

impl Catalogue {
    /// Returns the signal whose path differs least from `path`, by at most two edits: inserted, removed or replaced characters.
    /// The case of letters does not count. Of several equally near signals, the one with the lowest number is returned.
    pub fn nearest(&self, path: &str) -> Option<&'static SignalDef> {
        let distances = self.iter().filter_map(|def| {
            edits(path.as_bytes(), def.path.as_bytes(), MAX_EDITS).map(|distance| (distance, def.number, def))
        });
        distances.min_by_key(|(distance, number, _)| (*distance, *number)).map(|(_, _, def)| def)
    }
}

/// Returns the number of edits between two texts; `None` if there are more than `limit`.
///
/// Each edit continues after the common beginning of the rest, so that the work is at most 3^`limit` comparisons of the texts.
fn edits(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let common = a.iter().zip(b).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let (a, b) = (&a[common..], &b[common..]);
    let ([_, rest_of_a @ ..], [_, rest_of_b @ ..]) = (a, b) else {
        return Some(a.len() + b.len());
    };
    let fewer = limit.checked_sub(1)?;
    let after_edit = [(rest_of_a, rest_of_b), (rest_of_a, b), (a, rest_of_b)];
    after_edit.into_iter().filter_map(|(a, b)| edits(a, b, fewer)).min().map(|edits| edits + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::MAX_PATH_BYTES;

    fn nearest(path: &str) -> Option<&'static str> {
        Catalogue::get().nearest(path).map(|def| def.path)
    }

    #[test]
    fn misspelt_path_has_a_nearest_signal() {
        for path in ["Vehicle.Speeed", "Vehicle.Sped", "Vehicle.speed", "Vehicle.Spede", "Vehicle.Spee", "Vehicel.Speed"] {
            assert_eq!(nearest(path), Some("Vehicle.Speed"), "{path}");
        }
        assert_eq!(nearest("Vehicle.CurrentLocation.Latitud"), Some("Vehicle.CurrentLocation.Latitude"));
        for path in ["Vehicle.Speeeeed", "Vehicle.Velocity", "Vehicle", "", "acme.x", &"V".repeat(MAX_PATH_BYTES)] {
            assert_eq!(nearest(path), None, "{path}");
        }
    }

    #[test]
    fn every_signal_is_nearest_to_itself() {
        for def in Catalogue::get().iter() {
            assert_eq!(nearest(def.path), Some(def.path));
        }
    }

    /// The textbook algorithm.
    fn levenshtein(a: &[u8], b: &[u8]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, a) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in b.iter().enumerate() {
                let replaced = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
                diagonal = row[j + 1];
                row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn edits_are_counted_as_by_the_textbook_algorithm(a in "[abA]{0,8}", b in "[abA]{0,8}", limit in 0_usize..3) {
            let expected = Some(levenshtein(a.as_bytes(), b.as_bytes())).filter(|edits| *edits <= limit);
            prop_assert_eq!(edits(a.as_bytes(), b.as_bytes(), limit), expected);
        }
    }
}
