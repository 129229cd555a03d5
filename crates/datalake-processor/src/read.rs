//! Reads changed sources: one request each, with the listed tag as its condition, so that bytes and tag belong together.

use std::{
    collections::HashMap,
    sync::{Mutex as StdMutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use datalake_core::{
    image,
    plan::{SourceChange, SourceObject, UserChange},
    reject::{Notice, Reject, RejectCode},
    source::{self, Accepted, SourceParser},
    user::{UserId, UserRecord},
};
use datalake_store::{
    bucket::{Bucket, Etag, Metadata},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::blocking::blocking;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{changes::source_object, image_budget::ImageBudget, options::Progress};

/// Requests in flight. Reading small objects is bound by the store's latency; past 64 the stores measured gained nothing.
const READS_IN_FLIGHT_MAX: usize = 64;

/// How often a source that changes while it is read is read again, before it is rejected as `unstable`.
const READ_ATTEMPTS_MAX: u32 = 4;

/// What came of a change of a CSV.
#[derive(Clone, Debug)]
pub(crate) enum CsvRead {
    /// Not read: it is the same.
    Same,
    /// Gone before the run or under its hands.
    Gone,
    Good {
        record: UserRecord,
        notices: Vec<Notice>,
        object: SourceObject,
    },
    Rejected {
        reject: Reject,
        object: SourceObject,
    },
}

/// What came of a change of an image.
#[derive(Clone, Debug)]
pub(crate) enum ImageRead {
    /// Not read: it is the same.
    Same,
    /// Gone before the run or under its hands.
    Gone,
    Good {
        image: ImageBytes,
        object: SourceObject,
    },
    Rejected {
        reject: Reject,
        object: SourceObject,
    },
}

/// What tells whether a copy holds an image, without holding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageBytes {
    /// Bytes up to the end of the image. What follows in the source is not part of it.
    pub(crate) length: u64,
    /// SHA-256 of these bytes.
    pub(crate) digest: [u8; 32],
}

impl ImageBytes {
    fn new(bytes: &[u8]) -> Self {
        Self {
            length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            digest: Sha256::digest(bytes).into(),
        }
    }
}

/// What came of one user's change.
#[derive(Clone, Debug)]
pub(crate) struct UserRead {
    pub(crate) user_id: UserId,
    pub(crate) csv: CsvRead,
    pub(crate) image: ImageRead,
}

/// So many outcomes stay at hand for a run that begins again. The run that won has recorded most of what both have read, so that a new
/// plan seldom asks for more; and a first run over millions of sources is not to remember them all.
const VERDICTS_MAX: usize = 10_000;

/// What was read of a key under a tag: still at hand when a commit is lost and the run begins again.
type Verdicts<T> = Mutex<HashMap<(Box<str>, Box<str>), Result<T, Reject>>>;

/// A lock that is held for a push or a look only. A panic under it leaves what it guards whole.
#[derive(Debug, Default)]
struct Mutex<T>(StdMutex<T>);

impl<T> Mutex<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads sources, and remembers what it read.
pub(crate) struct Reader<'a> {
    bucket: &'a dyn Bucket,
    run_at: Timestamp,
    parsers: Mutex<Vec<SourceParser>>,
    csv_verdicts: Verdicts<Accepted>,
    image_verdicts: Verdicts<ImageBytes>,
    /// The first failure to read a source that may be due to the source alone.
    denied: Mutex<Option<StoreError>>,
    image_budget: ImageBudget,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bucket: &'a dyn Bucket, run_at: Timestamp) -> Self {
        Self {
            bucket,
            run_at,
            parsers: Mutex::default(),
            csv_verdicts: Mutex::default(),
            image_verdicts: Mutex::default(),
            denied: Mutex::default(),
            image_budget: ImageBudget::default(),
        }
    }

    /// The lake's objects.
    pub(crate) fn bucket(&self) -> &dyn Bucket {
        self.bucket
    }

    /// Reads the sources of every change, in no particular order, and returns the outcomes sorted by user id. Fails if most of the `listed` sources
    /// cannot be read.
    pub(crate) async fn read_all(
        &self,
        changes: Vec<UserChange>,
        listed: u64,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Vec<UserRead>, StoreError> {
        let total = changes.len();
        let mut reads = Vec::with_capacity(total);
        let mut outcomes = stream::iter(changes)
            .map(|change| self.read_user(change))
            .buffer_unordered(READS_IN_FLIGHT_MAX);
        while let Some(read) = outcomes.try_next().await? {
            reads.push(read);
            progress(Progress::Read { users: reads.len(), total });
        }
        drop(outcomes);
        reads.sort_unstable_by(|a: &UserRead, b| a.user_id.cmp(&b.user_id));
        self.require_readable(&reads, listed)?;
        Ok(reads)
    }

    async fn read_user(&self, change: UserChange) -> Result<UserRead, StoreError> {
        let csv = match change.csv {
            SourceChange::Unchanged => CsvRead::Same,
            SourceChange::Removed => CsvRead::Gone,
            SourceChange::Read(object) => self.read_csv(object).await?,
        };
        let image = match change.image {
            SourceChange::Unchanged => ImageRead::Same,
            SourceChange::Removed => ImageRead::Gone,
            SourceChange::Read(object) => self.read_image(object).await?,
        };
        Ok(UserRead {
            user_id: change.user_id,
            csv,
            image,
        })
    }

    async fn read_csv(&self, object: SourceObject) -> Result<CsvRead, StoreError> {
        let parse = |bytes: Bytes| {
            // Parsers keep their buffers; as many are created as parse at one time.
            let mut parser = self.parsers.lock().pop().unwrap_or_default();
            let verdict = parser.parse(&bytes, self.run_at);
            self.parsers.lock().push(parser);
            std::future::ready(verdict)
        };
        let limit = Limit {
            reject: source::too_large,
            budget: None,
        };
        Ok(match self.judge(object, limit, &self.csv_verdicts, parse).await? {
            Judged::Gone => CsvRead::Gone,
            Judged::Good(object, Accepted { record, notices }) => CsvRead::Good { record, notices, object },
            Judged::Rejected(object, reject) => CsvRead::Rejected { reject, object },
        })
    }

    async fn read_image(&self, object: SourceObject) -> Result<ImageRead, StoreError> {
        // The largest images take tenths of a second.
        let check = |bytes: Bytes| blocking(move || image::check(&bytes).map(|image| ImageBytes::new(&bytes[..image.length])));
        let limit = Limit {
            reject: image::too_large_bytes,
            budget: Some(&self.image_budget),
        };
        Ok(match self.judge(object, limit, &self.image_verdicts, check).await? {
            Judged::Gone => ImageRead::Gone,
            Judged::Good(object, image) => ImageRead::Good { image, object },
            Judged::Rejected(object, reject) => ImageRead::Rejected { reject, object },
        })
    }

    /// What an object was put with, if it holds this image. No more of it is fetched than that.
    pub(crate) async fn holds(&self, key: &str, image: &ImageBytes) -> Result<Option<Metadata>, StoreError> {
        let _permit = self.image_budget.acquire(image.length).await;
        match self.bucket.get(key, None, Some(0..image.length)).await {
            Ok(found) if found.meta.size == image.length && ImageBytes::new(&found.bytes) == *image => Ok(Some(found.metadata)),
            // Of an empty object there is no range.
            Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object under its tag. One that was replaced since is described again and read under the new tag.
    async fn judge<T: Clone, F: Future<Output = Result<T, Reject>>>(
        &self,
        mut object: SourceObject,
        limit: Limit<'_>,
        verdicts: &Verdicts<T>,
        check: impl Fn(Bytes) -> F,
    ) -> Result<Judged<T>, StoreError> {
        for _ in 0..READ_ATTEMPTS_MAX {
            if let Some(reject) = (limit.reject)(object.size) {
                return Ok(Judged::Rejected(object, reject));
            }
            let state = (object.key.clone(), object.etag.clone());
            if let Some(verdict) = verdicts.lock().get(&state).cloned() {
                return Ok(Judged::new(object, verdict));
            }
            let _permit = match limit.budget {
                Some(budget) => Some(budget.acquire(object.size).await),
                None => None,
            };
            let etag = Etag::new(&object.etag);
            let condition = Some(&etag).filter(|_| !simulation::has(Bug::SourceReadIsUnconditional));
            match self.bucket.get(&object.key, condition, None).await {
                Ok(found) => {
                    let verdict = check(found.bytes).await;
                    let mut verdicts = verdicts.lock();
                    if verdicts.len() < VERDICTS_MAX {
                        verdicts.insert(state, verdict.clone());
                    }
                    return Ok(Judged::new(object, verdict));
                }
                Err(StoreError::NotFound { .. }) => return Ok(Judged::Gone),
                Err(StoreError::Conflict { .. }) => match self.bucket.head(&object.key).await {
                    Ok(head) => object = source_object(head.meta),
                    Err(StoreError::NotFound { .. }) => return Ok(Judged::Gone),
                    Err(error) => return Err(error),
                },
                Err(error) => return self.unreadable(object, error),
            }
        }
        tracing::warn!(source.key = %object.key, "source changed during each attempt to read it");
        Ok(Judged::Rejected(object, Reject::unstable(READ_ATTEMPTS_MAX)))
    }

    /// The reject of an object that the store does not let this run read, which may be due to the object alone.
    fn unreadable<T>(&self, object: SourceObject, error: StoreError) -> Result<Judged<T>, StoreError> {
        // A store rejects a request for one object as invalid too: one that is encrypted with a key of its owner, for example.
        let (StoreError::Denied { reason, .. } | StoreError::Invalid { reason, .. }) = &error else {
            return Err(error);
        };
        let reject = Reject::unreadable(reason);
        tracing::warn!(source.key = %object.key, cause = reason, "source cannot be read");
        self.denied.lock().get_or_insert(error);
        Ok(Judged::Rejected(object, reject))
    }

    /// The first error of a source that could not be read, if these are most of `listed` sources: then the cause is not in the sources.
    fn require_readable(&self, reads: &[UserRead], listed: u64) -> Result<(), StoreError> {
        let is_unreadable = |reject: &Reject| reject.code == RejectCode::Unreadable;
        let csv = reads
            .iter()
            .filter(|read| matches!(&read.csv, CsvRead::Rejected { reject, .. } if is_unreadable(reject)));
        let images = reads
            .iter()
            .filter(|read| matches!(&read.image, ImageRead::Rejected { reject, .. } if is_unreadable(reject)));
        let unreadable = u64::try_from(csv.count() + images.count()).unwrap_or(u64::MAX);
        match self.denied.lock().take() {
            Some(error) if unreadable.saturating_mul(2) > listed => Err(error),
            _ => Ok(()),
        }
    }
}

/// An object that is too large is rejected from its listed size, and never fetched.
#[derive(Clone, Copy)]
struct Limit<'a> {
    reject: fn(u64) -> Option<Reject>,
    /// The memory for its bytes; none for sources so small that any number in flight is.
    budget: Option<&'a ImageBudget>,
}

enum Judged<T> {
    Good(SourceObject, T),
    Rejected(SourceObject, Reject),
    Gone,
}

impl<T> Judged<T> {
    fn new(object: SourceObject, verdict: Result<T, Reject>) -> Self {
        match verdict {
            Ok(good) => Self::Good(object, good),
            Err(reject) => Self::Rejected(object, reject),
        }
    }
}
