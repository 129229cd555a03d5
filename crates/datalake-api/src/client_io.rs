//! The bytes of one connection: what a client sends is noticed, and a client that takes too little of its answers is cut.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::activity::Activity;

/// So many bytes a client has to take in the time it is waited for: in 30 seconds that is 2 KiB a second, which the slowest of mobile
/// networks carries. Each connection that takes less would hold the memory of its answer for as long as it likes.
const PACE_BYTES: usize = 64 * 1024;

/// A client's stream, with the time spent waiting for it.
pub(crate) struct ClientIo<S> {
    stream: S,
    activity: Arc<Activity>,
    pace: Pace,
    /// The wait that goes on now.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// How fast a client takes what there is for it. Time in which there was nothing to send does not count.
#[derive(Debug)]
struct Pace {
    wait_max: Duration,
    /// Waited for so far.
    waited: Duration,
    /// Bytes taken since `waited` was nothing.
    taken: usize,
}

impl Pace {
    /// What is left of the client's time.
    fn left(&self) -> Duration {
        self.wait_max.saturating_sub(self.waited)
    }

    /// The client took so many bytes after such a wait.
    fn take(&mut self, bytes: usize, wait: Duration) {
        self.waited += wait;
        self.taken += bytes;
        if self.taken >= PACE_BYTES {
            (self.taken, self.waited) = (0, Duration::ZERO);
        }
    }
}

impl<S> ClientIo<S> {
    /// A stream whose client is waited for so long each 64 KiB.
    pub(crate) fn new(stream: S, activity: Arc<Activity>, wait_max: Duration) -> Self {
        Self {
            stream,
            activity,
            pace: Pace {
                wait_max,
                waited: Duration::ZERO,
                taken: 0,
            },
            waiting: None,
        }
    }

    /// Passes the outcome of a write on, unless the client was waited for too long.
    fn paced(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                let wait = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.pace.take(bytes, wait);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let left = self.pace.left();
                let (_, over) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
                over.as_mut().poll(context).map(|()| {
                    let reason = "the client takes too little of its answer";
                    Err(io::Error::new(io::ErrorKind::TimedOut, reason))
                })
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.heard();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Both ends of a connection whose kernel takes 1 KiB.
    fn connection(wait_max: Duration) -> (ClientIo<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024);
        (ClientIo::new(ours, Arc::new(Activity::new()), wait_max), theirs)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut() {
        let (mut ours, _theirs) = connection(Duration::ZERO);
        ours.write_all(&[0; 1024]).await.unwrap();
        let cut = ours.write_all(&[0; 1]).await;
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_takes_it_is_not() {
        let (mut ours, mut theirs) = connection(Duration::from_mins(1));
        let taking = tokio::spawn(async move { theirs.read_exact(&mut vec![0; 200_000]).await.map(drop) });
        ours.write_all(&vec![0; 200_000]).await.unwrap();
        taking.await.unwrap().unwrap();
    }

    /// How much of 30 seconds is left after these bytes, each after so many seconds.
    #[track_caller]
    fn check(taken: &[(usize, u64)], left: u64) {
        let mut pace = Pace {
            wait_max: Duration::from_secs(30),
            waited: Duration::ZERO,
            taken: 0,
        };
        for (bytes, seconds) in taken {
            pace.take(*bytes, Duration::from_secs(*seconds));
        }
        assert_eq!(pace.left(), Duration::from_secs(left), "{taken:?}");
    }

    #[test]
    fn paces() {
        check(&[], 30);
        check(&[(1, 10)], 20);
        // A byte now and then gains no time.
        check(&[(1, 10), (1, 10), (1, 10)], 0);
        check(&[(1, 31)], 0);
        check(&[(65_535, 10)], 20);
        check(&[(65_536, 10)], 30);
        check(&[(40_000, 10), (30_000, 10), (1, 5)], 25);
        check(&[(1_000_000, 0), (1, 1)], 29);
    }
}
