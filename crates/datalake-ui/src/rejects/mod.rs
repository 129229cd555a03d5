//! The rejects page: rejected and ignored sources of a version, page by page.

mod model;
mod view;

use axum::response::{IntoResponse, Response};

use crate::{
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View},
    rejects::model::RejectsRequest,
};
use datalake_api::request::selected_snapshot::SelectedSnapshot;

/// The page of one version.
pub(crate) async fn show(context: PageContext, request: RejectsRequest, read_at: SelectedSnapshot) -> Response {
    let api = ApiAddress::new(request.list().address("/rejects"));
    let frame = context.frame(View::Rejects, "Rejects").api(api);
    let main = view::markup(&read_at.snapshot, &request, context.now);
    (read_at.freshness_headers(), HtmlPage(frame.page(&main))).into_response()
}
