//! Every decoder of bytes that senders choose, or that are read back from stores, against arbitrary bytes and changed valid
//! encodings: none panics, and each allocates at most its bound.

// A test stops at the first error.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod changes;
mod samples;

use allocation_counter::measure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use roadcast_blocks::limits::DecodeLimits;
use roadcast_blocks::{Block, limits};
use roadcast_codec::bulk_file::{Compression, LineSplitter, RowParser};
use roadcast_codec::{BLOCK_CONTENT_TYPE, bus_entry, cloudevents_http, stream_record, vehicle_state};
use roadcast_domain::cloudevent::{self, Envelope};
use roadcast_event_log::encoded_event::EncodedEvent;
use roadcast_event_log::json_text::JsonText;
use roadcast_event_log::{origins, pointers};
use serde_json::json;

use changes::{apply, changes};

/// Generated inputs per test, unless the environment variable `PROPTEST_CASES` states another number.
const CASES: u32 = 400;
const MIB: usize = 1024 * 1024;
/// What a text of JSON takes when it is parsed: an object of one member takes an entire node of a map.
const JSON_FACTOR: usize = 150;

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES };
    ProptestConfig::with_cases(cases)
}

/// Runs a decoder and checks the peak of its memory.
fn bounded<T>(name: &str, bound: usize, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let memory = measure(|| decoded = Some(decode()));
    assert!(memory.bytes_max <= bound as u64, "{name}: {} bytes, more than {bound}", memory.bytes_max);
    decoded.unwrap()
}

/// Completes the body of a block with a correct checksum.
fn with_checksum(body: &[u8]) -> Vec<u8> {
    [body, &crc32c::crc32c(body).to_le_bytes()].concat()
}

fn check_block(bytes: &[u8]) {
    let decoded = bounded("block", limits::MEMORY, || Block::decode(bytes));
    bounded("ids of a block", 4 * MIB, || Block::decode_eids(bytes)).ok();
    bounded("block with a hash", limits::MEMORY, || Block::decode_with_hashes(bytes, &[1])).ok();
    bounded("samples of a block", MIB, || Block::count_samples(bytes)).ok();
    // What a sender may send: the memory of rows is bounded as well.
    let sent = bounded("limited block", 24 * MIB, || {
        Block::decode_limited(bytes, DecodeLimits { samples: limits::SAMPLES, values: 65_536 })
    });
    if let Ok(block) = sent.as_ref().or(decoded.as_ref())
        && block.unpacked_bytes() <= MIB
    {
        bounded("rows of a block", limits::SAMPLES * 64 + 24 * MIB, || block.samples());
    }
}

fn check_record(record: &[u8]) {
    let bound = 48 * MIB + JSON_FACTOR * record.len();
    bounded("stream record", bound, || {
        let Ok(text) = stream_record::decode_text(record) else { return };
        let Ok(events) = stream_record::split_events(&text) else { return };
        let mut budget = stream_record::record_budget();
        for event in events {
            stream_record::count_samples(event.get());
            if let Ok(envelope) = Envelope::parse(event) {
                stream_record::event_data(&envelope.event_type, envelope.data, &mut budget).ok();
            }
        }
    });
}

fn check_bulk_file(bytes: &[u8], chunk: usize) {
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        bounded("bulk file", 32 * MIB + 4 * bytes.len(), || {
            let mut parser = RowParser::new(None);
            let mut lines = LineSplitter::new(compression).unwrap();
            for chunk in bytes.chunks(chunk) {
                lines.push(chunk.to_vec());
                while let Ok(Some(line)) = lines.next_line() {
                    let Ok(text) = &line.text else { continue };
                    RowParser::check_first_object(text).ok();
                    if let Ok(Some(header)) = RowParser::from_header(Ok(text)) {
                        parser = header;
                    }
                    parser.parse(text).ok();
                    RowParser::new(None).parse(text).ok();
                }
            }
            lines.finish();
            lines.next_line().ok();
        });
    }
}

fn check_texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    bounded("bus entry", limits::ROWS_MEMORY + JSON_FACTOR * text.len(), || bus_entry::decode(&text)).ok();
    bounded("cloud events", MIB + JSON_FACTOR * text.len(), || {
        let events = cloudevent::split_events_limited(&text, 1000);
        events.into_iter().flatten().for_each(|event| drop(Envelope::parse(event)));
    });
    let stored = samples::event(0);
    let (vid, eid, received) = (stored.event.vid, stored.event.eid, stored.event.received);
    for event in [JsonText::Plain(text), JsonText::Compressed(bytes.to_vec())] {
        let origin = event.clone();
        let encoded = EncodedEvent { vid: vid.clone(), eid, received, event, origin };
        bounded("single event", 17 * MIB + JSON_FACTOR * bytes.len(), || encoded.decode()).ok();
    }
}

