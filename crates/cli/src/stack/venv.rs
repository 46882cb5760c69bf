//! The private Python environment of the local AWS endpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::console::Console;
use crate::layout::Layout;

const REQUIREMENTS: &str = include_str!("../../requirements.txt");
const INSTALL: &str =
    "install Python 3.9 or newer (Debian, Ubuntu: `apt install python3-venv`; macOS: `brew install python`) and try again";

/// Creates the environment unless it exists with the pinned versions, and returns its `bin` folder.
pub(crate) async fn ensure(layout: &Layout, console: &Console) -> Result<PathBuf> {
    let venv = layout.venv();
    let bin = venv.join("bin");
    let stamp = venv.join("roadcast-stamp");
    let expected = hex::encode(Sha256::digest(REQUIREMENTS.as_bytes()));
    let _lock = layout.lock_shared()?;
    if fs::read_to_string(&stamp).is_ok_and(|found| found == expected) && bin.join("ministack").exists() {
        return Ok(bin);
    }

    let python = find_python().await?;
    let mut step = console.step("Installing the local AWS endpoint");
    step.set_message("creating a Python environment");
    if venv.exists() {
        fs::remove_dir_all(&venv).with_context(|| format!("cannot delete {}", venv.display()))?;
    }
    let creation = Command::new(&python).args(["-m", "venv"]).arg(&venv).output().await?;
    if !creation.status.success() {
        // A partial folder would look like an environment.
        let _ = fs::remove_dir_all(&venv);
        bail!(
            "{python} cannot create a virtual environment: {INSTALL}\n{}",
            String::from_utf8_lossy(&creation.stderr).trim()
        );
    }
    let requirements = venv.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    install(&bin, &requirements, &mut step).await?;
    fs::write(&stamp, expected)?;
    step.finish("installed");
    Ok(bin)
}

async fn install(bin: &Path, requirements: &Path, step: &mut crate::console::Step) -> Result<()> {
    let mut pip = Command::new(bin.join("python"))
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--requirement"])
        .arg(requirements)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start pip")?;
    let errors = pip.stderr.take();
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        if let Some(mut errors) = errors {
            let _ = tokio::io::AsyncReadExt::read_to_string(&mut errors, &mut text).await;
        }
        text
    });
    if let Some(output) = pip.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            step.set_message(line.trim());
        }
    }
    if !pip.wait().await?.success() {
        let errors = errors.await.unwrap_or_default();
        bail!(
            "pip cannot install the local AWS endpoint: check that the Python package index is reachable\n{}",
            errors.trim()
        );
    }
    Ok(())
}

/// The first Python command with a supported version.
pub(crate) async fn find_python() -> Result<String> {
    const CHECK: &str = "import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 9) else 3)";
    for name in ["python3", "python"] {
        let check = Command::new(name).args(["-c", CHECK]).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        if check.is_ok_and(|status| status.success()) {
            return Ok(name.to_owned());
        }
    }
    bail!("Python 3.9 or newer with the venv module was not found: {INSTALL}")
}
