//! Encoding of a block, as specified in `docs/blocks.md`.

use roadcast_signals::{Presence, Samples, Timestamp};

use crate::bits::{BitReader, BitWriter};
use crate::block::Block;
use crate::limits::{DecodeLimits, DecodedCounts};
use crate::table::{EventHeaders, EventRow, read_events, read_times, write_events, write_times};
use crate::values::{ValuesReader, ValuesWriter};
use crate::version::{Hashes, Version};
use crate::{DecodeError, limits, presence, signal_list};

const CHECKSUM_BYTES: usize = 4;

/// The part of a block that precedes its signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// The events: each has the next rows of `times`.
    pub events: Vec<EventRow>,
    /// The time of each sample, by row.
    pub times: Vec<Timestamp>,
}

impl Block {
    /// Encodes the block. The same block always has the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(Hashes::Written)
    }

    /// Encodes the block without the hashes of the event ids, ten bytes each, for a reader that computes them from what else it has
    /// of the events: see [`decode_with_hashes`](Self::decode_with_hashes).
    pub fn encode_without_hashes(&self) -> Vec<u8> {
        self.encode_as(Hashes::Omitted)
    }

    /// Returns whether these are the bytes of a block without the hashes of its event ids.
    pub fn omits_hashes(bytes: &[u8]) -> bool {
        matches!(Version::of(bytes), Ok((_, Hashes::Omitted)))
    }

    fn encode_as(&self, hashes: Hashes) -> Vec<u8> {
        let columns = self.columns();
        let values: usize = columns.iter().map(|column| column.values.len()).sum();
        // Mostly sufficient: two bytes per value, and what precedes the values.
        let mut bits = BitWriter::with_capacity(2 * values + 64 + 16 * self.events.len());
        let mut writer = ValuesWriter::default();
        bits.write(u64::from(Version::Two.first_byte(hashes)), 8);
        write_events(&mut bits, &mut writer.sequences, &self.events, self.times(), hashes);
        if self.events.is_empty() {
            bits.write_golomb(self.times().len() as u64, 4);
        }
        write_times(&mut bits, &mut writer.sequences, self.times());
        signal_list::write(&mut bits, columns);
        let full = columns.iter().all(|column| column.presence == Presence::All);
        bits.write_bit(!full);
        let mut presences = Vec::new();
        for column in columns.iter().filter(|_| !full) {
            presence::write(&mut bits, &column.presence, &mut presences);
        }
        writer.write(&mut bits, columns);

        let mut bytes = bits.finish();
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a block. No input causes a panic, or takes more memory than [`limits::MEMORY`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_limited(bytes, DecodeLimits::default())
    }

    /// Like [`decode`](Self::decode), but refuses a block that exceeds `limits`, before its values are decoded: a few bytes can
    /// represent as many values as a block may have.
    pub fn decode_limited(bytes: &[u8], limits: DecodeLimits) -> Result<Self, DecodeError> {
        Self::decode_limited_with_hashes(bytes, limits, &[])
    }

    /// Like [`decode`](Self::decode). `hashes` are those of the event ids, in order, in the lowest 80 bits; not used if the block has
    /// them.
    pub fn decode_with_hashes(bytes: &[u8], hashes: &[u128]) -> Result<Self, DecodeError> {
        Self::decode_limited_with_hashes(bytes, DecodeLimits::default(), hashes)
    }

    fn decode_limited_with_hashes(bytes: &[u8], limits: DecodeLimits, hashes: &[u128]) -> Result<Self, DecodeError> {
        let (version, written, body) = verified_body(bytes)?;
        let mut block = Self::decode_body(version, written, body, limits)?;
        written.complete(&mut block.events, hashes)?;
        Ok(block)
    }

    /// Returns the number of samples that the header of the block states. The samples are not decoded.
    pub fn count_samples(bytes: &[u8]) -> Result<usize, DecodeError> {
        let (version, hashes, body) = verified_body(bytes)?;
        read_head(&mut BitReader::new(body), version, hashes).map(|(_, rows)| rows)
    }

    /// Returns the ids of the events, in order. Neither signals nor values are decoded, so that the memory does not depend
    /// on them.
    pub fn decode_eids(bytes: &[u8]) -> Result<Vec<u128>, DecodeError> {
        Ok(Self::decode_head(bytes)?.events.into_iter().map(|event| event.eid).collect())
    }

    /// Returns the events and the times of the samples. Neither signals nor values are decoded, so that the memory does not
    /// depend on them.
    pub fn decode_head(bytes: &[u8]) -> Result<BlockHead, DecodeError> {
        Self::decode_head_with_hashes(bytes, &[])
    }

    /// Like [`decode_head`](Self::decode_head), with hashes as for [`decode_with_hashes`](Self::decode_with_hashes).
    pub fn decode_head_with_hashes(bytes: &[u8], hashes: &[u128]) -> Result<BlockHead, DecodeError> {
        let (version, written, body) = verified_body(bytes)?;
        let mut bits = BitReader::new(body);
        let (events, rows) = read_head(&mut bits, version, written)?;
        let times = read_times(&mut bits, version, rows)?;
        let mut events = events.with_times(&times)?;
        written.complete(&mut events, hashes)?;
        Ok(BlockHead { events, times })
    }

    /// Like [`decode`](Self::decode), but without verification of marker, version and checksum. Also used by tests with
    /// invalid bytes.
    pub(crate) fn decode_body(
        version: Version,
        hashes: Hashes,
        body: &[u8],
        limits: DecodeLimits,
    ) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(body);
        let (events, rows) = read_head(&mut bits, version, hashes)?;
        limits::check_decoded(rows as u64, limits.samples, "samples")?;
        let times = read_times(&mut bits, version, rows)?;
        let events = events.with_times(&times)?;
        let (mut columns, numbered) = signal_list::read(&mut bits, version)?;

        let mut explicit = Vec::new();
        let mut counts = DecodedCounts::new(limits.values.min(limits::VALUES));
        let mut cells = 0;
        let full = !bits.read_bit()?;
        for column in &mut columns {
            if !full {
                column.presence = presence::read(&mut bits, rows, &mut explicit)?;
            }
            counts.add_values(column.presence.count(rows))?;
            cells += if column.presence == Presence::All { 0 } else { rows };
            limits::check_decoded(cells as u64, limits::CELLS, "cells")?;
        }
        let reader = ValuesReader::new(&mut bits, version)?;
        let mut text_bytes = 0;
        for index in 0..columns.len() {
            let (earlier, rest) = columns.split_at_mut(index);
            let Some(column) = rest.first_mut() else { break };
            let count = column.presence.count(rows);
            column.values = if index < numbered {
                reader.read(&mut bits, &column.path, count, &mut counts, earlier)?
            } else {
                reader.read_by_path(&mut bits, &column.path, count, &mut counts)?
            };
            text_bytes += column.values.text_bytes();
            limits::check_decoded(text_bytes as u64, limits::TEXT_BYTES, "bytes of texts")?;
        }
        Ok(Self { events, samples: Samples::new(times, columns) })
    }
}

/// Verifies marker, version and checksum. Returns the version, whether there are hashes, and the bytes before the checksum.
fn verified_body(bytes: &[u8]) -> Result<(Version, Hashes, &[u8]), DecodeError> {
    limits::check_decoded(bytes.len() as u64, limits::BYTES, "bytes")?;
    let (version, hashes) = Version::of(bytes)?;
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DecodeError::TooShort)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(DecodeError::Checksum);
    }
    Ok((version, hashes, body))
}

/// Reads the part before the times: the events and the number of samples.
fn read_head(bits: &mut BitReader<'_>, version: Version, hashes: Hashes) -> Result<(EventHeaders, usize), DecodeError> {
    bits.read(8)?;
    if version == Version::One {
        // The catalogue version of the writer.
        bits.read_golomb(2)?;
    }
    let events = read_events(bits, version, hashes)?;
    let rows = match events.samples {
        0 => limits::check_decoded(bits.read_golomb(4)?, limits::SAMPLES, "samples")?,
        samples => samples,
    };
    Ok((events, rows))
}
