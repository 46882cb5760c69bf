//! `load`: uploads a bulk file to the bucket of the stack and waits for the result of the import.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use roadcast_aws::{DynamoImportProgress, SystemClock};
use roadcast_ports::bulk::{BulkFile, ImportProgress as _};
use roadcast_ports::clock::Clock as _;
use serde_json::{Value, json};

use crate::aws;
use crate::console::{Console, Step};
use crate::location::StackLocation;
use crate::stack::Stack;

/// How often the command checks whether the import has finished.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The command fails if the import makes no progress for this long.
const STALL_TIMEOUT: Duration = Duration::from_mins(5);
/// The maximum number of invalid rows to print.
const PRINTED_ROWS: usize = 10;
/// How many bytes of the report to read for them. A line has a few hundred bytes.
const REPORT_BYTES: usize = 16 * 1024;

/// A file in the bucket.
struct UploadedFile {
    s3: aws_sdk_s3::Client,
    bucket: String,
    key: String,
    /// The entity tag, which is equal for equal bytes.
    content: String,
}

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast load vehicles.csv
  cargo roadcast load vehicles.ndjson.zst
  cargo roadcast load --as schemas schemas.ndjson
  cargo roadcast --json load vehicles.csv | jq .summary
  cargo roadcast --stack-name roadcast-dev load vehicles.csv     On AWS

The file name ends in .csv, .ndjson or .jsonl, optionally followed by .gz or .zst. docs/bulk-data.md describes the columns.
The exit code is 1 if the file cannot be read to its end. A vehicle mapping grants no access: subscribe a fleet to its
mapped vehicles with `cargo roadcast onboard --mapped`.")]
pub(crate) struct LoadArgs {
    /// File to import.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Kind of the file.
    #[arg(long = "as", value_enum, value_name = "KIND", default_value_t = BulkKind::VinMap)]
    pub(crate) kind: BulkKind,
}

/// The kind of a bulk file.
#[derive(Copy, Clone, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BulkKind {
    /// Which fleet has which vehicle.
    VinMap,
    /// Schemas of custom event types.
    Schemas,
}

impl BulkKind {
    /// The key prefix of files of this kind in the bucket.
    const fn prefix(self) -> &'static str {
        match self {
            Self::VinMap => "vin-map",
            Self::Schemas => "schemas",
        }
    }
}

