#![allow(clippy::unwrap_used)]
use roadcast_signals::Timestamp;

use super::*;
use crate::fake_aws::{FakeAws, Request, Response};

const MIB: usize = 1024 * 1024;
const CREATED: &str = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>";

fn file() -> BulkFile {
    let version = FileVersion::new(Timestamp::from_ms(0), "1", "test");
    BulkFile { key: "vin-map/a.csv".to_owned(), object_version: None, content: "1".to_owned(), version }
}

/// Stores a report of `parts` parts of 8 MiB. Requests whose step is in `failing` are refused.
async fn store(parts: u32, failing: &'static [Step]) -> (Result<(), PortErrorKind>, FakeAws) {
    let fake = FakeAws::new(move |_, request| {
        if failing.contains(&step(request)) {
            return Response::error(403, "<Error><Code>AccessDenied</Code></Error>");
        }
        match step(request) {
            Step::Create => Response::ok(CREATED),
            Step::Complete => Response::ok("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"),
            Step::Read => Response::ok("x".repeat(8 * MIB)),
            _ => Response::ok(""),
        }
    });
    let files = S3BulkFiles::new(fake.sdk().s3(), "bulk");
    let stored = files.store_report(&file(), parts, b"last\n".to_vec(), b"{}".to_vec()).await;
    (stored.map_err(|error| error.kind()), fake)
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Step {
    Read,
    Put,
    Create,
    Upload,
    Complete,
    Abort,
}

fn step(request: &Request) -> Step {
    let (method, path) = request.operation.split_once(' ').unwrap();
    match method {
        "GET" => Step::Read,
        "DELETE" => Step::Abort,
        "POST" if path.contains("uploads") => Step::Create,
        "POST" => Step::Complete,
        _ if path.contains("partNumber=") => Step::Upload,
        _ => Step::Put,
    }
}

fn steps(fake: &FakeAws) -> Vec<Step> {
    fake.requests().iter().map(step).collect()
}

#[tokio::test]
async fn large_report_has_the_content_type_of_a_small_one() {
    for (parts, expect) in [(0, Step::Put), (2, Step::Create)] {
        let (stored, fake) = store(parts, &[]).await;
        assert_eq!(stored, Ok(()));
        let requests = fake.requests();
        let created = requests.iter().find(|request| [Step::Put, Step::Create].contains(&step(request))).unwrap();
        assert_eq!((step(created), created.content_type.as_str()), (expect, "application/x-ndjson"));
        assert!(!steps(&fake).contains(&Step::Abort));
    }
}

#[tokio::test]
async fn large_report_is_uploaded_in_parts_before_the_summary() {
    use Step::{Complete, Create, Put, Read, Upload};
    let (_, fake) = store(2, &[]).await;
    assert_eq!(steps(&fake), [Read, Create, Upload, Read, Upload, Upload, Complete, Put]);
}

#[tokio::test]
async fn failed_upload_is_aborted_and_has_no_summary() {
    for failing in [&[Step::Upload], &[Step::Complete]] {
        let (stored, fake) = store(2, failing).await;
        assert_eq!(stored, Err(PortErrorKind::Internal), "{failing:?}");
        let steps = steps(&fake);
        assert_eq!(steps[steps.len() - 2..], [failing[0], Step::Abort], "{failing:?}");
        let abort = fake.requests().pop().unwrap().operation;
        assert!(abort.contains("uploadId=u1") && abort.contains("a.csv.report.ndjson"), "{abort}");
    }
}

#[tokio::test]
async fn upload_is_aborted_if_a_part_cannot_be_read() {
    let fake = FakeAws::new(|number, request| match step(request) {
        Step::Read if number > 0 => Response::error(403, "<Error><Code>AccessDenied</Code></Error>"),
        Step::Read => Response::ok("x".repeat(8 * MIB)),
        Step::Create => Response::ok(CREATED),
        _ => Response::ok(""),
    });
    let files = S3BulkFiles::new(fake.sdk().s3(), "bulk");
    let error = files.store_report(&file(), 2, Vec::new(), Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Internal);
    assert_eq!(steps(&fake), [Step::Read, Step::Create, Step::Upload, Step::Read, Step::Abort]);
}

#[tokio::test]
async fn failed_abort_does_not_hide_the_cause() {
    let (stored, fake) = store(1, &[Step::Complete, Step::Abort]).await;
    assert_eq!(stored, Err(PortErrorKind::Internal));
    assert_eq!(steps(&fake).last(), Some(&Step::Abort));
}

#[tokio::test]
async fn failed_small_report_has_nothing_to_abort() {
    let (stored, fake) = store(0, &[Step::Put]).await;
    assert_eq!(stored, Err(PortErrorKind::Internal));
    assert_eq!(steps(&fake), [Step::Put]);
}
