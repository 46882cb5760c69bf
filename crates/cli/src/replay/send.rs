//! Sending: as fast as acks allow, or at a multiple of recorded time. Uploads of one vehicle go out strictly one after the
//! other; those of different vehicles side by side.

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

use super::survey::Survey;
use crate::api::{Answer, Api};
use crate::args;
use crate::console::Console;
use crate::stack::onboard::REPLAY_SOURCE;

/// Uploads that may wait for each worker: recordings are sorted by vehicle, and reading ahead finds work for the others.
const AHEAD: usize = 2048;

/// What was sent, and what the API said.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// Rows of the recordings.
    pub(super) read: u64,
    /// Samples that did not get in, by reason.
    pub(super) refused: BTreeMap<String, u64>,
    /// How often each event was answered with 202.
    pub(super) acked: HashMap<Eid, u64>,
    /// Samples in events that were.
    pub(super) acked_samples: u64,
    pub(super) uploads: u64,
}

impl Sent {
    pub(super) fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    fn refuse(&mut self, reason: &str, samples: u64) {
        if samples > 0 {
            *self.refused.entry(reason.to_owned()).or_default() += samples;
        }
    }

    /// Takes down the answer to an upload.
    fn note(&mut self, samples: u64, answer: &Answer) -> Result<()> {
        self.uploads += 1;
        if answer.status.is_success() {
            for accepted in answer.accepted()? {
                let eid: Eid = accepted.eid.parse().context("an upload was answered with an eid that is none")?;
                *self.acked.entry(eid).or_default() += 1;
            }
            self.acked_samples += samples;
            return Ok(());
        }
        if !answer.status.is_client_error() {
            bail!("an upload was answered with {}: see the endpoint's log", answer.status);
        }
        // An upload that holds nothing usable names the reason of each sample; any other refusal is of the whole upload.
        let mut left = samples;
        for parked in serde_json::from_slice::<NothingUsable>(&answer.body).unwrap_or_default().quarantined {
            if left > 0 {
                left -= 1;
                self.refuse(&parked.reason, 1);
            }
        }
        let kind = answer.problem().kind;
        let code = kind.rsplit('/').next().filter(|code| !code.is_empty());
        self.refuse(&code.map_or_else(|| format!("http-{}", answer.status.as_u16()), str::to_owned), left);
        Ok(())
    }
}

/// The part of a problem document that says why each sample is of no use.
#[derive(Default, Deserialize)]
struct NothingUsable {
    #[serde(default)]
    quarantined: Vec<QuarantinedItem>,
}

#[derive(Deserialize)]
struct QuarantinedItem {
    reason: String,
}

type Queue = mpsc::Sender<(String, Upload)>;

/// Sends every recording.
pub(super) async fn all(
    api: &Arc<Api>,
    options: &args::Replay,
    survey: &Survey,
    vids: Arc<BTreeMap<VehicleKey, String>>,
    console: &Console,
) -> Result<Sent> {
    let pace = options.speed.zip(survey.first_ms).map(|(speed, first_ms)| Pace {
        began: Instant::now(),
        first_ms,
        factor: speed.0,
    });
    let sent = Arc::new(Mutex::new(Sent::default()));
    let mut tasks = JoinSet::new();
    let mut queues = Vec::new();
    for _ in 0..options.concurrency {
        let (queue, waiting) = mpsc::channel(AHEAD);
        queues.push(queue);
        tasks.spawn(work(Arc::clone(api), waiting, pace, Arc::clone(&sent)));
    }
    let (files, format, batch) = (options.files.clone(), options.format, usize::from(options.batch));
    let counted = Arc::clone(&sent);
    let reader = tokio::task::spawn_blocking(move || read(&files, format, batch, &vids, &queues, &counted));

    let mut step = console.counted("Sending", survey.rows);
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(result) => result??,
                None => break,
            },
            _ = ticks.tick() => {
                let (answered, refused) = with(&sent, |sent| (sent.acked_samples, sent.refused_total()));
                step.reach(answered + refused, &format!("{refused} refused"));
            }
        }
    }
    reader.await??;
    let sent = with(&sent, std::mem::take);
    step.done(&format!(
        "{} samples taken in {} uploads, {} refused",
        sent.acked_samples,
        sent.uploads,
        sent.refused_total()
    ));
    Ok(sent)
}

