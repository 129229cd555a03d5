//! The rows that a question takes: as a page or all of them, in the format that the client likes.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use datalake_core::{column::Column, question::QueryError, user::Ages};
use datalake_table::{export::ArrowStream, walk::Walk};

use crate::{
    accept::Accept,
    answers::{Answer, Answers},
    byte_range::{self, Wanted},
    extract::RowsAsked,
    links::{Links, Page},
    listing::{ListedRows, Listing, failed},
    problem::{Problem, ProblemDocument},
    reading::{MomentParameters, Reading},
    routes::parameters::{FilterParameters, RowsDocument, ShowingParameters},
    state::ApiState,
    validators::Validators,
    views::{
        columns::ColumnsText,
        format::{Format, Shape},
        parquet::{ParquetFile, ParquetFiles},
        stream::{self, Begun, Writer},
        text::{Notation, RowsText},
    },
};

/// The users that the parameters select, by `user_id` or in another order.
///
/// Ages are completed calendar years. `min_age` or `max_age` without a value selects the youngest or the oldest of those whom all other
/// parameters leave, ties included; both without a value select both. Every column is a parameter as well, alone or with an operator:
/// `last_name=Lee`, `first_name__contains=an`, `birthts__gte=0`. All conditions hold together.
#[utoipa::path(
    get,
    path = "/data",
    operation_id = "listRows",
    tag = "data",
    params(FilterParameters, ShowingParameters, MomentParameters),
    responses(
        (status = 200, description = "The users", content(
            (RowsDocument = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
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
        (status = 503, description = "There is no table yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_rows(
    asked: RowsAsked,
    reading: Reading,
    State(answers): State<Answers>,
    State(files): State<ParquetFiles>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = match asked.format {
        Some(format) => format,
        None => Format::accepted(&Accept::of(&headers))?,
    };
    answer(format, asked, reading, &answers, &files, &headers).await
}

/// The same, with the format in the path: for programs that go by a file's name.
pub(super) fn suffixed() -> Router<ApiState> {
    Format::ALL.into_iter().fold(Router::new(), |router, suffix| {
        let list = async move |asked: RowsAsked,
                               reading: Reading,
                               State(answers): State<Answers>,
                               State(files): State<ParquetFiles>,
                               headers: HeaderMap| {
            if asked.format.is_some_and(|format| format != suffix) {
                return Err(QueryError::value("format", "is another format than the path's").into());
            }
            answer(suffix, asked, reading, &answers, &files, &headers).await
        };
        router.route(&format!("/data.{}", suffix.name()), get(list))
    })
}

/// What is to be written.
struct Writing {
    listing: Listing,
    format: Format,
    columns: Box<[Column]>,
}

async fn answer(
    format: Format,
    asked: RowsAsked,
    reading: Reading,
    answers: &Answers,
    files: &ParquetFiles,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if asked.shape == Shape::Columns && format != Format::Json {
        return Err(QueryError::value("shape", "columns are laid out in JSON alone").into());
    }
    let listing = Listing::new(asked, &reading)?;
    let question = &listing.asked.question;
    let columns: Box<[Column]> = question.select.as_deref().unwrap_or(format.columns()).into();
    let counted_on = question.is_about_age(&columns).then_some(listing.day);
    let identity = format!("{}\n{}", format.name(), listing.asked.identity);
    let validators = reading.validators(&identity, counted_on, listing.is_of_today());
    let age = reading.age();
    if validators.are_held(headers) {
        return Ok((age, validators.not_modified()).into_response());
    }
    let writing = Writing { listing, format, columns };
    let response = match format {
        Format::Parquet => part_of(writing.file(validators.etag(), files).await?, &validators, headers)?,
        Format::Json | Format::Ndjson | Format::Csv | Format::Arrow => writing.text(validators.etag(), answers).await?,
    };
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))];
    Ok((age, validators.headers(), content_type, response).into_response())
}

impl Writing {
    async fn text(self, etag: &str, answers: &Answers) -> Result<Response, Problem> {
        if let Some(Answer { body, links }) = answers.get(etag) {
            return Ok((links, body).into_response());
        }
        let Self { listing, format, columns } = self;
        let begun = listing.work(move |listing| {
            let Page { walk, links } = page(&listing);
            writer(&listing, walk, format, &columns).begin().map(|begun| (begun, links))
        });
        Ok(match begun.await?.map_err(|error| failed(&error))? {
            (Begun::Whole(body), links) => {
                let answer = Answer { body, links };
                answers.keep(etag, &answer);
                (answer.links, answer.body).into_response()
            }
            (Begun::Part(first, writer), links) => (links, stream::body(first, writer)).into_response(),
        })
    }

    async fn file(self, etag: &str, files: &ParquetFiles) -> Result<ParquetFile, Problem> {
        let ages = Ages::on(self.listing.day);
        files.get(etag, move || page(&self.listing), self.columns, ages).await
    }
}

fn page(listing: &Listing) -> Page {
    let ListedRows { walk, total, next } = listing.rows();
    let next = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    Page {
        walk,
        links: Links { total, next },
    }
}

fn writer(listing: &Listing, walk: Walk, format: Format, columns: &[Column]) -> Writer {
    let ages = Ages::on(listing.day);
    match (format, listing.asked.shape) {
        (Format::Json, Shape::Columns) => Writer::Columns(ColumnsText::new(walk, columns, ages)),
        (Format::Json, Shape::Rows) => Writer::Rows(RowsText::new(walk, Notation::Json, columns, ages)),
        (Format::Ndjson, _) => Writer::Rows(RowsText::new(walk, Notation::Ndjson, columns, ages)),
        (Format::Csv, _) => Writer::Rows(RowsText::new(walk, Notation::Csv, columns, ages)),
        (Format::Arrow | Format::Parquet, _) => Writer::Arrow(Box::new(ArrowStream::new(walk, columns, ages))),
    }
}

/// The whole file, or the part of it that is asked for. Of several parts the client gets the whole, as RFC 9110 leaves it to the server.
fn part_of(file: ParquetFile, validators: &Validators, headers: &HeaderMap) -> Result<Response, Problem> {
    let bytes = file.bytes();
    let links = file.links().clone();
    let accepts = (header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let whole = |file: ParquetFile| {
        let length = (header::CONTENT_LENGTH, HeaderValue::from(bytes));
        (links.clone(), [accepts.clone(), length], file.body(0..bytes)).into_response()
    };
    let asked = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok())
        .filter(|_| validators.allow_range(headers));
    let part = match asked.map_or(Wanted::Whole, |asked| byte_range::wanted(asked, bytes)) {
        Wanted::Whole => return Ok(whole(file)),
        Wanted::Part(part) => part,
        Wanted::Unsatisfiable => return Err(Problem::RangeNotSatisfiable { bytes }),
    };
    let told =
        HeaderValue::try_from(format!("bytes {}-{}/{bytes}", part.start, part.end - 1)).expect("digits are visible ASCII characters");
    let headers = [
        accepts,
        (header::CONTENT_RANGE, told),
        (header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, links, headers, file.body(part)).into_response())
}
