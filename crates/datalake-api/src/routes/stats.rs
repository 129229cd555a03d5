//! Figures of the same rows that `/data` gives for the same parameters.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::{query::Query, user::Day};
use datalake_table::memory::{snapshot::Snapshot, statistics::Statistics};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    limits::scan_pool::scan,
    problem::{self, Problem, document::ProblemDocument},
    request::{
        query_string::Asked,
        snapshot::{MomentParameters, Reading},
    },
    routes::{
        column_parameters::ConditionsOnColumns,
        parameters::{ConditionParameters, FilterParameters},
    },
    rows::{
        pagination::Links,
        response_cache::{Answer, Answers},
    },
};
use datalake_core::error_chain::error_chain;

/// Figures of ages. One born after the day of the question is counted, and is in no figure of ages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
struct StatisticsDocument {
    /// The version of the table.
    version: u64,
    /// The day on which ages are counted.
    #[schema(format = Date)]
    on: String,
    /// Users.
    count: u64,
    /// Mean of the completed years; null where nobody has an age.
    #[schema(required)]
    average_age: Option<f64>,
    /// Completed years of the youngest.
    #[schema(required)]
    min_age: Option<u16>,
    /// Completed years of the oldest.
    #[schema(required)]
    max_age: Option<u16>,
    /// The middle age, or the mean of the two middle ones.
    #[schema(required)]
    median_age: Option<f64>,
    /// Users with a picture.
    with_image: u64,
    /// Users without.
    without_image: u64,
    /// Each age that somebody has, ascending.
    by_age: Vec<AgeCount>,
}

/// How many users have an age.
#[derive(Debug, Serialize, ToSchema)]
struct AgeCount {
    /// Completed years.
    age: u16,
    /// Users.
    count: u64,
}

impl StatisticsDocument {
    fn new(version: u64, on: Day, statistics: Statistics) -> Self {
        Self {
            version,
            on: on.date().to_string(),
            count: statistics.count,
            average_age: statistics.average_age,
            min_age: statistics.min_age,
            max_age: statistics.max_age,
            median_age: statistics.median_age,
            with_image: statistics.with_image,
            without_image: statistics.without_image,
            by_age: statistics.by_age.into_iter().map(|(age, count)| AgeCount { age, count }).collect(),
        }
    }
}

/// Statistics of the users that the parameters select.
///
/// The statistics are over the rows that `/data` returns for the same parameters. Statistics of ages are null if no user has an age.
#[utoipa::path(
    get,
    path = "/stats",
    operation_id = "showStatistics",
    tag = "data",
    params(FilterParameters, MomentParameters, ConditionParameters, ConditionsOnColumns),
    responses(
        (status = 200, description = "The figures", body = StatisticsDocument),
        (status = 304, description = "The client has this answer"),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`If-Match` wants another answer", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(asked: Asked, reading: Reading, State(answers): State<Answers>, headers: HeaderMap) -> Result<Response, Problem> {
    let Asked { question, identity } = asked;
    let on = reading.day(question.on);
    // The day is part of the document.
    let validators = reading.validators(&format!("stats\n{identity}"), Some(on), question.on.is_none());
    let age = reading.age();
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((age, problem::from::of_precondition(precondition, &validators)).into_response());
    }
    let body = if let Some(answer) = answers.get(validators.etag()) {
        answer.body
    } else {
        let body = figures(&reading.snapshot, &question, on).await?;
        let links = Links::default();
        answers.keep(validators.etag(), &Answer { body: body.clone(), links });
        body
    };
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((age, validators.headers(), content_type, body).into_response())
}

/// The document as JSON. Conditions on values take a look at every row.
async fn figures(snapshot: &Arc<Snapshot>, question: &Query, on: Day) -> Result<Bytes, Problem> {
    let filter = question.filter.clone();
    let snapshot = Arc::clone(snapshot);
    let is_quick = filter.conditions.is_empty();
    let count = move || {
        let statistics = snapshot.statistics(&snapshot.select(&filter, on));
        let document = StatisticsDocument::new(snapshot.version().number(), on, statistics);
        Bytes::from(serde_json::to_vec(&document).expect("texts and numbers become JSON in memory"))
    };
    if is_quick {
        return Ok(count());
    }
    scan(count).await.map_err(|panic| {
        tracing::error!(error = error_chain(&panic), "rows cannot be counted");
        Problem::Internal
    })
}
