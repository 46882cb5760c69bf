use roadcast_blocks::Block;

/// Checks that decoding arbitrary bytes terminates, and that a decoded block can be encoded, decoded again and reduced.
pub(crate) fn check(bytes: &[u8]) {
    let _ = Block::decode(bytes);
    for version in [1, 2] {
        check_version(version, bytes);
    }
}

/// Checks the bytes as those of a block of this version, after the first byte.
fn check_version(version: u8, bytes: &[u8]) {
    let mut body = vec![0xB0 | version];
    body.extend_from_slice(bytes);
    let checksum = crc32c(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    let Ok(mut block) = Block::decode(&body) else { return };
    assert_eq!(block.events().len(), block.event_rows().len());
    assert_eq!(block.samples().len(), block.times().len());
    assert_eq!(Block::decode(&block.encode()).as_ref(), Ok(&block), "a decoded block must round-trip");
    block.retain_columns(|path| path.as_str().len() % 2 == 0);
    let _ = block.encode();
}

/// CRC-32C, bit by bit, so that the target has no further dependency.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}
