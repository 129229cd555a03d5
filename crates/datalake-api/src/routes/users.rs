//! `GET /data`: the rows that a query selects, as a page or all of them, in the format that the client requests.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRef, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use datalake_core::{
    calendar::Ages,
    count::{count, to_usize},
    csv::Escape,
    query::{column::Column, error::QueryError},
};
use datalake_http::{
    accept::Accept,
    range,
    response_budget::{ResponseBudget, SMALL_RESPONSE_BYTES_MAX},
};
use datalake_table::memory::{export::ArrowStream, row_cursor::RowCursor};

use crate::{
    limits::{scan_pool::ScanPool, sort_budget::SortBudget},
    problem::{
        Problem,
        document::ProblemDocument,
        from::{internal_error, precondition_response},
        responses::{ConditionalResponses, ReadProblems},
    },
    request::{
        data_query::{DataQuery, ESCAPE},
        selected_snapshot::{SelectedSnapshot, TimeTravelParameters},
        table_read::TableRead,
    },
    routes::openapi::{
        dataset_parameters::{ConditionsOnColumns, FilterParameters, OrderParameters},
        schemas::{Binary, ConditionParameters, PresentationParameters, RowLines, RowsDocument},
    },
    rows::{
        columns::ColumnsText,
        format::{Format, Shape},
        parquet_files::{ParquetFile, ParquetFiles},
        response_cache::{CachedResponse, ResponseCache},
        row_query::RowQuery,
        stream::{self, CHUNK_BYTES, FirstChunk, Writer},
        text::{Notation, RowsText},
        text_index::TextIndexes,
    },
    state::ApiState,
};

/// Writing a Parquet file with this number of rows takes a considerable part of a second.
const ROWS_OF_LARGE_FILE: u64 = 50_000;

/// List ENTITIES
///
/// Returns the rows that match all parameters, ordered by ID by default. Completed years are computed on the day `on`.
///
/// `q` searches the IDs and all other texts. `min_COLUMN` without a value selects the rows with the least value among those that match all other filters, and
/// `max_COLUMN` without a value those with the greatest; together they select both. Each column is a parameter as well, alone or with an operator such as
/// `COLUMN__contains` or `COLUMN__gte`. A parameter with an operator can be repeated.
#[utoipa::path(
    get,
    path = "/data",
    operation_id = "listRows",
    tag = "data",
    params(FilterParameters, OrderParameters, PresentationParameters, TimeTravelParameters, ConditionParameters, ConditionsOnColumns),
    responses(
        ReadProblems,
        ConditionalResponses,
        (status = 200, description = "The rows", content(
            (RowsDocument = "application/json"),
            (RowLines = "application/x-ndjson"),
            (String = "text/csv"),
            (Binary = "application/vnd.apache.parquet"),
            (Binary = "application/vnd.apache.arrow.stream"),
        ), headers(
            ("datalake-version" = u64, description = "The version of the table"),
            ("datalake-version-age" = u64, description = "Seconds since the version was committed"),
            ("datalake-checked-age" = u64, description = "Seconds since the store last confirmed that no version is newer"),
            ("etag" = String, description = "The ETag of the response, for `If-None-Match`"),
            ("link" = String, description = "The next page, if there is one"),
            ("x-total-count" = u64, description = "The number of rows that match, on all pages"),
        )),
        (status = 406, description = "The client accepts none of the formats", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_rows(
    TableRead(data_query, read_at): TableRead<DataQuery>,
    State(resources): State<RowResources>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = match data_query.format {
        Some(format) => format,
        None => Format::accepted(&Accept::from_headers(&headers)).ok_or_else(|| Problem::NotAcceptable {
            offered: Format::offered(),
        })?,
    };
    respond(format, data_query, read_at, &resources, &method, &headers).await
}

/// The caches and budgets of responses with rows.
pub(crate) struct RowResources {
    response_cache: ResponseCache,
    parquet_files: ParquetFiles,
    text_indexes: TextIndexes,
    scan_pool: ScanPool,
    sort_budget: SortBudget,
    response_budget: ResponseBudget,
}

impl FromRef<ApiState> for RowResources {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            response_cache: FromRef::from_ref(state),
            parquet_files: FromRef::from_ref(state),
            text_indexes: FromRef::from_ref(state),
            scan_pool: FromRef::from_ref(state),
            sort_budget: FromRef::from_ref(state),
            response_budget: FromRef::from_ref(state),
        }
    }
}

