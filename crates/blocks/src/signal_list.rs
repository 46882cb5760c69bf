//! Encoding of the signals of a block.

use roadcast_signals::{Catalogue, Column, Presence, SignalPath, Values};

use crate::bits::{BitReader, BitWriter};
use crate::text::{read_text, write_text};
use crate::version::Version;
use crate::{DecodeError, limits};

/// The Golomb order of the first number: half of the catalogue is above its 2^10.
const FIRST_ORDER: u32 = 10;
/// The Golomb order of the distance to the previous number, if it is not the next one.
const DISTANCE_ORDER: u32 = 4;

/// Writes the numbers of the catalogue signals and the paths of the others, which follow them in `columns`.
pub(crate) fn write(bits: &mut BitWriter, columns: &[Column]) {
    let (numbered, by_path) = columns.split_at(columns.partition_point(|column| column.path.def().is_some()));
    bits.write_golomb(numbered.len() as u64, 4);
    let mut previous = 0;
    for number in numbered.iter().filter_map(|column| column.path.def()).map(|def| u64::from(def.number)) {
        match number - previous {
            _ if previous == 0 => bits.write_golomb(number - 1, FIRST_ORDER),
            1 => bits.write_bit(false),
            distance => {
                bits.write_bit(true);
                bits.write_golomb(distance - 2, DISTANCE_ORDER);
            }
        }
        previous = number;
    }
    bits.write_golomb(by_path.len() as u64, 0);
    for column in by_path {
        write_text(bits, column.path.as_str());
    }
}

/// Reads the signals. Returns a column without values for each, and the number of those written by number.
pub(crate) fn read(bits: &mut BitReader<'_>, version: Version) -> Result<(Vec<Column>, usize), DecodeError> {
    let count = limits::check_decoded(bits.read_golomb(4)?, limits::COLUMNS, "signals")?;
    let order = if version == Version::One { bits.read(3)? as u32 } else { 0 };
    let mut columns = Vec::with_capacity(count);
    let mut number = 0_u64;
    for _ in 0..count {
        // The distance from the previous number, minus 1.
        let skipped = match version {
            Version::One => bits.read_golomb(order)?,
            Version::Two if number == 0 => bits.read_golomb(FIRST_ORDER)?,
            Version::Two if bits.read_bit()? => bits.read_golomb(DISTANCE_ORDER)?.saturating_add(1),
            Version::Two => 0,
        };
        number = skipped.checked_add(number + 1).ok_or(DecodeError::Malformed)?;
        let def = u16::try_from(number).ok().and_then(|number| Catalogue::get().by_number(number));
        columns.push(without_values(SignalPath::from(def.ok_or(DecodeError::Signal(number))?)));
    }
    let by_path = limits::check_decoded(bits.read_golomb(0)?, limits::COLUMNS - count, "signals")?;
    for _ in 0..by_path {
        // A path that was added to the catalogue after writing is now the signal of that name.
        let path = SignalPath::parse(&read_text(bits)?).map_err(|_| DecodeError::Malformed)?;
        if columns.iter().any(|column| column.path == path) {
            return Err(DecodeError::Malformed);
        }
        columns.push(without_values(path));
    }
    Ok((columns, count))
}

fn without_values(path: SignalPath) -> Column {
    Column { path, presence: Presence::All, values: Values::Bools(Vec::new()) }
}
