//! The batches in plain JSON with blocks instead, in version 1, which the commit writes and reads.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::Block;
use roadcast_packing::BLOCK_CONTENT_TYPE;
use roadcast_signals::Sample;
use serde_json::Value;

/// Writes the batches in blocks beside those in JSON.
pub(crate) fn write(inputs: &Path) {
    for entry in std::fs::read_dir(inputs).expect("inputs") {
        let path = entry.expect("a file").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if let Some(number) = name.strip_prefix("json-") {
            let payload = std::fs::read(&path).expect("a batch");
            std::fs::write(inputs.join(format!("version1-{number}")), with_blocks(&payload)).expect("a file is written");
        }
    }
}

/// Returns an event of the event source mapping with the same samples as one in plain JSON, in blocks.
fn with_blocks(payload: &[u8]) -> Vec<u8> {
    let mut event: Value = serde_json::from_slice(payload).expect("an event");
    for record in event["Records"].as_array_mut().expect("records") {
        let data = &mut record["kinesis"]["data"];
        let upload = STANDARD.decode(data.as_str().expect("a text")).expect("base64");
        *data = STANDARD.encode(upload_with_block(&upload)).into();
    }
    event.to_string().into_bytes()
}

fn upload_with_block(upload: &[u8]) -> String {
    let mut upload: Value = serde_json::from_slice(upload).expect("an upload");
    let samples: Vec<Sample> = serde_json::from_value(upload["data"]["samples"].take()).expect("samples");
    let block = Block::of_samples(&samples).expect("a block").encode();
    let members = upload.as_object_mut().expect("an object");
    members.remove("data");
    members.insert("datacontenttype".to_owned(), BLOCK_CONTENT_TYPE.into());
    members.insert("data_base64".to_owned(), STANDARD.encode(block).into());
    upload.to_string()
}
