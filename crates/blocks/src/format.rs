//! The bytes of a block: `docs/blocks.md` in code.

use roadcast_signals::{Catalogue, SignalPath};

use crate::bits::{BitReader, BitWriter, golomb_bits};
use crate::block::{Block, Column};
use crate::presence::Presence;
use crate::table::{TakenEvents, put_events, put_times, take_events, take_times};
use crate::values::{Values, put_text, take_text};
use crate::{DecodeError, limits};

/// The first byte: a mark in its upper half, the version in its lower.
const MARK: u8 = 0xB0;
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

impl Block {
    /// Its bytes. The same block always has the same.
    pub fn encode(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(u64::from(MARK | VERSION), 8);
        bits.put_golomb(u64::from(Catalogue::get().version()), 2);
        put_events(&mut bits, &self.events, &self.times);
        if self.events.is_empty() {
            bits.put_golomb(self.times.len() as u64, 4);
        }
        put_times(&mut bits, &self.times);

        let (known, unknown) = self.columns.split_at(self.columns.partition_point(|column| column.path.def().is_some()));
        put_numbers_of(&mut bits, known);
        bits.put_golomb(unknown.len() as u64, 0);
        for column in unknown {
            put_text(&mut bits, column.path.as_str());
        }
        let mut presences = Vec::new();
        let full = self.columns.iter().all(|column| column.presence == Presence::All);
        bits.put_bit(!full);
        for column in self.columns.iter().filter(|_| !full) {
            column.presence.put(&mut bits, &mut presences);
        }
        for column in &self.columns {
            column.values.put(&mut bits, &column.path);
        }

        let mut bytes = bits.finish();
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The block of these bytes. No input makes it panic or allocate more than [`limits`] allow.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_body(checked(bytes)?, limits::VALUES)
    }

    /// As [`decode`](Self::decode), but a block of more than `most` values is refused before it is unpacked: a few bytes may
    /// stand for as many values as a block may hold.
    pub fn decode_at_most(bytes: &[u8], most: usize) -> Result<Self, DecodeError> {
        Self::decode_body(checked(bytes)?, most.min(limits::VALUES))
    }

    /// How many samples the block of these bytes has, as it says itself: nothing else of it is unpacked.
    pub fn count_samples(bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut bits = BitReader::new(checked(bytes)?);
        take_head(&mut bits).map(|(_, rows)| rows)
    }

    /// As [`decode`](Self::decode), without looking at the checksum: for tests that make up bytes.
    pub(crate) fn decode_body(body: &[u8], most_values: usize) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(body);
        let (events, rows) = take_head(&mut bits)?;
        let times = take_times(&mut bits, rows)?;
        let events = events.with_times(&times)?;
        let (paths, numbered) = take_paths(&mut bits)?;

        let mut presences = Vec::with_capacity(paths.len());
        let mut known = Vec::new();
        let mut values = 0;
        let mut cells = 0;
        let full = !bits.take_bit()?;
        for _ in &paths {
            let presence = if full { Presence::All } else { Presence::take(&mut bits, rows, &mut known)? };
            values += presence.count(rows);
            limits::to_decode(values as u64, most_values, "values")?;
            cells += if presence == Presence::All { 0 } else { rows };
            limits::to_decode(cells as u64, limits::CELLS, "cells")?;
            presences.push(presence);
        }
        let mut columns = Vec::with_capacity(paths.len());
        let mut text_bytes = 0;
        for (place, (path, presence)) in paths.into_iter().zip(presences).enumerate() {
            let take = if place < numbered { Values::take } else { Values::take_by_path };
            let values = take(&mut bits, &path, presence.count(rows))?;
            text_bytes += values.text_bytes();
            limits::to_decode(text_bytes as u64, limits::TEXT_BYTES, "bytes of texts")?;
            columns.push(Column { path, presence, values });
        }
        columns.sort_by(Column::order);
        Ok(Self { events, times, columns })
    }
}

/// The bytes before the checksum, where it fits and the version is known here.
fn checked(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    limits::to_decode(bytes.len() as u64, limits::BYTES, "bytes")?;
    let first = *bytes.first().ok_or(DecodeError::NotABlock)?;
    if first & 0xF0 != MARK {
        return Err(DecodeError::NotABlock);
    }
    if first & 0x0F != VERSION {
        return Err(DecodeError::Version(first & 0x0F));
    }
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DecodeError::TooShort)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

/// What comes before the times: the events, and how many samples there are.
fn take_head(bits: &mut BitReader<'_>) -> Result<(TakenEvents, usize), DecodeError> {
    bits.take(8)?;
    // Numbers of the catalogue stay for ever, so its version only explains one that is not known here.
    bits.take_golomb(2)?;
    let events = take_events(bits)?;
    let rows = if events.samples.is_empty() {
        limits::to_decode(bits.take_golomb(4)?, limits::SAMPLES, "samples")?
    } else {
        events.samples.iter().sum()
    };
    Ok((events, rows))
}

/// Writes which signals of the catalogue there are: by how far each number is from the one before.
fn put_numbers_of(bits: &mut BitWriter, columns: &[Column]) {
    let numbers = columns.iter().filter_map(|column| column.path.def()).map(|def| u64::from(def.number));
    let steps: Vec<u64> = numbers
        .scan(0, |before, number| {
            let step = number - *before - 1;
            *before = number;
            Some(step)
        })
        .collect();
    let cost = |order: &u32| steps.iter().map(|step| golomb_bits(*step, *order)).sum::<u32>();
    let order = (0..8).min_by_key(cost).unwrap_or_default();
    bits.put_golomb(columns.len() as u64, 4);
    bits.put(u64::from(order), 3);
    for step in steps {
        bits.put_golomb(step, order);
    }
}

/// The signals, and how many of them were written by number.
fn take_paths(bits: &mut BitReader<'_>) -> Result<(Vec<SignalPath>, usize), DecodeError> {
    let count = limits::to_decode(bits.take_golomb(4)?, limits::COLUMNS, "signals")?;
    let order = bits.take(3)? as u32;
    let mut paths = Vec::new();
    let mut number = 0_u64;
    for _ in 0..count {
        number = bits.take_golomb(order)?.checked_add(number + 1).ok_or(DecodeError::Malformed)?;
        let def = u16::try_from(number).ok().and_then(|number| Catalogue::get().by_number(number));
        paths.push(SignalPath::from(def.ok_or(DecodeError::Signal(number))?));
    }
    let unknown = limits::to_decode(bits.take_golomb(0)?, limits::COLUMNS - count, "signals")?;
    for _ in 0..unknown {
        // A path that the catalogue has learnt since is the signal that it names now.
        let path = SignalPath::parse(&take_text(bits)?).map_err(|_| DecodeError::Malformed)?;
        if paths.contains(&path) {
            return Err(DecodeError::Malformed);
        }
        paths.push(path);
    }
    Ok((paths, count))
}
