//! The users page: filters, sorting, table or gallery, page by page. It accepts the parameters of `/data` and selects rows with the same code.

mod filter_form;
mod filter_labels;
mod form_query;
mod gallery;
mod invalid_filter;
mod model;
mod request;
mod table;
mod view;

use std::num::NonZeroU16;

use axum::response::{IntoResponse, Response};

use crate::{
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View},
    users::{
        form_query::VIEW,
        model::UsersPage,
        request::{LIMIT, RequestError, UsersRequest},
    },
};
use datalake_api::{problem::Problem, request::snapshot::Reading, rows::row_query::Listing};

/// The page. An invalid parameter is shown next to its field, which keeps its value.
pub(crate) async fn show(
    context: PageContext,
    request: Result<UsersRequest, RequestError>,
    reading: Result<Reading, Problem>,
) -> Result<Response, Problem> {
    let UsersRequest { rows, view_mode, query } = match request {
        Ok(request) => request,
        Err(RequestError::Redirect(redirect)) => return Ok(redirect.into_response()),
        Err(RequestError::Invalid(error)) => return invalid_filter::page(&context, Problem::Parameter(error)),
    };
    let reading = match reading {
        Ok(reading) => reading,
        Err(problem) => return invalid_filter::page(&context, problem),
    };
    let limit = rows.question.limit.map_or(LIMIT, NonZeroU16::get);
    let api = query.without(&[VIEW]).with("limit", &limit.to_string()).address("/data");
    let listing = Listing::new(rows, &reading)?;
    let version = listing.snapshot.version().number();
    // A version that the request waited for is later than the one in the context.
    let latest = context.latest_version().map_or(version, |latest| latest.max(version));
    let users = listing
        .work(move |listing| UsersPage::of(&listing, view_mode, &query, latest))
        .await?;
    let frame = context.frame(View::Users, "Users").api(ApiAddress::new(api));
    Ok((reading.age(), HtmlPage(frame.page(&view::markup(&users)))).into_response())
}
