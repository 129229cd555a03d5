//! A proxy in front of an S3 server, which records requests, holds a run at one of them, and disturbs the network.
//!
//! Requests and responses are read completely before they are forwarded. The `Host` header is not changed, because signatures cover it.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use nix::{
    libc,
    sys::socket::{setsockopt, sockopt},
};

use super::{
    http::{Message, exchange, read_request},
    moved_clock::ServerClock,
    process::{Run, TIMEOUT},
};

/// The time between two checks of a run that has not reached its boundary.
const POLL: Duration = Duration::from_millis(5);

/// The side of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The request was received, but not forwarded.
    Before,
    /// The response was received, but not forwarded.
    After,
}

/// A network fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request arrives late.
    Latency(Duration),
    /// The connection is reset before the server receives the request.
    ResetBefore,
    /// The connection is reset after the server has executed the request.
    ResetAfter,
    /// The response ends in the middle of its body, or of its head if it has no body.
    CutBody,
    /// The request is accepted, but there is no response.
    BlackHole,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) method: String,
    pub(super) target: String,
    /// The status of the response; none without a response.
    pub(super) status: Option<u16>,
}

type Faults = Box<dyn Fn(usize, &Message) -> Option<Fault> + Send + Sync>;

/// A running proxy. Dropping it closes the connections.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: String,
    shared: Arc<Shared>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("server", &self.server).finish_non_exhaustive()
    }
}

struct Shared {
    server: String,
    state: Mutex<State>,
    changed: Condvar,
    faults: Faults,
    clock: Option<Arc<ServerClock>>,
}

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    boundary: Option<(usize, Side)>,
    gate: Gate,
    /// Requests below this index are no longer forwarded, nor are their responses.
    dropped: usize,
    /// Open connections to clients.
    streams: BTreeMap<usize, TcpStream>,
}

impl State {
    fn close_connections(&self) {
        for stream in self.streams.values() {
            let _client_may_be_gone = stream.shutdown(Shutdown::Both);
        }
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// The boundary is reached: all requests and responses are held.
    Closed,
    /// Nothing is forwarded.
    Broken,
}

impl Proxy {
    /// A proxy that only records.
    pub(super) fn start(server: &str) -> Self {
        Self::start_with(server, None, Box::new(|_, _| None), None)
    }

    /// A proxy that closes at a boundary: the request of this index, counted from 0.
    pub(super) fn at_boundary(server: &str, index: usize, side: Side) -> Self {
        Self::start_with(server, Some((index, side)), Box::new(|_, _| None), None)
    }

    /// A proxy that disturbs requests, chosen by index.
    pub(super) fn with_faults(server: &str, faults: impl Fn(usize, &Message) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self::start_with(server, None, Box::new(faults), None)
    }

    /// A proxy that closes at a boundary, and gives the server another clock.
    pub(super) fn with_clock(server: &str, boundary: Option<(usize, Side)>, clock: &Arc<ServerClock>) -> Self {
        Self::start_with(server, boundary, Box::new(|_, _| None), Some(Arc::clone(clock)))
    }

