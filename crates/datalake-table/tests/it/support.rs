//! Rows, commits and a store that fails by a script.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use datalake_core::{
    dataset::{Dataset, Value},
    reject::{ExcludedSource, Exclusion, IgnoreCode, Position, Reason, Reject, RejectCode},
    row::{Provenance, Row},
    row_id::RowId,
    run::{Counts, RunId, RunMode},
};
use datalake_store::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    error::StoreError,
    memory::MemoryBucket,
};
use datalake_table::{
    delta::{commit::CommitDetails, edit::Edit, version::Version},
    settings::TableSettings,
    table::Table,
};
use futures_util::{TryStreamExt, stream::BoxStream};
use jiff::Timestamp;

/// Small enough that few rows cause splits and merges.
pub(crate) const SMALL: TableSettings = TableSettings {
    data_file_rows_max: 4,
    commits_per_checkpoint: 3,
};

pub(crate) fn users() -> Arc<Dataset> {
    Dataset::shared_users()
}

pub(crate) fn id(text: &str) -> RowId {
    RowId::parse(text).unwrap()
}

/// Every third value has no image.
pub(crate) fn row(user_id: &str, value: u8) -> Row {
    let provenance = |etag: &str| Provenance {
        etag: format!("{etag}-{value}").into(),
        size: u64::from(value) + 100,
        modified: Timestamp::from_microsecond(1_700_000_000_123_456 + i64::from(value)).unwrap(),
    };
    Row {
        row_id: id(user_id),
        values: [
            Some(Value::Text(format!("Zoë {value}").into())),
            Some(Value::Text(format!("O\"Neil, {value}").into())),
            Some(Value::EpochMs(i64::from(value) * 86_400_000_123 - 100_000_000_000)),
        ]
        .into(),
        csv: provenance("csv"),
        files: [(!value.is_multiple_of(3)).then(|| provenance("png"))].into(),
        run_id: RunId::parse(&format!("run-{value}")).unwrap(),
    }
}

pub(crate) fn put(user_id: &str, value: u8) -> Edit {
    Edit::Put(row(user_id, value))
}

pub(crate) fn remove(user_id: &str) -> Edit {
    Edit::Remove(id(user_id))
}

pub(crate) fn excluded(key: &str) -> ExcludedSource {
    let reject = Reject {
        position: Some(Position {
            line: Some(2),
            column: None,
            byte_offset: 33,
        }),
        excerpt: Some("a,b<U+0000>c".into()),
        excerpt_offset: Some(2),
        column_name: Some("last_name".into()),
        ..Reject::whole(
            RejectCode::FieldCount,
            Reason::new(
                "this row has 4 fields",
                "3 fields, as in the header",
                "quote values that contain a comma",
            ),
        )
    };
    ExcludedSource {
        key: key.into(),
        row_id: Some(id("1")),
        etag: "tag".into(),
        size: 41,
        exclusion: Exclusion::Rejected(reject),
        run_id: RunId::parse("run-1").unwrap(),
        since: Timestamp::from_second(1_700_000_000).unwrap(),
        valid_files: Box::default(),
    }
}

pub(crate) fn ignored(key: &str) -> ExcludedSource {
    ExcludedSource {
        row_id: None,
        exclusion: Exclusion::Ignored(IgnoreCode::UnknownKind),
        ..excluded(key)
    }
}

pub(crate) fn details_at(second: i64) -> CommitDetails {
    CommitDetails {
        run_id: RunId::parse("run-9").unwrap(),
        mode: RunMode::Incremental,
        counts: Counts {
            listed: 7,
            added: 2,
            ..Counts::default()
        },
        committed_at: Timestamp::from_second(second).unwrap(),
    }
}

pub(crate) fn details() -> CommitDetails {
    details_at(1_700_000_000)
}

pub(crate) fn table(bucket: &MemoryBucket) -> Table {
    Table::with_settings(Arc::new(bucket.clone()), SMALL)
}

pub(crate) async fn commit(table: &Table, base: Option<&Version>, edits: Vec<Edit>) -> Version {
    let staged = table.stage(base, &users(), edits).await.unwrap();
    table.commit(base, staged, &[], &details()).await.unwrap()
}

