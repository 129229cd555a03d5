//! Splits the byte stream of a connection into requests. hyper receives one checked head at a time, each followed by its body. A rejected head is
//! replaced with a generated one, and hyper receives no bytes after it.

use crate::server::{
    request_error::RequestError,
    request_head::{self, Framing},
};

/// The position in the stream of requests.
#[derive(Debug)]
enum Position {
    /// In a head that is not complete.
    Head,
    /// In a checked head or its body, of which this number of bytes is left.
    Request(u64),
    /// In a checked head or its chunked body. The response to it closes the connection, so no other head follows.
    ChunkedRequest,
    /// In the generated head of a rejected request, or after it.
    Rejected,
}

/// The bytes that were received from the client and not yet passed to hyper.
#[derive(Debug)]
pub(crate) struct RequestStream {
    buffer: Vec<u8>,
    /// How many bytes of `buffer` were passed to hyper.
    consumed: usize,
    /// How many bytes of `buffer` contain no end of a head.
    searched: usize,
    position: Position,
    /// The last bytes that were passed to hyper, in which a chunked body ends.
    tail: [u8; 4],
    head_bytes_max: usize,
    heads_accepted: u64,
}

/// What hyper may read next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// These bytes. The caller passes the number of bytes that hyper took to [`RequestStream::consume`].
    Buffered(&'a [u8]),
    /// At most this number of bytes, directly from the client. The caller passes them to [`RequestStream::on_direct_read`].
    DirectRead(u64),
    /// Nothing until the head is complete. The caller passes more of it to [`RequestStream::push`].
    NeedsHead,
    /// Nothing: a request was rejected.
    Rejected,
}

/// A rejected request.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The number of the request on its connection, from 0.
    pub(crate) request_number: u64,
    pub(crate) error: RequestError,
}

impl RequestStream {
    pub(crate) fn new(head_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            consumed: 0,
            searched: 0,
            position: Position::Head,
            tail: [0; 4],
            head_bytes_max,
            heads_accepted: 0,
        }
    }

    pub(crate) fn input(&self) -> Input<'_> {
        let buffered = self.buffer.get(self.consumed..).unwrap_or_default();
        match self.position {
            Position::Head => Input::NeedsHead,
            Position::Request(left) if buffered.is_empty() => Input::DirectRead(left),
            Position::Request(left) => Input::Buffered(buffered.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(buffered)),
            Position::ChunkedRequest if buffered.is_empty() => Input::DirectRead(u64::MAX),
            Position::ChunkedRequest => Input::Buffered(buffered),
            Position::Rejected if buffered.is_empty() => Input::Rejected,
            Position::Rejected => Input::Buffered(buffered),
        }
    }

    /// Removes bytes that hyper took from the buffer. Returns the rejection of the next head, if that is in the buffer and invalid.
    pub(crate) fn consume(&mut self, bytes: usize) -> Option<Rejection> {
        let taken = self
            .buffer
            .get(self.consumed..)
            .and_then(|rest| rest.get(..bytes))
            .unwrap_or_default();
        update_tail(&mut self.tail, taken);
        self.consumed += bytes;
        if self.consumed == self.buffer.len() {
            // An idle connection has no buffer.
            (self.buffer, self.consumed) = (Vec::new(), 0);
        }
        self.advance(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Records bytes that hyper read directly from the client.
    pub(crate) fn on_direct_read(&mut self, bytes: &[u8]) {
        update_tail(&mut self.tail, bytes);
        let rejection = self.advance(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        debug_assert!(rejection.is_none(), "the buffer is empty");
    }

    fn advance(&mut self, bytes: u64) -> Option<Rejection> {
        let Position::Request(left) = &mut self.position else {
            return None;
        };
        *left = left.saturating_sub(bytes);
        if *left > 0 {
            return None;
        }
        self.position = Position::Head;
        self.buffer.drain(..self.consumed);
        (self.consumed, self.searched) = (0, 0);
        self.accept_head()
    }

    /// Adds bytes of a head, and of what follows it. Returns the rejection of the head, if it is invalid.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Rejection> {
        self.buffer.extend_from_slice(bytes);
        self.accept_head()
    }

    /// The number of valid heads so far.
    pub(crate) fn heads_accepted(&self) -> u64 {
        self.heads_accepted
    }

    /// Whether there is an incomplete head.
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.position, Position::Head) && !self.buffer.is_empty()
    }

    /// Whether the client may have sent bytes that nothing will read.
    pub(crate) fn may_have_unread_input(&self) -> bool {
        !matches!(self.position, Position::Head)
    }

    /// Whether the last request is complete, so the client may shut down its sending side.
    pub(crate) fn is_complete(&self) -> bool {
        match self.position {
            Position::Head => self.buffer.is_empty(),
            Position::Request(_) => false,
            Position::ChunkedRequest => self.tail == *b"\r\n\r\n",
            Position::Rejected => true,
        }
    }

    /// Rejects the head in the buffer.
    pub(crate) fn reject(&mut self, error: RequestError) -> Rejection {
        // The response to HEAD has no body.
        let method = if self.buffer.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        // No route matches this target, so the metrics count the request for no route.
        self.buffer = format!("{method} * HTTP/1.1\r\nhost: rejected\r\nconnection: close\r\n\r\n").into_bytes();
        self.consumed = 0;
        self.position = Position::Rejected;
        Rejection {
            request_number: self.heads_accepted,
            error,
        }
    }

    /// Checks the head in the buffer, if it is complete.
    fn accept_head(&mut self) -> Option<Rejection> {
        // Empty lines before a request are ignored (RFC 9112, section 2.2).
        let line_ends = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.buffer.drain(..line_ends);
        let Some(end) = end_of_head(&self.buffer, self.searched) else {
            // The end of the head may begin in the last three bytes.
            self.searched = self.buffer.len().saturating_sub(3);
            return if request_head::is_not_http(&self.buffer) {
                let error = request_head::check(&self.buffer).err()?;
                Some(self.reject(error))
            } else if self.buffer.len() >= self.head_bytes_max {
                Some(self.reject(self.too_large()))
            } else {
                None
            };
        };
        let rest = self.buffer.split_off(end);
        if let Some(encoded) = request_head::encode_target(&self.buffer) {
            self.buffer = encoded;
        }
        if self.buffer.len() > self.head_bytes_max {
            return Some(self.reject(self.too_large()));
        }
        let framing = match request_head::check(&self.buffer) {
            Ok(framing) => framing,
            Err(error) => return Some(self.reject(error)),
        };
        self.heads_accepted += 1;
        let head_bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.extend(rest);
        self.position = match framing {
            Framing::ContentLength(body_bytes) => Position::Request(head_bytes.saturating_add(body_bytes)),
            Framing::Chunked => Position::ChunkedRequest,
        };
        None
    }

    fn too_large(&self) -> RequestError {
        RequestError::TooLarge {
            reason: format!(
                "the head of the request is larger than {} bytes; send a shorter query or fewer headers",
                self.head_bytes_max
            ),
        }
    }
}

/// The length of the first head with its empty line. `from` bytes are known to contain no end. hyper also accepts lines that end with LF only.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut line_ends = bytes
        .iter()
        .enumerate()
        .skip(from)
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    line_ends.find_map(|at| match bytes.get(at..)? {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

/// Appends bytes to the last four bytes.
fn update_tail(tail: &mut [u8; 4], bytes: &[u8]) {
    for byte in bytes.iter().skip(bytes.len().saturating_sub(4)) {
        tail.rotate_left(1);
        tail[3] = *byte;
    }
}

#[cfg(test)]
mod tests;
