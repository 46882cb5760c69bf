//! Sends recordings as fast as the API responds, or at a multiple of recorded time. Uploads of one vehicle are sent strictly
//! in sequence; those of different vehicles concurrently.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use roadcast_domain::Timestamp;
use roadcast_domain::ids::Eid;
use roadcast_traces::{Batcher, Format, Recording, Row, TraceEvent, Upload, VehicleKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ReplayArgs;
use super::recordings::RecordingSummary;
use crate::api::{Api, Response};
use crate::console::Console;
use crate::stack::tool_clients::REPLAY_SOURCE;

/// The queue length of a worker. Recordings are sorted by vehicle, so reading ahead finds work for the other workers.
const QUEUE_LENGTH: usize = 2048;

/// The totals of sending.
#[derive(Clone, Debug, Default)]
pub(super) struct SendOutcome {
    /// The number of rows in the recordings.
    pub(super) read: u64,
    /// The number of refused samples, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// How often each event was accepted with 202.
    pub(super) acked: HashMap<Eid, u64>,
    /// The number of samples in accepted events.
    pub(super) acked_samples: u64,
    pub(super) uploads: u64,
}

impl SendOutcome {
    pub(super) fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    fn add_refused(&mut self, reason: &str, samples: u64) {
        if samples > 0 {
            *self.refused.entry(reason.to_owned()).or_default() += samples;
        }
    }

    /// Adds the response to an upload of `samples` samples. Fails for a status that is neither a success nor a client error.
    fn add_response(&mut self, samples: u64, response: &Response) -> Result<()> {
        self.uploads += 1;
        if response.status.is_success() {
            for accepted in response.accepted()? {
                let eid: Eid = accepted.eid.parse().context("the API returned an invalid eid")?;
                *self.acked.entry(eid).or_default() += 1;
            }
            self.acked_samples += samples;
            return Ok(());
        }
        if !response.status.is_client_error() {
            bail!("the API returned {} for an upload: see the log of the function events-api", response.status);
        }
        // A response to an upload without a usable sample has a reason per sample; any other error is for the entire upload.
        let mut remaining = samples;
        for item in serde_json::from_slice::<NoUsableSample>(&response.body).unwrap_or_default().quarantined {
            if remaining > 0 {
                remaining -= 1;
                self.add_refused(&item.reason, 1);
            }
        }
        let kind = response.problem().kind;
        let code = kind.rsplit('/').next().filter(|code| !code.is_empty());
        self.add_refused(&code.map_or_else(|| format!("http-{}", response.status.as_u16()), str::to_owned), remaining);
        Ok(())
    }
}

/// The member of a `no-usable-sample` problem with the reason of each sample.
#[derive(Default, Deserialize)]
struct NoUsableSample {
    #[serde(default)]
    quarantined: Vec<QuarantinedItem>,
}

#[derive(Deserialize)]
struct QuarantinedItem {
    reason: String,
}

type Queue = mpsc::Sender<(String, Upload)>;

/// Sends all recordings.
pub(super) async fn send_recordings(
    api: &Arc<Api>,
    options: &ReplayArgs,
    summary: &RecordingSummary,
    vids: Arc<BTreeMap<VehicleKey, String>>,
    console: &Console,
) -> Result<SendOutcome> {
    let pace = options.speed.zip(summary.first_ms).map(|(speed, first_ms)| Pace {
        started: Instant::now(),
        first_ms,
        factor: speed.0,
    });
    let sent = Arc::new(Mutex::new(SendOutcome::default()));
    let mut tasks = JoinSet::new();
    let mut queues = Vec::new();
    for _ in 0..options.concurrency {
        let (queue, waiting) = mpsc::channel(QUEUE_LENGTH);
        queues.push(queue);
        tasks.spawn(send_queue(Arc::clone(api), waiting, pace, Arc::clone(&sent)));
    }
    let (files, format, batch) = (options.files.clone(), options.format, usize::from(options.batch));
    let totals = Arc::clone(&sent);
    let reader = tokio::task::spawn_blocking(move || read(&files, format, batch, &vids, &queues, &totals));

    let mut step = console.counted_step("Sending", summary.rows);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(result) => result??,
                None => break,
            },
            _ = ticks.tick() => {
                let (acked, refused) = with(&sent, |sent| (sent.acked_samples, sent.refused_total()));
                step.set_position(acked + refused, &format!("{refused} refused"));
            }
        }
    }
    reader.await??;
    let sent = with(&sent, std::mem::take);
    step.finish(&format!(
        "{} samples accepted in {} uploads, {} refused",
        sent.acked_samples,
        sent.uploads,
        sent.refused_total()
    ));
    Ok(sent)
}

