//! Bulk files, and the progress of their imports, in memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle_mapping::{FileVersion, ImportLedger, VehicleMapping};
use roadcast_ports::bulk::{BulkFile, BulkFiles, Checkpoint, FileBody, ImportProgress, PutOutcome, VehicleMappings};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use crate::lock;

/// Bytes per read of a file. Small, so that lines are split across reads.
const CHUNK_BYTES: usize = 777;

/// Bulk files, vehicle mappings, checkpoints and the import ledger in memory, with accessors for tests. Clones share one
/// state.
#[derive(Clone, Debug, Default)]
pub struct MemoryBulk(Arc<Mutex<BulkState>>);

#[derive(Debug, Default)]
struct BulkState {
    objects: BTreeMap<String, Vec<u8>>,
    mappings: BTreeMap<(FleetId, VehicleId), VehicleMapping>,
    checkpoints: BTreeMap<FileVersion, Checkpoint>,
    ledger: ImportLedger,
    puts: usize,
    resumes: Vec<BulkFile>,
}

impl MemoryBulk {
    /// Stores a file uploaded at `uploaded_at` and returns it as its arrival notification describes it.
    pub fn upload(&self, key: &str, bytes: &[u8], uploaded_at: Timestamp) -> BulkFile {
        lock(&self.0).objects.insert(key.to_owned(), bytes.to_vec());
        let version = FileVersion::new(uploaded_at, "", &content_of(key.as_bytes()));
        BulkFile { key: key.to_owned(), object_version: None, content: content_of(bytes), version }
    }

    /// Returns the object at `key`, or `None` if absent.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        lock(&self.0).objects.get(key).cloned()
    }

    /// Returns the stored mappings, ordered by fleet and vehicle.
    pub fn mappings(&self) -> Vec<VehicleMapping> {
        lock(&self.0).mappings.values().cloned().collect()
    }

    /// Removes the mappings of these vehicles and returns their number.
    pub(crate) fn remove_mappings_of(&self, is_erased: impl Fn(&VehicleId) -> bool) -> usize {
        let mappings = &mut lock(&self.0).mappings;
        let before = mappings.len();
        mappings.retain(|(_, vid), _| !is_erased(vid));
        before - mappings.len()
    }

    /// Returns the number of mapping writes, including those rejected as older than the stored version.
    pub fn puts(&self) -> usize {
        lock(&self.0).puts
    }

    /// Returns and removes the files whose import was requested to resume.
    pub fn take_resumes(&self) -> Vec<BulkFile> {
        std::mem::take(&mut lock(&self.0).resumes)
    }
}

/// Reads a file in memory in chunks.
#[derive(Debug)]
pub struct MemoryBody {
    bytes: Vec<u8>,
    read: usize,
}

impl FileBody for MemoryBody {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let rest = &self.bytes[self.read..];
        let chunk = rest[..CHUNK_BYTES.min(rest.len())].to_vec();
        self.read += chunk.len();
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

impl BulkFiles for MemoryBulk {
    type Body = MemoryBody;

    async fn open(&self, file: &BulkFile, from: u64) -> Result<MemoryBody, PortError> {
        let state = lock(&self.0);
        let bytes = state.objects.get(&file.key).filter(|bytes| content_of(bytes) == file.content);
        let bytes = bytes.ok_or(PortError::new(PortErrorKind::Conflict, "opening a file"))?;
        let read = usize::try_from(from).map_or(bytes.len(), |from| from.min(bytes.len()));
        Ok(MemoryBody { bytes: bytes.clone(), read })
    }

    async fn store_report_part(&self, file: &BulkFile, part: u32, lines: Vec<u8>) -> Result<(), PortError> {
        lock(&self.0).objects.insert(part_key(file, part), lines);
        Ok(())
    }

    async fn store_report(&self, file: &BulkFile, parts: u32, lines: Vec<u8>, summary: Vec<u8>) -> Result<(), PortError> {
        let mut state = lock(&self.0);
        let mut report = Vec::new();
        for part in 0..parts {
            let part = state.objects.get(&part_key(file, part));
            report.extend_from_slice(part.ok_or(PortError::new(PortErrorKind::Rejected, "writing an import report"))?);
        }
        report.extend(lines);
        state.objects.insert(format!("reports/{}.report.ndjson", file.key), report);
        state.objects.insert(format!("reports/{}.summary.json", file.key), summary);
        Ok(())
    }

    async fn request_resume(&self, file: &BulkFile) -> Result<(), PortError> {
        lock(&self.0).resumes.push(file.clone());
        Ok(())
    }
}

impl VehicleMappings for MemoryBulk {
    async fn get(&self, pairs: &[(FleetId, VehicleId)]) -> Result<Vec<Option<VehicleMapping>>, PortError> {
        let state = lock(&self.0);
        Ok(pairs.iter().map(|pair| state.mappings.get(pair).cloned()).collect())
    }

    async fn put(&self, mapping: &VehicleMapping) -> Result<PutOutcome, PortError> {
        let mut state = lock(&self.0);
        state.puts += 1;
        let key = (mapping.fleet_id.clone(), mapping.vid.clone());
        if state.mappings.get(&key).is_some_and(|stored| stored.version >= mapping.version) {
            return Ok(PutOutcome::NotNewer);
        }
        state.mappings.insert(key, mapping.clone());
        Ok(PutOutcome::Stored)
    }

    async fn list(
        &self,
        fleet_id: &FleetId,
        after: Option<&VehicleId>,
        limit: usize,
    ) -> Result<Vec<VehicleMapping>, PortError> {
        let state = lock(&self.0);
        let of_fleet = state.mappings.values().filter(|mapping| mapping.fleet_id == *fleet_id);
        let listed = of_fleet.filter(|mapping| after.is_none_or(|after| mapping.vid > *after));
        Ok(listed.take(limit.max(1)).cloned().collect())
    }
}

impl ImportProgress for MemoryBulk {
    async fn checkpoint(&self, file: &BulkFile) -> Result<Option<Checkpoint>, PortError> {
        Ok(lock(&self.0).checkpoints.get(&file.version).cloned())
    }

    async fn save_checkpoint(&self, file: &BulkFile, checkpoint: &Checkpoint) -> Result<(), PortError> {
        lock(&self.0).checkpoints.insert(file.version.clone(), checkpoint.clone());
        Ok(())
    }

    async fn ledger(&self) -> Result<ImportLedger, PortError> {
        Ok(lock(&self.0).ledger.clone())
    }

    async fn replace_ledger(&self, ledger: &ImportLedger) -> Result<(), PortError> {
        let mut state = lock(&self.0);
        if state.ledger.revision + 1 != ledger.revision {
            return Err(PortError::new(PortErrorKind::Conflict, "replacing the ledger"));
        }
        state.ledger = ledger.clone();
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
    async fn passes_the_conformance_suites_repeatedly() {
        let (bulk, random) = (MemoryBulk::default(), SeededRandomness::new(1));
        for _ in 0..2 {
            let upload = async |key: &str, bytes: &[u8]| bulk.upload(key, bytes, Timestamp::from_ms(0));
            conformance::bulk_files(&bulk, upload, async |key: &str| bulk.object(key), &random).await;
            conformance::vehicle_mappings(&bulk, &random).await;
            conformance::vehicle_mapping_lists(&bulk, &random).await;
            conformance::import_progress(&bulk, &random).await;
        }
    }
}
