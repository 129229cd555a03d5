//! The I/O of one connection between hyper and the client's stream. It passes checked request heads to hyper, closes the connection of a client
//! that reads too slowly, and still sends responses to a client that has shut down its sending side.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::server::{
    activity::Activity,
    request_error::RequestError,
    request_stream::{Input, RequestStream},
};

/// How much a client must read before its `stall_max` restarts. 64 KiB in 30 s are 2 KiB/s, which slow mobile networks provide. A client that
/// reads more slowly could hold the memory of its response for any time.
const PACE_BYTES: usize = 64 * 1024;

/// The size of a read. Most heads are smaller.
const READ_BYTES: usize = 4 * 1024;

/// How long, and how many bytes, are read from a client after the last response. If the connection were closed while the client sends, the kernel
/// would reset it, and the client would lose the response.
const LINGERING_TIME_MAX: Duration = Duration::from_secs(2);
const LINGERING_BYTES_MAX: usize = 1024 * 1024;

/// The stream of a client, with the progress of reads and writes.
pub(crate) struct PacedIo<S> {
    stream: S,
    activity: Arc<Activity>,
    requests: RequestStream,
    last_started: LastStarted,
    lingering_close: Option<LingeringClose>,
    pace: WritePace,
    /// Woken when the client has read a part of the response, to report its half-close to hyper.
    half_close_waker: Option<Waker>,
    /// Set while the client does not read: since when, and the timer until it has stalled for too long.
    write_stall: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// The last head that was passed to hyper.
#[derive(Debug, Default)]
struct LastStarted {
    /// The number of the head on the connection, from 1.
    head: u64,
    /// The poll of the connection in which it was passed.
    poll: u64,
}

/// The end of a connection whose client may still be sending.
struct LingeringClose {
    timeout: Pin<Box<Sleep>>,
    bytes_read: usize,
}

/// How fast a client reads its responses. Time in which there is nothing to send does not count.
#[derive(Debug)]
struct WritePace {
    stall_max: Duration,
    /// How long writes have stalled since the last restart.
    stalled: Duration,
    /// Bytes written since the last restart.
    bytes_written: usize,
}

impl WritePace {
    fn new(stall_max: Duration) -> Self {
        Self {
            stall_max,
            stalled: Duration::ZERO,
            bytes_written: 0,
        }
    }

    /// How much longer writes may stall.
    fn remaining(&self) -> Duration {
        self.stall_max.saturating_sub(self.stalled)
    }

    /// Records a write that was stalled for some time.
    fn on_write(&mut self, bytes: usize, stalled: Duration) {
        self.stalled += stalled;
        self.bytes_written += bytes;
        if self.bytes_written >= PACE_BYTES {
            (self.bytes_written, self.stalled) = (0, Duration::ZERO);
        }
    }
}

impl<S> PacedIo<S> {
    /// The I/O of a client, whose writes may stall for `stall_max` per 64 KiB and whose heads may have `head_bytes_max` bytes.
    pub(crate) fn new(stream: S, activity: Arc<Activity>, stall_max: Duration, head_bytes_max: usize) -> Self {
        Self {
            stream,
            activity,
            requests: RequestStream::new(head_bytes_max),
            last_started: LastStarted::default(),
            lingering_close: None,
            pace: WritePace::new(stall_max),
            half_close_waker: None,
            write_stall: None,
        }
    }

    /// Returns the result of a write, or an error if writes have stalled for too long.
    fn poll_paced(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                let stalled = self.write_stall.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.pace.on_write(bytes, stalled);
                if let Some(waker) = self.half_close_waker.take() {
                    waker.wake();
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let remaining = self.pace.remaining();
                let (_, timeout) = self.write_stall.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(remaining))));
                timeout.as_mut().poll(context).map(|()| {
                    let reason = "the client reads its response too slowly";
                    Err(io::Error::new(io::ErrorKind::TimedOut, reason))
                })
            }
        }
    }
}

/// The client has shut down its sending side.
struct HalfClosed;

