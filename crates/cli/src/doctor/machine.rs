//! Checks of this machine: what building and the local stack need, and what deploying needs.

use std::net::TcpListener;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::Check;
use crate::layout::Layout;
use crate::stack::state::{RunFile, StackFile};
use crate::stack::venv;

/// The disk space that a first build and start need, in GiB.
const DISK_GIB: u64 = 10;

pub(super) async fn check(layout: &Layout, checks: &mut Vec<Check>) {
    let rust = "install rustup: https://rustup.rs. It installs the version of rust-toolchain.toml";
    checks.push(required("rust", "rustc", rust).await);
    let linker = "install a C compiler (Debian, Ubuntu: `apt install build-essential`; macOS: `xcode-select --install`)";
    checks.push(required("C compiler", "cc", linker).await);
    checks.push(match venv::find_python().await {
        Ok(python) => Check::ok("python", format!("{python}, with venv")),
        Err(error) => Check::failed("python", &error),
    });
    let npm = "install Node.js 20.11 or newer; without it, `up` does not publish the API reference";
    checks.push(optional("npm", "npm", &["--version"], npm).await);
    let lambda = "for a deployment, install cargo-lambda: `pip install cargo-lambda`";
    checks.push(optional("cargo-lambda", "cargo", &["lambda", "--version"], lambda).await);
    let sam = "for a deployment, install the SAM CLI: `pip install aws-sam-cli`";
    checks.push(optional("SAM CLI", "sam", &["--version"], sam).await);
    checks.push(disk(layout).await);
    checks.extend(port(layout));
}

async fn required(name: &'static str, program: &str, advice: &str) -> Check {
    match version(program, &["--version"]).await {
        Ok(version) => Check::ok(name, version),
        Err(_) => Check::wrong(name, "not found", advice),
    }
}

async fn optional(name: &'static str, program: &str, arguments: &[&str], advice: &str) -> Check {
    match version(program, arguments).await {
        Ok(version) => Check::ok(name, version),
        Err(_) => Check::uncertain(name, "not found", advice),
    }
}

/// The first line that a program prints about its version.
async fn version(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "{program} exited with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned).context("no version")
}

async fn disk(layout: &Layout) -> Check {
    let output = Command::new("df").arg("-Pk").arg(layout.root()).stdin(Stdio::null()).output().await;
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    match available_gib(&text) {
        Some(gib) if gib >= DISK_GIB => Check::ok("disk", format!("{gib} GiB are free")),
        Some(gib) => Check::uncertain(
            "disk",
            format!("{gib} GiB are free"),
            format!("a build and a start need {DISK_GIB} GiB: free some"),
        ),
        None => Check::uncertain("disk", "not checked", "`df -Pk` is not available"),
    }
}

/// The available space in the output of `df -Pk`, whose fourth column is in KiB.
fn available_gib(df: &str) -> Option<u64> {
    let kib: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / (1024 * 1024))
}

/// Whether the port of the local stack is free, unless the stack runs.
fn port(layout: &Layout) -> Option<Check> {
    let run = RunFile::read(layout).ok().flatten();
    if run.is_some_and(|run| run.endpoint.is_alive()) {
        return None;
    }
    let recorded = StackFile::read(layout).ok().flatten().map_or(0, |file| file.port);
    let port = if recorded == 0 { crate::up::DEFAULT_PORT } else { recorded };
    Some(match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Check::ok("port", format!("{port} is free")),
        Err(error) => Check::uncertain(
            "port",
            format!("{port}: {error}"),
            format!("end the program that uses it, or start with `{}`", layout.command("up --port 0")),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_from_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a b 1 20971520 9% /\n";
        assert_eq!(available_gib(df), Some(20));
        assert_eq!(available_gib("df: not found"), None);
    }

    #[tokio::test]
    async fn missing_program_is_wrong_only_if_it_is_required() {
        let missing = "roadcast-program-that-does-not-exist";
        assert_eq!(required("a", missing, "do x").await, Check::wrong("a", "not found", "do x"));
        assert_eq!(optional("a", missing, &[], "do x").await, Check::uncertain("a", "not found", "do x"));
    }
}
