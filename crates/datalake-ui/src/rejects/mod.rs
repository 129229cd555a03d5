//! The rejects page: rejected and ignored sources of a version, page by page.

mod model;
mod view;

use axum::response::{IntoResponse, Response};

use crate::{
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View},
    rejects::model::RejectsRequest,
};
use datalake_api::request::snapshot::Reading;

/// The page of one version.
pub(crate) async fn show(context: PageContext, request: RejectsRequest, reading: Reading) -> Response {
    let api = ApiAddress::new(request.address("/rejects", request.code.as_deref(), None));
    let frame = context.frame(View::Rejects, "Rejects").api(api);
    let main = view::markup(&reading.snapshot, &request, context.now);
    (reading.age(), HtmlPage(frame.page(&main))).into_response()
}
