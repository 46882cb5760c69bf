//! Evaluates alert rules on the stream, and publishes the alerts at once.
//!
//! The evaluator reads the stream beside the stream processor and does not wait for it. It holds the evaluations of vehicles in memory
//! and writes only when an alert is raised, cleared or withdrawn. What it forgot, or another instance knows, it restores from
//! checkpoints, the event log and the stream ([`shards`]). Every step can be repeated: the same events give the same alerts, with the
//! same ids.

mod cold;
mod erased;
mod evaluations;
mod input;
mod lost;
mod outcome;
mod owners;
mod publish;
mod restore;
mod shards;
mod silence;
mod store;
mod vehicles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures::lock;
use roadcast_domain::event::Event;
use roadcast_domain::ids::VehicleId;
use roadcast_ports::archive::RawRecord;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, PortErrorKind};

use crate::stream::{EventReader, EventValidator, Record, RecordContent};

use erased::ErasureChecks;
use evaluations::Evaluations;
use input::Inputs;
use restore::Restorer;
use shards::Shard;
use vehicles::Pass;

pub use outcome::{EvaluationCounts, EvaluationOutcome};
pub use owners::RuleOwners;
pub use publish::AlertPublisher;
pub use shards::ShardReader;

/// Deadline for starting a record, in milliseconds: half of the function's timeout. Records not started by then are retried.
const START_DEADLINE_MS: i64 = 60 * 1000;
/// Bytes of the events that are evaluated together.
const CHUNK_BYTES: usize = 48 * 1024 * 1024;
/// Records that are read again in one page, and bytes of the events of evaluations that are not in memory.
const MISSING_RECORDS: usize = 1000;
const PENDING_BYTES: usize = 32 * 1024 * 1024;

/// The parts of an evaluator.
pub struct EvaluatorParts<Ports: PortSet> {
    /// Validates events, as the stream processor does.
    pub validator: EventValidator<Ports>,
    /// Finds the rules of a vehicle.
    pub owners: RuleOwners<Ports>,
    /// Publishes alerts.
    pub publisher: AlertPublisher<Ports>,
    /// Reads the shards beside the batches.
    pub shards: ShardReader<Ports>,
    /// The checkpoints.
    pub checkpoints: Ports::AlertCheckpoints,
    /// The event log.
    pub log: Ports::EventLog,
    /// The clock.
    pub clock: Ports::Clock,
}

/// Evaluates alert rules on the stream.
pub struct AlertEvaluator<Ports: PortSet> {
    instance: String,
    validator: EventValidator<Ports>,
    owners: RuleOwners<Ports>,
    publisher: AlertPublisher<Ports>,
    shards: ShardReader<Ports>,
    restorer: Restorer<Ports>,
    clock: Ports::Clock,
    /// Batches are processed one after the other.
    state: lock::Mutex<State>,
}

/// What an instance has in memory.
#[derive(Default)]
struct State {
    evaluations: Evaluations,
    shards: BTreeMap<String, Shard>,
    erasure_checks: ErasureChecks,
}

impl<Ports: PortSet> AlertEvaluator<Ports> {
    /// Returns an evaluator without evaluations. `instance` is a name that no other evaluator has.
    pub fn new(instance: String, parts: EvaluatorParts<Ports>) -> Self {
        let EvaluatorParts { validator, owners, publisher, shards, checkpoints, log, clock } = parts;
        let restorer = Restorer { checkpoints, log, clock: clock.clone(), buffers: Mutex::default() };
        Self { instance, validator, owners, publisher, shards, restorer, clock, state: lock::Mutex::default() }
    }

    /// Returns the vehicles of which this instance has an evaluation in memory, or watches the silence.
    pub async fn vehicles(&self) -> BTreeSet<VehicleId> {
        self.state.lock().await.evaluations.vehicles()
    }

    /// Evaluates a batch, and publishes its alerts. Invalid records and events are ignored: the stream processor quarantines them.
    pub async fn evaluate_batch(&self, records: &[Record]) -> EvaluationOutcome {
        let mut state = self.state.lock().await;
        let mut outcome = EvaluationOutcome::default();
        match self.owners.are_none().await {
            Ok(false) => {}
            // Nothing is read for a stack without rules.
            Ok(true) => return outcome,
            Err(error) => {
                outcome.fail(0, error);
                return outcome;
            }
        }
        let mut offset = 0;
        // A batch is of one shard. Records that could not be read have none.
        for of_shard in records.chunk_by(|a, b| a.shard == b.shard) {
            if of_shard.first().is_none_or(|first| first.shard.is_empty() || first.raw.sequence_number.is_empty()) {
                offset += of_shard.len();
                continue;
            }
            self.evaluate_shard(&mut state, offset, of_shard, &mut outcome).await;
            if outcome.retry_from.is_some() {
                break;
            }
            offset += of_shard.len();
        }
        outcome
    }

