//! Where events came from, compactly: `source`, `id` and extensions of each event of a block, as its sender named them.
//!
//! Sources and extensions repeat, so each different one is written once. Ids mostly count up, share a beginning, or are
//! hexadecimal: each is written in whichever of the forms below takes the fewest bytes.

use std::collections::BTreeMap;

use roadcast_domain::event::Origin;

use roadcast_codec::bytes::{Malformed, Reader, write_number, write_text};

const VERSION: u8 = 1;
/// No block holds more events.
const MOST: u64 = 1 << 16;

/// Bytes that are not origins.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableOrigins {
    /// Cut short or made up.
    #[error("malformed")]
    Malformed,
    /// Written by a later release.
    #[error("version {0} is not known here")]
    Version(u8),
    /// An extension attribute's text is not JSON.
    #[error("extensions that are not JSON")]
    Extensions(#[from] serde_json::Error),
}

impl From<Malformed> for UnreadableOrigins {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The bytes of origins, in their order.
pub fn encode(origins: &[&Origin]) -> serde_json::Result<Vec<u8>> {
    let mut out = vec![VERSION];
    write_number(&mut out, origins.len() as u64);
    let mut sources = Vec::new();
    for origin in origins {
        write_shared(&mut out, &mut sources, &origin.source);
    }
    let mut extensions = Vec::new();
    for origin in origins {
        let text = if origin.extensions.is_empty() { String::new() } else { serde_json::to_string(&origin.extensions)? };
        write_shared(&mut out, &mut extensions, &text);
    }
    let mut before = "";
    for origin in origins {
        write_id(&mut out, before, &origin.id);
        before = &origin.id;
    }
    Ok(out)
}

/// The origins of those bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Origin>, UnreadableOrigins> {
    let mut reader = Reader(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(UnreadableOrigins::Version(version));
    }
    // Each origin takes three bytes at least.
    let count = reader.count()?;
    if count as u64 > MOST {
        return Err(UnreadableOrigins::Malformed);
    }
    let sources = read_shared(&mut reader, count)?;
    let mut extensions = Vec::with_capacity(count);
    for text in read_shared(&mut reader, count)? {
        extensions.push(if text.is_empty() { BTreeMap::new() } else { serde_json::from_str(text)? });
    }
    let mut origins: Vec<Origin> = Vec::with_capacity(count);
    for (source, extensions) in sources.into_iter().zip(extensions) {
        let id = read_id(&mut reader, origins.last().map_or("", |origin| &origin.id))?;
        origins.push(Origin { source: source.to_owned(), id, extensions });
    }
    if reader.0.is_empty() { Ok(origins) } else { Err(UnreadableOrigins::Malformed) }
}

/// Writes a text's number among those written before, or the next number and the text.
fn write_shared(out: &mut Vec<u8>, known: &mut Vec<String>, text: &str) {
    if let Some(place) = known.iter().position(|known| known == text) {
        write_number(out, place as u64);
    } else {
        write_number(out, known.len() as u64);
        write_text(out, text);
        known.push(text.to_owned());
    }
}

fn read_shared<'a>(reader: &mut Reader<'a>, count: usize) -> Result<Vec<&'a str>, Malformed> {
    let mut known: Vec<&str> = Vec::new();
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let place = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
        if place == known.len() {
            known.push(reader.text()?);
        }
        texts.push(*known.get(place).ok_or(Malformed)?);
    }
    Ok(texts)
}

/// How an id is written; the number is its first byte.
#[derive(Copy, Clone)]
enum Form {
    /// As it is.
    Plain = 0,
    /// What it shares with the id before it, and the rest.
    Shared = 1,
    /// Bytes in lower-case hexadecimal, after what it shares with the id before it.
    Hexadecimal = 2,
    /// A UUID in lower case with its hyphens.
    Uuid = 3,
    /// The id before it, with the number at its end raised.
    Next = 4,
}

fn write_id(out: &mut Vec<u8>, before: &str, id: &str) {
    let shared = shared_bytes(before, id);
    let rest = &id[shared..];
    let mut best = vec![Form::Plain as u8];
    write_text(&mut best, id);
    let mut offer = |candidate: Vec<u8>| {
        if candidate.len() < best.len() {
            best = candidate;
        }
    };

    let mut candidate = vec![Form::Shared as u8];
    write_number(&mut candidate, shared as u64);
    write_text(&mut candidate, rest);
    offer(candidate);

    for (shared, rest) in [(shared, rest), (0, id)] {
        if let Some(bytes) = from_hex(rest) {
            let mut candidate = vec![Form::Hexadecimal as u8];
            write_number(&mut candidate, shared as u64);
            write_number(&mut candidate, bytes.len() as u64);
            candidate.extend(bytes);
            offer(candidate);
        }
    }
    if let Some(bytes) = uuid_bytes(id) {
        let mut candidate = vec![Form::Uuid as u8];
        candidate.extend(bytes);
        offer(candidate);
    }
    if let (Some(old), Some(new)) = (counter(before), counter(id))
        && let Some(step) = new.checked_sub(old)
        && raised(before, step).as_deref() == Some(id)
    {
        let mut candidate = vec![Form::Next as u8];
        write_number(&mut candidate, step);
        offer(candidate);
    }
    out.extend(best);
}

