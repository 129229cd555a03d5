//! Complete HTTP/1.1 messages: the part of the protocol that S3 servers and clients use.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// A server that sends nothing for this time hangs. A machine that is busy with other tests is slow.
const SILENCE_MAX: Duration = Duration::from_mins(2);

/// A request or a response: the first line, the headers, and the body without any transfer coding.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) first_line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The value of a header, whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Replaces a header, or adds it.
    pub(super) fn set_header(&mut self, name: &str, value: &str) {
        self.remove_headers(|known| known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Removes all headers whose name matches.
    pub(super) fn remove_headers(&mut self, matches: impl Fn(&str) -> bool) {
        self.headers.retain(|(name, _)| !matches(name));
    }

    /// The method of a request.
    pub(super) fn method(&self) -> &str {
        self.first_line.split(' ').next().unwrap_or_default()
    }

    /// The path and query of a request.
    pub(super) fn target(&self) -> &str {
        self.first_line.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of a response.
    pub(super) fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The bytes on the wire. `has_body` is false for the response to a HEAD, whose length describes a body that is not sent.
    pub(super) fn encode(&self, has_body: bool) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.first_line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if has_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Reads a request; none at the end of the connection.
pub(super) fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let Some(mut request) = read_head(reader)? else {
        return Ok(None);
    };
    // The proxy responds itself, because it sends the body to the server with the head.
    if request.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        request.remove_headers(|name| name.eq_ignore_ascii_case("expect"));
    }
    if is_chunked(&request) {
        request.body = read_chunks(reader)?;
        set_length(&mut request);
    } else {
        request.body = read_bytes(reader, length(&request).unwrap_or(0))?;
    }
    Ok(Some(request))
}

/// Reads the response to a request of this method.
pub(super) fn read_response(reader: &mut BufReader<TcpStream>, method: &str) -> io::Result<Message> {
    loop {
        let mut response = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if response.status() == 100 {
            continue;
        }
        if method == "HEAD" || matches!(response.status(), 204 | 304) {
            return Ok(response);
        }
        if is_chunked(&response) {
            response.body = read_chunks(reader)?;
            set_length(&mut response);
        } else if let Some(length) = length(&response) {
            response.body = read_bytes(reader, length)?;
        } else {
            reader.read_to_end(&mut response.body)?;
            set_length(&mut response);
        }
        return Ok(response);
    }
}

/// Sends a request over a new connection and returns the response.
pub(super) fn exchange(server: &str, request: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.write_all(&request.encode(true))?;
    read_response(&mut BufReader::new(stream), request.method())
}

/// Sets `Content-Length` and removes the transfer coding.
pub(super) fn set_length(message: &mut Message) {
    message.remove_headers(|name| name.eq_ignore_ascii_case("transfer-encoding"));
    message.set_header("content-length", &message.body.len().to_string());
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let first_line = line.trim_end().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Some(Message {
        first_line,
        headers,
        body: Vec::new(),
    }))
}

fn length(message: &Message) -> Option<usize> {
    message.header("content-length")?.parse().ok()
}

fn is_chunked(message: &Message) -> bool {
    message
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

fn read_bytes(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if length == 0 {
            break;
        }
        bytes.extend(read_bytes(reader, length)?);
        read_bytes(reader, 2)?;
    }
    // Trailers end with an empty line.
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(bytes)
}
