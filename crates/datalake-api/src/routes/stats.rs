//! Figures of the same rows that `/data` gives for the same parameters.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use datalake_core::user::Day;
use datalake_table::statistics::Statistics;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{extract::Asked, problem::ProblemDocument, reading::Reading};

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

/// Figures of the users that the parameters select, the same as for `/data`.
#[utoipa::path(
    get,
    path = "/stats",
    operation_id = "showStatistics",
    tag = "data",
    params(
        ("is_image_exists" = Option<String>, Query, description = "`True`: those with a picture; `False`: those without; any case"),
        ("min_age" = Option<String>, Query, description = "At least so many completed years; without a value: the youngest"),
        ("max_age" = Option<String>, Query, description = "At most so many completed years; without a value: the oldest"),
        ("on" = Option<String>, Query, format = Date, description = "The day on which ages are counted; today (UTC) if left out"),
    ),
    responses(
        (status = 200, description = "The figures", body = StatisticsDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(Asked(question): Asked, reading: Reading) -> Response {
    let on = reading.day(&question);
    let snapshot = &reading.snapshot;
    let selection = snapshot.select(&question.filter, on);
    let statistics = snapshot.statistics(&selection, on);
    let document = StatisticsDocument::new(snapshot.version().number(), on, statistics);
    (reading.age(), Json(document)).into_response()
}
