//! A lake for tests, the edits of its sources, and what readers see of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use datalake_core::{
    dataset::{Dataset, KeyParts},
    keys,
    plan::DeletionGuard,
    run::{RunId, RunMode, RunOutcome, RunReport},
};
use datalake_processor::{
    options::{Lake, RunOptions},
    run,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::{EtagInput, MemoryBucket},
    request_counter::RequestCounter,
};
use datalake_table::table::Table;
use futures_util::{FutureExt, TryStreamExt};
use jiff::Timestamp;

/// The folder of the copies of linked images.
pub(crate) const COPIES: &str = "processed_data/images/";

/// The key of the copy of a user's image.
pub(crate) fn copy_key(user_id: &str) -> String {
    Dataset::users().files()[0].path(user_id).concat()
}

/// 2026-11-24T00:00:00Z
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_795_478_400).unwrap()
}

pub(crate) fn run_id() -> RunId {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    RunId::parse(&format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// The options of most tests. Other tests cover the guards.
pub(crate) fn options(mode: RunMode) -> RunOptions {
    RunOptions {
        mode,
        deletion_guard: DeletionGuard::Off,
        reject_ratio_max: "1".parse().unwrap(),
        recheck_after: std::time::Duration::ZERO,
        ..RunOptions::new(run_id(), now)
    }
}

pub(crate) struct TestLake {
    pub(crate) lake: Lake,
    /// The store, if it is in memory.
    memory: Option<MemoryBucket>,
}

impl TestLake {
    pub(crate) fn new() -> Self {
        Self::with_etags_of(EtagInput::default())
    }

    pub(crate) fn with_etags_of(etags: EtagInput) -> Self {
        let requests = Arc::new(RequestCounter::default());
        let memory = MemoryBucket::with_counter(Arc::clone(&requests)).with_etags_of(etags);
        Self {
            memory: Some(memory.clone()),
            ..Self::over(Arc::new(memory), requests)
        }
    }

    pub(crate) fn over(bucket: Arc<dyn Bucket>, requests: Arc<RequestCounter>) -> Self {
        Self {
            lake: Lake { bucket, requests },
            memory: None,
        }
    }

    /// A lake in a store with faults. Requests are not counted.
    pub(crate) fn with_faults(faulty: Faulty, memory: &MemoryBucket) -> Self {
        Self {
            memory: Some(memory.clone()),
            ..Self::over(Arc::new(faulty), Arc::default())
        }
    }

    /// Sets the store's clock.
    pub(crate) fn advance_to(&self, at: Timestamp) {
        self.memory.as_ref().expect("the store is in memory").advance_to(at);
    }

    pub(crate) fn bucket(&self) -> &dyn Bucket {
        self.lake.bucket.as_ref()
    }

    pub(crate) fn table(&self) -> Table {
        Table::new(Arc::clone(&self.lake.bucket))
    }

    pub(crate) async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.bucket()
            .put(&keys::source(name), bytes.into(), PutMode::Replace, &Metadata::new())
            .await
            .unwrap();
    }

    /// Puts the same bytes again. The ETag differs if the store derives it from more than the bytes.
    pub(crate) async fn touch(&self, name: &str, salt: &str) {
        let key = keys::source(name);
        if let Ok(object) = self.bucket().get(&key, None, None).await {
            let metadata = Metadata::from([("salt".to_owned(), salt.to_owned())]);
            self.bucket().put(&key, object.bytes, PutMode::Replace, &metadata).await.unwrap();
        }
    }

    pub(crate) async fn remove(&self, name: &str) {
        self.bucket().delete(&keys::source(name), None).await.unwrap();
    }

    pub(crate) async fn run_with(&self, options: &RunOptions) -> RunReport {
        run::run(&self.lake, options).await
    }

    #[track_caller]
    pub(crate) fn run(&self) -> impl Future<Output = RunReport> {
        self.run_in(RunMode::Incremental)
    }

    #[track_caller]
    pub(crate) fn run_in(&self, mode: RunMode) -> impl Future<Output = RunReport> {
        let caller = std::panic::Location::caller();
        async move {
            let report = self.run_with(&options(mode)).await;
            assert_eq!((report.outcome, &report.error), (RunOutcome::Succeeded, &None), "run at {caller}");
            report
        }
    }

    pub(crate) async fn text(&self, key: &str) -> Option<String> {
        let object = self.bucket().get(key, None, None).await.ok()?;
        Some(String::from_utf8(object.bytes.to_vec()).unwrap())
    }

    pub(crate) async fn output(&self) -> String {
        self.text(keys::OUTPUT).await.unwrap_or_default()
    }

    /// The objects under a prefix, by key.
    pub(crate) async fn objects(&self, prefix: &str) -> BTreeMap<String, Bytes> {
        let listed: Vec<_> = self.bucket().list(prefix, None).try_collect().await.unwrap();
        let mut objects = BTreeMap::new();
        for meta in listed {
            objects.insert(meta.key.clone(), self.bucket().get(&meta.key, None, None).await.unwrap().bytes);
        }
        objects
    }

    /// The rejected and ignored sources as `name code`.
    pub(crate) async fn rejects(&self) -> Vec<String> {
        let table = self.table();
        let version = table.latest().await.unwrap().expect("there is a table");
        let name = |key: &str| key.strip_prefix(keys::SOURCES).unwrap_or(key).to_owned();
        table
            .rejects(&version)
            .await
            .unwrap()
            .iter()
            .map(|open| format!("{} {}", name(&open.key), open.exclusion.code()))
            .collect()
    }

    /// The rows of the table, as lines like those of `output.csv` without quotes.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let table = self.table();
        let Some(version) = table.latest().await.unwrap() else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        let mut batches = table.all_rows(&version);
        while let Some(batch) = batches.try_next().await.unwrap() {
            for row in batch.iter() {
                let image = row.path(0).map(KeyParts::concat).unwrap_or_default();
                let values = [0, 1, 2, 3].map(|column| row.value(column).unwrap().to_string());
                rows.push(format!("{},{image}", values.join(",")));
            }
        }
        rows
    }
}

