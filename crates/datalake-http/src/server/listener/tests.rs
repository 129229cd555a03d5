//! Tests of the connection limits and of the accept errors that are ignored.

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::*;

fn http_listener(listener: TcpListener, max: u32, per_client_max: u32) -> HttpListener {
    HttpListener {
        listener,
        limits: ConnectionLimits { max, per_client_max },
        trusted_proxies: TrustedProxies::default(),
        health: ListenerHealth::default(),
    }
}

fn router() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn connection_over_the_limit_waits_until_another_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(http_listener(listener, 1, 10), router(), shutdown.clone()));
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(request).await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut response = [0; 1024];
    // The second connection would be served within the time of 100 responses.
    for _ in 0..100 {
        first.write_all(request).await.unwrap();
        assert!(first.read(&mut response).await.unwrap() > 0);
    }
    assert_eq!(second.try_read(&mut response).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(first);
    assert!(second.read(&mut response).await.unwrap() > 0);
    assert!(response.starts_with(b"HTTP/1.1 200 OK"));
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn idle_connections_of_one_client_do_not_block_another_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(http_listener(listener, 8, 2), router(), shutdown.clone()));
    let idle = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let mut rejected = TcpStream::connect(address).await.unwrap();
    assert_eq!(rejected.read(&mut [0; 1]).await.unwrap(), 0, "closed at once");
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(other.read(&mut [0; 1024]).await.unwrap() > 0);
    drop((idle, other));
    shutdown.cancel();
    server.await.unwrap();
}

#[test]
fn only_errors_of_one_client_are_ignored() {
    for (kind, expected) in [
        (io::ErrorKind::ConnectionAborted, true),
        (io::ErrorKind::ConnectionReset, true),
        (io::ErrorKind::ConnectionRefused, true),
        (io::ErrorKind::OutOfMemory, false),
        (io::ErrorKind::Other, false),
    ] {
        assert_eq!(is_aborted_by_client(&io::Error::from(kind)), expected, "{kind:?}");
    }
    // EMFILE: too many open files.
    assert!(!is_aborted_by_client(&io::Error::from_raw_os_error(24)));
}
