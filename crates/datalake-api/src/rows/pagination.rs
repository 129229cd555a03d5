//! What an answer says of the rows that are on other pages.

use std::convert::Infallible;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use datalake_table::memory::row_cursor::RowCursor;

const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// The rows of an answer, and what its headers say of the others.
#[derive(Debug)]
pub struct Page {
    /// The rows of the page.
    pub walk: RowCursor,
    /// The headers about the rows of other pages.
    pub links: Links,
}

/// What headers say of the rows that are not on the page.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Rows that the question takes, on whatever page.
    pub total: u64,
    /// `Link` (RFC 8288): where the next page is.
    pub next: Option<HeaderValue>,
}

/// The link to the next page; none for an address that no header can carry.
pub fn next_page(address: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{address}>; rel=\"next\"")).ok()
}

impl IntoResponseParts for Links {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers = response.headers_mut();
        headers.insert(TOTAL_COUNT, HeaderValue::from(self.total));
        headers.extend(self.next.map(|next| (header::LINK, next)));
        Ok(response)
    }
}
