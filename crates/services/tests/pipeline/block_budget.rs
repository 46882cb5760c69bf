//! One budget for the blocks of an upload: what HTTP accepts, the stream stores.

use proptest::prelude::*;
use roadcast_codec::stream_record;
use roadcast_domain::refusal::Reason;
use roadcast_services::ingest::{EventError, IngestError};

use crate::decompression::{CountingSink, WithCountingLog, constant_block_event, process, record};
use crate::fixture::{PipelineFixture, admin};

/// Sends an upload over HTTP and as a record of the stream. Returns whether each accepts every event, and the refusals of
/// HTTP.
async fn accepted_over_http_and_stream(blocks: &[usize]) -> (bool, bool, Vec<(usize, EventError)>) {
    let events: Vec<String> =
        blocks.iter().enumerate().map(|(n, signals)| constant_block_event(&n.to_string(), *signals)).collect();
    let upload = format!("[{}]", events.join(","));
    let pipeline = PipelineFixture::new(14);
    let vid = pipeline.vehicle("v").await;
    let refused = match pipeline.ingest().upload(&admin(), &vid, &upload).await {
        Ok(accepted) => {
            assert!(accepted.iter().all(|event| event.samples == 500));
            Vec::new()
        }
        Err(IngestError::Events(refused)) => refused,
        Err(error) => panic!("{error}"),
    };
    let records = [record(&vid, 1, stream_record::compress(&upload))];
    process::<WithCountingLog>(&pipeline, pipeline.memory.clone(), CountingSink::default(), &records, 0).await;
    (refused.is_empty(), pipeline.memory.quarantined().is_empty(), refused)
}

#[tokio::test]
async fn upload_of_wide_blocks_is_refused_over_http_as_on_the_stream() {
    let (http, stream, refused) = accepted_over_http_and_stream(&[60; 80]).await;
    assert!(!http && !stream);
    let (index, EventError::Refused(refusal)) = &refused[0] else { panic!("{refused:?}") };
    assert!(*index > 30, "the first blocks fit: {index}");
    assert_eq!(refusal.reason, Reason::TooLarge);
    assert!(refusal.detail.contains("split the upload"), "{refusal}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn http_and_stream_accept_the_same_blocks(count in 1_usize..80, signals in 1_usize..64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let blocks: Vec<usize> = (0..count).map(|n| 1 + (signals + n * 7) % 63).collect();
        let (http, stream, _) = runtime.block_on(accepted_over_http_and_stream(&blocks));
        prop_assert_eq!(http, stream);
    }
}