/// Reads the recordings and queues each upload for the worker of its vehicle.
fn read(
    files: &[PathBuf],
    format: Option<Format>,
    batch: usize,
    vids: &BTreeMap<VehicleKey, String>,
    queues: &[Queue],
    sent: &Mutex<SendOutcome>,
) -> Result<()> {
    let workers: BTreeMap<&VehicleKey, &Queue> = vids.keys().zip(queues.iter().cycle()).collect();
    let enqueue = |upload: Upload| -> Result<()> {
        let vehicle = &upload.vehicle;
        let (vid, queue) = vids
            .get(vehicle)
            .zip(workers.get(vehicle))
            .context("a recording changed while it was replayed: it has a new vehicle")?;
        // The queue is closed if its worker failed. The worker returns the cause.
        queue.blocking_send((vid.clone(), upload)).ok().context("sending was aborted")
    };
    for file in files {
        let mut recording = Recording::open(file, format)?;
        let mut batcher = Batcher::new(batch, REPLAY_SOURCE);
        for row in recording.rows() {
            let row = row?;
            with_lock(sent, |sent| sent.read += 1);
            match row {
                Row::Sample(sample) => batcher.push(sample).into_iter().try_for_each(enqueue)?,
                refused @ Row::Refused { .. } => add_refused_rows(sent, &[refused]),
            }
        }
        batcher.finish().into_iter().try_for_each(enqueue)?;
        add_refused_rows(sent, &batcher.take_refused());
    }
    Ok(())
}

fn add_refused_rows(sent: &Mutex<SendOutcome>, rows: &[Row]) {
    for row in rows {
        if let Row::Refused { reason, .. } = row {
            with_lock(sent, |sent| sent.add_refused(reason.code(), 1));
        }
    }
}

/// Sends the uploads of a queue in sequence.
async fn send_queue(
    api: Arc<Api>,
    mut waiting: mpsc::Receiver<(String, Upload)>,
    pace: Option<Pace>,
    sent: Arc<Mutex<SendOutcome>>,
) -> Result<()> {
    while let Some((vid, upload)) = waiting.recv().await {
        if let Some(pace) = pace {
            pace.wait_for(&upload).await;
        }
        let events: Vec<Value> = upload.events.iter().map(|event: &TraceEvent| event.to_cloud_event(None)).collect();
        let response = api.send_events(&vid, &events).await?;
        with(&sent, |sent| sent.add_response(upload.samples as u64, &response))?;
    }
    Ok(())
}

/// Maps recorded time to real time.
#[derive(Clone, Copy)]
struct Pace {
    started: Instant,
    first_ms: i64,
    factor: f64,
}

impl Pace {
    async fn wait_for(&self, upload: &Upload) {
        let time = upload.events.first().and_then(|event| Timestamp::parse_rfc3339(&event.time).ok());
        let recorded_ms = time.map_or(0, |time| time.ms() - self.first_ms).max(0);
        let offset = Duration::from_millis(recorded_ms.unsigned_abs()).div_f64(self.factor);
        tokio::time::sleep_until(self.started + offset).await;
    }
}

fn with<T>(sent: &Arc<Mutex<SendOutcome>>, act: impl FnOnce(&mut SendOutcome) -> T) -> T {
    with_lock(sent, act)
}

fn with_lock<T>(sent: &Mutex<SendOutcome>, act: impl FnOnce(&mut SendOutcome) -> T) -> T {
    act(&mut sent.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use reqwest::StatusCode;

    fn response(status: StatusCode, body: &str) -> Response {
        Response { status, body: body.as_bytes().to_vec(), etag: None }
    }

    #[test]
    fn upload_without_usable_sample_is_refused_by_sample() {
        let mut sent = SendOutcome::default();
        let body = r#"{"type":"https://roadcast.dev/problems/no-usable-sample","quarantined":[
            {"pointer":"/0/data/samples/0/at","reason":"time_invalid"},
            {"pointer":"/0/data/samples/1/signals","reason":"no_valid_signal"}]}"#;
        sent.add_response(2, &response(StatusCode::UNPROCESSABLE_ENTITY, body)).unwrap();
        assert_eq!(sent.refused, BTreeMap::from([("no_valid_signal".to_owned(), 1), ("time_invalid".to_owned(), 1)]));
    }

    #[test]
    fn other_client_errors_refuse_the_entire_upload() {
        let mut sent = SendOutcome::default();
        let body = r#"{"type":"https://roadcast.dev/problems/conflict","title":"x"}"#;
        sent.add_response(7, &response(StatusCode::CONFLICT, body)).unwrap();
        sent.add_response(3, &response(StatusCode::NOT_FOUND, "")).unwrap();
        assert_eq!(sent.refused, BTreeMap::from([("conflict".to_owned(), 7), ("http-404".to_owned(), 3)]));
        assert!(sent.add_response(1, &response(StatusCode::FOUND, "")).is_err());
    }

    #[test]
    fn event_accepted_twice_is_counted_twice() {
        let mut sent = SendOutcome::default();
        let body = r#"{"accepted":[{"id":"1","source":"s","eid":"01KAFQ4J50B3T9W6Y2N8D5R7XE","samples":1}]}"#;
        sent.add_response(1, &response(StatusCode::ACCEPTED, body)).unwrap();
        sent.add_response(1, &response(StatusCode::ACCEPTED, body)).unwrap();
        assert_eq!(sent.acked.values().copied().collect::<Vec<_>>(), [2]);
    }
}
