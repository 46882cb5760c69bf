//! Packs events into entries of the size that AWS bills as one unit.

/// Bytes of one entry on a bus or in a queue. EventBridge and SQS bill 64 KiB as one unit; 512 bytes are reserved for the
/// envelope around the events.
pub(crate) const ENTRY_BYTES: usize = 64 * 1024 - 512;

/// Groups items, in order, into entries of at most [`ENTRY_BYTES`]. An item that is larger than an entry gets an entry of
/// its own.
pub(crate) fn pack<T>(items: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut entries: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        // One more for the comma.
        let size = bytes(&item) + 1;
        match entries.last_mut() {
            Some(entry) if filled + size <= ENTRY_BYTES => {
                filled += size;
                entry.push(item);
            }
            _ => {
                filled = size;
                entries.push(vec![item]);
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_preserves_order_and_respects_the_entry_size(
            sizes in prop::collection::vec(0_usize..100_000, 0..50),
        ) {
            let entries = pack(sizes.clone(), |size| *size);
            for entry in &entries {
                prop_assert!(entry.len() == 1 || entry.iter().map(|size| size + 1).sum::<usize>() <= ENTRY_BYTES);
            }
            prop_assert_eq!(entries.concat(), sizes);
        }
    }
}
