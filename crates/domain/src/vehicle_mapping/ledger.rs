//! The import ledger: which files were imported, and which of them is the newest.

use std::collections::BTreeMap;

use roadcast_signals::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FileVersion, VehicleMapping};

/// The files that were imported. With it, a repeated file needs no writes, and a file that arrives late can detect that
/// it is outdated.
///
/// A file with the same content as the newest file *confirms* it: the mappings keep the version of the file that wrote
/// them, but are compared as mappings of the confirming file. This is safe while no other file is being imported, because
/// a file that starts later reads the ledger first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportLedger {
    /// Incremented by each change.
    pub revision: u64,
    /// The newest file.
    #[serde(default)]
    newest: Option<Newest>,
    /// Files whose import is running: started and not ended, with the time of the last start or resume.
    #[serde(default, rename = "begun")]
    running: BTreeMap<FileVersion, Timestamp>,
    /// Versions in mappings, with the versions that they are compared as.
    #[serde(default, rename = "affirmed")]
    confirmed: BTreeMap<FileVersion, FileVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Newest {
    version: FileVersion,
    /// The version in its mappings; an earlier one if the file confirms an earlier file.
    #[serde(rename = "writtenAs")]
    mapping_version: FileVersion,
    content: String,
    ended: bool,
}

/// The versions that mappings are compared as, for one import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfirmedVersions(BTreeMap<FileVersion, FileVersion>);

impl ConfirmedVersions {
    /// Returns the version that a mapping is compared as.
    pub fn version_of<'v>(&'v self, mapping: &'v VehicleMapping) -> &'v FileVersion {
        self.0.get(&mapping.version).unwrap_or(&mapping.version)
    }
}

impl ImportLedger {
    /// Maximum number of confirmed versions. When it is reached, repeated files are written again.
    const MAX_CONFIRMED: usize = 64;
    /// Longer than a run can take, including clock differences, in milliseconds. A file that was started earlier is not
    /// being imported now: its run ended without a record, and a run that resumes it calls [`begin`](Self::begin) again.
    const MAX_RUN_MS: i64 = 30 * 60 * 1000;

    /// Records that the import of a file starts or resumes at `now`. `content` is a digest of the file's bytes.
    pub fn begin(&mut self, version: &FileVersion, content: &str, now: Timestamp) -> ConfirmedVersions {
        self.running.retain(|_, at| now.ms_since(*at) < Self::MAX_RUN_MS);
        let is_only_import = self.running.keys().all(|running| running == version);
        match &mut self.newest {
            Some(newest) if newest.version >= *version => {}
            Some(newest)
                if newest.ended
                    && is_only_import
                    && newest.content == content
                    && self.confirmed.len() < Self::MAX_CONFIRMED =>
            {
                newest.version = version.clone();
                newest.ended = false;
                self.confirmed.insert(newest.mapping_version.clone(), version.clone());
            }
            newest => {
                let (version, content) = (version.clone(), content.to_owned());
                *newest = Some(Newest { mapping_version: version.clone(), version, content, ended: false });
            }
        }
        self.running.insert(version.clone(), now);
        self.revision += 1;
        ConfirmedVersions(self.confirmed.clone())
    }

    /// Returns the version of the newest file if it has this content.
    pub fn newest_with_content(&self, content: &str) -> Option<&FileVersion> {
        self.newest.as_ref().filter(|newest| newest.content == content).map(|newest| &newest.version)
    }

    /// Records that the import of a file completed or was abandoned.
    pub fn end(&mut self, version: &FileVersion) {
        self.running.remove(version);
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.version == *version) {
            newest.ended = true;
        }
        self.revision += 1;
    }
}

#[cfg(test)]
mod tests;