/// The response with the rows in this format.
pub(crate) async fn respond(
    format: Format,
    data_query: DataQuery,
    read_at: SelectedSnapshot,
    resources: &RowResources,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if data_query.shape == Shape::Columns && format != Format::Json {
        return Err(QueryError::value("shape", "columns is available only for JSON; request /data.json, or omit it").into());
    }
    if data_query.escape != Escape::Nothing && format != Format::Csv {
        return Err(QueryError::value(ESCAPE, "applies only to CSV; request /data.csv, or omit it").into());
    }
    let row_query = RowQuery::new(data_query, &read_at)?;
    let query = &row_query.data_query.query;
    let dataset = row_query.snapshot.dataset();
    let columns: Box<[Column]> = match &query.select {
        Some(columns) => columns.as_slice().into(),
        None => format.columns(dataset),
    };
    let computed_on = query.depends_on_today(dataset, &columns).then_some(row_query.day);
    let identity = format!("{}\n{}", format.name(), row_query.data_query.identity);
    let validators = read_at.validators(&identity, computed_on, row_query.is_today());
    let freshness = read_at.freshness_headers();
    if let Some(precondition) = validators.evaluate_preconditions(headers) {
        return Ok((freshness, precondition_response(precondition, &validators)).into_response());
    }
    let encoder = RowEncoder {
        row_query,
        format,
        columns,
    };
    // A response to HEAD has no body, so it has no ranges either.
    let range = headers
        .get(header::RANGE)
        .filter(|_| *method == Method::GET && validators.allow_range(headers));
    let response = match format {
        Format::Parquet => {
            let is_whole_file = *method == Method::GET && !headers.contains_key(header::RANGE);
            let is_large = || encoder.row_query.known_count().is_some_and(|rows| rows > ROWS_OF_LARGE_FILE);
            if is_whole_file && resources.response_budget.is_exhausted() && is_large() {
                return Err(Problem::ResponseBudgetExhausted);
            }
            let file = encoder.file(validators.etag(), resources).await?;
            let (bytes, page_headers) = (file.bytes(), file.page_headers().clone());
            range::range_response(bytes, range, |part| (page_headers, file.body(part)))?
        }
        Format::Csv | Format::Ndjson if range.is_some() || *method == Method::HEAD => {
            encoder.text_part(validators.etag(), resources, range).await?
        }
        Format::Csv | Format::Ndjson => {
            let accept_ranges = [(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))];
            (accept_ranges, encoder.whole(validators.etag(), resources).await?).into_response()
        }
        Format::Json | Format::Arrow => encoder.whole(validators.etag(), resources).await?,
    };
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))];
    Ok((freshness, validators.headers(), content_type, response).into_response())
}

/// Encodes the rows of a query.
struct RowEncoder {
    row_query: RowQuery,
    format: Format,
    columns: Box<[Column]>,
}

impl RowEncoder {
    /// The whole response, from the cache or encoded while it is sent.
    async fn whole(self, etag: &str, resources: &RowResources) -> Result<Response, Problem> {
        if let Some(CachedResponse { body, page_headers }) = resources.response_cache.get(etag) {
            return Ok((page_headers, body).into_response());
        }
        if resources.response_budget.is_exhausted() && self.is_surely_large() {
            return Err(Problem::ResponseBudgetExhausted);
        }
        let sort_budget = resources.sort_budget.clone();
        let Self {
            row_query,
            format,
            columns,
        } = self;
        // A page is encoded completely, so that it holds only its bytes while it is sent.
        let first_chunk_bytes = match row_query.data_query.query.limit {
            Some(_) => to_usize(SMALL_RESPONSE_BYTES_MAX),
            None => CHUNK_BYTES,
        };
        let first_chunk = row_query.run(move |row_query| {
            let (page, permit) = row_query.page(&sort_budget)?;
            let headers = page.headers();
            let first_chunk = writer(&row_query, page.rows, format, &columns).first_chunk(first_chunk_bytes);
            first_chunk
                .map(|first_chunk| (first_chunk, headers, permit))
                .map_err(|error| internal_error("cannot encode rows", &error))
        });
        Ok(match first_chunk.await?? {
            (FirstChunk::Complete(body), page_headers, _) => {
                let response = CachedResponse { body, page_headers };
                resources.response_cache.insert(etag, &response);
                (response.page_headers, response.body).into_response()
            }
            (FirstChunk::Partial(first, writer), page_headers, permit) => {
                let body = stream::body(first, writer, permit, resources.scan_pool.clone());
                (page_headers, body).into_response()
            }
        })
    }

