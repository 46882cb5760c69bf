//! What is written down about a stack. Secrets are not: the user pool keeps them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::process::Leader;

/// What is known of a stack from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StackFile {
    /// The endpoint's port.
    pub(crate) port: u16,
    /// What was deployed last: a digest of the packaged template and its parameters.
    pub(crate) deployed: String,
    /// The template's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
    /// Where the API reference page is; nothing where it could not be made.
    pub(crate) reference: Option<String>,
    /// The demo fleet.
    pub(crate) demo: Demo,
    /// The client through which each fleet's feed is drained here: fleet → client.
    pub(crate) feed_clients: BTreeMap<String, String>,
}

/// The demo fleet, as it was onboarded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Demo {
    pub(crate) fleet_id: String,
    /// The ingest client of the simulator and of replays.
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

    /// An output of the template.
    pub(crate) fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| {
            format!("the deployed stack has no output {name}: `cargo roadcast up` deploys the template as it is now")
        })
    }
}

/// Which processes run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// The local AWS endpoint, with the functions as its children.
    pub(crate) endpoint: Leader,
    /// The command that runs in the foreground, if one does.
    pub(crate) foreground: Option<Leader>,
    /// Simulated vehicles in the background, if there are any.
    pub(crate) simulator: Option<Leader>,
}

impl RunFile {
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
    serde_json::from_slice(&text).map(Some).with_context(|| {
        format!("{} cannot be understood: `cargo roadcast up --fresh` starts over without it", path.display())
    })
}

/// Written beside and then moved, so that no reader finds half a file; for its owner only.
fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let beside = path.with_extension("json.new");
    let written = (|| -> io::Result<()> {
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        fs::rename(&beside, path)
    })();
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_state_file_is_for_its_owner_only_and_survives_the_round_trip() {
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
    fn a_file_of_an_older_version_is_read_with_what_it_has() {
        let file: StackFile = serde_json::from_str(r#"{"port": 1, "gone": true}"#).unwrap();
        assert_eq!(file, StackFile { port: 1, ..StackFile::default() });
        assert!(file.output("RestApiId").is_err());
    }
}
