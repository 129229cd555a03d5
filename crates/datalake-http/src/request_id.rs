//! The ID by which a client, the log and a trace name the same request.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    response::Response,
};
use uuid::Builder;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client's own ID is in each line that is logged of the request and in the response: longer ones are replaced.
const BYTES_MAX: usize = 128;

/// The ID of a request: the client's own where it is at most 128 visible ASCII characters, otherwise a random UUID.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The ID of the request, from `X-Request-Id` or generated.
    pub fn from_request(request: &Request) -> Self {
        let own = request.headers().get(X_REQUEST_ID).filter(|value| is_acceptable(value.as_bytes()));
        Self(own.cloned().unwrap_or_else(generated))
    }

    /// The ID, in visible ASCII characters.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("visible ASCII characters")
    }

    /// Names the request in its response.
    pub fn set_header(&self, response: &mut Response) {
        response.headers_mut().insert(X_REQUEST_ID, self.0.clone());
    }
}

fn is_acceptable(value: &[u8]) -> bool {
    (1..=BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// Nothing depends on its being hard to guess: a generator that asks the kernel each time would cost more than the rest of a small request.
fn generated() -> HeaderValue {
    let uuid = Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    HeaderValue::from_str(uuid.as_hyphenated().encode_lower(&mut text)).expect("digits, letters and hyphens")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    /// The ID for a request that carries this one.
    fn id(own: Option<&[u8]>) -> String {
        let mut request = Request::new(Body::empty());
        if let Some(own) = own {
            request.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_bytes(own).unwrap());
        }
        RequestId::from_request(&request).as_str().to_owned()
    }

    #[test]
    fn short_visible_ids_are_kept_and_others_are_replaced() {
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
