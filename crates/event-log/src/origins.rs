//! Compact encoding of event origins: `source`, `id` and extension attributes of each event of a block, as sent.
//!
//! Sources and extensions repeat, so each distinct one is written once. Ids mostly count up, share a prefix, or are
//! hexadecimal: each is written in the form that takes the fewest bytes.

mod id;

use std::collections::BTreeMap;

use roadcast_blocks::limits;
use roadcast_domain::byte_budget::{BudgetExceeded, ByteBudget};
use roadcast_domain::event::Origin;

use roadcast_codec::bytes::{Malformed, Reader, write_number, write_text};

use id::{read_id, write_id};

const VERSION: u8 = 1;
/// Maximum bytes of decoded origins in memory. They are part of the events of a segment, which
/// [`MEMORY_BYTES`](crate::segment::MEMORY_BYTES) bounds; those of a single event are smaller. A few bytes can refer to a long
/// text any number of times, so the size of the input does not bound what it decodes to.
pub const MAX_MEMORY_BYTES: usize = 8 * 1024 * 1024;

/// The bytes are not encoded origins.
#[derive(Debug, thiserror::Error)]
pub enum OriginsDecodeError {
    /// Truncated or invalid bytes.
    #[error("malformed event origins")]
    Malformed,
    /// Written by a later release.
    #[error("unsupported version {0} of event origins")]
    Version(u8),
    /// The origins take more memory than those of a segment.
    #[error("the event origins are too large: {0}")]
    TooLarge(#[from] BudgetExceeded),
    /// The extension attributes are not valid JSON.
    #[error("the extension attributes are not valid JSON")]
    Extensions(#[from] serde_json::Error),
}

impl From<Malformed> for OriginsDecodeError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Encodes origins, in order.
pub fn encode(origins: &[&Origin]) -> serde_json::Result<Vec<u8>> {
    let mut out = vec![VERSION];
    write_number(&mut out, origins.len() as u64);
    let mut sources = Vec::new();
    for origin in origins {
        write_distinct(&mut out, &mut sources, &origin.source);
    }
    let mut extensions = Vec::new();
    for origin in origins {
        let text = if origin.extensions.is_empty() { String::new() } else { serde_json::to_string(&origin.extensions)? };
        write_distinct(&mut out, &mut extensions, &text);
    }
    let mut previous = "";
    for origin in origins {
        write_id(&mut out, previous, &origin.id);
        previous = &origin.id;
    }
    Ok(out)
}

/// Decodes origins.
pub fn decode(bytes: &[u8]) -> Result<Vec<Origin>, OriginsDecodeError> {
    let mut reader = Reader(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(OriginsDecodeError::Version(version));
    }
    // Each origin takes at least three bytes.
    let count = reader.count()?;
    if count > limits::EVENTS {
        return Err(OriginsDecodeError::Malformed);
    }
    let (distinct_sources, sources) = read_distinct(&mut reader, count)?;
    let (texts, extensions) = read_distinct(&mut reader, count)?;
    // Each is a template: it is copied only after its bytes are reserved.
    let mut templates = Vec::with_capacity(texts.len());
    for text in texts {
        let extensions = if text.is_empty() { BTreeMap::new() } else { serde_json::from_str(text)? };
        templates.push(Origin { source: String::new(), id: String::new(), extensions });
    }
    let mut budget = ByteBudget::new(MAX_MEMORY_BYTES);
    let mut origins: Vec<Origin> = Vec::with_capacity(count);
    for (source, extensions) in sources.into_iter().zip(extensions) {
        let (source, template) = (distinct_sources[source], &templates[extensions]);
        let id = read_id(&mut reader, origins.last().map_or("", |origin| &origin.id))?;
        budget.try_reserve(template.memory_bytes() + source.len() + id.len())?;
        origins.push(Origin { source: source.to_owned(), id, extensions: template.extensions.clone() });
    }
    if reader.0.is_empty() { Ok(origins) } else { Err(OriginsDecodeError::Malformed) }
}

/// Writes the index of `text` among the texts written before, or the next index followed by the text.
fn write_distinct(out: &mut Vec<u8>, written: &mut Vec<String>, text: &str) {
    if let Some(index) = written.iter().position(|other| other == text) {
        write_number(out, index as u64);
    } else {
        write_number(out, written.len() as u64);
        write_text(out, text);
        written.push(text.to_owned());
    }
}

/// Reads `count` texts, as [`write_distinct`] writes them. Returns the distinct texts, and the index of each text among them.
fn read_distinct<'a>(reader: &mut Reader<'a>, count: usize) -> Result<(Vec<&'a str>, Vec<usize>), Malformed> {
    let mut distinct: Vec<&str> = Vec::new();
    let mut indices = Vec::with_capacity(count);
    for _ in 0..count {
        let index = usize::try_from(reader.number()?).map_err(|_| Malformed)?;
        if index == distinct.len() {
            distinct.push(reader.text()?);
        }
        if index >= distinct.len() {
            return Err(Malformed);
        }
        indices.push(index);
    }
    Ok((distinct, indices))
}

#[cfg(test)]
mod tests;
