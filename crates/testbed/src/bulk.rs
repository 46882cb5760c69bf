//! Files of bulk data, and what is kept of loading them, in memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, VehicleMapping};
use roadcast_ports::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody, ImportProgress, PutOutcome, VehicleMappings};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::lock;

/// So many bytes come at once: small, so that lines are cut.
const PIECE: usize = 777;

/// Files of bulk data, mappings, checkpoints and the ledger in memory; a test may look inside. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct MemoryBulk(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    objects: BTreeMap<String, Vec<u8>>,
    mappings: BTreeMap<(FleetId, VehicleId), VehicleMapping>,
    checkpoints: BTreeMap<FileVersion, Checkpoint>,
    ledger: ImportLedger,
    puts: usize,
    going_on: Vec<BulkFile>,
}

impl MemoryBulk {
    /// Puts a file that was taken at that time, and answers what its arrival tells.
    pub fn upload(&self, key: &str, bytes: &[u8], taken_at: Timestamp) -> BulkFile {
        lock(&self.0).objects.insert(key.to_owned(), bytes.to_vec());
        let version = FileVersion::new(taken_at, "", &content_of(key.as_bytes()));
        BulkFile { key: key.to_owned(), object_version: None, content: content_of(bytes), version }
    }

    /// What lies at a key.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.0).objects.get(key).cloned()
    }

    /// The mappings, by fleet and vehicle.
    pub fn mappings(&self) -> Vec<VehicleMapping> {
        lock(&self.0).mappings.values().cloned().collect()
    }

    /// How many mappings were put, those that were older than what was kept too.
    pub fn puts(&self) -> usize {
        lock(&self.0).puts
    }

    /// Takes the files that are to come again.
    pub fn take_resumes(&self) -> Vec<BulkFile> {
        std::mem::take(&mut lock(&self.0).going_on)
    }
}

/// A file in memory, being read.
#[derive(Debug)]
pub struct MemoryBody(Vec<u8>);

impl FileBody for MemoryBody {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let rest = self.0.split_off(PIECE.min(self.0.len()));
        let piece = std::mem::replace(&mut self.0, rest);
        Ok((!piece.is_empty()).then_some(piece))
    }
}

impl BulkFiles for MemoryBulk {
    type Body = MemoryBody;

    async fn open(&self, file: &BulkFile, from: u64) -> Result<MemoryBody, PortError> {
        let inside = lock(&self.0);
        let bytes = inside.objects.get(&file.key).filter(|bytes| content_of(bytes) == file.content);
        let bytes = bytes.ok_or(PortError::new(PortErrorKind::Conflict, "opening a file"))?;
        Ok(MemoryBody(bytes.iter().skip(usize::try_from(from).unwrap_or(usize::MAX)).copied().collect()))
    }

    async fn keep_part(&self, file: &BulkFile, part: u32, lines: Vec<u8>) -> Result<(), PortError> {
        lock(&self.0).objects.insert(part_key(file, part), lines);
        Ok(())
    }

    async fn report(&self, file: &BulkFile, parts: u32, lines: Vec<u8>, summary: Vec<u8>) -> Result<(), PortError> {
        let mut inside = lock(&self.0);
        let mut report = Vec::new();
        for part in 0..parts {
            let part = inside.objects.get(&part_key(file, part));
            report.extend_from_slice(part.ok_or(PortError::new(PortErrorKind::Rejected, "reporting"))?);
        }
        report.extend(lines);
        inside.objects.insert(format!("reports/{}.report.ndjson", file.key), report);
        inside.objects.insert(format!("reports/{}.summary.json", file.key), summary);
        Ok(())
    }

    async fn request_resume(&self, file: &BulkFile) -> Result<(), PortError> {
        lock(&self.0).going_on.push(file.clone());
        Ok(())
    }
}

impl VehicleMappings for MemoryBulk {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        let inside = lock(&self.0);
        Ok(pairs.iter().map(|pair| inside.mappings.get(pair).cloned()).collect())
    }

    async fn put(&self, mapping: &VehicleMapping) -> Result<PutOutcome, PortError> {
        let mut inside = lock(&self.0);
        inside.puts += 1;
        let key = (mapping.fleet_id.clone(), mapping.vid.clone());
        if inside.mappings.get(&key).is_some_and(|kept| kept.version >= mapping.version) {
            return Ok(PutOutcome::Older);
        }
        inside.mappings.insert(key, mapping.clone());
        Ok(PutOutcome::Kept)
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<VehicleMapping>, PortError> {
        let inside = lock(&self.0);
        let of_fleet = inside.mappings.values().filter(|mapping| mapping.fleet_id == *fleet_id);
        let listed = of_fleet.filter(|mapping| after.is_none_or(|after| mapping.vid > *after));
        Ok(listed.take(limit.max(1)).cloned().collect())
    }
}

impl ImportProgress for MemoryBulk {
    async fn checkpoint(&self, file: &BulkFile) -> Result<Option<Checkpoint>, PortError> {
        Ok(lock(&self.0).checkpoints.get(&file.version).cloned())
    }

    async fn keep_checkpoint(&self, file: &BulkFile, checkpoint: &Checkpoint) -> Result<(), PortError> {
        lock(&self.0).checkpoints.insert(file.version.clone(), checkpoint.clone());
        Ok(())
    }

    async fn ledger(&self) -> Result<ImportLedger, PortError> {
        Ok(lock(&self.0).ledger.clone())
    }

    async fn replace_ledger(&self, ledger: &ImportLedger) -> Result<(), PortError> {
        let mut inside = lock(&self.0);
        if inside.ledger.revision + 1 != ledger.revision {
            return Err(PortError::new(PortErrorKind::Conflict, "replacing the ledger"));
        }
        inside.ledger = ledger.clone();
        Ok(())
    }
}

fn part_key(file: &BulkFile, part: u32) -> String {
    format!("reports/parts/{}/{part}", file.version.as_str())
}

fn content_of(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use roadcast_ports::conformance;

    use super::*;
    use crate::SeededRandomness;

    #[tokio::test]
    async fn it_passes_the_suites_of_its_ports_again_and_again() {
        let (bulk, random) = (MemoryBulk::default(), SeededRandomness::new(1));
        for _ in 0..2 {
            let upload = async |key: &str, bytes: &[u8]| bulk.upload(key, bytes, Timestamp::from_ms(0));
            conformance::bulk_files(&bulk, upload, async |key: &str| bulk.object(key), &random).await;
            conformance::vehicle_map(&bulk, &random).await;
            conformance::vehicle_map_of_a_fleet(&bulk, &random).await;
            conformance::loads(&bulk, &random).await;
        }
    }
}
