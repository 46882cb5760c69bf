//! Files of bulk data in a bucket.

use aws_sdk_s3::primitives::ByteStream;
use roadcast_aws::{OsRandomness, RESUME_PREFIX, S3BulkFiles, Sdk};
use roadcast_domain::vehicle_mapping::FileVersion;
use roadcast_ports::bulk::{BulkFile, BulkFiles as _};
use roadcast_ports::conformance as suites;
use roadcast_signals::Timestamp;

use crate::stack::Stack;

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    let (s3, files) = (sdk.s3(), S3BulkFiles::new(sdk.s3(), &stack.bucket));
    let upload = async |key: &str, bytes: &[u8]| {
        let put = s3.put_object().bucket(&stack.bucket).key(key).body(ByteStream::from(bytes.to_vec()));
        let content = put.send().await.unwrap().e_tag.unwrap().trim_matches('"').to_owned();
        let version = FileVersion::new(Timestamp::from_ms(0), &content, "suite");
        BulkFile { key: key.to_owned(), object_version: None, content, version }
    };
    let read = async |key: &str| {
        let object = s3.get_object().bucket(&stack.bucket).key(key).send().await.ok()?;
        Some(object.body.collect().await.unwrap().to_vec())
    };
    suites::bulk_files(&files, upload, read, &OsRandomness).await;
    println!("bulk files");

    let file = upload("vin-map/large report.csv", b"").await;
    for part in 0..5 {
        files.store_report_part(&file, part, vec![b'0' + u8::try_from(part).unwrap(); 4 << 20]).await.unwrap();
    }
    files.store_report(&file, 5, b"xyz".to_vec(), Vec::new()).await.unwrap();
    let report = read("reports/vin-map/large report.csv.report.ndjson").await.unwrap();
    assert_eq!(report.len(), (20 << 20) + 3, "a report that is uploaded in several parts is complete");
    assert!(report.is_sorted_by_key(|byte| *byte), "a report that is uploaded in several parts is in order");

    files.request_resume(&file).await.unwrap();
    let listed = s3.list_objects_v2().bucket(&stack.bucket).prefix(RESUME_PREFIX).send().await.unwrap().contents.unwrap();
    let mut resumed = Vec::new();
    for object in listed {
        resumed.push(files.read_resume_marker(&object.key.unwrap()).await.unwrap());
    }
    assert!(resumed.contains(&file), "a resume marker names the file");
    println!("resume markers");
}
