//! Pages of rows, and the headers about the other pages.

use std::convert::Infallible;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use datalake_table::memory::row_cursor::RowCursor;

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The rows of a page.
#[derive(Debug)]
pub struct RowPage {
    /// The rows of the page.
    pub rows: RowCursor,
    /// The number of rows on all pages.
    pub total: u64,
    /// Path and query string of the next page.
    pub next: Option<String>,
}

impl RowPage {
    /// The headers about the other pages.
    pub fn headers(&self) -> PageHeaders {
        PageHeaders {
            total: self.total,
            next: self.next.as_deref().and_then(link_to_next),
        }
    }
}

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