/// A lake in a store without faults. Requests are not counted.
pub(crate) fn plain(bucket: &MemoryBucket) -> TestLake {
    TestLake {
        memory: Some(bucket.clone()),
        ..TestLake::over(Arc::new(bucket.clone()), Arc::default())
    }
}

/// A lake in a store that does `work` before the first operation of a kind on a key.
pub(crate) fn before_first<F: Future<Output = ()> + Send + 'static>(
    bucket: &MemoryBucket,
    kind: OperationKind,
    key: &str,
    work: impl Fn(MemoryBucket) -> F + Send + Sync + 'static,
) -> TestLake {
    let (other, key) = (bucket.clone(), key.to_owned());
    let is_done = AtomicBool::new(false);
    let hook = move |operation: Operation| {
        let is_first = operation.kind == kind && operation.key == key && !is_done.swap(true, Ordering::SeqCst);
        let work = is_first.then(|| work(other.clone()));
        async move {
            if let Some(work) = work {
                work.await;
            }
        }
        .boxed()
    };
    TestLake::with_faults(Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook), bucket)
}

pub(crate) fn csv(first_name: &str, last_name: &str, birthts: i64) -> String {
    format!("first_name, last_name, birthts\n{first_name}, {last_name}, {birthts}\n")
}

/// A valid PNG that differs by `content`.
pub(crate) fn png(content: &str) -> Vec<u8> {
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0];
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let checked = [kind.as_slice(), content].concat();
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [length.as_slice(), &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
    };
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"tEXt", content.as_bytes()),
        // One black pixel.
        chunk(b"IDAT", b"\x78\x01\x01\x04\0\xfb\xff\0\0\0\0\0\x04\0\x01"),
        chunk(b"IEND", b""),
    ]
    .concat()
}

/// A lake after one run and every kind of edit.
pub(crate) async fn edited(etags: EtagInput) -> MemoryBucket {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    let lake = plain(&bucket);
    for id in ["1", "2", "3", "4", "7"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.run().await;
    lake.put("1.csv", csv("Ada", "Changed", 1)).await;
    lake.put("1.png", png("changed")).await;
    lake.remove("2.csv").await;
    lake.remove("3.png").await;
    lake.put("4.csv", "broken").await;
    lake.put("5.csv", csv("Eve", "New", 5)).await;
    lake.put("5.png", png("5")).await;
    lake.put("7.png", png("replaced")).await;
    bucket
}

/// Does `work` on another thread, like another process.
pub(crate) async fn on_other_thread<T: Send + 'static, F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> T {
    let run = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What readers see: `output.csv`, rows, rejects.
pub(crate) async fn visible_state(bucket: &MemoryBucket) -> (String, Vec<String>, Vec<String>) {
    let lake = plain(bucket);
    (lake.output().await, lake.rows().await, lake.rejects().await)
}
