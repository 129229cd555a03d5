//! The overview: who is in the lake, and is it fresh.

use axum::response::{IntoResponse, Response};
use maud::html;

use crate::pages::{layout::View, parts, policy::Page, visit::Visit};

/// The overview, of what is known.
pub(crate) fn show(visit: &Visit) -> Response {
    let frame = visit.frame(View::Overview, "Overview");
    let start = parts::start_run(visit.starting, &visit.origin);
    let main = html! {
        (parts::heading("Overview", &html! {}, &start))
    };
    Page(frame.page(&main)).into_response()
}
