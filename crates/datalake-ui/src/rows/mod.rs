//! The list of rows: filters, sorting, table or gallery, page by page. It accepts the parameters of `/data` and selects rows with the same code.

mod day_filter;
mod facets;
pub(crate) mod filter_form;
mod filter_labels;
mod form_fields;
pub(crate) mod form_query;
mod gallery;
mod invalid_filter;
mod model;
mod range_mode;
pub(crate) mod request;
mod table;
mod view;

use axum::response::{IntoResponse, Redirect, Response};

use crate::{
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View},
    rows::{
        form_query::VIEW,
        model::RowsPage,
        request::{LIMIT, RequestError, RowsRequest},
    },
};
use datalake_api::{problem::Problem, request::selected_snapshot::SelectedSnapshot, rows::row_query::RowQuery};

/// The page. An invalid parameter is shown next to its field, which keeps its value.
pub(crate) async fn show(
    context: PageContext,
    request: Result<RowsRequest, RequestError>,
    read_at: Result<SelectedSnapshot, Problem>,
) -> Result<Response, Problem> {
    let request = match request {
        Ok(request) => request,
        Err(RequestError::Redirect(redirect)) => return Ok(redirect.into_response()),
        Err(RequestError::Problem(problem)) => return invalid_filter::page(&context, &context.dataset, problem),
    };
    let read_at = match read_at {
        Ok(read_at) => read_at,
        Err(problem) => {
            let problem = request.selection_problem(&context.dataset, problem);
            return invalid_filter::page(&context, &context.dataset, problem);
        }
    };
    let dataset = read_at.snapshot.dataset();
    let rows = match request.rows(dataset) {
        Ok(rows) => rows,
        Err(error) => return invalid_filter::page(&context, dataset, Problem::Parameter(error)),
    };
    let RowsRequest {
        view_mode,
        page_number,
        query,
        ..
    } = request;
    let limit = rows.query.limit.unwrap_or(LIMIT).get();
    let api = query.without(&[VIEW]).with("limit", &limit.to_string()).address("/data");
    let row_query = RowQuery::new(rows, &read_at)?;
    if let Some(number) = page_number {
        let address = row_query.run(move |row_query| model::address_of_page(&row_query, number, view_mode, &query));
        return Ok(Redirect::to(&address.await?).into_response());
    }
    let version = row_query.snapshot.version().number();
    // A version that the request waited for is later than the one in the context.
    let latest = context.latest_version().map_or(version, |latest| latest.max(version));
    let page = row_query
        .run(move |row_query| RowsPage::of(&row_query, view_mode, &query, latest))
        .await?;
    let frame = context.frame(View::Rows, page.dataset.title()).api(ApiAddress::new(api));
    Ok((read_at.freshness_headers(), HtmlPage(frame.page(&view::markup(&page)))).into_response())
}
