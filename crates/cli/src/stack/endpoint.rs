//! The local AWS endpoint, which runs in its own process group. `crates/cli/endpoint` starts it with a check of origins.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use super::process::ProcessHandle;
use crate::aws;
use crate::console::{Console, note};
use crate::layout::Layout;

/// How long the endpoint may take to save its state when it is stopped.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it may take until no function runs. `crates/cli/endpoint/start.py` ends the wait before.
pub(crate) const QUIESCE_TIMEOUT: Duration = Duration::from_mins(1);
/// How long it may take until it responds. The time grows with the state to load.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// The endpoint as a child process.
pub(crate) struct Endpoint {
    pub(crate) process: ProcessHandle,
    child: Child,
    /// The port, once the endpoint responds.
    port: Option<u16>,
    /// Whether it continues to run when this value is dropped.
    released: bool,
}

impl Drop for Endpoint {
    /// Kills the endpoint if a step failed without stopping it.
    fn drop(&mut self) {
        if !self.released {
            self.process.kill();
        }
    }
}

impl Endpoint {
    /// Starts the endpoint and waits until it is ready.
    pub(crate) async fn start(layout: &Layout, bin: &Path, port: u16, console: &Console) -> Result<Self> {
        let step = console.step("Starting the local AWS endpoint");
        for folder in [layout.state(), layout.temporary()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let log = File::create(layout.endpoint_log()).context("cannot write the endpoint's log")?;
        let mut command = Command::new(bin.join("python"));
        command.arg(layout.endpoint_program());
        // The functions inherit this environment. It must not contain the user's AWS credentials.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let child = command
            // No compiled files in the folder of the program.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", aws::ACCESS_KEY)
            .env("AWS_REGION", aws::REGION)
            .env("AWS_DEFAULT_REGION", aws::REGION)
            .env("MINISTACK_REGION", aws::REGION)
            // UDP: `crates/cli/endpoint/traces.py` replaces the daemon.
            .env("AWS_XRAY_DAEMON_ADDRESS", format!("127.0.0.1:{port}"))
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("LOG_LEVEL", "WARNING")
            // The MQTT listener would bind all interfaces, and is not used.
            .env("IOT_MTLS_ENABLED", "0")
            .env("PERSIST_STATE", "1")
            .env("STATE_DIR", layout.state())
            .env("S3_PERSIST", "1")
            .env("S3_DATA_DIR", layout.state().join("s3"))
            .env("TMPDIR", layout.temporary())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start the local AWS endpoint: try `cargo roadcast up --fresh`")?;
        let pid = child.id().context("the local AWS endpoint exited immediately")?;
        let mut endpoint = Self { process: ProcessHandle::of(pid)?, child, port: None, released: false };
        if let Err(error) = endpoint.wait_until_ready(layout, port).await {
            endpoint.stop().await;
            return Err(error);
        }
        endpoint.port = Some(port);
        step.finish(&format!("listening on 127.0.0.1:{port}"));
        Ok(endpoint)
    }

    async fn wait_until_ready(&mut self, layout: &Layout, port: u16) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let ready = format!("http://127.0.0.1:{port}/_ministack/ready");
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(layout.endpoint_log()).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("the local AWS endpoint exited ({status}):\n{}", tail.join("\n"));
            }
            if http.get(&ready).send().await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the local AWS endpoint does not respond; see {}", layout.endpoint_log().display())
    }

    /// Waits until the endpoint exits, and returns its exit status.
    pub(crate) async fn wait(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops the endpoint and its functions, after the running invocations.
    pub(crate) async fn stop(&mut self) {
        if let Some(port) = self.port {
            quiesce(port).await;
        }
        // The child is reaped concurrently; otherwise the process group would exist until this process exits.
        tokio::join!(self.process.stop(STOP_TIMEOUT), self.child.wait()).1.ok();
        self.released = true;
    }

    /// Leaves the endpoint running when this process exits.
    pub(crate) fn release(mut self) -> ProcessHandle {
        self.released = true;
        self.process.clone()
    }
}

/// Stops the event source mappings of the endpoint and waits for running invocations, because the endpoint repeats none of
/// those that EventBridge started. An endpoint that does not respond has none.
pub(crate) async fn quiesce(port: u16) {
    #[derive(serde::Deserialize)]
    struct Quiesced {
        running: usize,
    }
    let quiesced = async {
        let http = reqwest::Client::builder().no_proxy().timeout(QUIESCE_TIMEOUT).build().ok()?;
        let response = http.post(format!("http://127.0.0.1:{port}/_roadcast/quiesce")).send().await.ok()?;
        serde_json::from_slice::<Quiesced>(&response.bytes().await.ok()?).ok()
    };
    if let Some(Quiesced { running: 1.. }) = quiesced.await {
        note("Functions were still running and are interrupted: events that they were delivering may be missing in feeds.");
    }
}

/// Returns the port to listen on: the requested one, or a free one for 0. Fails if the requested port is in use.
pub(crate) fn choose_port(requested: u16) -> Result<u16> {
    match TcpListener::bind(("127.0.0.1", requested)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "port {requested} is in use: stop the process that uses it, or pass another port with --port (0 selects a free port)"
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{requested}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;

    #[test]
    fn python_part_of_the_endpoint_passes_its_tests() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/endpoint");
        let mut python = Command::new("python3");
        python
            .args(["-m", "unittest", "tests", "recorder_tests", "api_destinations_tests"])
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
