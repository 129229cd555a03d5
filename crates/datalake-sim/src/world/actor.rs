//! The behavior of actors: runs of the processor, readers, and the data owner.

use std::{cell::Cell, rc::Rc, sync::Arc};

use bytes::Bytes;
use datalake_core::{
    error_chain::error_chain,
    plan::DeletionGuard,
    run::{RunId, RunMode, RunReport},
};
use datalake_processor::{
    options::{Lake, RunOptions},
    run,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
};
use datalake_table::{error::TableError, table::Table};

use crate::{clock, loaded_version::output_of, world::SETTINGS};

/// An edit of a source by the data owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The key of the source.
    pub key: String,
    /// Its new bytes; none to remove it.
    pub bytes: Option<Bytes>,
    /// Distinguishes equal bytes in stores with unique ETags.
    pub salt: u32,
}

impl Edit {
    fn metadata(&self) -> Metadata {
        match self.salt {
            0 => Metadata::new(),
            salt => Metadata::from([("salt".to_owned(), salt.to_string())]),
        }
    }

    pub(super) async fn apply(&self, bucket: &dyn Bucket) -> Result<(), StoreError> {
        match &self.bytes {
            Some(bytes) => bucket
                .put(&self.key, bytes.clone(), PutMode::Replace, &self.metadata())
                .await
                .map(drop),
            None => bucket.delete(&self.key, None).await,
        }
    }
}

/// The role of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A run of the processor.
    Run {
        /// The run ID. Runs with the same ID are pods of one Job.
        run_id: String,
        /// The mode of the run.
        mode: RunMode,
    },
    /// A reader that loads the table and follows it.
    Reader {
        /// The number of polls after the first load.
        polls: u32,
    },
    /// The data owner.
    Owner {
        /// The edits, in order.
        edits: Vec<Edit>,
    },
}

impl Role {
    /// An incremental run.
    pub fn run(run_id: &str) -> Self {
        Self::Run {
            run_id: run_id.to_owned(),
            mode: RunMode::Incremental,
        }
    }
}

/// The result of an actor.
#[derive(Debug)]
pub enum ActorResult {
    /// The report of a run.
    Run(Box<RunReport>),
    /// The observations of a reader.
    Reader(Vec<Observation>),
    /// The data owner.
    Owner,
}

/// What a reader observed in one load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A version and its rows, as `output.csv`.
    Version {
        /// The table ID.
        table_id: String,
        /// The number of the version.
        number: u64,
        /// The digest of its entry, or of its checkpoint if only that remains.
        digest: String,
        /// Its rows.
        output: String,
    },
    /// There is no table.
    NoTable,
    /// The load failed.
    Failure {
        /// The error with its causes.
        error: String,
        /// Whether an object that the version names is missing.
        is_missing: bool,
    },
}

/// The options of every simulated run. Guards other than that against mass deletion have their own tests.
pub(crate) fn options(run_id: &str, mode: RunMode, deletion_guard: DeletionGuard) -> RunOptions {
    let run_id = RunId::parse(run_id).expect("scenarios use valid run IDs");
    RunOptions {
        mode,
        deletion_guard,
        reject_ratio_max: "1".parse().expect("1 is a share"),
        table: SETTINGS,
        // The scheduler fires timers in any case.
        jitter: || 0.5,
        ..RunOptions::new(run_id, clock::now)
    }
}

pub(super) async fn process(bucket: Arc<dyn Bucket>, options: RunOptions) -> ActorResult {
    let requests = Arc::default();
    ActorResult::Run(Box::new(run::run(&Lake { bucket, requests }, &options).await))
}

/// Reads like the API: it loads the table, then polls for the next entry, and every second time for the entry of its own version. `is_current`
/// is set when the reader polls for its own entry and one more poll follows.
pub(super) async fn read(bucket: Arc<dyn Bucket>, polls: u32, is_current: Rc<Cell<bool>>) -> ActorResult {
    let table = Table::with_settings(bucket, SETTINGS);
    let mut current = None;
    let mut observations = Vec::new();
    for poll in 0..=polls {
        let found = match &current {
            None => table.latest().await,
            Some(version) if poll.is_multiple_of(2) => {
                is_current.set(poll < polls);
                table.reload_if_lost(version).await
            }
            Some(version) => table.newer_than(version).await,
        };
        let version = match found {
            Ok(Some(version)) => version,
            Ok(None) if current.is_none() => {
                observations.push(Observation::NoTable);
                continue;
            }
            Ok(None) => continue,
            Err(error) => {
                observations.push(failure(&error));
                continue;
            }
        };
        observations.push(match output_of(&table, &version).await {
            Ok(output) => Observation::Version {
                table_id: version.table_id().to_owned(),
                number: version.number(),
                digest: version.digest().to_string(),
                output,
            },
            Err(error) => failure(&error),
        });
        current = Some(version);
    }
    ActorResult::Reader(observations)
}

fn failure(error: &TableError) -> Observation {
    Observation::Failure {
        error: error_chain(error),
        is_missing: matches!(error, TableError::Store(StoreError::NotFound { .. })),
    }
}

pub(super) async fn edit(bucket: Arc<dyn Bucket>, edits: Vec<Edit>) -> ActorResult {
    for edit in edits {
        // The owner retries failed edits.
        while edit.apply(bucket.as_ref()).await.is_err() {}
    }
    ActorResult::Owner
}
