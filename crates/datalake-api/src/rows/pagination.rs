//! The headers about the other pages.

use std::convert::Infallible;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The headers about the entries that are on other pages.
#[derive(Clone, Debug, Default)]
pub struct PageHeaders {
    /// `X-Total-Count`: the number of entries on all pages.
    pub total: u64,
    /// `Link` (RFC 8288): the next page.
    pub next: Option<HeaderValue>,
}

/// The value of `Link` for the next page; none for a URL that a header cannot contain.
pub fn link_to_next(url: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{url}>; rel=\"next\"")).ok()
}

impl IntoResponseParts for PageHeaders {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers = response.headers_mut();
        headers.insert(TOTAL_COUNT, HeaderValue::from(self.total));
        headers.extend(self.next.map(|next| (header::LINK, next)));
        Ok(response)
    }
}
