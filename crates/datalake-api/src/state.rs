//! The state that the router passes to handlers. Each handler takes only the parts that it names.

use std::sync::Arc;

use axum::extract::FromRef;
use datalake_store::bucket::Bucket;

use crate::{
    images::ImageReader,
    lake_label::LakeLabel,
    limits::{
        requests::{FollowerLimit, StoreReadLimit, WaitLimit},
        scan_pool::ScanPool,
        sort_budget::SortBudget,
    },
    request::auth::Access,
    rows::{parquet_files::ParquetFiles, response_cache::ResponseCache, text_index::TextIndexes},
    snapshots::{versions::Versions, watch::TableWatch},
    telemetry::metrics::Metrics,
};
use datalake_core::clock::Clock;
use datalake_http::{allowed_hosts::AllowedHosts, cors::Origin, response_budget::ResponseBudget, trusted_proxies::TrustedProxies};
use datalake_runs::runs::Runs;

/// The parts that a server is built from.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The source of the current time.
    pub clock: Clock,
    /// The table; the server follows it.
    pub table: TableWatch,
    /// The runs and their launcher.
    pub runs: Runs,
    /// The lake, from which images are read.
    pub bucket: Arc<dyn Bucket>,
    /// How pages name the lake.
    pub lake_label: LakeLabel,
    /// The metrics.
    pub metrics: Metrics,
    /// Which requests need a token.
    pub access: Access,
    /// The sites whose pages may read responses.
    pub cors_origins: Vec<Origin>,
    /// The host names that the server accepts.
    pub allowed_hosts: AllowedHosts,
    /// The proxies that name the clients of their requests.
    pub trusted_proxies: TrustedProxies,
}

/// The state of all handlers, which take its parts by `FromRef`. Cheap to clone, as the router does for each request: clones share it.
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
    lake_label: LakeLabel,
    table: TableWatch,
    versions: Versions,
    runs: Runs,
    images: ImageReader,
    metrics: Metrics,
    access: Access,
    response_cache: ResponseCache,
    parquet_files: ParquetFiles,
    text_indexes: TextIndexes,
    scan_pool: ScanPool,
    sort_budget: SortBudget,
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
            lake_label,
            metrics,
            access,
            cors_origins: _,
            allowed_hosts: _,
            trusted_proxies: _,
        } = parts;
        let scan_pool = ScanPool::new();
        Self(Arc::new(Shared {
            clock,
            lake_label,
            versions: Versions::new(table.clone()),
            table,
            runs,
            images: ImageReader::new(bucket),
            metrics,
            access,
            response_cache: ResponseCache::new(),
            parquet_files: ParquetFiles::new(scan_pool.clone()),
            text_indexes: TextIndexes::new(scan_pool.clone()),
            scan_pool,
            sort_budget: SortBudget::new(),
            response_budget: ResponseBudget::new(),
            wait_limit: WaitLimit::new(),
            store_read_limit: StoreReadLimit::new(),
            follower_limit: FollowerLimit::new(),
        }))
    }
}
