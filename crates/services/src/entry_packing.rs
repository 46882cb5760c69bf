//! Packing events into entries of the size that is billed.

/// Bytes of one entry on a bus or in a queue: both bill 64 KiB as one. The envelope around the events takes its share.
pub(crate) const ENTRY_BYTES: usize = 64 * 1024 - 512;

/// Groups items, in order, into runs of at most [`ENTRY_BYTES`]; an item that is larger by itself stands alone.
pub(crate) fn pack<T>(items: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        // One more for the comma.
        let size = bytes(&item) + 1;
        match runs.last_mut() {
            Some(run) if filled + size <= ENTRY_BYTES => {
                filled += size;
                run.push(item);
            }
            _ => {
                filled = size;
                runs.push(vec![item]);
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_keeps_every_item_in_order_and_no_run_of_several_is_too_large(
            sizes in prop::collection::vec(0_usize..100_000, 0..50),
        ) {
            let runs = pack(sizes.clone(), |size| *size);
            for run in &runs {
                prop_assert!(run.len() == 1 || run.iter().map(|size| size + 1).sum::<usize>() <= ENTRY_BYTES);
            }
            prop_assert_eq!(runs.concat(), sizes);
        }
    }
}