    fn start_with(server: &str, boundary: Option<(usize, Side)>, faults: Faults, clock: Option<Arc<ServerClock>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            state: Mutex::new(State {
                boundary,
                ..State::default()
            }),
            changed: Condvar::new(),
            faults,
            clock,
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let mut state = accepting.lock();
                if state.gate == Gate::Broken {
                    break;
                }
                state.streams.insert(number, stream.try_clone().unwrap());
                drop(state);
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    let _client_may_be_gone = serve(&shared, stream);
                    shared.lock().streams.remove(&number);
                });
            }
        });
        Self { address, shared }
    }

    /// Waits until the boundary is reached. False if the run ends before, because it makes fewer requests than the recorded run.
    pub(super) fn wait_for_boundary(&self, run: &mut Run) -> bool {
        let mut state = self.shared.lock();
        let mut waited = Duration::ZERO;
        loop {
            if state.gate == Gate::Closed {
                return true;
            }
            assert!(
                waited < TIMEOUT,
                "the run neither reaches the boundary nor ends: {:?}",
                state.requests
            );
            let (next, timeout) = self.shared.changed.wait_timeout(state, POLL).unwrap();
            state = next;
            if timeout.timed_out() {
                waited += POLL;
                drop(state);
                let has_ended = run.has_ended();
                state = self.shared.lock();
                if has_ended {
                    return state.gate == Gate::Closed;
                }
            }
        }
    }

    /// Forwards everything that is held.
    pub(super) fn open(&self) {
        self.shared.lock().gate = Gate::Open;
        self.shared.changed.notify_all();
    }

    /// Closes all connections, as servers do with idle ones, and forwards requests over new connections.
    pub(super) fn open_to_new_connections(&self) {
        let mut state = self.shared.lock();
        state.dropped = state.requests.len();
        state.close_connections();
        state.gate = Gate::Open;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Drops everything that is held.
    pub(super) fn cut(&self) {
        let mut state = self.shared.lock();
        state.gate = Gate::Broken;
        state.close_connections();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.shared.lock().requests.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        // Wakes up the accepting thread, which then ends.
        let _may_have_ended = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Records a request and returns its index.
    fn arrive(&self, request: &Message) -> usize {
        let mut state = self.wait_while_closed();
        state.requests.push(Recorded {
            method: request.method().to_owned(),
            target: request.target().to_owned(),
            status: None,
        });
        state.requests.len() - 1
    }

    /// Holds a request or its response at the boundary. An error if it has to be dropped.
    fn pass(&self, index: usize, side: Side) -> io::Result<()> {
        let mut state = self.lock();
        if state.boundary == Some((index, side)) && state.gate == Gate::Open {
            state.boundary = None;
            state.gate = Gate::Closed;
            self.changed.notify_all();
        }
        drop(state);
        let state = self.wait_while_closed();
        match state.gate == Gate::Broken || index < state.dropped {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    fn wait_while_closed(&self) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), |state| state.gate == Gate::Closed).unwrap()
    }

    /// Waits until the proxy ends.
    fn wait_for_end(&self) {
        drop(self.changed.wait_while(self.lock(), |state| state.gate != Gate::Broken).unwrap());
    }

    /// Sends a request to the server, with the translated clock if there is one.
    fn forward(&self, mut request: Message) -> io::Result<Message> {
        if let Some(clock) = &self.clock {
            return clock.exchange(&self.server, request);
        }
        request.set_header("connection", "close");
        exchange(&self.server, &request)
    }
}

/// Serves one connection of a client until it ends.
fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let index = shared.arrive(&request);
        let has_body = request.method() != "HEAD";
        let fault = (shared.faults)(index, &request);
        shared.pass(index, Side::Before)?;
        match fault {
            Some(Fault::Latency(delay)) => thread::sleep(delay),
            Some(Fault::ResetBefore) => return reset(reader.get_ref()),
            Some(Fault::BlackHole) => {
                shared.wait_for_end();
                return Ok(());
            }
            Some(Fault::ResetAfter | Fault::CutBody) | None => {}
        }
        let mut response = shared.forward(request)?;
        shared.lock().requests[index].status = Some(response.status());
        shared.pass(index, Side::After)?;
        response.remove_headers(|name| name.eq_ignore_ascii_case("connection"));
        let bytes = response.encode(has_body);
        match fault {
            Some(Fault::ResetAfter) => return reset(reader.get_ref()),
            Some(Fault::CutBody) => {
                let body = if has_body { response.body.len() } else { 0 };
                let kept = match body {
                    0 => bytes.len() / 2,
                    _ => bytes.len() - body.div_ceil(2),
                };
                return reader.get_mut().write_all(&bytes[..kept]);
            }
            Some(_) | None => reader.get_mut().write_all(&bytes)?,
        }
    }
    Ok(())
}

/// Closes a connection so that the client sees a reset.
fn reset(stream: &TcpStream) -> io::Result<()> {
    let in_parallel = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(stream, sockopt::Linger, &in_parallel)?;
    Ok(())
}
