//! What the router hands to handlers. Each handler takes only the parts that it names.

use std::sync::Arc;

use axum::extract::FromRef;
use datalake_store::bucket::Bucket;

use crate::{
    limits::{
        requests::{FollowerLimit, StoreReadLimit, WaitLimit},
        sort_budget::OrderedRows,
    },
    request::auth::Access,
    rows::{parquet_files::ParquetFiles, response_cache::Answers, text_parts::TextIndexes},
    snapshots::{versions::PastVersions, watch::TableWatch},
    telemetry::metrics::Metrics,
};
use datalake_core::clock::Clock;
use datalake_http::{allowed_hosts::AllowedHosts, cors::Origin, response_budget::ResponseBudget, trusted_proxies::TrustedProxies};
use datalake_runs::runs::Runs;

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where the present comes from.
    pub clock: Clock,
    /// The table; the server follows it.
    pub table: TableWatch,
    /// The runs, with what starts them.
    pub runs: Runs,
    /// The lake: pictures are read from it.
    pub bucket: Arc<dyn Bucket>,
    /// What is counted.
    pub metrics: Metrics,
    /// Who may start runs, and read.
    pub access: Access,
    /// The sites whose pages may read answers.
    pub cors_origins: Vec<Origin>,
    /// The host names under which the server answers.
    pub allowed_hosts: AllowedHosts,
    /// The proxies that name the clients of their requests.
    pub trusted_proxies: TrustedProxies,
}

/// Where pictures are read from.
#[derive(Clone, Debug)]
pub struct Pictures(pub Arc<dyn Bucket>);

/// Parts for handlers to take by themselves; nobody takes the whole, but for the page that asks the routes themselves. It is cloned with each
/// request and layer: one count goes up.
#[derive(Clone, Debug)]
pub struct ApiState(Arc<Shared>);

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
    runs: Runs,
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
