//! Tests of the bytes that hyper receives for valid and rejected requests.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The bytes that hyper gets where these arrive `read_bytes` at a time, and the request number and status of a rejection.
fn passed_to_hyper(bytes: &[u8], read_bytes: usize) -> (String, Option<(u64, u16)>) {
    let mut stream = RequestStream::new(1000);
    let (mut passed, mut rejected) = (Vec::new(), None);
    let mut reads = bytes.chunks(read_bytes);
    loop {
        let rejection = match stream.input() {
            Input::Buffered(buffered) => {
                let part = buffered.get(..read_bytes).unwrap_or(buffered).to_vec();
                passed.extend_from_slice(&part);
                stream.consume(part.len())
            }
            Input::Rejected => break,
            Input::DirectRead(max) => {
                let Some(bytes) = reads.next() else { break };
                let max = usize::try_from(max).unwrap_or(usize::MAX).min(bytes.len());
                passed.extend_from_slice(&bytes[..max]);
                stream.on_direct_read(&bytes[..max]);
                (max < bytes.len()).then(|| stream.push(&bytes[max..])).flatten()
            }
            Input::NeedsHead => {
                let Some(bytes) = reads.next() else { break };
                stream.push(bytes)
            }
        };
        rejected = rejected.or(rejection.map(|rejection| (rejection.request_number, rejection.error.status())));
    }
    (String::from_utf8_lossy(&passed).into_owned(), rejected)
}

#[track_caller]
fn check(bytes: &str, expected: &str, rejected: Option<(u64, u16)>) {
    for read_bytes in [1, 2, 3, 7, 10_000] {
        let found = passed_to_hyper(bytes.as_bytes(), read_bytes);
        assert_eq!(found, (expected.to_owned(), rejected), "{bytes:?}, {read_bytes} bytes per read");
    }
}

#[test]
fn valid_requests_are_passed_unchanged_except_for_encoded_targets() {
    check(GET, GET, None);
    check(&format!("\r\n\n{GET}\r\n{GET}"), &format!("{GET}{GET}"), None);
    check("GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\nHost: x\n\n", None);
    let post = format!("POST /data HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nG\r\n\r\n< >\n{GET}");
    check(&post, &post, None);
    let chunked = "POST /data HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nanything";
    check(chunked, chunked, None);
    check("", "", None);
    check("GET / HTTP/1.1\r\nHost", "", None);
    check(&GET.replace("/ ", "/<é "), &GET.replace("/ ", "/%3C%C3%A9 "), None);
}

#[test]
fn rejected_head_is_replaced_and_ends_the_stream() {
    const REJECTED: &str = "GET * HTTP/1.1\r\nhost: rejected\r\nconnection: close\r\n\r\n";
    check("GET / HTTP/1.1\r\n\r\n", REJECTED, Some((0, 400)));
    check("HEAD / HTTP/1.1\r\n\r\n", &REJECTED.replace("GET", "HEAD"), Some((0, 400)));
    check(
        &format!("{GET}{GET}GET / HTTP/3.0\r\n\r\n{GET}"),
        &format!("{GET}{GET}{REJECTED}"),
        Some((2, 505)),
    );
    check(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(1000)), REJECTED, Some((0, 431)));
    check(&GET.replace("/ ", &format!("/{} ", "<".repeat(400))), REJECTED, Some((0, 431)));
    check("\x16\x03\x01", REJECTED, Some((0, 400)));
}

#[test]
fn stream_is_complete_after_a_whole_request() {
    let is_complete = |bytes: &str| {
        let mut stream = RequestStream::new(1000);
        stream.push(bytes.as_bytes());
        while let Input::Buffered(buffered) = stream.input() {
            let bytes = buffered.len();
            stream.consume(bytes);
        }
        stream.is_complete()
    };
    let post = |framing: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}");
    assert!(is_complete("") && is_complete(GET));
    assert!(is_complete(&post("Content-Length: 2\r\n\r\nab")) && !is_complete(&post("Content-Length: 2\r\n\r\na")));
    let chunked = |body: &str| post(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
    assert!(is_complete(&chunked("1\r\na\r\n0\r\n\r\n")) && !is_complete(&chunked("1\r\na\r\n0\r\n")));
    assert!(!is_complete("GET / HTTP/1.1\r\n"));
}
