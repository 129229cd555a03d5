//! The ID of a request, which the response, the log and the trace share.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    response::Response,
};
use uuid::Builder;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest ID that is accepted from a client. Each log line of the request contains the ID.
const ID_BYTES_MAX: usize = 128;

/// The ID of a request: the value of `X-Request-Id` if that has 1 to 128 visible ASCII characters, otherwise a random UUID.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The ID of the request, from `X-Request-Id` or generated.
    pub fn from_request(request: &Request) -> Self {
        let from_client = request.headers().get(X_REQUEST_ID).filter(|value| is_valid(value.as_bytes()));
        Self(from_client.cloned().unwrap_or_else(generate))
    }

    /// The ID, in visible ASCII characters.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("the ID consists of visible ASCII characters")
    }

    /// Sets `X-Request-Id` of the response.
    pub fn set_header(&self, response: &mut Response) {
        response.headers_mut().insert(X_REQUEST_ID, self.0.clone());
    }
}

fn is_valid(value: &[u8]) -> bool {
    (1..=ID_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// A random UUID. It need not be hard to guess, and a generator that reads from the kernel would take longer than the rest of a small request.
fn generate() -> HeaderValue {
    let uuid = Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    HeaderValue::from_str(uuid.as_hyphenated().encode_lower(&mut text)).expect("a UUID consists of digits, letters and hyphens")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// The ID of a request with this value of the header.
    fn id(own: Option<&[u8]>) -> String {
        let mut request = Request::new(Body::empty());
        if let Some(own) = own {
            request.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_bytes(own).unwrap());
        }
        RequestId::from_request(&request).as_str().to_owned()
    }

    #[test]
    fn invalid_id_is_replaced_by_a_uuid() {
        let longest = "x".repeat(128);
        for own in ["a", "req-1/é".trim_end_matches('é'), &longest] {
            assert_eq!(id(Some(own.as_bytes())), own);
        }
        let too_long = "x".repeat(129);
        for own in ["", "a b", "a\tb", "é", &too_long] {
            assert_eq!(id(Some(own.as_bytes())).len(), 36, "{own:?}");
        }
        assert_eq!(id(None).len(), 36);
        assert_ne!(id(None), id(None));
    }
}
