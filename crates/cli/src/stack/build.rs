//! Building the functions, and zipping them the way Lambda takes them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::layout::Layout;
use super::venv::hex;
use crate::console::{Console, note};

/// A zipped function; the name holds a digest of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Zipped {
    /// The binary that it was made from, as it was then.
    source: Source,
    pub(crate) file_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    path: PathBuf,
    bytes: u64,
    modified_ns: u128,
}

/// Builds the packages whose binaries the template names, and zips them: binary → zip.
pub(crate) async fn functions(layout: &Layout, binaries: &[String], console: &Console) -> Result<BTreeMap<String, Zipped>> {
    let executables = compile(layout, binaries).await?;
    let artefacts = layout.artefacts();
    fs::create_dir_all(&artefacts).with_context(|| format!("cannot create {}", artefacts.display()))?;
    let _lock = layout.lock_shared()?;
    let index = artefacts.join("index.json");
    let mut known: BTreeMap<String, Zipped> =
        fs::read(&index).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut step = console.counted("Packaging functions", executables.len() as u64);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let slots = Arc::new(Semaphore::new(processors));
    let mut tasks = JoinSet::new();
    for (binary, path) in &executables {
        let source = Source::of(path)?;
        let current = known.get(binary).filter(|zipped| zipped.source == source);
        if current.is_some_and(|zipped| artefacts.join(&zipped.file_name).exists()) {
            continue;
        }
        let (folder, binary, slots) = (artefacts.clone(), binary.clone(), Arc::clone(&slots));
        tasks.spawn(async move {
            let _slot = slots.acquire().await?;
            let name = binary.clone();
            let zipped = tokio::task::spawn_blocking(move || zip(&folder, &name, source)).await??;
            anyhow::Ok((binary, zipped))
        });
    }
    let made = tasks.len();
    let mut done = executables.len() - made;
    while let Some(zipped) = tasks.join_next().await {
        let (binary, zipped) = zipped??;
        done += 1;
        step.reach(done as u64, &binary);
        if let Some(old) = known.insert(binary, zipped.clone())
            && old.file_name != zipped.file_name
        {
            let _ = fs::remove_file(artefacts.join(old.file_name));
        }
    }
    fs::write(&index, serde_json::to_vec_pretty(&known)?)?;
    step.done(&format!("{made} new, {} as before", executables.len() - made));
    known.retain(|binary, _| executables.contains_key(binary));
    Ok(known)
}

/// Runs cargo with its own progress on standard error, and learns from it where the executables are.
async fn compile(layout: &Layout, binaries: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    note("Building the functions (the first time takes some minutes) …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").arg("--message-format=json-render-diagnostics");
    // The tool itself goes along, up to date as it is: with it, the dependencies have the features that it was built with,
    // and are not compiled a second time.
    command.args(["--package", "roadcast-cli", "--bin", "roadcast"]);
    for binary in binaries {
        command.args(["--package", binary, "--bin", binary]);
    }
    // What cargo set for running this tool is not meant for a build.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    let mut child = command
        .current_dir(layout.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start cargo: install Rust with https://rustup.rs and try again")?;
    let mut executables = BTreeMap::new();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if let Ok(Built { executable: Some(path), target }) = serde_json::from_str(&line)
                && binaries.contains(&target.name)
            {
                executables.insert(target.name, path);
            }
        }
    }
    if !child.wait().await?.success() {
        bail!("the functions do not build: see the compiler's messages above");
    }
    match binaries.iter().find(|binary| !executables.contains_key(*binary)) {
        Some(missing) => bail!("cargo built no executable {missing}, which template.yaml names"),
        None => Ok(executables),
    }
}

/// A message of cargo about something it built.
#[derive(Deserialize)]
struct Built {
    executable: Option<PathBuf>,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Source {
    fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let modified_ns = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(Self { path: path.to_owned(), bytes: metadata.len(), modified_ns })
    }
}

/// Zips a binary as `bootstrap`. The zip of equal bytes is equal, so that nothing is deployed that did not change.
fn zip(folder: &Path, binary: &str, source: Source) -> Result<Zipped> {
    let stripped = folder.join(format!("{binary}.stripped"));
    let bytes = strip(&source.path, &stripped).map_or_else(|| fs::read(&source.path), Ok)?;
    let _ = fs::remove_file(&stripped);
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(1))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.start_file("bootstrap", options)?;
    writer.write_all(&bytes)?;
    let zipped = writer.finish()?.into_inner();
    let file_name = format!("{binary}-{}.zip", &hex(&Sha256::digest(&zipped))[..16]);
    let beside = folder.join(format!("{file_name}.new"));
    File::create(&beside).and_then(|mut file| file.write_all(&zipped)).context("cannot write a function's zip")?;
    fs::rename(&beside, folder.join(&file_name))?;
    Ok(Zipped { source, file_name })
}

/// A copy without debug symbols, which make a development build several times as large; nothing where no `strip` is
/// installed, which costs space and time but no function.
fn strip(from: &Path, to: &Path) -> Option<Vec<u8>> {
    let done = std::process::Command::new("strip").arg("-o").arg(to).arg(from).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success()).then(|| fs::read(to).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_function_is_zipped_as_an_executable_bootstrap_and_the_same_bytes_make_the_same_zip() {
        let folder = std::env::temp_dir().join(format!("roadcast-zip-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("function");
        fs::write(&path, "no executable, so it is not stripped").unwrap();
        let first = zip(&folder, "f", Source::of(&path).unwrap()).unwrap();
        fs::write(&path, "no executable, so it is not stripped").unwrap();
        let second = zip(&folder, "f", Source::of(&path).unwrap()).unwrap();
        assert_eq!(first.file_name, second.file_name);

        let mut archive = zip::ZipArchive::new(File::open(folder.join(&first.file_name)).unwrap()).unwrap();
        let entry = archive.by_name("bootstrap").unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(io::read_to_string(entry).unwrap(), "no executable, so it is not stripped");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn cargos_message_about_an_executable_is_read_and_others_are_passed_over() {
        let built: Built = serde_json::from_str(
            r#"{"reason":"compiler-artifact","target":{"name":"f","kind":["bin"]},"executable":"/t/f"}"#,
        )
        .unwrap();
        assert_eq!((built.target.name.as_str(), built.executable), ("f", Some(PathBuf::from("/t/f"))));
        assert!(serde_json::from_str::<Built>(r#"{"reason":"build-finished","success":true}"#).is_err());
    }
}
