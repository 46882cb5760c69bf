//! The local AWS endpoint, as a process group of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use super::layout::Layout;
use super::process::Leader;
use crate::aws;
use crate::console::Console;

/// How long the endpoint gets to write down its state when it is stopped.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take until it answers; longer the more it has to load.
const START_TIME: Duration = Duration::from_mins(2);

/// The endpoint, while it is this process's child.
pub(crate) struct Endpoint {
    pub(crate) leader: Leader,
    child: Child,
    /// Whether it may outlive this value.
    released: bool,
}

impl Drop for Endpoint {
    /// Reached with a running endpoint only where a step broke off without stopping it.
    fn drop(&mut self) {
        if !self.released {
            self.leader.kill();
        }
    }
}

impl Endpoint {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(layout: &Layout, bin: &Path, port: u16, console: &Console) -> Result<Self> {
        let step = console.step("Starting the local AWS endpoint");
        for folder in [layout.state(), layout.temporary()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let log = File::create(layout.endpoint_log()).context("cannot write the endpoint's log")?;
        let mut command = Command::new(bin.join("ministack"));
        // The functions inherit this environment. Whatever AWS account the user is logged in to stays out of it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let child = command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .env("AWS_ACCESS_KEY_ID", aws::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", aws::ACCESS_KEY)
            .env("AWS_REGION", aws::REGION)
            .env("AWS_DEFAULT_REGION", aws::REGION)
            .env("MINISTACK_REGION", aws::REGION)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("LOG_LEVEL", "WARNING")
            // Its MQTT listener would bind every interface; nothing here speaks MQTT.
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
            .context("cannot start the local AWS endpoint; `cargo roadcast up --fresh` may help")?;
        let pid = child.id().context("the local AWS endpoint ended as soon as it was started")?;
        let mut endpoint = Self { leader: Leader::of(pid)?, child, released: false };
        if let Err(error) = endpoint.wait_until_ready(layout, port).await {
            endpoint.stop().await;
            return Err(error);
        }
        step.done(&format!("it listens on 127.0.0.1:{port}"));
        Ok(endpoint)
    }

    async fn wait_until_ready(&mut self, layout: &Layout, port: u16) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let ready = format!("http://127.0.0.1:{port}/_ministack/ready");
        let deadline = Instant::now() + START_TIME;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(layout.endpoint_log()).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                bail!("the local AWS endpoint ended ({status}):\n{}", tail.join("\n"));
            }
            if http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the local AWS endpoint does not answer; its log is {}", layout.endpoint_log().display())
    }

    /// Waits until it ends, which it should not by itself.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops it and the functions that it runs.
    pub(crate) async fn stop(&mut self) {
        // Reaped meanwhile, or the group would last until this process ends.
        tokio::join!(self.leader.stop(PATIENCE), self.child.wait()).1.ok();
        self.released = true;
    }

    /// Lets it run on when this process ends.
    pub(crate) fn release(mut self) -> Leader {
        self.released = true;
        self.leader.clone()
    }
}

/// The port to listen on: the one asked for, which must be free, or any free one for 0.
pub(crate) fn choose_port(wanted: u16) -> Result<u16> {
    match TcpListener::bind(("127.0.0.1", wanted)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {wanted} is in use: stop what listens there, or choose another with --port (0 takes a free one)")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{wanted}")),
    }
}
