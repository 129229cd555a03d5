//! Reads changed sources: one request each, on condition of the listed ETag, so that the bytes belong to the ETag.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use datalake_core::{
    count::count,
    dataset::{Dataset, Value},
    file_check,
    plan::{RowPlan, SourceChange, SourceObject},
    reject::{Notice, Reject, RejectCode},
    row::Row,
    row_id::RowId,
    source::{self, KeyParser, ParsedRow, RowParser},
};
use datalake_store::{
    bucket::{Bucket, Etag, Metadata},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::blocking::blocking;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::{
    file_budget::FileBudget,
    options::{OnProgress, Progress},
    source_changes::source_object,
};

/// Requests in flight. The store's latency limits the reading of small objects; more than 64 requests were not faster in measurements.
const READS_IN_FLIGHT_MAX: usize = 64;

/// Attempts to read a source that is replaced during each of them, before it is rejected as `unstable`.
const READ_ATTEMPTS_MAX: u32 = 4;

/// The outcome of reading a changed CSV.
#[derive(Clone, Debug)]
pub(crate) enum CsvRead {
    /// It has not changed, and was not read.
    Same,
    /// It was not listed, or was removed before it was read.
    Gone,
    Valid {
        values: Vec<Option<Value>>,
        notices: Vec<Notice>,
        object: SourceObject,
    },
    Rejected {
        reject: Reject,
        object: SourceObject,
    },
}

/// The outcome of reading a changed file.
#[derive(Clone, Debug)]
pub(crate) enum FileRead {
    /// It has not changed, and was not read.
    Same,
    /// It was not listed, or was removed before it was read.
    Gone,
    Valid {
        bytes: FileBytes,
        object: SourceObject,
    },
    Rejected {
        reject: Reject,
        object: SourceObject,
    },
}

/// Identifies the bytes of a file without keeping them in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileBytes {
    /// Bytes up to the end of an image. The source may contain more.
    pub(crate) length: u64,
    /// SHA-256 of these bytes.
    pub(crate) digest: [u8; 32],
}

impl FileBytes {
    fn new(bytes: &[u8]) -> Self {
        Self {
            length: count(bytes.len()),
            digest: Sha256::digest(bytes).into(),
        }
    }
}

/// The outcome of reading the changed sources of a row.
#[derive(Clone, Debug)]
pub(crate) struct RowRead {
    pub(crate) row_id: RowId,
    pub(crate) csv: CsvRead,
    /// In the order of the declaration. Files beyond the end are as before.
    pub(crate) files: Box<[FileRead]>,
}

impl RowRead {
    /// The outcome for a file, by its index in the declaration.
    pub(crate) fn file(&self, index: usize) -> &FileRead {
        self.files.get(index).unwrap_or(&FileRead::Same)
    }

    /// Whether there is a row with this ID after the run.
    pub(crate) fn has_row_after(&self, old_rows: &BTreeMap<RowId, Row>) -> bool {
        match self.csv {
            CsvRead::Gone => false,
            CsvRead::Valid { .. } => true,
            CsvRead::Same | CsvRead::Rejected { .. } => old_rows.contains_key(&self.row_id),
        }
    }
}

/// The maximum number of cached outcomes. A run that starts over after a conflict plans few other sources, because the other run has recorded most of
/// what both have read. A first run over millions of sources must not keep all outcomes in memory.
const CACHED_OUTCOMES_MAX: usize = 10_000;

/// The outcomes of reading, by key and ETag, for a later attempt of the run.
type OutcomeCache<T> = Mutex<HashMap<(Box<str>, Box<str>), Result<T, Reject>>>;

