//! Encoding of the event ids: each id in the form that takes the fewest bytes, relative to the previous id.

use roadcast_codec::bytes::{Malformed, Reader, write_number, write_text};

/// The form in which an id is written. The discriminant is the first byte.
#[derive(Copy, Clone)]
enum IdForm {
    /// The unchanged text.
    Plain = 0,
    /// The length of the prefix shared with the previous id, and the rest as text.
    Shared = 1,
    /// The length of the prefix shared with the previous id, and the rest as the bytes of its lower-case hexadecimal digits.
    Hexadecimal = 2,
    /// A lower-case UUID with hyphens, as 16 bytes.
    Uuid = 3,
    /// The previous id with the number at its end increased by the given step.
    Increment = 4,
}

/// Writes `id` in the shortest form, relative to the `previous` id.
pub(super) fn write_id(out: &mut Vec<u8>, previous: &str, id: &str) {
    // The form of most ids. None is shorter if the step takes one byte.
    if let Some(step) = step_of_same_width(previous, id).filter(|step| *step < 128) {
        out.push(IdForm::Increment as u8);
        write_number(out, step);
        return;
    }
    let shared = common_prefix_bytes(previous, id);
    let rest = &id[shared..];
    let mut best = vec![IdForm::Plain as u8];
    write_text(&mut best, id);
    let mut offer = |candidate: Vec<u8>| {
        if candidate.len() < best.len() {
            best = candidate;
        }
    };

    let mut candidate = vec![IdForm::Shared as u8];
    write_number(&mut candidate, shared as u64);
    write_text(&mut candidate, rest);
    offer(candidate);

    for (shared, rest) in [(shared, rest), (0, id)] {
        if let Some(bytes) = from_hex(rest) {
            let mut candidate = vec![IdForm::Hexadecimal as u8];
            write_number(&mut candidate, shared as u64);
            write_number(&mut candidate, bytes.len() as u64);
            candidate.extend(bytes);
            offer(candidate);
        }
    }
    if let Some(bytes) = uuid_bytes(id) {
        let mut candidate = vec![IdForm::Uuid as u8];
        candidate.extend(bytes);
        offer(candidate);
    }
    if let (Some(old), Some(new)) = (trailing_number(previous), trailing_number(id))
        && let Some(step) = new.checked_sub(old)
        && increment(previous, step).as_deref() == Some(id)
    {
        let mut candidate = vec![IdForm::Increment as u8];
        write_number(&mut candidate, step);
        offer(candidate);
    }
    out.extend(best);
}

/// Reads an id, as [`write_id`] writes it.
pub(super) fn read_id(reader: &mut Reader<'_>, previous: &str) -> Result<String, Malformed> {
    let form = reader.byte()?;
    let shared = |reader: &mut Reader<'_>| {
        let shared = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
        previous.get(..shared).map(str::to_owned).ok_or(Malformed)
    };
    match form {
        form if form == IdForm::Plain as u8 => Ok(reader.text()?.to_owned()),
        form if form == IdForm::Shared as u8 => Ok(shared(reader)? + reader.text()?),
        form if form == IdForm::Hexadecimal as u8 => {
            let mut id = shared(reader)?;
            let length = reader.count()?;
            id.push_str(&hex::encode(reader.take(length)?));
            Ok(id)
        }
        form if form == IdForm::Uuid as u8 => {
            let bytes = reader.take(16)?;
            let mut id = String::with_capacity(36);
            for (part, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                if part > 0 {
                    id.push('-');
                }
                id.push_str(&hex::encode(&bytes[range]));
            }
            Ok(id)
        }
        form if form == IdForm::Increment as u8 => increment(previous, reader.number()?).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

/// Returns the length of the common prefix of two texts in bytes, at a character boundary.
fn common_prefix_bytes(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// Parses lower-case hexadecimal digits, two per byte. Upper-case digits would be written back in lower case.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { hex::decode(text).ok() }
}

/// Parses a lower-case UUID with hyphens.
fn uuid_bytes(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split('-').collect();
    if parts.iter().map(|part| part.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    from_hex(&parts.concat())
}

/// Parses the number at the end of a text: at most 18 digits, which always fit into a `u64`.
fn trailing_number(text: &str) -> Option<u64> {
    text[number_start(text)..].parse().ok()
}

/// Returns by how much the number at the end of an id is larger than that of the previous one, if they are equal otherwise and have
/// as many digits.
fn step_of_same_width(previous: &str, id: &str) -> Option<u64> {
    let start = number_start(id);
    let is_same = previous.len() == id.len() && number_start(previous) == start && previous.get(..start) == id.get(..start);
    if is_same { trailing_number(id)?.checked_sub(trailing_number(previous)?) } else { None }
}

fn number_start(text: &str) -> usize {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).take(18).count();
    text.len() - digits
}

/// Increases the number at the end of a text by `step`. Leading zeros keep the width.
fn increment(text: &str, step: u64) -> Option<String> {
    let start = number_start(text);
    let number = trailing_number(text)?.checked_add(step)?;
    let width = text.len() - start;
    Some(format!("{}{number:0width$}", &text[..start]))
}
