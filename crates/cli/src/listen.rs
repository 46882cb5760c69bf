//! `listen`: receives webhooks on this machine, verifies and prints them.

mod delivery;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use roadcast_aws::SystemClock;
use roadcast_domain::webhook::SigningSecret;
use roadcast_ports::clock::Clock as _;
use roadcast_webhook_receiver::{ReceivedRequest, RequestReader, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use self::delivery::Delivery;
use crate::console::{Console, note};
use crate::shutdown::ShutdownSignal;
use crate::time_argument::parse_duration;

/// Maximum connections at a time. Others wait.
const MAX_CONNECTIONS: usize = 64;

/// Arguments of `listen`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo roadcast endpoints create http://127.0.0.1:8790/   Create an endpoint for this receiver, and print its secret
  cargo roadcast listen --secret whsec_…                   Verify each delivery, and print a line for it
  cargo roadcast listen --count 1                     End after the first delivery that is accepted
  cargo roadcast listen --respond 500                      Let each delivery fail, to see its retries
  cargo roadcast listen --delay 20s                        Respond after the 15 s that Roadcast waits
  cargo roadcast --json listen | jq .data                  Print the verified events as JSON lines

An endpoint gets its secret when it is created or when the secret is rotated; with several secrets, each is tried. A delivery
that cannot be verified gets the response 401, so that Roadcast sends it again. Without a secret, nothing is verified.

The local stack sends webhooks to 127.0.0.1:8790 only, beside https:// addresses of the Internet.")]
pub(crate) struct ListenArgs {
    /// Port on 127.0.0.1; 0 selects a free port.
    #[arg(long, default_value_t = 8790)]
    pub(crate) port: u16,
    /// Secret of the endpoint, with its prefix `whsec_`; several separated by commas, or by repeating the option.
    #[arg(
        long = "secret",
        env = "ROADCAST_WEBHOOK_SECRET",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "SECRET"
    )]
    pub(crate) secrets: Vec<String>,
    /// Status of the response to a delivery that is verified.
    #[arg(long, default_value_t = 204, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
    pub(crate) respond: u16,
    /// End after this number of accepted deliveries.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Time before each response, such as 500ms or 20s.
    #[arg(long, value_name = "TIME", value_parser = parse_delay)]
    pub(crate) delay: Option<Duration>,
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse().map(Duration::from_millis).map_err(|_| "expected a time such as 500ms or 20s".to_owned()),
        None => parse_duration(text),
    }
}

pub(crate) async fn run(console: &Console, options: &ListenArgs) -> Result<ExitCode> {
    let mut shutdown = ShutdownSignal::listen()?;
    let receiver = Receiver::new(options)?;
    let listener = bind(options.port).await?;
    let verification =
        if receiver.secrets.is_empty() { "without a secret: nothing is verified" } else { "verifying each delivery" };
    note(&format!("listening on http://{}, {verification}; Ctrl-C ends it", listener.local_addr()?));
    let (sender, mut events) = mpsc::channel(MAX_CONNECTIONS);
    let server = tokio::spawn(serve(listener, Arc::new(receiver), sender));
    let mut responses = 0;
    while options.count.is_none_or(|count| responses < count) {
        let delivery = tokio::select! {
            Some(event) = events.recv() => match event {
                Event::Received(delivery) => delivery,
                Event::Responded => {
                    responses += 1;
                    continue;
                }
            },
            () = shutdown.recv() => break,
        };
        if console.json() && !delivery.is_accepted() {
            note(&delivery.line());
            continue;
        }
        let line = if console.json() { delivery.event_line() } else { delivery.line() };
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            // The reader closed the pipe.
            break;
        }
    }
    server.abort();
    Ok(ExitCode::SUCCESS)
}

/// Opens the port, on 127.0.0.1 only.
async fn bind(port: u16) -> Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} of 127.0.0.1 is in use; end the program that uses it, or choose another port with --port")
        }
        other => other.with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
    }
}

/// Serves connections until it is aborted.
async fn serve(listener: TcpListener, receiver: Arc<Receiver>, events: mpsc::Sender<Event>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (receiver, events) = (Arc::clone(&receiver), events.clone());
        connections.spawn(async move {
            // A connection that fails is reported by its sender.
            let _ = receiver.serve(stream, &events).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What happens to a delivery.
enum Event {
    /// It was received.
    Received(Delivery),
    /// The response that accepts it was sent.
    Responded,
}

/// Receives, verifies and responds.
struct Receiver {
    secrets: Vec<SigningSecret>,
    respond: u16,
    delay: Duration,
}

impl Receiver {
    fn new(options: &ListenArgs) -> Result<Self> {
        let texts = options.secrets.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let secrets = texts.map(str::parse).collect::<Result<_, _>>().context("a secret cannot be used")?;
        Ok(Self { secrets, respond: options.respond, delay: options.delay.unwrap_or_default() })
    }

    /// Serves the requests of a connection.
    async fn serve(&self, mut stream: TcpStream, events: &mpsc::Sender<Event>) -> std::io::Result<()> {
        let mut reader = RequestReader::default();
        loop {
            match reader.read(&mut stream).await {
                Ok(Some(request)) => {
                    let response = self.receive(&request, events).await;
                    stream.write_all(&response.to_bytes()).await?;
                    if (200..300).contains(&response.status) {
                        let _ = events.send(Event::Responded).await;
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    let Some(status) = error.status() else { return Ok(()) };
                    note(&format!("a request was refused: {error}"));
                    return stream.write_all(&Response::new(status).with_header("connection", "close").to_bytes()).await;
                }
            }
        }
    }

    /// Returns the response to a request, after its delivery was passed on to be printed.
    async fn receive(&self, request: &ReceivedRequest, events: &mpsc::Sender<Event>) -> Response {
        if request.method != "POST" {
            return Response::new(405).with_header("allow", "POST").with_body("webhooks are sent with POST\n");
        }
        let delivery = Delivery::new(request, &self.secrets, SystemClock.now());
        let status = if delivery.is_accepted() { self.respond } else { 401 };
        // Fails only when the command ends.
        let _ = events.send(Event::Received(delivery)).await;
        tokio::time::sleep(self.delay).await;
        Response::new(status)
    }
}

#[cfg(test)]
mod tests;
