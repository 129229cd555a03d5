//! `GET /stats`: statistics of the rows that `/data` returns for the same parameters.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::{query::Query, user::Day};
use datalake_table::memory::statistics::Statistics;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{
        Problem,
        from::precondition_response,
        responses::{ConditionalResponses, ReadProblems},
    },
    request::{
        data_query::StatsQuery,
        selected_snapshot::{SelectedSnapshot, TimeTravelParameters},
        table_read::TableRead,
    },
    routes::{
        column_parameters::ConditionsOnColumns,
        openapi_schemas::{ConditionParameters, FilterParameters},
    },
    rows::{
        pagination::PageHeaders,
        response_cache::{CachedResponse, ResponseCache},
    },
};

/// Statistics of users. Users born after the requested day are counted, but have no age.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
struct StatisticsDocument {
    /// The version of the table.
    version: u64,
    /// The day on which ages are computed.
    #[schema(format = Date)]
    on: String,
    /// The number of users.
    count: u64,
    /// The mean of the ages in completed years; null if no user has an age.
    #[schema(required)]
    average_age: Option<f64>,
    /// The lowest age in completed years.
    #[schema(required)]
    min_age: Option<u16>,
    /// The highest age in completed years.
    #[schema(required)]
    max_age: Option<u16>,
    /// The middle age, or the mean of the two middle ages.
    #[schema(required)]
    median_age: Option<f64>,
    /// The number of users with an image.
    with_image: u64,
    /// The number of users without an image.
    without_image: u64,
    /// The number of users by age, in ascending order of age.
    by_age: Vec<AgeCount>,
}

/// The number of users of one age.
#[derive(Debug, Serialize, ToSchema)]
struct AgeCount {
    /// The age in completed years.
    age: u16,
    /// The number of users.
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

/// Get statistics
///
/// Returns statistics of the users that `/data` returns for the same parameters. The statistics of ages are null if no user has an age.
#[utoipa::path(
    get,
    path = "/stats",
    operation_id = "showStatistics",
    tag = "data",
    params(FilterParameters, TimeTravelParameters, ConditionParameters, ConditionsOnColumns),
    responses(
        ReadProblems,
        ConditionalResponses,
        (status = 200, description = "The statistics", body = StatisticsDocument),
    )
)]
pub(crate) async fn show(
    TableRead(StatsQuery { query, identity }, read_at): TableRead<StatsQuery>,
    State(response_cache): State<ResponseCache>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let on = read_at.day(query.on);
    // The document contains the day, so the response always depends on it.
    let validators = read_at.validators(&format!("stats\n{identity}"), Some(on), query.on.is_none());
    let freshness = read_at.freshness_headers();
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((freshness, precondition_response(precondition, &validators)).into_response());
    }
    let body = if let Some(response) = response_cache.get(validators.etag()) {
        response.body
    } else {
        let body = statistics(&read_at, &query, on).await?;
        let response = CachedResponse {
            body: body.clone(),
            page_headers: PageHeaders::default(),
        };
        response_cache.insert(validators.etag(), &response);
        body
    };
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((freshness, validators.headers(), content_type, body).into_response())
}

/// The document as JSON. Conditions on values need a scan of all rows.
async fn statistics(read_at: &SelectedSnapshot, query: &Query, on: Day) -> Result<Bytes, Problem> {
    let filter = query.filter.clone();
    let snapshot = Arc::clone(&read_at.snapshot);
    let is_quick = filter.conditions.is_empty();
    let compute = move || {
        let statistics = snapshot.statistics(&snapshot.select(&filter, on));
        let document = StatisticsDocument::new(snapshot.version().number(), on, statistics);
        Bytes::from(serde_json::to_vec(&document).expect("writing strings and numbers to memory cannot fail"))
    };
    if is_quick {
        return Ok(compute());
    }
    Ok(read_at.scan_pool.scan(compute).await?)
}
