//! What actors do: runs of the processor, readers, and the data owner.

use std::{cell::Cell, rc::Rc, sync::Arc};

use bytes::Bytes;
use datalake_core::{
    plan::DeletionGuard,
    report::{RunId, RunMode, RunReport},
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

use crate::{
    clock,
    observed::{shown, words},
    world::SETTINGS,
};

/// An edit of a source by the data owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The source.
    pub key: String,
    /// Its new bytes; none removes it.
    pub bytes: Option<Bytes>,
    /// Told apart by stores whose ETags are unique, although the bytes may be the same.
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

/// What an actor does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A run of the processor under this ID.
    Run {
        /// Runs of one ID are pods of one Job.
        run_id: String,
        /// Which sources it reads.
        mode: RunMode,
    },
    /// A reader that loads the table and follows it.
    Reader {
        /// How often it polls after the first load.
        polls: u32,
    },
    /// The data owner.
    Owner {
        /// Edits, in order.
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

/// How an actor ended.
#[derive(Debug)]
pub enum Ended {
    /// A run, by its report.
    Run(Box<RunReport>),
    /// A reader, with what it saw.
    Reader(Vec<Seen>),
    /// The data owner.
    Owner,
}

/// What a reader saw in one load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A version and its rows, as `output.csv`.
    Version {
        /// The table.
        table_id: String,
        /// The version.
        number: u64,
        /// The digest of its entry, or of its checkpoint if only that is left.
        digest: String,
        /// Its rows.
        output: String,
    },
    /// The table is not there yet.
    NoTable,
    /// Why the load failed.
    Failure {
        /// With its causes.
        error: String,
        /// Whether an object that the version names is gone.
        is_missing: bool,
    },
}

/// The options of every simulated run: the guards have tests of their own.
pub(crate) fn options(run_id: &str, mode: RunMode, deletion_guard: DeletionGuard) -> RunOptions {
    let run_id = RunId::parse(run_id).expect("scenarios name runs by valid IDs");
    RunOptions {
        mode,
        deletion_guard,
        reject_ratio_max: "1".parse().expect("1 is a share"),
        table: SETTINGS,
        // Timers fire when the scheduler lets them.
        jitter: || 0.5,
        ..RunOptions::new(run_id, clock::now)
    }
}

pub(super) async fn process(bucket: Arc<dyn Bucket>, options: RunOptions) -> Ended {
    let requests = Arc::default();
    Ended::Run(Box::new(run::run(&Lake { bucket, requests }, &options).await))
}

/// As the API does: a load, then polls of the next entry, and now and then of the entry that is held. `is_current` is set as the reader looks
/// for the entry that it holds, if it polls once more after that.
pub(super) async fn read(bucket: Arc<dyn Bucket>, polls: u32, is_current: Rc<Cell<bool>>) -> Ended {
    let table = Table::with_settings(bucket, SETTINGS);
    let mut held = None;
    let mut seen = Vec::new();
    for poll in 0..=polls {
        let found = match &held {
            None => table.latest().await,
            Some(held) if poll.is_multiple_of(2) => {
                is_current.set(poll < polls);
                table.reload_if_lost(held).await
            }
            Some(held) => table.newer_than(held).await,
        };
        let version = match found {
            Ok(Some(version)) => version,
            Ok(None) if held.is_none() => {
                seen.push(Seen::NoTable);
                continue;
            }
            Ok(None) => continue,
            Err(error) => {
                seen.push(failure(&error));
                continue;
            }
        };
        seen.push(match shown(&table, &version).await {
            Ok(output) => Seen::Version {
                table_id: version.table_id().to_owned(),
                number: version.number(),
                digest: version.digest().to_string(),
                output,
            },
            Err(error) => failure(&error),
        });
        held = Some(version);
    }
    Ended::Reader(seen)
}

fn failure(error: &TableError) -> Seen {
    Seen::Failure {
        error: words(error),
        is_missing: matches!(error, TableError::Store(StoreError::NotFound { .. })),
    }
}

pub(super) async fn own(bucket: Arc<dyn Bucket>, edits: Vec<Edit>) -> Ended {
    for edit in edits {
        // The owner repeats what fails.
        while edit.apply(bucket.as_ref()).await.is_err() {}
    }
    Ended::Owner
}
