//! The bytes of a connection, of which hyper is given one checked head after the other, each with its body. In the place of a head that is
//! refused it is given one that stands for the refusal, and nothing after it.

use crate::server::{
    request_error::RequestError,
    request_head::{self, Framing},
};

/// Where in the stream of requests the connection is.
#[derive(Debug)]
enum Place {
    /// In a head.
    Head,
    /// In a checked head or its body, of which so many bytes are left.
    Request(u64),
    /// In a body of chunks. The connection ends with its answer, so that no other head follows it.
    Chunks,
    /// After a refusal.
    Refused,
}

/// What came and was not given to hyper yet.
#[derive(Debug)]
pub(crate) struct RequestHeads {
    came: Vec<u8>,
    /// Bytes of `came` that were given.
    given: usize,
    /// Bytes in which no end of a head was found.
    searched: usize,
    place: Place,
    /// The last bytes of a body of chunks.
    tail: [u8; 4],
    head_bytes_max: usize,
    /// Heads that were accepted.
    accepted: u64,
}

/// What hyper may be given now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// These bytes. The caller passes the number of those that it used to [`RequestHeads::give`].
    Came(&'a [u8]),
    /// At most this many bytes, directly from the client. The caller passes them to [`RequestHeads::passed`].
    Pass(u64),
    /// Nothing before more of a head has come, which [`RequestHeads::push`] takes.
    More,
    /// Nothing any more.
    Nothing,
}

/// A request that was refused, and which of the connection's it is, from 0 on.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) number: u64,
    pub(crate) error: RequestError,
}

impl RequestHeads {
    pub(crate) fn new(head_bytes_max: usize) -> Self {
        Self {
            came: Vec::new(),
            given: 0,
            searched: 0,
            place: Place::Head,
            tail: [0; 4],
            head_bytes_max,
            accepted: 0,
        }
    }

    pub(crate) fn next(&self) -> Next<'_> {
        let came = self.came.get(self.given..).unwrap_or_default();
        match self.place {
            Place::Head => Next::More,
            Place::Request(left) if came.is_empty() => Next::Pass(left),
            Place::Request(left) => Next::Came(came.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(came)),
            Place::Chunks if came.is_empty() => Next::Pass(u64::MAX),
            Place::Chunks => Next::Came(came),
            Place::Refused if came.is_empty() => Next::Nothing,
            Place::Refused => Next::Came(came),
        }
    }

    /// So many bytes of what came were given. The refusal of the next head, where that has come already.
    pub(crate) fn give(&mut self, bytes: usize) -> Option<Rejection> {
        let given = self.came.get(self.given..).and_then(|came| came.get(..bytes)).unwrap_or_default();
        keep_tail(&mut self.tail, given);
        self.given += bytes;
        if self.given == self.came.len() {
            // An idle connection holds nothing.
            (self.came, self.given) = (Vec::new(), 0);
        }
        self.advance(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// These bytes were passed from the client to hyper.
    pub(crate) fn passed(&mut self, bytes: &[u8]) {
        keep_tail(&mut self.tail, bytes);
        let none = self.advance(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        debug_assert!(none.is_none(), "nothing came after them");
    }

    fn advance(&mut self, bytes: u64) -> Option<Rejection> {
        let Place::Request(left) = &mut self.place else {
            return None;
        };
        *left = left.saturating_sub(bytes);
        if *left > 0 {
            return None;
        }
        self.place = Place::Head;
        self.came.drain(..self.given);
        (self.given, self.searched) = (0, 0);
        self.look()
    }

    /// More of a head came.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Rejection> {
        self.came.extend_from_slice(bytes);
        self.look()
    }

    /// The number of accepted heads.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Whether there is an incomplete head.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head) && !self.came.is_empty()
    }

    /// Whether the client may have sent what nothing will read.
    pub(crate) fn is_unread(&self) -> bool {
        !matches!(self.place, Place::Head)
    }

    /// Whether the last request is complete as far as it came: nothing is missing where the client sends no more.
    pub(crate) fn may_end(&self) -> bool {
        match self.place {
            Place::Head => self.came.is_empty(),
            Place::Request(_) => false,
            Place::Chunks => self.tail == *b"\r\n\r\n",
            Place::Refused => true,
        }
    }

    /// Rejects the incomplete head.
    pub(crate) fn refuse(&mut self, error: RequestError) -> Rejection {
        // The answer to HEAD has no body.
        let method = if self.came.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        // No route has this path, so that no route is counted for it.
        self.came = format!("{method} * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n").into_bytes();
        self.given = 0;
        self.place = Place::Refused;
        Rejection {
            number: self.accepted,
            error,
        }
    }

    /// Looks for the end of a head in what came.
    fn look(&mut self) -> Option<Rejection> {
        // RFC 9112, 2.2: empty lines before a request are passed over.
        let lines = self.came.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.came.drain(..lines);
        let Some(end) = end_of_head(&self.came, self.searched) else {
            // The end may begin in the last three bytes.
            self.searched = self.came.len().saturating_sub(3);
            return if request_head::is_no_http(&self.came) {
                let error = request_head::check(&self.came).err()?;
                Some(self.refuse(error))
            } else if self.came.len() >= self.head_bytes_max {
                Some(self.refuse(self.too_large()))
            } else {
                None
            };
        };
        let rest = self.came.split_off(end);
        if let Some(encoded) = request_head::encode_target(&self.came) {
            self.came = encoded;
        }
        if self.came.len() > self.head_bytes_max {
            return Some(self.refuse(self.too_large()));
        }
        let framing = match request_head::check(&self.came) {
            Ok(framing) => framing,
            Err(error) => return Some(self.refuse(error)),
        };
        self.accepted += 1;
        let head = u64::try_from(self.came.len()).unwrap_or(u64::MAX);
        self.came.extend(rest);
        self.place = match framing {
            Framing::Bytes(body) => Place::Request(head.saturating_add(body)),
            Framing::Chunks => Place::Chunks,
        };
        None
    }

    fn too_large(&self) -> RequestError {
        RequestError::TooLarge {
            reason: format!(
                "the head of the request has over {} bytes; send a shorter query or fewer headers",
                self.head_bytes_max
            ),
        }
    }
}

