//! `load`: puts a file of bulk data into the stack's bucket, and waits for what is said of it.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use roadcast_aws::{DynamoBulkMap, SystemClock};
use roadcast_ports::bulk::{BulkFile, ImportProgress as _};
use roadcast_ports::clock::Clock as _;
use serde_json::{Value, json};

use crate::args;
use crate::aws;
use crate::console::{Console, Step};
use crate::stack::Stack;
use crate::stack::layout::Layout;

/// How often it is looked whether the file is loaded.
const POLL: Duration = Duration::from_millis(500);
/// Where nothing more was heard of a file for so long, nothing will be.
const GIVE_UP_AFTER: Duration = Duration::from_mins(5);
/// Wrong rows that are shown.
const SHOWN: usize = 10;
/// Bytes of the report that they are in: a line of it is some hundred bytes.
const SHOWN_BYTES: usize = 16 * 1024;

/// A file that was put into the bucket.
struct Upload {
    s3: aws_sdk_s3::Client,
    bucket: String,
    key: String,
    /// The same for the same bytes: its entity tag.
    content: String,
}

pub(crate) async fn run(layout: &Layout, console: &Console, options: &args::Load) -> Result<ExitCode> {
    let stack = Stack::open(layout)?;
    let began = Instant::now();
    let upload = Upload::put(&stack, options).await?;
    let mut step = console.step("Loading");
    step.at(&upload.key);
    let summary = upload.wait(&stack, &mut step).await?;
    let counts = ["rows", "loaded", "unchanged", "superseded", "wrong"].map(|name| (name, summary[name].as_u64()));
    let told: Vec<String> = counts.iter().map(|(name, count)| format!("{} {name}", count.unwrap_or_default())).collect();
    step.done(&told.join(", "));
    let waited = began.elapsed().as_secs_f64();
    let wrong = upload.first_wrong_rows().await?;

    let mut text = format!("{}, in {} s on the stack\n", told.join(", "), summary["seconds"]);
    for row in &wrong {
        let (line, reason, pointer) = (&row["line"], &row["reason"], row["pointer"].as_str().unwrap_or_default());
        let detail = row["detail"].as_str().unwrap_or_default();
        writeln!(text, "line {line} {pointer}: {} ({detail})", reason.as_str().unwrap_or_default())?;
    }
    writeln!(text, "Report: s3://{}/{}", upload.bucket, upload.report())?;
    let refused = summary.get("refused").filter(|refused| !refused.is_null());
    if let Some(refused) = refused {
        let detail = refused["detail"].as_str().unwrap_or_default();
        writeln!(text, "The file was read up to line {} only: {detail}", refused["line"])?;
    }
    let object = json!({
        "bucket": upload.bucket, "key": upload.key, "report": upload.report(), "summary": summary, "wrong": wrong,
        "waitedSeconds": waited,
    });
    console.result(&object, &text)?;
    Ok(if refused.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Upload {
    async fn put(stack: &Stack, options: &args::Load) -> Result<Self> {
        let name = options.file.file_name().and_then(|name| name.to_str()).context("the file has no name in UTF-8")?;
        let bucket = stack.file.output("BulkDataBucketName")?.to_owned();
        let s3 = aws::s3(&stack.config);
        // A name of its own, so that what is said of an earlier file of that name is not taken for an answer.
        let key = format!("{}/{}/{name}", options.kind.prefix(), SystemClock.now().to_string().replace(':', "-"));
        let shown = options.file.display();
        let body = ByteStream::from_path(&options.file).await.with_context(|| format!("cannot read {shown}"))?;
        let put = s3.put_object().bucket(&bucket).key(&key).body(body).send().await;
        let put = put.with_context(|| format!("cannot put {shown} into the bucket {bucket}"))?;
        let content = put.e_tag.unwrap_or_default().trim_matches('"').to_owned();
        Ok(Self { s3, bucket, key, content })
    }

    fn report(&self) -> String {
        format!("reports/{}.report.ndjson", self.key)
    }

    /// What is said of the file once it is loaded.
    async fn wait(&self, stack: &Stack, step: &mut Step) -> Result<Value> {
        let dynamodb = aws_sdk_dynamodb::Client::new(&stack.config);
        let loads = DynamoBulkMap::new(dynamodb, stack.file.output("ReferenceTableName")?);
        let (mut rows, mut heard) = (0, Instant::now());
        loop {
            if let Some(text) = self.read(&format!("reports/{}.summary.json", self.key), None).await? {
                return serde_json::from_slice(&text).context("the summary is not understood");
            }
            let now = self.rows(&loads).await?;
            if now != rows {
                (rows, heard) = (now, Instant::now());
            }
            step.at(&format!("{} {rows} rows so far", self.key));
            if heard.elapsed() > GIVE_UP_AFTER {
                bail!(
                    "nothing was said of {} for {} minutes: does the stack load files of that kind?",
                    self.key,
                    GIVE_UP_AFTER.as_secs() / 60
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many rows are done, as far as that is kept while the file is loaded.
    async fn rows(&self, loads: &DynamoBulkMap) -> Result<u64> {
        let Some(version) = loads.ledger().await?.newest_of(&self.content).cloned() else { return Ok(0) };
        let (key, content) = (self.key.clone(), self.content.clone());
        let checkpoint = loads.checkpoint(&BulkFile { key, object_version: None, content, version }).await?;
        Ok(checkpoint.filter(|checkpoint| !checkpoint.done).map_or(0, |checkpoint| checkpoint.counts.rows))
    }

    async fn first_wrong_rows(&self) -> Result<Vec<Value>> {
        let text = self.read(&self.report(), Some(SHOWN_BYTES)).await?.unwrap_or_default();
        // Those that are whole: the last line may be cut.
        let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        whole.take(SHOWN).map(|line| serde_json::from_slice(line).context("the report is not understood")).collect()
    }

    /// What lies at a key, or the first bytes of it; nothing where nothing does.
    async fn read(&self, key: &str, bytes: Option<usize>) -> Result<Option<Vec<u8>>> {
        let range = bytes.map(|bytes| format!("bytes=0-{}", bytes - 1));
        match self.s3.get_object().bucket(&self.bucket).key(key).set_range(range).send().await {
            Ok(object) => Ok(Some(object.body.collect().await?.to_vec())),
            // An empty object has no first byte.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "InvalidRange")) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {key}")),
        }
    }
}