pub(crate) async fn run(location: &StackLocation, console: &Console, options: &LoadArgs) -> Result<ExitCode> {
    let stack = Stack::open(location).await?;
    let started = Instant::now();
    let upload = UploadedFile::put(&stack, options).await?;
    let mut step = console.step("Importing");
    step.set_message(&upload.key);
    let summary = upload.wait(&stack, &mut step).await?;
    step.finish(&totals(&summary));
    let waited = started.elapsed().as_secs_f64();
    let invalid_rows = upload.first_invalid_rows().await?;

    let report = format!("s3://{}/{}", upload.bucket, upload.report_key());
    let text = result_text(&summary, &invalid_rows, &report);
    let is_refused = !summary["refused"].is_null();
    let object = json!({
        "bucket": upload.bucket, "key": upload.key, "report": upload.report_key(), "summary": summary, "wrong": invalid_rows,
        "waitedSeconds": waited,
    });
    console.print_result(&object, &text)?;
    Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the numbers of rows by outcome.
fn totals(summary: &Value) -> String {
    let count = |name| format!("{} {name}", summary[name].as_u64().unwrap_or_default());
    ["rows", "loaded", "unchanged", "superseded", "wrong"].map(count).join(", ")
}

/// Returns the result for people: why the file is refused, the numbers of rows, and the first invalid rows with the line,
/// the cause and what to do.
fn result_text(summary: &Value, invalid_rows: &[Value], report: &str) -> String {
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = String::new();
    let refused = &summary["refused"];
    if !refused.is_null() {
        let (line, detail) = (refused["line"].as_u64().unwrap_or_default(), text_of(&refused["detail"]));
        // Writing to a String cannot fail.
        let _ = match (summary["rows"].as_u64(), line) {
            (None | Some(0), 0) => writeln!(text, "The file was not loaded: {detail}"),
            (None | Some(0), line) => writeln!(text, "The file was not loaded; line {line}: {detail}"),
            (Some(_), line) => writeln!(text, "The file was read only to line {line}: {detail}"),
        };
    }
    let _ = writeln!(text, "{}; the import took {} s", totals(summary), summary["seconds"]);
    for row in invalid_rows {
        let place = format!("line {} {}", row["line"], text_of(&row["pointer"]));
        let (reason, detail) = (text_of(&row["reason"]), text_of(&row["detail"]));
        let _ = writeln!(text, "{}: {reason} ({detail})", place.trim_end());
    }
    let wrong = summary["wrong"].as_u64().unwrap_or_default();
    if wrong > invalid_rows.len() as u64 && !invalid_rows.is_empty() {
        let _ = writeln!(text, "The report has the other invalid rows.");
    }
    let _ = writeln!(text, "Report: {report}");
    text
}

impl UploadedFile {
    async fn put(stack: &Stack, options: &LoadArgs) -> Result<Self> {
        let name = options.file.file_name().and_then(|name| name.to_str()).context("the file name is not UTF-8")?;
        let bucket = stack.output("BulkDataBucketName")?.to_owned();
        let s3 = aws::s3(&stack.config);
        // A unique key, so that the report of an earlier file with this name is not mistaken for the result.
        let key = format!("{}/{}/{name}", options.kind.prefix(), SystemClock.now().to_string().replace(':', "-"));
        let path = options.file.display();
        let body = ByteStream::from_path(&options.file).await.with_context(|| format!("cannot read {path}"))?;
        let put = s3.put_object().bucket(&bucket).key(&key).body(body).send().await;
        let put = put.with_context(|| format!("cannot upload {path} to the bucket {bucket}"))?;
        let content = put.e_tag.unwrap_or_default().trim_matches('"').to_owned();
        Ok(Self { s3, bucket, key, content })
    }

    fn report_key(&self) -> String {
        format!("reports/{}.report.ndjson", self.key)
    }

    /// Waits for the summary of the import and returns it.
    async fn wait(&self, stack: &Stack, step: &mut Step) -> Result<Value> {
        let dynamodb = aws_sdk_dynamodb::Client::new(&stack.config);
        let loads = DynamoImportProgress::new(dynamodb, stack.output("ReferenceTableName")?);
        let (mut rows, mut last_progress) = (0, Instant::now());
        loop {
            if let Some(text) = self.read(&format!("reports/{}.summary.json", self.key), None).await? {
                return serde_json::from_slice(&text).context("the summary of the import is not valid JSON");
            }
            let now = self.rows(&loads).await?;
            if now != rows {
                (rows, last_progress) = (now, Instant::now());
            }
            step.set_message(&format!("{} {rows} rows so far", self.key));
            if last_progress.elapsed() > STALL_TIMEOUT {
                bail!(
                    "the import of {} made no progress for {} minutes: check --as, and errors of the reference loader in {}",
                    self.key,
                    STALL_TIMEOUT.as_secs() / 60,
                    stack.log_of("reference-loader")
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The number of rows that the last checkpoint of a running import counts; 0 if there is none.
    async fn rows(&self, loads: &DynamoImportProgress) -> Result<u64> {
        let Some(version) = loads.ledger().await?.newest_with_content(&self.content).cloned() else { return Ok(0) };
        let (key, content) = (self.key.clone(), self.content.clone());
        let checkpoint = loads.checkpoint(&BulkFile { key, object_version: None, content, version }).await?;
        Ok(checkpoint.filter(|checkpoint| !checkpoint.done).map_or(0, |checkpoint| checkpoint.counts.rows))
    }

    async fn first_invalid_rows(&self) -> Result<Vec<Value>> {
        let text = self.read(&self.report_key(), Some(REPORT_BYTES)).await?.unwrap_or_default();
        // Complete lines only: the last line may be truncated.
        let complete = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        complete
            .take(PRINTED_ROWS)
            .map(|line| serde_json::from_slice(line).context("the report of the import is not valid JSON"))
            .collect()
    }

    /// The object at a key, or its first `bytes`; None if it does not exist or is empty.
    async fn read(&self, key: &str, bytes: Option<usize>) -> Result<Option<Vec<u8>>> {
        let range = bytes.map(|bytes| format!("bytes=0-{}", bytes - 1));
        match self.s3.get_object().bucket(&self.bucket).key(key).set_range(range).send().await {
            Ok(object) => Ok(Some(object.body.collect().await?.to_vec())),
            // S3 returns InvalidRange for a range of an empty object.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "InvalidRange")) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {key}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_file_is_shown_with_line_cause_and_remedy() {
        let detail =
            "the cells are separated by semicolons, not by commas: save the file as \"CSV UTF-8 (Comma delimited)\"";
        let mut summary = json!({
            "rows": 0, "loaded": 0, "unchanged": 0, "superseded": 0, "wrong": 0, "seconds": 0.1,
            "refused": {"line": 1, "detail": detail},
        });
        let expected = format!(
            "The file was not loaded; line 1: {detail}\n\
             0 rows, 0 loaded, 0 unchanged, 0 superseded, 0 wrong; the import took 0.1 s\nReport: s3://b/r\n"
        );
        assert_eq!(result_text(&summary, &[], "s3://b/r"), expected);
        summary["refused"]["line"] = json!(0);
        assert!(result_text(&summary, &[], "s3://b/r").starts_with("The file was not loaded: the cells"));
        (summary["rows"], summary["refused"]["line"]) = (json!(4), json!(5));
        assert!(result_text(&summary, &[], "s3://b/r").starts_with("The file was read only to line 5: the cells"));
    }

    #[test]
    fn invalid_rows_are_shown_with_line_cause_and_remedy() {
        let summary = json!({"rows": 4, "loaded": 1, "unchanged": 0, "superseded": 0, "wrong": 3, "seconds": 2.5});
        let rows = [
            json!({"line": 2, "pointer": "", "reason": "quote", "detail": "a quote is never closed: close it"}),
            json!({"line": 3, "pointer": "/removed", "reason": "removed", "detail": "must be true or false"}),
        ];
        let expected = "4 rows, 1 loaded, 0 unchanged, 0 superseded, 3 wrong; the import took 2.5 s\n\
                        line 2: quote (a quote is never closed: close it)\n\
                        line 3 /removed: removed (must be true or false)\n\
                        The report has the other invalid rows.\nReport: s3://b/r\n";
        assert_eq!(result_text(&summary, &rows, "s3://b/r"), expected);
    }
}