/// Where the first head ends, with its empty line. Lines may end without CR, as hyper has it.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let ends = bytes
        .iter()
        .enumerate()
        .skip(from)
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    ends.into_iter().find_map(|at| match bytes.get(at..)? {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

fn keep_tail(tail: &mut [u8; 4], bytes: &[u8]) {
    for byte in bytes.iter().skip(bytes.len().saturating_sub(4)) {
        tail.rotate_left(1);
        tail[3] = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// What hyper is given of these bytes, so many at a time, and the number and status of a refusal.
    fn given(bytes: &[u8], at_once: usize) -> (String, Option<(u64, u16)>) {
        let mut heads = RequestHeads::new(1000);
        let (mut given, mut refused) = (Vec::new(), None);
        let mut left = bytes.chunks(at_once);
        loop {
            let refusal = match heads.next() {
                Next::Came(came) => {
                    let part = came.get(..at_once).unwrap_or(came).to_vec();
                    given.extend_from_slice(&part);
                    heads.give(part.len())
                }
                Next::Nothing => break,
                Next::Pass(most) => {
                    let Some(bytes) = left.next() else { break };
                    let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
                    given.extend_from_slice(&bytes[..most]);
                    heads.passed(&bytes[..most]);
                    // A reader leaves what it may not pass in the kernel.
                    (most < bytes.len()).then(|| heads.push(&bytes[most..])).flatten()
                }
                Next::More => {
                    let Some(bytes) = left.next() else { break };
                    heads.push(bytes)
                }
            };
            refused = refused.or(refusal.map(|refusal| (refusal.number, refusal.error.status())));
        }
        (String::from_utf8_lossy(&given).into_owned(), refused)
    }

    #[track_caller]
    fn check(bytes: &str, expected: &str, refused: Option<(u64, u16)>) {
        for at_once in [1, 2, 3, 7, 10_000] {
            let found = given(bytes.as_bytes(), at_once);
            assert_eq!(found, (expected.to_owned(), refused), "{bytes:?}, {at_once} at once");
        }
    }

    #[test]
    fn requests_are_given_as_they_came() {
        check(GET, GET, None);
        check(&format!("\r\n\n{GET}\r\n{GET}"), &format!("{GET}{GET}"), None);
        check("GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\nHost: x\n\n", None);
        let post = format!("POST /data HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nG\r\n\r\n< >\n{GET}");
        check(&post, &post, None);
        let chunks = "POST /data HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nanything";
        check(chunks, chunks, None);
        check("", "", None);
        check("GET / HTTP/1.1\r\nHost", "", None);
        check(&GET.replace("/ ", "/<é "), &GET.replace("/ ", "/%3C%C3%A9 "), None);
    }

    #[test]
    fn a_refusal_stands_for_the_head_and_ends_the_stream() {
        const REFUSED: &str = "GET * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
        check("GET / HTTP/1.1\r\n\r\n", REFUSED, Some((0, 400)));
        check("HEAD / HTTP/1.1\r\n\r\n", &REFUSED.replace("GET", "HEAD"), Some((0, 400)));
        check(
            &format!("{GET}{GET}GET / HTTP/3.0\r\n\r\n{GET}"),
            &format!("{GET}{GET}{REFUSED}"),
            Some((2, 505)),
        );
        check(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(1000)), REFUSED, Some((0, 431)));
        check(&GET.replace("/ ", &format!("/{} ", "<".repeat(400))), REFUSED, Some((0, 431)));
        check("\x16\x03\x01", REFUSED, Some((0, 400)));
    }

    #[test]
    fn a_client_may_end_after_a_request() {
        let may_end = |bytes: &str| {
            let mut heads = RequestHeads::new(1000);
            heads.push(bytes.as_bytes());
            while let Next::Came(came) = heads.next() {
                let bytes = came.len();
                heads.give(bytes);
            }
            heads.may_end()
        };
        let post = |framing: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}");
        assert!(may_end("") && may_end(GET));
        assert!(may_end(&post("Content-Length: 2\r\n\r\nab")) && !may_end(&post("Content-Length: 2\r\n\r\na")));
        let chunked = |body: &str| post(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
        assert!(may_end(&chunked("1\r\na\r\n0\r\n\r\n")) && !may_end(&chunked("1\r\na\r\n0\r\n")));
        assert!(!may_end("GET / HTTP/1.1\r\n"));
    }
}
