//! The first head of a connection waits in the kernel until it is complete. A client that never ends one costs a task, and none of the buffers
//! that serving a connection takes: some 16 KiB.

use std::{io, os::fd::AsRawFd, time::Duration};

use nix::sys::socket::{MsgFlags, recv};
use tokio::{
    io::Interest,
    net::TcpStream,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::activity::{Activity, Overdue, Times};

/// Heads are smaller as a rule. Of a longer one the rest is read as it comes.
const LOOKED_AT_BYTES: usize = 8 * 1024;

/// What there is at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstHead {
    /// A head, or the time for it is over: something to answer.
    Came,
    /// Nothing, and no more is waited for.
    None,
}

/// Waits until there is something to answer, at most for as long as the client may take, which is looked at each `look`, and not longer than
/// the server lives.
pub(crate) async fn wait(
    stream: &TcpStream,
    activity: &Activity,
    times: &Times,
    look: Duration,
    shutdown: &CancellationToken,
) -> FirstHead {
    let mut looks = interval(look);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // What has come counts, however late it is looked at.
            biased;
            () = come(stream, activity) => return FirstHead::Came,
            () = shutdown.cancelled() => return FirstHead::None,
            _ = looks.tick() => match activity.overdue(times) {
                None => {}
                Some(Overdue::Head) => {
                    activity.time_out();
                    return FirstHead::Came;
                }
                Some(Overdue::Idle | Overdue::Answer) => return FirstHead::None,
            }
        }
    }
}

/// Waits for a head, or for the end of the connection. A failure is the next reader's to find.
async fn come(stream: &TcpStream, activity: &Activity) {
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        // Bytes that stay where they are make the stream readable no more: the next look is at more of them.
        let looked = stream.try_io(Interest::READABLE, || {
            let mut bytes = [0; LOOKED_AT_BYTES];
            let count = recv(stream.as_raw_fd(), &mut bytes, MsgFlags::MSG_PEEK)?;
            if count > 0 {
                activity.heard();
            }
            let is_whole = is_worth_serving(bytes.get(..count).unwrap_or_default());
            is_whole.then_some(()).ok_or_else(|| io::ErrorKind::WouldBlock.into())
        });
        let goes_on = looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if !goes_on || ready.is_read_closed() {
            return;
        }
    }
}

/// Whether this is a whole head, more than is looked at, the end of the connection, or no HTTP at all.
fn is_worth_serving(seen: &[u8]) -> bool {
    let is_http = seen.first().is_some_and(u8::is_ascii_uppercase);
    let ends_head = || seen.windows(2).any(|pair| pair == b"\n\n") || seen.windows(3).any(|three| three == b"\n\r\n");
    !is_http || seen.len() == LOOKED_AT_BYTES || ends_head()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinHandle};

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    #[track_caller]
    fn check(seen: &[u8], expected: bool) {
        assert_eq!(is_worth_serving(seen), expected, "{:?}", String::from_utf8_lossy(seen));
    }

    #[test]
    fn heads() {
        check(b"GET", false);
        check(b"GET / HTTP/1.1\r\nHost: x\r\n", false);
        check(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true);
        check(b"GET / HTTP/1.1\nHost: x\n\n", true);
        check(b"POST /data HTTP/1.1\r\n\r\n{}", true);
        // The beginning of TLS, and of nothing.
        check(b"\x16\x03\x01", true);
        check(b"get / HTTP/1.1", true);
        check(b"", true);
        check(&[b'G'; LOOKED_AT_BYTES], true);
    }

    /// Both ends of a connection, and what the server waits for.
    async fn waiting(head: Duration, shutdown: &CancellationToken) -> (TcpStream, Arc<Activity>, JoinHandle<FirstHead>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        let (shutdown, activity) = (shutdown.clone(), Arc::new(Activity::new()));
        let heard = Arc::clone(&activity);
        let waits = tokio::spawn(async move {
            let times = Times {
                head,
                idle: LONG,
                silence: LONG,
                silence_to_ended: LONG,
            };
            wait(&ours, &activity, &times, Duration::from_millis(1), &shutdown).await
        });
        (theirs, heard, waits)
    }

    #[tokio::test]
    async fn a_head_is_served_once_it_is_whole() {
        let (mut client, activity, waits) = waiting(LONG, &CancellationToken::new()).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let none = Times {
            head: Duration::ZERO,
            idle: LONG,
            silence: LONG,
            silence_to_ended: LONG,
        };
        // Until it is seen.
        while activity.overdue(&none).is_none() {
            tokio::task::yield_now().await;
        }
        assert!(!waits.is_finished());
        client.write_all(b"\r\n").await.unwrap();
        assert_eq!(waits.await.unwrap(), FirstHead::Came);
    }

    #[tokio::test]
    async fn who_goes_away_is_not_waited_for() {
        for part in ["", "GET / HTTP/1.1\r\n"] {
            let (mut client, _, waits) = waiting(LONG, &CancellationToken::new()).await;
            client.write_all(part.as_bytes()).await.unwrap();
            drop(client);
            assert_eq!(waits.await.unwrap(), FirstHead::Came, "the reader finds the end behind {part:?}");
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_answered() {
        let (mut client, activity, waits) = waiting(Duration::ZERO, &CancellationToken::new()).await;
        client.write_all(b"GET /").await.unwrap();
        assert_eq!(waits.await.unwrap(), FirstHead::Came);
        assert!(activity.is_timed_out());
    }

    #[tokio::test]
    async fn the_end_of_the_server_is_the_end_of_the_wait() {
        let shutdown = CancellationToken::new();
        let (_client, _, waits) = waiting(LONG, &shutdown).await;
        shutdown.cancel();
        assert_eq!(waits.await.unwrap(), FirstHead::None);
    }
}
