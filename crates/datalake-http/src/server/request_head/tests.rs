//! Tests of the checks of request lines and headers.

use proptest::prelude::*;

use super::*;

/// Checks the status and a part of the message of a rejection. The status of a valid head is 0.
#[track_caller]
fn check_head(head: &[u8], status: u16, message: &str) {
    let text = String::from_utf8_lossy(head).into_owned();
    match check(head) {
        Ok(_) => assert_eq!((0, ""), (status, message), "accepted: {text:?}"),
        Err(error) => {
            assert_eq!(error.status(), status, "{text:?}: {}", error.detail());
            assert!(error.detail().contains(message), "{text:?}: {}", error.detail());
        }
    }
}

#[track_caller]
fn check_line(line: &str, status: u16, message: &str) {
    check_head(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), status, message);
}

#[test]
fn request_lines_are_checked() {
    check_line("GET / HTTP/1.1", 0, "");
    check_line("GET /data?x=%zz&y=[1] HTTP/1.1", 0, "");
    check_line("get / HTTP/1.1", 0, "");
    check_line("OPTIONS * HTTP/1.1", 0, "");
    check_line("GET http://x/data HTTP/1.1", 0, "");
    check_line("GET HTTPS://x HTTP/1.1", 0, "");
    check_line("G(T / HTTP/1.1", 400, "method");
    check_line("GET /a b HTTP/1.1", 400, "space");
    check_line("GET /\u{1} HTTP/1.1", 400, "control character");
    check_line("GET /", 400, "no version");
    check_line("GET / HTTP/1.x", 400, "version");
    check_line("GET / HTTP/2.0", 505, "HTTP/1.1");
    check_line("PRI * HTTP/2.0", 505, "HTTP/1.1");
    check_line("GET data HTTP/1.1", 400, "begins with a slash");
    check_line("GET * HTTP/1.1", 400, "begins with a slash");
    check_line("GET ftp://x/ HTTP/1.1", 400, "begins with a slash");
    check_line("CONNECT x:80 HTTP/1.1", 501, "proxy");
    check_head(b"\x16\x03\x01\x02", 400, "TLS");
}

#[track_caller]
fn check_headers(headers: &str, status: u16, message: &str) {
    check_head(format!("POST /data HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes(), status, message);
}

#[test]
fn header_syntax_and_number_are_checked() {
    check_headers("Host: x\r\nX-A: b\tc\u{e9}", 0, "");
    check_headers("Host: x\r\nX-A : b", 400, "line 3");
    check_headers("Host: x\r\nX-A", 400, "line 3");
    check_headers("Host: x\r\n folded", 400, "line folding");
    check_headers("Host: x\r\nX-A: \u{0}", 400, "`X-A`");
    check_headers(&"Host: x\r\n".repeat(101), 431, "100 headers");
}

#[test]
fn host_header_is_required_once_and_checked() {
    for host in [
        "x",
        "x:80",
        "x:",
        "",
        "localhost:8080",
        "127.0.0.1",
        "[::1]",
        "[::1]:8080",
        "a_b.example",
        "%41",
    ] {
        check_headers(&format!("Host: {host}"), 0, "");
    }
    for host in [
        "x y", "x/y", "a@b", "x:y", "x:99999", "[::1", "[x]", "[::1]x", "::1", "x?y", "x\"", "%4", "\u{e9}",
    ] {
        check_headers(&format!("Host: {host}"), 400, "Host header is malformed");
    }
    check_headers("Accept: */*", 400, "no Host");
    check_headers("Host: x\r\nHost: x", 400, "more than one Host");
    check_headers("Host: x\r\nhost: y", 400, "more than one Host");
    check_head(b"GET / HTTP/1.0\r\n\r\n", 0, "");
    check_head(b"GET / HTTP/1.0\r\nHost: x y\r\n\r\n", 400, "malformed");
}

#[test]
fn ambiguous_body_lengths_are_rejected() {
    let framing = |headers: &str| check(format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n").as_bytes());
    assert_eq!(framing("X: y").unwrap(), Framing::ContentLength(0));
    assert_eq!(framing("Content-Length: 7").unwrap(), Framing::ContentLength(7));
    assert_eq!(
        framing("Content-Length: 7\r\nContent-Length: 7").unwrap(),
        Framing::ContentLength(7)
    );
    assert_eq!(framing("Transfer-Encoding: Chunked").unwrap(), Framing::Chunked);
    for length in [
        "",
        "x",
        "-1",
        "+1",
        "1.0",
        "0x1",
        "1 2",
        "7, 7",
        "99999999999999999999",
        "18446744073709551615",
    ] {
        check_headers(&format!("Host: x\r\nContent-Length: {length}"), 400, "Content-Length");
    }
    check_headers("Host: x\r\nContent-Length: 1\r\nContent-Length: 2", 400, "different");
    check_headers("Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1", 400, "both");
    check_headers("Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400, "both");
    for (codings, status) in [
        ("chunked, chunked", 400),
        ("chunked\r\nTransfer-Encoding: chunked", 400),
        ("chunked, gzip", 400),
        ("gzip, chunked", 501),
        ("gzip\r\nTransfer-Encoding: chunked", 501),
        ("gzip", 501),
        ("identity", 501),
        ("xchunked", 501),
        ("\"chunked\"", 501),
        ("chunked;q=1", 501),
        ("", 501),
    ] {
        check_headers(&format!("Host: x\r\nTransfer-Encoding: {codings}"), status, "");
    }
    check_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0");
}

#[track_caller]
fn check_encoded(target: &str, expected: Option<&str>) {
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nX: <>\r\n\r\n").into_bytes();
    assert_eq!(encode_target(&head(target)), expected.map(head), "{target}");
}

#[test]
fn forbidden_characters_of_targets_are_encoded() {
    check_encoded("/data?age>=30", Some("/data?age%3E=30"));
    check_encoded("/data?last_name=\"M\u{fc}ller\"", Some("/data?last_name=%22M%C3%BCller%22"));
    check_encoded("/{a}|b\\c^d`", Some("/%7Ba%7D%7Cb%5Cc%5Ed%60"));
    check_encoded("/data?x=%3E[1]'", None);
    check_encoded("http://x/<", None);
    assert_eq!(encode_target(b""), None);
    assert_eq!(encode_target(b"GET"), None);
}

proptest! {
    /// hyper must not reject a head that is valid here.
    #[test]
    fn any_encoded_target_and_visible_header_value_is_valid(
        target in "[!-~\u{80}-\u{ff}]{0,12}",
        value in "[ -~\t\u{80}-\u{ff}]{0,12}",
    ) {
        let head = format!("GET /{target} HTTP/1.1\r\nHost: x\r\nX-A: {value}\r\n\r\n").into_bytes();
        let head = encode_target(&head).unwrap_or(head);
        prop_assert!(check(&head).is_ok(), "{:?}", String::from_utf8_lossy(&head));
    }
}
