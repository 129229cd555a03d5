//! `GET /stats`: statistics of the rows that `/data` returns for the same parameters.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::{
    calendar::Day,
    dataset::{Dataset, Value},
    query::Query,
};
use datalake_table::memory::statistics::{ColumnStatistics, Statistics};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    json_number::JsonNumber,
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
    routes::openapi::{
        dataset_parameters::{ConditionsOnColumns, FilterParameters},
        dataset_schemas::StatisticsSchema,
        schemas::ConditionParameters,
    },
    rows::{
        pagination::PageHeaders,
        response_cache::{CachedResponse, ResponseCache},
    },
};

/// The statistics of rows: the counts, then the numbers of each column, the counts of each file, and the distributions.
struct StatisticsDocument<'a> {
    dataset: &'a Dataset,
    version: u64,
    on: Day,
    statistics: &'a Statistics,
}

impl Serialize for StatisticsDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Statistics {
            count,
            with_files,
            columns,
        } = self.statistics;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("on", &self.on.date().to_string())?;
        map.serialize_entry("count", count)?;
        let columns = || self.dataset.stats().iter().zip(columns);
        for (name, column) in columns() {
            let mean = |number: Option<f64>| number.map(|number| MeanDocument { column, number });
            map.serialize_entry(&format!("average_{name}"), &mean(column.average))?;
            map.serialize_entry(&format!("min_{name}"), &column.least.as_ref().map(NumberDocument))?;
            map.serialize_entry(&format!("max_{name}"), &column.greatest.as_ref().map(NumberDocument))?;
            map.serialize_entry(&format!("median_{name}"), &mean(column.median))?;
        }
        for (file, with_file) in self.dataset.files().iter().zip(with_files) {
            map.serialize_entry(&format!("with_{}", file.name), with_file)?;
            map.serialize_entry(&format!("without_{}", file.name), &(count - with_file))?;
        }
        for (name, column) in columns() {
            if let Some(by_value) = &column.by_value {
                let counts = by_value.iter().map(|(value, count)| ValueCount {
                    name,
                    value: *value,
                    count: *count,
                });
                map.serialize_entry(&format!("by_{name}"), &counts.collect::<Vec<_>>())?;
            }
        }
        map.end()
    }
}

/// An integer or a float.
struct NumberDocument<'a>(&'a Value);

impl Serialize for NumberDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Number(number) => JsonNumber(*number).serialize(serializer),
            _ => serializer.serialize_none(),
        }
    }
}

/// An average or a median. Those of integers are floats also if they are whole: `22.0`.
struct MeanDocument<'a> {
    column: &'a ColumnStatistics,
    number: f64,
}

impl Serialize for MeanDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.column.least {
            Some(Value::Number(_)) => JsonNumber(self.number).serialize(serializer),
            _ => serializer.serialize_f64(self.number),
        }
    }
}

/// The number of rows of one value.
struct ValueCount<'a> {
    name: &'a str,
    value: i64,
    count: u64,
}

impl Serialize for ValueCount<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.name, &self.value)?;
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}

/// Get statistics
///
/// Returns statistics of the rows that `/data` returns for the same parameters. Those of a column are null if no row has a value in it.
#[utoipa::path(
    get,
    path = "/stats",
    operation_id = "showStatistics",
    tag = "data",
    params(FilterParameters, TimeTravelParameters, ConditionParameters, ConditionsOnColumns),
    responses(
        ReadProblems,
        ConditionalResponses,
        (status = 200, description = "The statistics", body = StatisticsSchema),
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
    let is_quick = snapshot.is_counted(&filter);
    let compute = move || {
        let statistics = snapshot.statistics(&snapshot.select(&filter, on));
        let document = StatisticsDocument {
            dataset: snapshot.dataset(),
            version: snapshot.version().number(),
            on,
            statistics: &statistics,
        };
        Bytes::from(serde_json::to_vec(&document).expect("writing strings and numbers to memory cannot fail"))
    };
    if is_quick {
        return Ok(compute());
    }
    Ok(read_at.scan_pool.scan(compute).await?)
}
