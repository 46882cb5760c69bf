//! Builds the functions and packages them as zip files for Lambda.

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

use crate::console::{Console, note};
use crate::layout::Layout;

/// The zip file of a function. Its name contains a digest of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FunctionZip {
    /// The binary that was packaged.
    source: SourceBinary,
    pub(crate) file_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SourceBinary {
    path: PathBuf,
    bytes: u64,
    modified_ns: u128,
}

/// Builds and packages the binaries that the template names: binary → zip file.
pub(crate) async fn functions(
    layout: &Layout,
    binaries: &[String],
    console: &Console,
) -> Result<BTreeMap<String, FunctionZip>> {
    let executables = compile(layout, binaries).await?;
    let artefacts = layout.artefacts();
    fs::create_dir_all(&artefacts).with_context(|| format!("cannot create {}", artefacts.display()))?;
    let _lock = layout.lock_shared()?;
    let index = artefacts.join("index.json");
    let mut packaged: BTreeMap<String, FunctionZip> =
        fs::read(&index).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let mut step = console.counted_step("Packaging functions", executables.len() as u64);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let slots = Arc::new(Semaphore::new(processors));
    let mut tasks = JoinSet::new();
    for (binary, path) in &executables {
        let source = SourceBinary::of(path)?;
        let current = packaged.get(binary).filter(|zipped| zipped.source == source);
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
    let new = tasks.len();
    let mut done = executables.len() - new;
    while let Some(zipped) = tasks.join_next().await {
        let (binary, zipped) = zipped??;
        done += 1;
        step.set_position(done as u64, &binary);
        if let Some(old) = packaged.insert(binary, zipped.clone())
            && old.file_name != zipped.file_name
        {
            let _ = fs::remove_file(artefacts.join(old.file_name));
        }
    }
    fs::write(&index, serde_json::to_vec_pretty(&packaged)?)?;
    step.finish(&format!("{new} new, {} unchanged", executables.len() - new));
    packaged.retain(|binary, _| executables.contains_key(binary));
    Ok(packaged)
}

/// Runs cargo, with its progress on standard error, and returns the paths of the executables.
async fn compile(layout: &Layout, binaries: &[String]) -> Result<BTreeMap<String, PathBuf>> {
    note("Building the functions (the first build takes a few minutes) …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").arg("--message-format=json-render-diagnostics");
    // The tool is up to date, but is listed so that the dependencies have the same features as in its own build. Otherwise
    // they would be compiled a second time.
    command.args(["--package", "roadcast-cli", "--bin", "roadcast"]);
    for binary in binaries {
        command.args(["--package", binary, "--bin", binary]);
    }
    // Variables that cargo set to run this tool must not affect the build.
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
            if let Ok(BuildMessage { executable: Some(path), target }) = serde_json::from_str(&line)
                && binaries.contains(&target.name)
            {
                executables.insert(target.name, path);
            }
        }
    }
    if !child.wait().await?.success() {
        bail!("the functions do not build: see the compiler messages above");
    }
    match binaries.iter().find(|binary| !executables.contains_key(*binary)) {
        Some(missing) => bail!("cargo built no executable {missing}, which template.yaml names: check its package name"),
        None => Ok(executables),
    }
}

/// A message of cargo about a built target.
#[derive(Deserialize)]
struct BuildMessage {
    executable: Option<PathBuf>,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl SourceBinary {
    fn of(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let modified_ns = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Ok(Self { path: path.to_owned(), bytes: metadata.len(), modified_ns })
    }
}

/// Packages a binary as `bootstrap`. Equal binaries give equal zip files, so that unchanged functions are not deployed
/// again.
fn zip(folder: &Path, binary: &str, source: SourceBinary) -> Result<FunctionZip> {
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
    let file_name = format!("{binary}-{}.zip", &hex::encode(Sha256::digest(&zipped))[..16]);
    let temporary = folder.join(format!("{file_name}.new"));
    File::create(&temporary)
        .and_then(|mut file| file.write_all(&zipped))
        .context("cannot write the zip file of a function")?;
    fs::rename(&temporary, folder.join(&file_name))?;
    Ok(FunctionZip { source, file_name })
}

/// The binary without debug symbols, which make a development build several times as large. None if `strip` is not
/// installed; then the function is only larger and slower to load.
fn strip(from: &Path, to: &Path) -> Option<Vec<u8>> {
    let done = std::process::Command::new("strip").arg("-o").arg(to).arg(from).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success()).then(|| fs::read(to).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn zip_has_an_executable_bootstrap_and_depends_only_on_the_bytes() {
        let folder = std::env::temp_dir().join(format!("roadcast-zip-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("function");
        fs::write(&path, "no executable, so it is not stripped").unwrap();
        let first = zip(&folder, "f", SourceBinary::of(&path).unwrap()).unwrap();
        fs::write(&path, "no executable, so it is not stripped").unwrap();
        let second = zip(&folder, "f", SourceBinary::of(&path).unwrap()).unwrap();
        assert_eq!(first.file_name, second.file_name);

        let mut archive = zip::ZipArchive::new(File::open(folder.join(&first.file_name)).unwrap()).unwrap();
        let entry = archive.by_name("bootstrap").unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(io::read_to_string(entry).unwrap(), "no executable, so it is not stripped");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_cargo_messages_about_executables_are_read() {
        let built: BuildMessage = serde_json::from_str(
            r#"{"reason":"compiler-artifact","target":{"name":"f","kind":["bin"]},"executable":"/t/f"}"#,
        )
        .unwrap();
        assert_eq!((built.target.name.as_str(), built.executable), ("f", Some(PathBuf::from("/t/f"))));
        assert!(serde_json::from_str::<BuildMessage>(r#"{"reason":"build-finished","success":true}"#).is_err());
    }
}
