//! What the router hands to handlers. Each handler takes only the parts that it names.

use std::sync::Arc;

use axum::extract::FromRef;
use datalake_store::bucket::Bucket;

use crate::{
    answers::Answers,
    limits::{FollowerLimit, StoreReadLimit, WaitLimit},
    metrics::Metrics,
    ordered_rows::OrderedRows,
    past_versions::PastVersions,
    server::Parts,
    table_watch::TableWatch,
    token::Access,
    views::{parquet::ParquetFiles, text_parts::TextIndexes},
};
use datalake_core::clock::Clock;
use datalake_http::response_budget::ResponseBudget;
use datalake_runs::runs::RunHistory;

/// Where pictures are read from.
#[derive(Clone, Debug)]
pub(crate) struct Pictures(pub(crate) Arc<dyn Bucket>);

/// Parts for handlers to take by themselves; nobody takes the whole, but for the page that asks the routes themselves. It is cloned with each
/// request and layer: one count goes up.
#[derive(Clone, Debug)]
pub(crate) struct ApiState(Arc<Shared>);

macro_rules! parts {
    ($($field:ident: $part:ty),+ $(,)?) => {
        #[derive(Debug)]
        struct Shared {
            $($field: $part),+
        }
        $(
            impl FromRef<ApiState> for $part {
                fn from_ref(state: &ApiState) -> Self {
                    state.0.$field.clone()
                }
            }
        )+
    };
}

parts! {
    clock: Clock,
    table: TableWatch,
    past: PastVersions,
    runs: RunHistory,
    pictures: Pictures,
    metrics: Metrics,
    access: Access,
    answers: Answers,
    parquet_files: ParquetFiles,
    text_indexes: TextIndexes,
    ordered_rows: OrderedRows,
    response_budget: ResponseBudget,
    wait_limit: WaitLimit,
    store_read_limit: StoreReadLimit,
    follower_limit: FollowerLimit,
}

impl From<Parts> for ApiState {
    fn from(parts: Parts) -> Self {
        let Parts {
            clock,
            table,
            runs,
            bucket,
            metrics,
            access,
            cors_origins: _,
            allowed_hosts: _,
            trusted_proxies: _,
        } = parts;
        Self(Arc::new(Shared {
            clock,
            past: PastVersions::new(table.clone()),
            table,
            runs,
            pictures: Pictures(bucket),
            metrics,
            access,
            answers: Answers::new(),
            parquet_files: ParquetFiles::new(),
            text_indexes: TextIndexes::new(),
            ordered_rows: OrderedRows::new(),
            response_budget: ResponseBudget::new(),
            wait_limit: WaitLimit::new(),
            store_read_limit: StoreReadLimit::new(),
            follower_limit: FollowerLimit::new(),
        }))
    }
}
