//! The state files of a stack. They contain no secrets, which are stored in the user pool.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::process::ProcessHandle;
use crate::layout::Layout;

/// The state of a stack that is retained between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StackFile {
    /// The port of the local AWS endpoint.
    pub(crate) port: u16,
    /// The digest of the packaged template and its parameters in the last deployment.
    pub(crate) deployed: String,
    /// The outputs of the template.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The URL of the API reference page; None if it is not published.
    pub(crate) reference: Option<String>,
    /// The demo fleet.
    pub(crate) demo: Demo,
    /// The client that this tool uses to read the feed of a fleet: fleet id → client id.
    pub(crate) feed_clients: BTreeMap<String, String>,
}

/// The demo fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Demo {
    pub(crate) fleet_id: String,
    /// The ingest client of simulator and replays.
    pub(crate) ingest_client_id: String,
    pub(crate) subscription_id: String,
    /// Simulated vehicles: external id → vid.
    pub(crate) vehicles: BTreeMap<String, String>,
}

impl StackFile {
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>> {
        read(&layout.stack_file())
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        write(&layout.stack_file(), self)
    }
}

/// The processes of a running stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// The local AWS endpoint. The functions are its child processes.
    pub(crate) endpoint: ProcessHandle,
    /// The `up` command, if it runs in the foreground.
    pub(crate) foreground: Option<ProcessHandle>,
    /// Whether the `up` command simulates vehicles itself.
    #[serde(default)]
    pub(crate) foreground_simulates: bool,
    /// The simulator, if it runs in the background.
    pub(crate) simulator: Option<ProcessHandle>,
}

impl RunFile {
    /// Whether vehicles are simulated, by `up` in the foreground or by a process of its own.
    pub(crate) fn is_simulating(&self) -> bool {
        let by_foreground = self.foreground_simulates && self.foreground.as_ref().is_some_and(ProcessHandle::is_alive);
        by_foreground || self.simulator.as_ref().is_some_and(ProcessHandle::is_alive)
    }

    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>> {
        read(&layout.run_file())
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        write(&layout.run_file(), self)
    }

    pub(crate) fn remove(layout: &Layout) {
        let _ = fs::remove_file(layout.run_file());
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .with_context(|| format!("{} is invalid: run `cargo roadcast up --fresh` to start without it", path.display()))
}

/// Writes a file that only its owner can read. It is written under another name and renamed, so that readers never see a
/// part of it.
fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let temporary = path.with_extension("json.new");
    let written = (|| -> io::Result<()> {
        let _ = fs::remove_file(&temporary);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        fs::rename(&temporary, path)
    })();
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn state_file_is_private_and_is_read_as_written() {
        let folder = std::env::temp_dir().join(format!("roadcast-state-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("stack.json");
        let file = StackFile {
            port: 4566,
            outputs: BTreeMap::from([("RestApiId".to_owned(), "abc".to_owned())]),
            ..StackFile::default()
        };
        write(&path, &file).unwrap();
        write(&path, &file).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read::<StackFile>(&path).unwrap(), Some(file));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn foreground_simulates_only_if_it_was_asked_to() {
        let own = ProcessHandle::of(std::process::id()).unwrap();
        let mut run =
            RunFile { endpoint: own.clone(), foreground: Some(own.clone()), foreground_simulates: true, simulator: None };
        assert!(run.is_simulating());
        run.foreground_simulates = false;
        assert!(!run.is_simulating());
        run.simulator = Some(own);
        assert!(run.is_simulating());
    }

    #[test]
    fn file_of_an_older_version_gets_defaults() {
        let file: StackFile = serde_json::from_str(r#"{"port": 1, "gone": true}"#).unwrap();
        assert_eq!(file, StackFile { port: 1, ..StackFile::default() });
    }
}
