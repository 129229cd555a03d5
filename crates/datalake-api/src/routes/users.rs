//! The rows that a question takes: as a page or all of them, in the format that the client likes.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRef, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use datalake_core::{
    output::Escape,
    query::{column::Column, error::QueryError},
    user::Ages,
};
use datalake_table::memory::{export::ArrowStream, row_cursor::RowCursor};

use crate::{
    limits::{
        scan_pool::scan,
        sort_budget::{OrderedRows, RowsRoom},
    },
    problem::{self, Problem, document::ProblemDocument},
    request::{
        query_string::{ESCAPE, RowsAsked},
        snapshot::{MomentParameters, Reading},
    },
    routes::{
        column_parameters::{ConditionsOnColumns, OrderParameters},
        parameters::{Binary, ConditionParameters, FilterParameters, RowLines, RowsDocument, ShowingParameters},
    },
    rows::{
        columns::ColumnsText,
        format::{Format, Shape},
        pagination::{self, Links, Page},
        parquet_files::{ParquetFile, ParquetFiles},
        response_cache::{Answer, Answers},
        row_query::{ListedRows, Listing, failed},
        stream::{self, Begun, CHUNK_BYTES, Writer},
        text::{Notation, RowsText},
        text_parts::TextIndexes,
    },
    state::ApiState,
};
use datalake_http::{
    accept::Accept,
    range,
    response_budget::{ResponseBudget, SMALL_RESPONSE_BYTES_MAX},
};

/// The users that the parameters select.
///
/// Rows are ordered by `user_id` by default. The age is the number of completed calendar years on the day `on`. An empty `min_age` selects the
/// youngest of the users that match all other filters, an empty `max_age` the oldest, ties included; together they select both. Each column is
/// a parameter as well, alone or with an operator: `last_name=Lee`, `first_name__contains=an`, `birthts__gte=0`. A row is selected if all
/// conditions hold; a parameter with an operator may be repeated.
#[utoipa::path(
    get,
    path = "/data",
    operation_id = "listRows",
    tag = "data",
    params(FilterParameters, OrderParameters, ShowingParameters, MomentParameters, ConditionParameters, ConditionsOnColumns),
    responses(
        (status = 200, description = "The users", content(
            (RowsDocument = "application/json"),
            (RowLines = "application/x-ndjson"),
            (String = "text/csv"),
            (Binary = "application/vnd.apache.parquet"),
            (Binary = "application/vnd.apache.arrow.stream"),
        ), headers(
            ("datalake-version" = u64, description = "The version of the table"),
            ("datalake-version-age" = u64, description = "Seconds since that version was committed"),
            ("datalake-checked-age" = u64, description = "Seconds since the store last said that nothing is newer"),
            ("etag" = String, description = "Names these bytes: for `If-None-Match`"),
            ("link" = String, description = "The next page, where there is one"),
            ("x-total-count" = u64, description = "Users whom the filters take, on whatever page"),
        )),
        (status = 304, description = "The client has this answer"),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 406, description = "There is no format that the client takes", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version, or the cursor's, is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`If-Match` wants another answer", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or too much is asked at once", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_rows(
    asked: RowsAsked,
    reading: Reading,
    State(kept): State<Kept>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = match asked.format {
        Some(format) => format,
        None => Format::accepted(&Accept::from_headers(&headers)).ok_or_else(|| Problem::NotAcceptable {
            offered: Format::offered(),
        })?,
    };
    answer(format, asked, reading, &kept, &method, &headers).await
}

/// What is kept of answers, and room for those that hold rows.
pub(crate) struct Kept {
    answers: Answers,
    files: ParquetFiles,
    indexes: TextIndexes,
    ordered: OrderedRows,
    budget: ResponseBudget,
}

impl FromRef<ApiState> for Kept {
    fn from_ref(state: &ApiState) -> Self {
        Self {
            answers: FromRef::from_ref(state),
            files: FromRef::from_ref(state),
            indexes: FromRef::from_ref(state),
            ordered: FromRef::from_ref(state),
            budget: FromRef::from_ref(state),
        }
    }
}

/// So many rows take a good part of a second to be made a file.
const ROWS_OF_LARGE_FILE: u64 = 50_000;

/// What is to be written.
struct Writing {
    listing: Listing,
    format: Format,
    columns: Box<[Column]>,
}

/// The rows in a format.
pub(crate) async fn answer(
    format: Format,
    asked: RowsAsked,
    reading: Reading,
    kept: &Kept,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if asked.shape == Shape::Columns && format != Format::Json {
        return Err(QueryError::value("shape", "columns are laid out in JSON alone").into());
    }
    if asked.escape != Escape::Nothing && format != Format::Csv {
        return Err(QueryError::value(ESCAPE, "applies to CSV alone; ask for /data.csv, or leave it out").into());
    }
    let listing = Listing::new(asked, &reading)?;
    let question = &listing.asked.question;
    let columns: Box<[Column]> = question.select.as_deref().unwrap_or(format.columns()).into();
    let counted_on = question.depends_on_today(&columns).then_some(listing.day);
    let identity = format!("{}\n{}", format.name(), listing.asked.identity);
    let validators = reading.validators(&identity, counted_on, listing.is_of_today());
    let age = reading.age();
    if let Some(precondition) = validators.evaluate_preconditions(headers) {
        return Ok((age, problem::from::of_precondition(precondition, &validators)).into_response());
    }
    let writing = Writing { listing, format, columns };
    // Of what has no body there is no part.
    let range = headers
        .get(header::RANGE)
        .filter(|_| *method == Method::GET && validators.allow_range(headers));
    let response = match format {
        Format::Parquet => {
            let is_of_all = *method == Method::GET && !headers.contains_key(header::RANGE);
            let is_large = || writing.listing.counted_rows().is_some_and(|rows| rows > ROWS_OF_LARGE_FILE);
            if is_of_all && kept.budget.is_exhausted() && is_large() {
                return Err(Problem::ResponseBudgetExhausted);
            }
            let file = writing.file(validators.etag(), kept).await?;
            let (bytes, links) = (file.bytes(), file.links().clone());
            range::range_response(bytes, range, |part| (links, file.body(part)))?
        }
        Format::Csv | Format::Ndjson if range.is_some() || *method == Method::HEAD => {
            writing.text_part(validators.etag(), kept, range).await?
        }
        Format::Csv | Format::Ndjson => {
            let accepts = [(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))];
            (accepts, writing.text(validators.etag(), kept).await?).into_response()
        }
        Format::Json | Format::Arrow => writing.text(validators.etag(), kept).await?,
    };
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))];
    Ok((age, validators.headers(), content_type, response).into_response())
}