    /// Evaluates records of one shard, of which the first has the index `offset` in the batch.
    async fn evaluate_shard(&self, state: &mut State, offset: usize, records: &[Record], outcome: &mut EvaluationOutcome) {
        let Some(first) = records.first() else { return };
        let mut shard = state.shards.remove(&first.shard).unwrap_or_else(|| Shard::new(&first.shard));
        match self.read_missing(state, &mut shard, &first.raw, outcome).await {
            Ok(()) => self.evaluate_records(state, &mut shard, offset, records, outcome).await,
            Err(error) => outcome.fail(offset, error),
        }
        state.shards.insert(first.shard.clone(), shard);
    }

    /// Reads the records before a batch that this instance has not evaluated, or that the log may not have. What they raise is not
    /// published: another instance may have done it. After a failure, the next attempt continues.
    async fn read_missing(
        &self,
        state: &mut State,
        shard: &mut Shard,
        first: &RawRecord,
        outcome: &mut EvaluationOutcome,
    ) -> Result<(), PortError> {
        let started = self.clock.now();
        if self.shards.follow(&self.instance, shard, first, &self.validator).await? {
            state.evaluations.forget_shard(&shard.id);
        }
        loop {
            let (records, are_all) = self.shards.missing(shard, first, MISSING_RECORDS).await?;
            if let Some(last) = records.last() {
                let mut reader = EventReader::start(&self.validator).await?;
                reader.resolve_keys(&records).await;
                let mut inputs = Inputs::default();
                for record in &records {
                    if let RecordContent::Events(events, _) = reader.read(record).await? {
                        inputs.add(events, 0);
                    }
                }
                let mut part = EvaluationOutcome::default();
                self.evaluate(state, shard, inputs, Pass::Missing, &mut part).await;
                if shard.pending_bytes > PENDING_BYTES {
                    let inputs = Inputs::unfinished(shard, 0);
                    self.evaluate(state, shard, inputs, Pass::Live, &mut part).await;
                }
                outcome.counts.add(part.counts);
                if let Some(error) = part.failures.pop() {
                    return Err(error);
                }
                outcome.counts.read_again += records.len();
                shard.advance(&last.raw);
            }
            if are_all {
                shard.complete();
                return Ok(());
            }
            if self.clock.now().ms_since(started) > START_DEADLINE_MS {
                return Err(PortError::new(PortErrorKind::TimedOut, "read the records before the batch again"));
            }
        }
    }

    async fn evaluate_records(
        &self,
        state: &mut State,
        shard: &mut Shard,
        offset: usize,
        records: &[Record],
        outcome: &mut EvaluationOutcome,
    ) {
        let started = self.clock.now();
        let mut reader = match EventReader::start(&self.validator).await {
            Ok(reader) => reader,
            Err(error) => return outcome.fail(offset, error),
        };
        reader.resolve_keys(records).await;
        let mut inputs = Inputs::unfinished(shard, offset);
        let mut bytes = 0;
        for (index, record) in (offset..).zip(records) {
            // The first record is always started, so that every batch makes progress.
            if index > offset && self.clock.now().ms_since(started) > START_DEADLINE_MS {
                outcome.fail(index, PortError::new(PortErrorKind::TimedOut, "start the remaining records of the batch"));
                break;
            }
            match reader.read(record).await {
                Ok(RecordContent::Events(events, invalid)) => {
                    outcome.counts.samples += events.iter().map(Event::sample_count).sum::<usize>();
                    outcome.counts.invalid += invalid;
                    bytes += events.iter().map(Event::memory_bytes).sum::<usize>();
                    inputs.add(events, index);
                }
                Ok(RecordContent::Alerts | RecordContent::Tick) => {}
                Err(error) => {
                    outcome.fail(index, error);
                    break;
                }
            }
            if bytes > CHUNK_BYTES {
                bytes = 0;
                self.evaluate(state, shard, std::mem::take(&mut inputs), Pass::Live, outcome).await;
                if outcome.retry_from.is_some() {
                    break;
                }
            }
        }
        self.evaluate(state, shard, inputs, Pass::Live, outcome).await;
        if let (None, Some(last)) = (outcome.retry_from, records.last()) {
            let index = offset + records.len() - 1;
            self.evaluate_silence(state, shard, last.raw.arrived_at, index, outcome).await;
            self.check_erasures(state, shard, &mut reader, index, outcome).await;
        }
        let evaluated = outcome.retry_from.map_or(records.len(), |from| from.saturating_sub(offset));
        if let Some(last) = records.get(..evaluated).and_then(<[Record]>::last) {
            shard.advance(&last.raw);
        }
        if outcome.retry_from.is_some() {
            shard.doubt();
        }
    }
}