fn check_binary_mode(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (header, body) = text.split_at(text.floor_char_boundary(text.len() / 2));
    for content_type in [None, Some("application/json"), Some(BLOCK_CONTENT_TYPE), Some(header)] {
        bounded("binary mode", MIB + JSON_FACTOR * bytes.len(), || {
            let attributes = [("id", header), ("source", "urn:a"), (header, "x"), ("type", "\"quoted\\\"\"")];
            let event = cloudevents_http::from_binary_mode(attributes.into_iter(), content_type, body.as_bytes());
            event.ok().map(|event| Envelope::parse(&serde_json::from_str::<Box<_>>(&event).unwrap()).is_ok())
        });
    }
}

fn check_stored(bytes: &[u8]) {
    let bound = 2 * origins::MAX_MEMORY_BYTES + JSON_FACTOR * bytes.len();
    bounded("origins", bound, || origins::decode(bytes)).ok();
    bounded("pointers", MIB + 20 * bytes.len(), || pointers::decode(bytes)).ok();
    bounded("vehicle state", limits::ROWS_MEMORY + 8 * bytes.len(), || vehicle_state::decode(bytes)).ok();
}

/// An event whose data is a block.
fn block_event(block: &[u8]) -> String {
    json!({
        "specversion": "1.0", "id": "1", "source": "urn:a", "type": "roadcast.telemetry.v1", "subject": "vin:X",
        "time": "2026-11-03T10:00:00Z", "datacontenttype": BLOCK_CONTENT_TYPE, "data_base64": STANDARD.encode(block),
    })
    .to_string()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn arbitrary_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..2000), chunk in 1_usize..600) {
        check_block(&bytes);
        check_record(&bytes);
        // Both versions of blocks, and without hashes.
        for first in [0xB1, 0xB2, 0xBA] {
            let block = with_checksum(&[&[first], &bytes[..]].concat());
            check_block(&block);
            check_record(block_event(&block).as_bytes());
        }
        check_bulk_file(&bytes, chunk);
        check_texts(&bytes);
        check_binary_mode(&bytes);
        check_stored(&[&[1], &bytes[..]].concat());
    }

    #[test]
    fn changed_blocks_decode_or_fail(sample in any::<prop::sample::Index>(), changes in changes()) {
        let block = &samples::BLOCKS[sample.index(samples::BLOCKS.len())];
        check_block(&apply(block, &changes));
        let changed = with_checksum(&apply(&block[..block.len() - 4], &changes));
        check_block(&changed);
        check_record(block_event(&changed).as_bytes());
        check_record(&stream_record::compress(&format!("[{0},{0},{0}]", block_event(&changed))));
        check_texts(samples::block_entry(&changed).as_bytes());
        // A version, no watermark, and one index.
        check_stored(&[&[1, 0, 1, 0], &changed[..]].concat());
    }

    #[test]
    fn changed_origins_pointers_and_states_decode_or_fail(
        sample in any::<prop::sample::Index>(),
        changes in changes(),
    ) {
        check_stored(&apply(&samples::STORED[sample.index(samples::STORED.len())], &changes));
    }

    #[test]
    fn changed_texts_decode_or_fail(sample in any::<prop::sample::Index>(), changes in changes(), chunk in 1_usize..600) {
        let changed = apply(&samples::TEXTS[sample.index(samples::TEXTS.len())], &changes);
        check_texts(&changed);
        check_record(&changed);
        check_record(&stream_record::compress(&String::from_utf8_lossy(&changed)));
        check_binary_mode(&changed);
        check_bulk_file(&changed, chunk);
    }

    #[test]
    fn changed_frames_decode_or_fail(sample in any::<prop::sample::Index>(), changes in changes(), chunk in 1_usize..600) {
        let text = &samples::TEXTS[sample.index(samples::TEXTS.len())];
        for frame in samples::frames(text) {
            let changed = apply(&frame, &changes);
            check_texts(&changed);
            check_record(&changed);
            check_bulk_file(&changed, chunk);
        }
    }
}
