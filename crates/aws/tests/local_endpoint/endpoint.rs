//! A local AWS endpoint that runs for the duration of the test.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const START_TIMEOUT: Duration = Duration::from_mins(1);
const NOT_CHECKED: &str = "\
NOT CHECKED, because no local endpoint is installed: the adapters of roadcast-aws for DynamoDB, Kinesis, S3, EventBridge,
SQS, Step Functions and Cognito, that is the conformance suites of their ports and the checks of crates/aws/tests.
To check them, run `cargo roadcast up` once, which installs the endpoint in .roadcast/venv, or set ROADCAST_ENDPOINT_PYTHON
to the Python of a virtual environment with ministack. Then run `cargo test -p roadcast-aws --test local_endpoint`.";

/// A running endpoint, in a process group of its own.
pub(crate) struct Endpoint {
    child: Child,
    url: String,
}

impl Endpoint {
    /// Starts an endpoint; `None` if none is installed.
    pub(crate) fn start() -> Option<Self> {
        let program = installed_program()?;
        Some(Self::run(Command::new(program)))
    }

    /// Starts an endpoint that appends the calls of functions to a file; `None` if none is installed.
    pub(crate) fn start_recording(file: &Path) -> Option<Self> {
        let program = installed_program()?;
        let mut command = Command::new(program.with_file_name("python"));
        let start = PathBuf::from(REPOSITORY).join("crates/cli/endpoint/start.py");
        command.arg(start).env("PYTHONDONTWRITEBYTECODE", "1").env("ROADCAST_RECORDED_CALLS", file);
        Some(Self::run(command))
    }

    fn run(mut command: Command) -> Self {
        let program = command.get_program().to_owned();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let child = command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &url)
            .env("LOG_LEVEL", "ERROR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", Path::new(&program).display()));
        let mut endpoint = Self { child, url };
        endpoint.wait_until_listening(port);
        endpoint
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wait_until_listening(&mut self, port: u16) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the local endpoint exited: {status}");
            }
            assert!(started.elapsed() < START_TIMEOUT, "the local endpoint does not accept connections");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Kill the process group, because the endpoint has worker processes.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Reports that the adapters were not checked, because no endpoint is installed. Panics in CI, where one must be installed.
pub(crate) fn skip_without_endpoint(is_ci: bool) {
    assert!(!is_ci, "{NOT_CHECKED}");
    // Written directly, because the test harness hides what a passing test prints.
    let _ = writeln!(std::io::stderr(), "\n{NOT_CHECKED}\n");
}

fn installed_program() -> Option<PathBuf> {
    let python = std::env::var_os("ROADCAST_ENDPOINT_PYTHON").map(PathBuf::from);
    let beside_python = python.map(|python| python.with_file_name("ministack"));
    let installed_by_up = PathBuf::from(REPOSITORY).join(".roadcast/venv/bin/ministack");
    [beside_python, Some(installed_by_up)].into_iter().flatten().find(|program| program.exists())
}