impl Writing {
    async fn text(self, etag: &str, kept: &Kept) -> Result<Response, Problem> {
        if let Some(Answer { body, links }) = kept.answers.get(etag) {
            return Ok((links, body).into_response());
        }
        if kept.budget.is_exhausted() && self.is_surely_large() {
            return Err(Problem::ResponseBudgetExhausted);
        }
        let ordered = kept.ordered.clone();
        let Self { listing, format, columns } = self;
        // A page is made whole, so that it holds nothing but its bytes.
        let bytes_whole = match listing.asked.question.limit {
            Some(_) => usize::try_from(SMALL_RESPONSE_BYTES_MAX).unwrap_or(CHUNK_BYTES),
            None => CHUNK_BYTES,
        };
        let begun = listing.work(move |listing| {
            let (Page { walk, links }, room) = page(&listing, &ordered)?;
            let begun = writer(&listing, walk, format, &columns).begin(bytes_whole);
            begun.map(|begun| (begun, links, room)).map_err(|error| failed(&error))
        });
        Ok(match begun.await?? {
            (Begun::Whole(body), links, _) => {
                let answer = Answer { body, links };
                kept.answers.keep(etag, &answer);
                (answer.links, answer.body).into_response()
            }
            (Begun::Part(first, writer), links, room) => (links, stream::body(first, writer, room)).into_response(),
        })
    }

    /// The length of the text, and the part of it that is asked for.
    async fn text_part(self, etag: &str, kept: &Kept, range: Option<&HeaderValue>) -> Result<Response, Problem> {
        let Self { listing, format, columns } = self;
        let is_quick = listing.is_quick();
        let (listing, ordered) = (Arc::new(listing), kept.ordered.clone());
        let text = move || {
            let (Page { walk, links }, room) = page(&listing, &ordered)?;
            Ok((links, rows_text(&listing, walk, format, &columns), room))
        };
        let index = kept.indexes.get(etag, text.clone()).await?;
        let links = index.links.clone();
        if range.is_none() {
            return Ok(range::range_response(index.bytes(), None, |_| (links, Body::empty()))?);
        }
        let (_, text, room) = match is_quick {
            true => text()?,
            false => scan(text).await.map_err(|panic| failed(&panic))??,
        };
        Ok(range::range_response(index.bytes(), range, |part| {
            (links, index.body(text, &part, room))
        })?)
    }

    async fn file(self, etag: &str, kept: &Kept) -> Result<ParquetFile, Problem> {
        let (ages, ordered) = (Ages::on(self.listing.day), kept.ordered.clone());
        let columns = self.columns.clone();
        let page = move || page(&self.listing, &ordered);
        kept.files.get(etag, page, columns, ages).await
    }

    /// Whether the answer is a large one whatever the values are.
    fn is_surely_large(&self) -> bool {
        let names: usize = self.columns.iter().map(|column| column.name().len()).sum();
        let row_bytes_min = match (self.format, self.listing.asked.shape) {
            (Format::Json, Shape::Rows) | (Format::Ndjson, _) => names,
            (Format::Json, Shape::Columns) | (Format::Csv | Format::Parquet | Format::Arrow, _) => self.columns.len(),
        };
        let row_bytes_min = u64::try_from(row_bytes_min).unwrap_or(0);
        let bytes_min = self.listing.counted_rows().map(|rows| rows.saturating_mul(row_bytes_min));
        bytes_min.is_some_and(|bytes| bytes > SMALL_RESPONSE_BYTES_MAX)
    }
}

fn page(listing: &Listing, ordered: &OrderedRows) -> Result<(Page, Option<RowsRoom>), Problem> {
    let (ListedRows { walk, total, next }, room) = listing.rows_in(ordered)?;
    let next = next.and_then(|next| pagination::next_page(&next));
    let links = Links { total, next };
    Ok((Page { walk, links }, room))
}

fn writer(listing: &Listing, walk: RowCursor, format: Format, columns: &[Column]) -> Writer {
    let ages = Ages::on(listing.day);
    match (format, listing.asked.shape) {
        (Format::Json, Shape::Columns) => Writer::Columns(ColumnsText::new(walk, columns, ages)),
        (Format::Json | Format::Ndjson | Format::Csv, _) => Writer::Rows(rows_text(listing, walk, format, columns)),
        (Format::Arrow | Format::Parquet, _) => Writer::Arrow(Box::new(ArrowStream::new(walk, columns, ages))),
    }
}

fn rows_text(listing: &Listing, walk: RowCursor, format: Format, columns: &[Column]) -> RowsText {
    let notation = match format {
        Format::Csv => Notation::Csv(listing.asked.escape),
        Format::Ndjson => Notation::Ndjson,
        Format::Json | Format::Parquet | Format::Arrow => Notation::Json,
    };
    RowsText::new(walk, notation, columns, Ages::on(listing.day))
}