fn read_id(reader: &mut Reader<'_>, before: &str) -> Result<String, Malformed> {
    let form = reader.byte()?;
    let shared = |reader: &mut Reader<'_>| {
        let shared = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
        before.get(..shared).map(str::to_owned).ok_or(Malformed)
    };
    match form {
        form if form == Form::Plain as u8 => Ok(reader.text()?.to_owned()),
        form if form == Form::Shared as u8 => Ok(shared(reader)? + reader.text()?),
        form if form == Form::Hexadecimal as u8 => {
            let mut id = shared(reader)?;
            let length = reader.count()?;
            push_hex(&mut id, reader.take(length)?);
            Ok(id)
        }
        form if form == Form::Uuid as u8 => {
            let bytes = reader.take(16)?;
            let mut id = String::with_capacity(36);
            for (part, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                if part > 0 {
                    id.push('-');
                }
                push_hex(&mut id, &bytes[range]);
            }
            Ok(id)
        }
        form if form == Form::Next as u8 => raised(before, reader.number()?).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

/// How many bytes two texts begin with in common, not cutting a character.
fn shared_bytes(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xF] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

fn uuid_bytes(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split('-').collect();
    if parts.iter().map(|part| part.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    from_hex(&parts.concat())
}

/// The number that a text ends with; no more digits than a `u64` surely holds.
fn counter(text: &str) -> Option<u64> {
    text[counter_start(text)..].parse().ok()
}

fn counter_start(text: &str) -> usize {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).take(18).count();
    text.len() - digits
}

/// The text with the number at its end raised, as wide as it was where it begins with zeros.
fn raised(text: &str, step: u64) -> Option<String> {
    let start = counter_start(text);
    let number = counter(text)?.checked_add(step)?;
    let width = text.len() - start;
    Some(format!("{}{number:0width$}", &text[..start]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn origin(source: &str, id: &str) -> Origin {
        Origin { source: source.to_owned(), id: id.to_owned(), extensions: BTreeMap::new() }
    }

    fn bytes_of(ids: &[&str]) -> usize {
        let origins: Vec<Origin> = ids.iter().map(|id| origin("urn:partner:a", id)).collect();
        let bytes = encode(&origins.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), origins);
        bytes.len()
    }

    #[test]
    fn ids_that_count_up_take_two_bytes_each() {
        assert_eq!(bytes_of(&["trip-7-0098", "trip-7-0099", "trip-7-0100"]) - bytes_of(&["trip-7-0098"]), 2 * (2 + 2));
        // Ten digits become eleven.
        bytes_of(&["9999999999", "10000000000", "007", "008", "8"]);
        bytes_of(&["99999999999999999999", "99999999999999999999", "18446744073709551615"]);
    }

    #[test]
    fn uuids_and_digests_take_half_their_digits() {
        let uuid = "0199b5c2-7a3e-7c41-9d2f-5b1c3e8a9f00";
        assert_eq!(bytes_of(&[uuid]), 1 + 1 + 1 + 14 + 1 + 1 + 17);
        bytes_of(&[&uuid.to_uppercase(), uuid]);
        bytes_of(&["enviroCar/00ff", "enviroCar/0a1b", "abc", "0"]);
    }

    #[test]
    fn extensions_of_every_kind_come_back() {
        let mut first = origin("a", "1");
        first.extensions = [("sequence", "7".into()), ("urgent", true.into()), ("tries", (-3).into())]
            .map(|(k, v): (&str, serde_json::Value)| (k.to_owned(), v))
            .into();
        let origins = [&first, &origin("b", "2"), &first];
        let back = decode(&encode(&origins).unwrap()).unwrap();
        assert_eq!(back.iter().collect::<Vec<_>>(), origins);
    }

    #[test]
    fn what_a_later_release_wrote_is_an_error_that_says_so() {
        assert_eq!(decode(&[9]).unwrap_err().to_string(), "version 9 is not known here");
    }

    proptest! {
        #[test]
        fn any_origins_come_back(ids in prop::collection::vec(("[a-c]{0,2}", "([0-9a-f]{0,4}|.{0,6}|[0-9]{17,20})"), 0..8)) {
            let origins: Vec<Origin> = ids.iter().map(|(source, id)| origin(source, id)).collect();
            prop_assert_eq!(decode(&encode(&origins.iter().collect::<Vec<_>>()).unwrap()).unwrap(), origins);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(mut bytes: Vec<u8>) {
            let _ = decode(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode(&bytes);
        }
    }
}