/// All rows of the version, which are read by the user IDs of the recorded sources.
pub(crate) async fn rows(table: &Table, version: &Version) -> BTreeMap<RowId, Row> {
    let known: Vec<_> = table
        .recorded_sources(version)
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    assert!(
        known.is_sorted_by(|a, b| a.row_id < b.row_id),
        "recorded sources are in order, one per user"
    );
    let ids: Vec<RowId> = known.iter().map(|row| row.row_id.clone()).collect();
    let rows = table.rows_of(version, &ids).await.unwrap();
    assert_eq!(u64::try_from(rows.len()).unwrap(), version.row_count());
    for (known, row) in known.iter().zip(rows.values()) {
        assert_eq!(
            (&known.row_id, &known.csv_etag, known.csv_size),
            (&row.row_id, &row.csv.etag, row.csv.size)
        );
        let files = row.files.iter();
        let files: Vec<_> = files.map(|file| file.as_ref().map(|file| (file.etag.clone(), file.size))).collect();
        assert_eq!(*known.files, *files);
    }
    rows
}

pub(crate) async fn ids(table: &Table, version: &Version) -> Vec<String> {
    rows(table, version).await.into_keys().map(|id| id.to_string()).collect()
}

pub(crate) async fn keys(bucket: &dyn Bucket, prefix: &str) -> Vec<String> {
    bucket.list(prefix, None).map_ok(|object| object.key).try_collect().await.unwrap()
}

pub(crate) async fn write(bucket: &dyn Bucket, key: &str, bytes: impl Into<Bytes>) {
    bucket.put(key, bytes.into(), PutMode::Replace, &Metadata::new()).await.unwrap();
}

pub(crate) async fn read(bucket: &dyn Bucket, key: &str) -> Bytes {
    bucket.get(key, None, None).await.unwrap().bytes
}

/// What happens to one put.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It takes effect, but the response is lost.
    ResponseLost,
    /// The request is lost.
    RequestLost,
    /// It takes effect, and a retry by the store conflicts with the first attempt.
    ConflictWithItself,
    /// Another writer's entry exists, and the response is lost.
    Overtaken,
}

/// A store in memory whose puts of log entries fail with the given faults, in order, and then succeed.
#[derive(Clone, Debug)]
pub(crate) struct FaultyBucket {
    inner: Arc<dyn Bucket>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl FaultyBucket {
    pub(crate) fn new(inner: MemoryBucket, faults: &[Fault]) -> Self {
        Self {
            inner: Arc::new(inner),
            faults: Arc::new(Mutex::new(faults.iter().rev().copied().collect())),
        }
    }
}

#[async_trait]
impl Bucket for FaultyBucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.inner.list(prefix, start_after)
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        self.inner.get(key, if_match, range).await
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        let is_entry = key.contains("_delta_log/0");
        let fault = if is_entry { self.faults.lock().unwrap().pop() } else { None };
        let lost = || StoreError::Unavailable {
            key: key.to_owned(),
            reason: "the store does not respond".to_owned(),
            attempts: 3,
            cause: None,
        };
        match fault {
            None => self.inner.put(key, bytes, mode, metadata).await,
            Some(Fault::RequestLost) => Err(lost()),
            Some(Fault::ResponseLost) => {
                self.inner.put(key, bytes, mode, metadata).await?;
                Err(lost())
            }
            Some(Fault::ConflictWithItself) => {
                self.inner.put(key, bytes, mode, metadata).await?;
                Err(StoreError::Conflict { key: key.to_owned() })
            }
            Some(Fault::Overtaken) => {
                self.inner
                    .put(key, Bytes::from_static(b"{\"commitInfo\":{}}\n"), mode, metadata)
                    .await?;
                Err(lost())
            }
        }
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.inner.copy(from, source_if_match, to, metadata).await
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        self.inner.delete(key, if_match).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.inner.head(key).await
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        let Fenced { bucket, store_time } = self.inner.fenced().await?;
        let view = Self {
            inner: bucket,
            ..self.clone()
        };
        Ok(Fenced {
            bucket: Arc::new(view),
            store_time,
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.inner.sweep().await
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }
}

/// Applies changes to a model of the rows, and returns them as edits of a table. A user without a row is removed.
pub(crate) fn edit_model(model: &mut BTreeMap<RowId, Row>, changes: BTreeMap<RowId, Option<Row>>) -> Vec<Edit> {
    let edit = |(user_id, row): (RowId, Option<Row>)| {
        if let Some(row) = row {
            model.insert(user_id, row.clone());
            Edit::Put(row)
        } else {
            model.remove(&user_id);
            Edit::Remove(user_id)
        }
    };
    changes.into_iter().map(edit).collect()
}
