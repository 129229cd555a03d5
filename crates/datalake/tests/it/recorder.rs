//! A server that records requests, and returns the responses of a test.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// The response of S3 for a bucket that does not exist, after which a command ends at once.
pub(crate) const NO_BUCKET: &str =
    "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>";

/// A server that runs until the test ends.
pub(crate) struct Recorder {
    /// Like `127.0.0.1:1234`.
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(crate) fn new(response: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (response, records) = (Arc::new(response), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (response, records) = (Arc::clone(&response), Arc::clone(&records));
                std::thread::spawn(move || {
                    let request = read(&stream);
                    records.lock().unwrap().push(request.clone());
                    let _client_may_be_gone = (&stream).write_all(response(&request).as_bytes());
                });
            }
        });
        Self { address, requests }
    }

    /// A server without buckets.
    pub(crate) fn without_buckets() -> Self {
        Self::new(|_| NO_BUCKET.to_owned())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads and bodies of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The head and body of a request; empty if the client closes the connection at once.
fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while reader.read_line(&mut request).is_ok_and(|length| length > 2) {}
    let length = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_ok() {
        request.push_str(&String::from_utf8_lossy(&body));
    }
    request
}
