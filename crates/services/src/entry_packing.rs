//! Packs events into entries of the size that AWS bills as one unit.

/// Bytes of one entry on a bus or in a queue. EventBridge and SQS bill 64 KiB as one unit; 512 bytes are reserved for the
/// envelope around the events.
pub(crate) const ENTRY_BYTES: usize = 64 * 1024 - 512;

/// Bytes of decoded events per byte of an entry: 16 MiB per entry. Real telemetry decodes to about a hundred times its block,
/// but a block of equal samples to several thousand times.
const DECODED_PER_BYTE: usize = 256;

/// Returns the bytes that a CloudEvent takes of an entry: its own, or more if its events take so much memory when they are
/// decoded that an entry of its like would exceed the memory of its reader.
pub(crate) fn entry_share(json: &str, decoded_bytes: usize) -> usize {
    json.len().max(decoded_bytes / DECODED_PER_BYTE)
}

/// Groups items, in order, into entries of at most [`ENTRY_BYTES`]. An item that is larger than an entry gets an entry of
/// its own.
pub(crate) fn pack<T>(items: impl IntoIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    // One more for the comma.
    group_within(items, usize::MAX, ENTRY_BYTES, |item| bytes(item) + 1)
}

/// Groups items in order, as many in each group as fit into both limits. An item that is larger than `max_bytes` has a group of
/// its own.
pub(crate) fn group_within<T>(
    items: impl IntoIterator<Item = T>,
    max_items: usize,
    max_bytes: usize,
    bytes: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        let size = bytes(&item);
        match groups.last_mut() {
            Some(group) if group.len() < max_items && filled + size <= max_bytes => {
                filled += size;
                group.push(item);
            }
            _ => {
                filled = size;
                groups.push(vec![item]);
            }
        }
    }
    groups
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
