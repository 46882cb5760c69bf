//! A local AWS endpoint that ends with the test.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PATIENCE: Duration = Duration::from_mins(1);

/// A running endpoint, in a process group of its own.
pub(crate) struct Endpoint {
    child: Child,
    url: String,
}

impl Endpoint {
    /// Starts one, where one is installed.
    pub(crate) fn start() -> Option<Self> {
        let program = installed()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let child = Command::new(&program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &url)
            .env("LOG_LEVEL", "ERROR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut endpoint = Self { child, url };
        endpoint.wait_until_it_listens(port);
        Some(endpoint)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_it_listens(&mut self, port: u16) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the local endpoint ended: {status}");
            }
            assert!(started.elapsed() < PATIENCE, "the local endpoint does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The whole group: the endpoint has workers.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn installed() -> Option<PathBuf> {
    let python = std::env::var_os("ROADCAST_ENDPOINT_PYTHON").map(PathBuf::from);
    let named = python.map(|python| python.with_file_name("ministack"));
    let made_by_up = PathBuf::from(REPOSITORY).join(".roadcast/venv/bin/ministack");
    [named, Some(made_by_up)].into_iter().flatten().find(|program| program.exists())
}