impl<S: AsyncRead + Unpin> PacedIo<S> {
    /// Lets one request start per poll of the connection. Otherwise a client that sends many requests at once would delay the tasks of other
    /// clients in the scheduler's queue.
    fn poll_may_start(&mut self, context: &Context<'_>) -> Poll<()> {
        let (head, poll) = (self.requests.heads_accepted(), self.activity.current_poll());
        if head != self.last_started.head {
            if self.last_started.head > 0 && self.last_started.poll == poll {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.last_started = LastStarted { head, poll };
        }
        Poll::Ready(())
    }

    /// Reads more of a head. It is ready when the stream has input, or is half-closed.
    fn poll_read_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<HalfClosed>>> {
        let mut bytes = [0; READ_BYTES];
        let mut bytes = ReadBuf::new(&mut bytes);
        if self.requests.is_in_head() {
            self.activity.on_head_bytes_received();
        }
        if self.activity.is_head_rejected() {
            let rejection = self.requests.reject(RequestError::TimedOut);
            self.activity.reject(rejection);
            return Poll::Ready(Ok(None));
        }
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut bytes))?;
        let rejection = if !bytes.filled().is_empty() {
            self.requests.push(bytes.filled())
        } else if self.requests.is_in_head() {
            let error = RequestError::malformed("the request ends within its head; send an empty line after the headers");
            Some(self.requests.reject(error))
        } else {
            return Poll::Ready(Ok(Some(HalfClosed)));
        };
        if let Some(rejection) = rejection {
            self.activity.reject(rejection);
        }
        Poll::Ready(Ok(None))
    }

    /// Reads at most `max` bytes of a body directly into hyper's buffer.
    fn poll_read_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, max: u64) -> Poll<io::Result<Option<HalfClosed>>> {
        let before = buffer.filled().len();
        let mut part = AsyncReadExt::take(&mut self.stream, max);
        ready!(Pin::new(&mut part).poll_read(context, buffer))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        self.requests.on_direct_read(bytes);
        Poll::Ready(Ok(bytes.is_empty().then_some(HalfClosed)))
    }

    /// Reports the half-close to hyper once the client has its responses. hyper would otherwise drop them, as if the client had disconnected.
    fn poll_half_close(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let is_complete = self.requests.is_complete();
        if is_complete && self.activity.wait_for_responses(context.waker()) {
            return Poll::Pending;
        }
        if is_complete && self.write_stall.is_some() {
            self.half_close_waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what the client is still sending, until it stops or a limit is reached.
    fn poll_lingering_close(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let lingering_close = self.lingering_close.get_or_insert_with(|| LingeringClose {
            timeout: Box::pin(sleep(LINGERING_TIME_MAX)),
            bytes_read: 0,
        });
        while lingering_close.bytes_read < LINGERING_BYTES_MAX && lingering_close.timeout.as_mut().poll(context).is_pending() {
            let mut bytes = [0; READ_BYTES];
            let mut bytes = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => lingering_close.bytes_read += bytes.filled().len(),
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_may_start(context));
            let half_closed = match self.requests.input() {
                Input::Buffered(bytes) => {
                    let length = bytes.len().min(buffer.remaining());
                    buffer.put_slice(bytes.get(..length).unwrap_or_default());
                    if let Some(rejection) = self.requests.consume(length) {
                        self.activity.reject(rejection);
                    }
                    return Poll::Ready(Ok(()));
                }
                Input::DirectRead(max) => match ready!(self.poll_read_body(context, buffer, max))? {
                    None => return Poll::Ready(Ok(())),
                    half_closed => half_closed,
                },
                Input::NeedsHead => ready!(self.poll_read_head(context))?,
                // The response to the rejected request closes the connection.
                Input::Rejected => return Poll::Pending,
            };
            if half_closed.is_some() {
                return self.poll_half_close(context);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PacedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_paced(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.poll_paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes the stream after it has written its whole buffer.
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.activity.on_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        match self.requests.may_have_unread_input() {
            true => self.poll_lingering_close(context).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Both ends of a connection that buffers 1 KiB.
    fn connection(stall_max: Duration) -> (PacedIo<DuplexStream>, DuplexStream) {
        let (server, client) = tokio::io::duplex(1024);
        (PacedIo::new(server, Arc::new(Activity::new()), stall_max, 1024), client)
    }

    #[tokio::test]
    async fn write_to_client_that_reads_nothing_times_out() {
        let (mut server, _client) = connection(Duration::ZERO);
        server.write_all(&[0; 1024]).await.unwrap();
        let stalled = server.write_all(&[0; 1]).await;
        assert_eq!(stalled.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn write_to_reading_client_succeeds() {
        let (mut server, mut client) = connection(Duration::from_mins(1));
        let reading = tokio::spawn(async move { client.read_exact(&mut vec![0; 200_000]).await.map(drop) });
        server.write_all(&vec![0; 200_000]).await.unwrap();
        reading.await.unwrap().unwrap();
    }

    /// The remaining seconds of 30 after writes of these bytes, each stalled for these seconds.
    #[track_caller]
    fn check_remaining(writes: &[(usize, u64)], expected: u64) {
        let mut pace = WritePace::new(Duration::from_secs(30));
        for (bytes, seconds) in writes {
            pace.on_write(*bytes, Duration::from_secs(*seconds));
        }
        assert_eq!(pace.remaining(), Duration::from_secs(expected), "{writes:?}");
    }

    #[test]
    fn stall_time_restarts_after_64_kib() {
        check_remaining(&[], 30);
        check_remaining(&[(1, 10)], 20);
        check_remaining(&[(1, 10), (1, 10), (1, 10)], 0);
        check_remaining(&[(1, 31)], 0);
        check_remaining(&[(65_535, 10)], 20);
        check_remaining(&[(65_536, 10)], 30);
        check_remaining(&[(40_000, 10), (30_000, 10), (1, 5)], 25);
        check_remaining(&[(1_000_000, 0), (1, 1)], 29);
    }
}
