//! An S3 client that shares no code with the product, so that its results are independent.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{
    http::{Message, exchange},
    process::wait_until,
    settings,
};

/// Characters that a signature does not encode in a query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The default of the product, which S3-compatible servers accept.
const REGION: &str = "us-east-1";

/// An S3 server and its credentials, from the environment.
#[derive(Clone, Debug)]
pub(super) struct S3Client {
    /// Host and port.
    pub(super) server: String,
    access_key: String,
    secret_key: String,
}

impl S3Client {
    /// The server that `DATALAKE_TEST_S3_ENDPOINT` names.
    pub(super) fn from_environment() -> Self {
        let endpoint = settings::required(
            "DATALAKE_TEST_S3_ENDPOINT",
            "the address of an S3 server, like http://127.0.0.1:9100",
        );
        let server = endpoint
            .strip_prefix("http://")
            .expect("the endpoint is plain HTTP, like http://127.0.0.1:9100");
        Self {
            server: server.trim_end_matches('/').to_owned(),
            access_key: settings::required("AWS_ACCESS_KEY_ID", "the server's access key"),
            secret_key: settings::required("AWS_SECRET_ACCESS_KEY", "the server's secret key"),
        }
    }

    /// Creates a bucket unless it exists.
    pub(super) fn create_bucket(&self, bucket: &str) {
        // Servers fail some of several concurrent requests that create the same bucket.
        wait_until("the bucket is created", || {
            let response = self.send("PUT", &format!("/{bucket}"), &[], &[], Vec::new());
            matches!(response.status(), 200 | 409)
        });
    }

    /// The object; none if there is none.
    pub(super) fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.found("GET", bucket, key).map(|response| response.body)
    }

    /// The user metadata of an object, with names in lower case; none if there is no object.
    pub(super) fn metadata(&self, bucket: &str, key: &str) -> Option<BTreeMap<String, String>> {
        let response = self.found("HEAD", bucket, key)?;
        let metadata = response.headers.into_iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value))
        });
        Some(metadata.collect())
    }

    /// Writes an object without conditions.
    pub(super) fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) {
        let response = self.send("PUT", &format!("/{bucket}/{key}"), &[], &[], bytes);
        assert_eq!(response.status(), 200, "PUT {key}: {response:?}");
    }

    /// Removes an object, if it exists.
    pub(super) fn delete(&self, bucket: &str, key: &str) {
        let response = self.send("DELETE", &format!("/{bucket}/{key}"), &[], &[], Vec::new());
        assert!(matches!(response.status(), 200 | 204 | 404), "DELETE {key}: {response:?}");
    }

    /// All keys that begin with a prefix.
    pub(super) fn list(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut token = None;
        loop {
            let mut query = vec![("encoding-type", "url"), ("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            query.sort_unstable();
            let response = self.send("GET", &format!("/{bucket}"), &query, &[], Vec::new());
            assert_eq!(response.status(), 200, "LIST {prefix}: {response:?}");
            let text = String::from_utf8(response.body).unwrap();
            let found = elements(&text, "Key").map(|key| percent_decode_str(&key.replace('+', " ")).decode_utf8().unwrap().into_owned());
            keys.extend(found);
            token = elements(&text, "NextContinuationToken").next().map(ToOwned::to_owned);
            if token.is_none() {
                return keys;
            }
        }
    }

    fn found(&self, method: &str, bucket: &str, key: &str) -> Option<Message> {
        let response = self.send(method, &format!("/{bucket}/{key}"), &[], &[], Vec::new());
        match response.status() {
            200 => Some(response),
            404 => None,
            _ => panic!("{method} {key}: {response:?}"),
        }
    }

    fn send(&self, method: &str, path: &str, query: &[(&str, &str)], headers: &[(&str, &str)], body: Vec<u8>) -> Message {
        let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let target = match query.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", query.join("&")),
        };
        let mut request = Message {
            first_line: format!("{method} {target} HTTP/1.1"),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body,
        };
        request.set_header("content-length", &request.body.len().to_string());
        request.set_header("host", &self.server);
        request.set_header("connection", "close");
        self.sign(&mut request);
        exchange(&self.server, &request).unwrap_or_else(|error| panic!("{method} {target} on {}: {error}", self.server))
    }

    /// Signs a request, whose query is in the order of its names, by signature version 4 with the time of this machine.
    pub(super) fn sign(&self, request: &mut Message) {
        let now = now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &now[..8];
        request.set_header("x-amz-date", &now);
        if request.header("x-amz-content-sha256").is_none() {
            request.set_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
        }
        let mut signed: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
            .filter(|(name, _)| name == "host" || name.starts_with("x-amz-"))
            .collect();
        signed.sort_unstable();
        let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let lines = signed
            .iter()
            .fold(String::new(), |lines, (name, value)| lines + name + ":" + value + "\n");
        let (path, query) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let payload = request.header("x-amz-content-sha256").unwrap();
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", request.method());
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let first = format!("AWS4{}", self.secret_key).into_bytes();
        let key = [day, REGION, "s3", "aws4_request"]
            .iter()
            .fold(first, |key, part| hmac(&key, part.as_bytes()).to_vec());
        let signature = hex(&hmac(&key, text.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        request.set_header("authorization", &authorization);
    }
}

/// The time of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "servers check the time of a signature against the clock of this machine"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The digest in the format of the log.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The texts of all elements with a name and without attributes.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (content, after) = after.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// RFC 2104 with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK_BYTES: usize = 64;
    let mut block = [0; BLOCK_BYTES];
    match key.len() > BLOCK_BYTES {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}
