//! The bytes of one connection: hyper is given checked heads, a client that takes too little of its answers is cut, and one that sends no
//! more still gets its answer.

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
    request_stream::{Next, RequestHeads},
};

/// So many bytes a client has to take in the time it is waited for: in 30 seconds that is 2 KiB a second, which the slowest of mobile
/// networks carries. Each connection that takes less would hold the memory of its answer for as long as it likes.
const PACE_BYTES: usize = 64 * 1024;

/// Most heads have fewer bytes.
const READ_BYTES: usize = 4 * 1024;

/// A client that is still sending when the connection ends would lose the answer, since the kernel then resets the connection: it is
/// listened to for as long after the answer, and for as many bytes.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// A client's stream, with the time spent waiting for it.
pub(crate) struct ClientIo<S> {
    stream: S,
    activity: Arc<Activity>,
    heads: RequestHeads,
    /// The last head that hyper was given, and in which poll of the connection.
    begun: Begun,
    lingering: Option<Lingering>,
    pace: Pace,
    /// Who waits to tell hyper of the client's end until the client has what there is for it.
    reader: Option<Waker>,
    /// The wait that goes on now.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// A head that hyper was given.
#[derive(Debug, Default)]
struct Begun {
    /// Which head of the connection, from 1 on.
    head: u64,
    poll: u64,
}

/// The end of a connection whose client may still be sending.
struct Lingering {
    over: Pin<Box<Sleep>>,
    bytes: usize,
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
    /// A stream whose client is waited for so long each 64 KiB, and may send heads of so many bytes.
    pub(crate) fn new(stream: S, activity: Arc<Activity>, wait_max: Duration, head_bytes_max: usize) -> Self {
        Self {
            stream,
            activity,
            heads: RequestHeads::new(head_bytes_max),
            begun: Begun::default(),
            lingering: None,
            pace: Pace {
                wait_max,
                waited: Duration::ZERO,
                taken: 0,
            },
            reader: None,
            waiting: None,
        }
    }

    /// Passes the outcome of a write on, unless the client was waited for too long.
    fn paced(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                let wait = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
                self.pace.take(bytes, wait);
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
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

impl<S: AsyncRead + Unpin> ClientIo<S> {
    /// One request is handled in each poll of the connection: a client that sends many at once would otherwise delay those of other clients, whose
    /// tasks wait in the same queue.
    fn poll_begin(&mut self, context: &Context<'_>) -> Poll<()> {
        let (head, poll) = (self.heads.accepted(), self.activity.poll());
        if head != self.begun.head {
            if self.begun.head > 0 && self.begun.poll == poll {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.begun = Begun { head, poll };
        }
        Poll::Ready(())
    }

    /// Reads more of a head. Ready where there is nothing to read any more, or an answer to what there is.
    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Ended>>> {
        let mut bytes = [0; READ_BYTES];
        let mut bytes = ReadBuf::new(&mut bytes);
        if self.heads.is_in_head() {
            self.activity.heard();
        }
        if self.activity.is_timed_out() {
            let refusal = self.heads.refuse(RequestError::TimedOut);
            self.activity.refuse(refusal);
            return Poll::Ready(Ok(None));
        }
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut bytes))?;
        let refusal = if !bytes.filled().is_empty() {
            self.heads.push(bytes.filled())
        } else if self.heads.is_in_head() {
            let error = RequestError::malformed("the request ends within its head; send an empty line after the headers");
            Some(self.heads.refuse(error))
        } else {
            return Poll::Ready(Ok(Some(Ended)));
        };
        if let Some(refusal) = refusal {
            self.activity.refuse(refusal);
        }
        Poll::Ready(Ok(None))
    }

    /// Hands on what comes straight from the client, at most so many bytes. Ready also where the client has ended.
    fn poll_pass(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>, most: u64) -> Poll<io::Result<Option<Ended>>> {
        let before = buffer.filled().len();
        let mut part = AsyncReadExt::take(&mut self.stream, most);
        ready!(Pin::new(&mut part).poll_read(context, buffer))?;
        let passed = buffer.filled().get(before..).unwrap_or_default();
        self.heads.passed(passed);
        Poll::Ready(Ok(passed.is_empty().then_some(Ended)))
    }

    /// The client sends no more. hyper would take that for the end of the client, and give up its answer.
    fn poll_end(&mut self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let may_end = self.heads.may_end();
        if may_end && self.activity.wait_for_answers(context.waker()) {
            return Poll::Pending;
        }
        if may_end && self.waiting.is_some() {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the client is still sending, until it ends, too.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            over: Box::pin(sleep(LINGER_MAX)),
            bytes: 0,
        });
        while lingering.bytes < LINGER_BYTES_MAX && lingering.over.as_mut().poll(context).is_pending() {
            let mut bytes = [0; READ_BYTES];
            let mut bytes = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut bytes) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => lingering.bytes += bytes.filled().len(),
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

/// The client has ended the half of the connection on which it sends.
struct Ended;

impl<S: AsyncRead + Unpin> AsyncRead for ClientIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_begin(context));
            let ended = match self.heads.next() {
                Next::Came(came) => {
                    let taken = came.len().min(buffer.remaining());
                    buffer.put_slice(came.get(..taken).unwrap_or_default());
                    if let Some(refusal) = self.heads.give(taken) {
                        self.activity.refuse(refusal);
                    }
                    return Poll::Ready(Ok(()));
                }
                Next::Pass(most) => match ready!(self.poll_pass(context, buffer, most))? {
                    None => return Poll::Ready(Ok(())),
                    ended => ended,
                },
                Next::More => ready!(self.poll_head(context))?,
                // The answer to what stands for the refusal ends the connection.
                Next::Nothing => return Poll::Pending,
            };
            if ended.is_some() {
                return self.poll_end(context);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientIo<S> {
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
        // hyper flushes when it has written all that it holds.
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.activity.written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        match self.heads.is_unread() {
            true => self.poll_linger(context).map(Ok),
            false => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Both ends of a connection whose kernel takes 1 KiB.
    fn connection(wait_max: Duration) -> (ClientIo<DuplexStream>, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024);
        (ClientIo::new(ours, Arc::new(Activity::new()), wait_max, 1024), theirs)
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
