//! A server that records requests, and fails as a test requires.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::request::{ReceivedRequest, RequestReader};
use crate::response::Response;

/// Bytes that an endless body sends at a time.
const ENDLESS_CHUNK: [u8; 4096] = [b'.'; 4096];

/// What a sink does with a request.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// Responds.
    Respond(Response),
    /// Responds after a delay.
    Delay(Duration, Response),
    /// Sends one byte of the response at a time, with a pause before each.
    Drip(Duration, Response),
    /// Sends the head of the response, then one byte of its body at a time, with a pause before each.
    DripBody(Duration, Response),
    /// Responds with a body that never ends.
    Endless(Response),
    /// Announces one byte more than the body of the response has, and closes the connection.
    Truncate(Response),
    /// Responds, and closes the connection without announcing it.
    CloseAfter(Response),
    /// Sends these bytes, and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection without a response.
    Close,
    /// Resets the connection.
    Reset,
}

/// A server on 127.0.0.1. It ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reaction>,
    last: Option<Reaction>,
    requests: Vec<ReceivedRequest>,
    connections: usize,
    failed_connections: usize,
}

impl Sink {
    /// Starts a sink without TLS on a free port. Its reactions are those of the script, one for each request; the last one repeats.
    pub async fn start(script: impl IntoIterator<Item = Reaction>) -> io::Result<Self> {
        Self::serve(0, script, None).await
    }

    /// Starts a sink without TLS on a port.
    pub async fn start_at(port: u16, script: impl IntoIterator<Item = Reaction>) -> io::Result<Self> {
        Self::serve(port, script, None).await
    }

    /// Starts a sink with TLS on a free port.
    pub async fn start_tls(script: impl IntoIterator<Item = Reaction>, tls: Arc<ServerConfig>) -> io::Result<Self> {
        Self::serve(0, script, Some(TlsAcceptor::from(tls))).await
    }

    async fn serve(port: u16, script: impl IntoIterator<Item = Reaction>, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                connections.spawn(accept(stream, tls.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { address, state, server })
    }

    /// Returns the address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the requests that were received so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.state).requests.clone()
    }

    /// Returns the number of connections that were accepted so far.
    pub fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    /// Returns the number of connections on which no request could be read, for example because TLS failed.
    pub fn failed_connections(&self) -> usize {
        lock(&self.state).failed_connections
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Locks the state. A panic of another test thread does not make it invalid.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records a request and returns the reaction.
fn next_reaction(state: &Mutex<State>, request: ReceivedRequest) -> Reaction {
    let mut state = lock(state);
    state.requests.push(request);
    if let Some(reaction) = state.script.pop_front() {
        state.last = Some(reaction);
    }
    state.last.clone().unwrap_or(Reaction::Close)
}

/// Serves a connection.
async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let served = match tls {
        None => serve(stream, &state, TcpStream::set_zero_linger).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serve(stream, &state, |stream| stream.get_ref().0.set_zero_linger()).await,
            Err(error) => Err(error),
        },
    };
    if served.is_err() {
        lock(&state).failed_connections += 1;
    }
}

/// Serves the requests of a connection. `reset` has it reset when it is dropped.
async fn serve<Stream: AsyncRead + AsyncWrite + Unpin>(
    mut stream: Stream,
    state: &Mutex<State>,
    reset: impl Fn(&Stream) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = RequestReader::default();
    loop {
        let request = match reader.read(&mut stream).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => {
                if let Some(status) = error.status() {
                    stream.write_all(&Response::new(status).to_bytes()).await?;
                }
                return Err(io::Error::other(error));
            }
        };
        // The sender may close the connection at any time: that is no failure of the sink.
        match next_reaction(state, request) {
            Reaction::Reset => return reset(&stream),
            reaction => match react(&mut stream, reaction).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(()),
            },
        }
    }
}

/// Reacts to a request. Returns whether the connection can be used again.
async fn react(stream: &mut (impl AsyncWrite + Unpin), reaction: Reaction) -> io::Result<bool> {
    match reaction {
        Reaction::Respond(response) => write(stream, &response.to_bytes()).await.map(|()| true),
        Reaction::Delay(delay, response) => {
            sleep(delay).await;
            write(stream, &response.to_bytes()).await.map(|()| true)
        }
        Reaction::Drip(pause, response) => drip(stream, pause, &response.to_bytes()).await.map(|()| true),
        Reaction::DripBody(pause, response) => {
            write(stream, response.head(response.body.len()).as_bytes()).await?;
            drip(stream, pause, &response.body).await.map(|()| true)
        }
        Reaction::Endless(response) => {
            // Without a length, the body ends with the connection (RFC 9112, section 6.3).
            let head = response.head(0).replacen("content-length: 0\r\n", "", 1);
            write(stream, head.as_bytes()).await?;
            loop {
                write(stream, &ENDLESS_CHUNK).await?;
            }
        }
        Reaction::Truncate(response) => {
            write(stream, response.head(response.body.len() + 1).as_bytes()).await?;
            write(stream, &response.body).await.map(|()| false)
        }
        Reaction::CloseAfter(response) => write(stream, &response.to_bytes()).await.map(|()| false),
        Reaction::Raw(bytes) => write(stream, &bytes).await.map(|()| false),
        Reaction::Close | Reaction::Reset => Ok(false),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), pause: Duration, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        sleep(pause).await;
        write(stream, &[*byte]).await?;
    }
    Ok(())
}