/// Reads sources, and caches the outcomes.
pub(crate) struct Reader<'a> {
    bucket: &'a dyn Bucket,
    dataset: &'a Arc<Dataset>,
    run_at: Timestamp,
    keys: KeyParser<'a>,
    parsers: Mutex<Vec<RowParser<'a>>>,
    csv_outcomes: OutcomeCache<ParsedRow>,
    file_outcomes: OutcomeCache<FileBytes>,
    /// The first error that may have its cause in one source.
    denied: Mutex<Option<StoreError>>,
    file_budget: FileBudget,
    decoder_budget: FileBudget,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bucket: &'a dyn Bucket, dataset: &'a Arc<Dataset>, run_at: Timestamp) -> Self {
        Self {
            bucket,
            dataset,
            run_at,
            keys: KeyParser::new(dataset),
            parsers: Mutex::default(),
            csv_outcomes: Mutex::default(),
            file_outcomes: Mutex::default(),
            denied: Mutex::default(),
            file_budget: FileBudget::for_bytes(),
            decoder_budget: FileBudget::for_decoders(),
        }
    }

    /// The declaration of the sources.
    pub(crate) fn dataset(&self) -> &Dataset {
        self.dataset
    }

    /// The lake's objects.
    pub(crate) fn bucket(&self) -> &dyn Bucket {
        self.bucket
    }

    /// Reads the sources of all changes, in no particular order, and returns the outcomes sorted by ID. Fails if most of the `listed` sources
    /// cannot be read.
    pub(crate) async fn read_all(&self, changes: Vec<RowPlan>, listed: u64, progress: &OnProgress) -> Result<Vec<RowRead>, StoreError> {
        let total = changes.len();
        progress(Progress::Read { done: 0, total });
        let mut reads = Vec::with_capacity(total);
        let mut outcomes = stream::iter(changes)
            .map(|change| self.read_row(change))
            .buffer_unordered(READS_IN_FLIGHT_MAX);
        while let Some(read) = outcomes.try_next().await? {
            reads.push(read);
            progress(Progress::Read { done: reads.len(), total });
        }
        drop(outcomes);
        reads.sort_unstable_by(|a: &RowRead, b| a.row_id.cmp(&b.row_id));
        self.require_readable(&reads, listed)?;
        Ok(reads)
    }

    async fn read_row(&self, change: RowPlan) -> Result<RowRead, StoreError> {
        let csv = match change.csv {
            SourceChange::Unchanged => CsvRead::Same,
            SourceChange::Removed => CsvRead::Gone,
            SourceChange::Read(object) => self.read_csv(object).await?,
        };
        let mut files = Vec::with_capacity(change.files.len());
        for (index, file) in change.files.into_iter().enumerate() {
            files.push(match file {
                SourceChange::Unchanged => FileRead::Same,
                SourceChange::Removed => FileRead::Gone,
                SourceChange::Read(object) => self.read_file(index, object).await?,
            });
        }
        Ok(RowRead {
            row_id: change.row_id,
            csv,
            files: files.into(),
        })
    }

    async fn read_csv(&self, object: SourceObject) -> Result<CsvRead, StoreError> {
        if let Err(reject) = self.values_of_key(&object.key) {
            return Ok(CsvRead::Rejected { reject, object });
        }
        let parse = |bytes: Bytes| {
            // Parsers keep their buffers. There is one for each thread that parses at the same time.
            let parser = self.parsers.lock().pop();
            let mut parser = parser.unwrap_or_else(|| RowParser::new(self.dataset));
            let parsed = parser.parse(&bytes, self.run_at);
            self.parsers.lock().push(parser);
            std::future::ready(parsed)
        };
        let limit = Limit {
            reject: &|size| source::too_large(self.dataset.entity(), size),
            budget: None,
        };
        Ok(match self.read_validated(object, limit, &self.csv_outcomes, parse).await? {
            ReadOutcome::Gone => CsvRead::Gone,
            // The key is that of the object that was parsed above.
            ReadOutcome::Valid(object, ParsedRow { values, notices }) => match self.values_of_key(&object.key) {
                Ok(mut all) => {
                    all.extend(values);
                    CsvRead::Valid {
                        values: all,
                        notices,
                        object,
                    }
                }
                Err(reject) => CsvRead::Rejected { reject, object },
            },
            ReadOutcome::Rejected(object, reject) => CsvRead::Rejected { reject, object },
            ReadOutcome::KeepsChanging(object) => CsvRead::Rejected {
                reject: Reject::unstable(READ_ATTEMPTS_MAX),
                object,
            },
        })
    }

    /// The values of a key that rows store, or the reject of a key with a value that is not of its type or violates a constraint.
    fn values_of_key(&self, key: &str) -> Result<Vec<Option<Value>>, Reject> {
        let Ok(found) = self.dataset.key().match_key(key) else {
            return Ok(Vec::new());
        };
        let values = self.keys.parse(&found.values, self.run_at)?.into_iter().enumerate();
        let stored = values.filter(|(index, _)| self.dataset.stored_index(*index).is_some());
        Ok(stored.map(|(_, value)| Some(value)).collect())
    }

    async fn read_file(&self, index: usize, object: SourceObject) -> Result<FileRead, StoreError> {
        // The check of the largest images takes seconds.
        let check = async |bytes: Bytes| {
            let dataset = Arc::clone(self.dataset);
            let _permit = match file_check::memory(&dataset.files()[index], &bytes) {
                0 => None,
                memory => Some(self.decoder_budget.acquire(memory).await),
            };
            blocking(move || file_check::check(&dataset.files()[index], &bytes).map(|length| FileBytes::new(&bytes[..length]))).await
        };
        let limit = Limit {
            reject: &|size| file_check::too_large(&self.dataset.files()[index], size),
            budget: Some(&self.file_budget),
        };
        Ok(match self.read_validated(object, limit, &self.file_outcomes, check).await? {
            ReadOutcome::Gone => FileRead::Gone,
            ReadOutcome::Valid(object, bytes) => FileRead::Valid { bytes, object },
            ReadOutcome::Rejected(object, reject) => FileRead::Rejected { reject, object },
            ReadOutcome::KeepsChanging(object) => FileRead::Rejected {
                reject: Reject::unstable(READ_ATTEMPTS_MAX),
                object,
            },
        })
    }

    /// The metadata of a copy, if it has exactly these bytes. Reads at most their length.
    pub(crate) async fn read_copy(&self, key: &str, bytes: &FileBytes) -> Result<Option<Metadata>, StoreError> {
        let _permit = self.file_budget.acquire(bytes.length).await;
        match self.bucket.get(key, None, Some(0..bytes.length)).await {
            Ok(found) if found.meta.size == bytes.length && FileBytes::new(&found.bytes) == *bytes => Ok(Some(found.metadata)),
            // A range of an empty object is invalid.
            Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads and validates an object on condition of its ETag. If it was replaced, reads it again on condition of the new ETag.
    async fn read_validated<T: Clone, F: Future<Output = Result<T, Reject>>>(
        &self,
        mut object: SourceObject,
        limit: Limit<'_>,
        cache: &OutcomeCache<T>,
        validate: impl Fn(Bytes) -> F,
    ) -> Result<ReadOutcome<T>, StoreError> {
        for _ in 0..READ_ATTEMPTS_MAX {
            if let Some(reject) = (limit.reject)(object.size) {
                return Ok(ReadOutcome::Rejected(object, reject));
            }
            let version = (object.key.clone(), object.etag.clone());
            if let Some(cached) = cache.lock().get(&version).cloned() {
                return Ok(ReadOutcome::new(object, cached));
            }
            let _permit = match limit.budget {
                Some(budget) => Some(budget.acquire(object.size).await),
                None => None,
            };
            let etag = Etag::new(&object.etag);
            let condition = Some(&etag).filter(|_| !simulation::has(Bug::SourceReadIsUnconditional));
            match self.bucket.get(&object.key, condition, None).await {
                Ok(found) => {
                    let validated = validate(found.bytes).await;
                    let mut cache = cache.lock();
                    if cache.len() < CACHED_OUTCOMES_MAX {
                        cache.insert(version, validated.clone());
                    }
                    return Ok(ReadOutcome::new(object, validated));
                }
                Err(StoreError::NotFound { .. }) => return Ok(ReadOutcome::Gone),
                Err(StoreError::Conflict { .. }) => match self.bucket.head(&object.key).await {
                    Ok(head) => object = source_object(head.meta),
                    Err(StoreError::NotFound { .. }) => return Ok(ReadOutcome::Gone),
                    Err(error) => return Err(error),
                },
                Err(error) => return self.unreadable(object, error),
            }
        }
        tracing::warn!(source.key = %object.key, "source changed during each attempt to read it");
        Ok(ReadOutcome::KeepsChanging(object))
    }

    /// The reject of an object that this run may not read, if the cause may be in the object.
    fn unreadable<T>(&self, object: SourceObject, error: StoreError) -> Result<ReadOutcome<T>, StoreError> {
        // A request can also be invalid for one object, for example if the object is encrypted with a key that the client has to send.
        let (StoreError::Denied { reason, .. } | StoreError::Invalid { reason, .. }) = &error else {
            return Err(error);
        };
        let reject = Reject::unreadable(reason);
        tracing::warn!(source.key = %object.key, cause = reason, "source cannot be read");
        self.denied.lock().get_or_insert(error);
        Ok(ReadOutcome::Rejected(object, reject))
    }

    /// Returns the first error if most of the `listed` sources could not be read: then the cause is not in the sources.
    fn require_readable(&self, reads: &[RowRead], listed: u64) -> Result<(), StoreError> {
        let is_unreadable = |reject: &Reject| reject.code == RejectCode::Unreadable;
        let csv = reads
            .iter()
            .filter(|read| matches!(&read.csv, CsvRead::Rejected { reject, .. } if is_unreadable(reject)));
        let files = { reads.iter().flat_map(|read| &read.files) }
            .filter(|file| matches!(file, FileRead::Rejected { reject, .. } if is_unreadable(reject)));
        let unreadable = count(csv.count() + files.count());
        match self.denied.lock().take() {
            Some(error) if unreadable.saturating_mul(2) > listed => Err(error),
            _ => Ok(()),
        }
    }
}

/// Limits of a kind of source. An object that is too large is rejected by its listed size, and never read.
#[derive(Clone, Copy)]
struct Limit<'a> {
    reject: &'a (dyn Fn(u64) -> Option<Reject> + Sync),
    /// The memory for its bytes; none for sources that are so small that the number of requests limits them.
    budget: Option<&'a FileBudget>,
}

enum ReadOutcome<T> {
    Valid(SourceObject, T),
    Rejected(SourceObject, Reject),
    Gone,
    /// It was replaced during each attempt to read it.
    KeepsChanging(SourceObject),
}

impl<T> ReadOutcome<T> {
    fn new(object: SourceObject, validated: Result<T, Reject>) -> Self {
        match validated {
            Ok(valid) => Self::Valid(object, valid),
            Err(reject) => Self::Rejected(object, reject),
        }
    }
}