    /// The requested range of the text; without a range, only its length.
    async fn text_part(self, etag: &str, resources: &RowResources, range: Option<&HeaderValue>) -> Result<Response, Problem> {
        let Self {
            row_query,
            format,
            columns,
        } = self;
        let is_quick = row_query.is_quick();
        let (row_query, sort_budget) = (Arc::new(row_query), resources.sort_budget.clone());
        let text = move || {
            let (page, permit) = row_query.page(&sort_budget)?;
            let headers = page.headers();
            Ok((headers, rows_text(&row_query, page.rows, format, &columns), permit))
        };
        let index = resources.text_indexes.get(etag, text.clone()).await?;
        let page_headers = index.page_headers.clone();
        if range.is_none() {
            return Ok(range::range_response(index.bytes(), None, |_| (page_headers, Body::empty()))?);
        }
        let (_, text, permit) = match is_quick {
            true => text()?,
            false => resources.scan_pool.scan(text).await??,
        };
        let scan_pool = resources.scan_pool.clone();
        Ok(range::range_response(index.bytes(), range, |part| {
            (page_headers, index.body(text, &part, permit, scan_pool))
        })?)
    }

    async fn file(self, etag: &str, resources: &RowResources) -> Result<ParquetFile, Problem> {
        let (ages, sort_budget) = (Ages::on(self.row_query.day), resources.sort_budget.clone());
        let columns = self.columns.clone();
        let page = move || self.row_query.page(&sort_budget);
        resources.parquet_files.get(etag, page, columns, ages).await
    }

    /// Whether the response is large, whatever the values are.
    fn is_surely_large(&self) -> bool {
        let dataset = self.row_query.snapshot.dataset();
        let names: usize = self.columns.iter().map(|column| column.name(dataset).len()).sum();
        let row_bytes_min = match (self.format, self.row_query.data_query.shape) {
            (Format::Json, Shape::Rows) | (Format::Ndjson, _) => names,
            (Format::Json, Shape::Columns) | (Format::Csv | Format::Parquet | Format::Arrow, _) => self.columns.len(),
        };
        let bytes_min = self.row_query.known_count().map(|rows| rows.saturating_mul(count(row_bytes_min)));
        bytes_min.is_some_and(|bytes| bytes > SMALL_RESPONSE_BYTES_MAX)
    }
}

fn writer(row_query: &RowQuery, rows: RowCursor, format: Format, columns: &[Column]) -> Writer {
    let ages = Ages::on(row_query.day);
    match (format, row_query.data_query.shape) {
        (Format::Json, Shape::Columns) => Writer::Columns(ColumnsText::new(rows, columns, ages)),
        (Format::Json | Format::Ndjson | Format::Csv, _) => Writer::Rows(rows_text(row_query, rows, format, columns)),
        (Format::Arrow | Format::Parquet, _) => Writer::Arrow(Box::new(ArrowStream::new(rows, columns, ages))),
    }
}

fn rows_text(row_query: &RowQuery, rows: RowCursor, format: Format, columns: &[Column]) -> RowsText {
    let notation = match format {
        Format::Csv => Notation::Csv(row_query.data_query.escape),
        Format::Ndjson => Notation::Ndjson,
        Format::Json | Format::Parquet | Format::Arrow => Notation::Json,
    };
    RowsText::new(rows, notation, columns, Ages::on(row_query.day))
}