/// Reads the recordings and hands each upload to its vehicle's worker.
fn read(
    files: &[PathBuf],
    format: Option<Format>,
    batch: usize,
    vids: &BTreeMap<VehicleKey, String>,
    queues: &[Queue],
    sent: &Mutex<Sent>,
) -> Result<()> {
    let workers: BTreeMap<&VehicleKey, &Queue> = vids.keys().zip(queues.iter().cycle()).collect();
    let hand_over = |upload: Upload| -> Result<()> {
        let vehicle = &upload.vehicle;
        let (vid, queue) =
            vids.get(vehicle).zip(workers.get(vehicle)).context("a vehicle came up that was not there before")?;
        // Nobody takes it where a worker gave up; that worker says why.
        queue.blocking_send((vid.clone(), upload)).ok().context("sending broke off")
    };
    for file in files {
        let mut recording = Recording::open(file, format)?;
        let mut batcher = Batcher::new(batch, REPLAY_SOURCE);
        for row in recording.rows() {
            let row = row?;
            with_lock(sent, |sent| sent.read += 1);
            match row {
                Row::Sample(sample) => batcher.push(sample).into_iter().try_for_each(hand_over)?,
                refused @ Row::Refused { .. } => note_refused(sent, &[refused]),
            }
        }
        batcher.finish().into_iter().try_for_each(hand_over)?;
        note_refused(sent, &batcher.take_refused());
    }
    Ok(())
}

fn note_refused(sent: &Mutex<Sent>, rows: &[Row]) {
    for row in rows {
        if let Row::Refused { reason, .. } = row {
            with_lock(sent, |sent| sent.refuse(reason.code(), 1));
        }
    }
}

/// Sends the uploads of some vehicles, one after the other.
async fn work(
    api: Arc<Api>,
    mut waiting: mpsc::Receiver<(String, Upload)>,
    pace: Option<Pace>,
    sent: Arc<Mutex<Sent>>,
) -> Result<()> {
    while let Some((vid, upload)) = waiting.recv().await {
        if let Some(pace) = pace {
            pace.wait_for(&upload).await;
        }
        let events: Vec<Value> = upload.events.iter().map(|event: &TraceEvent| event.to_cloud_event(None)).collect();
        let answer = api.send_events(&vid, &events).await?;
        with(&sent, |sent| sent.note(upload.samples as u64, &answer))?;
    }
    Ok(())
}

/// Recorded time against the clock.
#[derive(Clone, Copy)]
struct Pace {
    began: Instant,
    first_ms: i64,
    factor: f64,
}

impl Pace {
    async fn wait_for(&self, upload: &Upload) {
        let time = upload.events.first().and_then(|event| Timestamp::parse_rfc3339(&event.time).ok());
        let recorded_ms = time.map_or(0, |time| time.ms() - self.first_ms).max(0);
        let after = Duration::from_millis(recorded_ms.unsigned_abs()).div_f64(self.factor);
        tokio::time::sleep_until(self.began + after).await;
    }
}

fn with<T>(sent: &Arc<Mutex<Sent>>, act: impl FnOnce(&mut Sent) -> T) -> T {
    with_lock(sent, act)
}

fn with_lock<T>(sent: &Mutex<Sent>, act: impl FnOnce(&mut Sent) -> T) -> T {
    act(&mut sent.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use reqwest::StatusCode;

    fn answer(status: StatusCode, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_upload_of_which_nothing_is_usable_is_refused_sample_by_sample() {
        let mut sent = Sent::default();
        let body = r#"{"type":"https://roadcast.dev/problems/no-usable-sample","quarantined":[
            {"pointer":"/0/data/samples/0/at","reason":"time_invalid"},
            {"pointer":"/0/data/samples/1/signals","reason":"no_valid_signal"}]}"#;
        sent.note(2, &answer(StatusCode::UNPROCESSABLE_ENTITY, body)).unwrap();
        assert_eq!(sent.refused, BTreeMap::from([("no_valid_signal".to_owned(), 1), ("time_invalid".to_owned(), 1)]));
    }

    #[test]
    fn any_other_refusal_counts_for_the_whole_upload() {
        let mut sent = Sent::default();
        let body = r#"{"type":"https://roadcast.dev/problems/conflict","title":"x"}"#;
        sent.note(7, &answer(StatusCode::CONFLICT, body)).unwrap();
        sent.note(3, &answer(StatusCode::NOT_FOUND, "")).unwrap();
        assert_eq!(sent.refused, BTreeMap::from([("conflict".to_owned(), 7), ("http-404".to_owned(), 3)]));
        assert!(sent.note(1, &answer(StatusCode::FOUND, "")).is_err());
    }

    #[test]
    fn an_event_sent_twice_is_counted_twice() {
        let mut sent = Sent::default();
        let body = r#"{"accepted":[{"id":"1","source":"s","eid":"01KAFQ4J50B3T9W6Y2N8D5R7XE","samples":1}]}"#;
        sent.note(1, &answer(StatusCode::ACCEPTED, body)).unwrap();
        sent.note(1, &answer(StatusCode::ACCEPTED, body)).unwrap();
        assert_eq!(sent.acked.values().copied().collect::<Vec<_>>(), [2]);
    }
}
