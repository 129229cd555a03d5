//! Reads changed sources: one request each, with the listed tag as its condition, so that bytes and tag belong together.

use std::{
    collections::HashMap,
    sync::{Mutex as StdMutex, MutexGuard, PoisonError},
};

use datalake_core::{
    picture,
    plan::{SourceChange, SourceObject, UserChange},
    reject::{Notice, Reject},
    source::{self, Accepted, SourceParser},
    user::{UserId, UserRecord},
};
use datalake_store::{
    bucket::{Bucket, Etag, Metadata},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{changes::source_object, options::Progress};

/// Requests in flight. Reading small objects is bound by the store's latency; past 64 the stores measured gained nothing.
const READS_IN_FLIGHT_MAX: usize = 64;

/// Bytes of pictures held at once, in KiB. Seven of the largest; and of usual ones as many as there are requests in flight.
const IMAGE_KIB_IN_FLIGHT_MAX: u16 = 63 * 1024;

/// How often a source that is replaced again and again is read anew. The next run sees it if it never rests in this one.
const READ_ATTEMPTS_MAX: u32 = 4;

/// What came of a change of a CSV.
#[derive(Clone, Debug)]
pub(crate) enum CsvRead {
    /// Not read: it is the same, or would not rest.
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

/// What came of a change of a picture.
#[derive(Clone, Debug)]
pub(crate) enum ImageRead {
    /// Not read: it is the same, or would not rest.
    Same,
    /// Gone before the run or under its hands.
    Gone,
    Good {
        digest: ImageDigest,
        object: SourceObject,
    },
    Rejected {
        reject: Reject,
        object: SourceObject,
    },
}

/// SHA-256 of a picture's bytes: tells whether a copy holds them, without holding them.
pub(crate) type ImageDigest = [u8; 32];

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
    image_verdicts: Verdicts<ImageDigest>,
    /// A permit is room for a KiB of a picture.
    image_room: Semaphore,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bucket: &'a dyn Bucket, run_at: Timestamp) -> Self {
        Self {
            bucket,
            run_at,
            parsers: Mutex::default(),
            csv_verdicts: Mutex::default(),
            image_verdicts: Mutex::default(),
            image_room: Semaphore::new(IMAGE_KIB_IN_FLIGHT_MAX.into()),
        }
    }

    /// The lake's objects.
    pub(crate) fn bucket(&self) -> &dyn Bucket {
        self.bucket
    }

    /// Reads the sources of every change, in no particular order, and gives the outcomes sorted by user id.
    pub(crate) async fn read_all(
        &self,
        changes: Vec<UserChange>,
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
        Ok(reads)
    }

    async fn read_user(&self, change: UserChange) -> Result<UserRead, StoreError> {
        let csv = match change.csv {
            SourceChange::Same => CsvRead::Same,
            SourceChange::Gone => CsvRead::Gone,
            SourceChange::Read(object) => self.read_csv(object).await?,
        };
        let image = match change.image {
            SourceChange::Same => ImageRead::Same,
            SourceChange::Gone => ImageRead::Gone,
            SourceChange::Read(object) => self.read_image(object).await?,
        };
        Ok(UserRead {
            user_id: change.user_id,
            csv,
            image,
        })
    }

    async fn read_csv(&self, object: SourceObject) -> Result<CsvRead, StoreError> {
        let parse = |bytes: &[u8]| {
            // Parsers keep their buffers; as many come to be as parse at one time.
            let mut parser = self.parsers.lock().pop().unwrap_or_default();
            let verdict = parser.parse(bytes, self.run_at);
            self.parsers.lock().push(parser);
            verdict
        };
        let limit = Limit {
            bytes_max: source::CSV_BYTES_MAX,
            reject: source::too_large,
            room: None,
        };
        Ok(match self.judge(object, limit, &self.csv_verdicts, parse).await? {
            Judged::Gone => CsvRead::Gone,
            Judged::Restless => CsvRead::Same,
            Judged::Good(object, Accepted { record, notices }) => CsvRead::Good { record, notices, object },
            Judged::Rejected(object, reject) => CsvRead::Rejected { reject, object },
        })
    }

    async fn read_image(&self, object: SourceObject) -> Result<ImageRead, StoreError> {
        let check = |bytes: &[u8]| picture::check(bytes).map(|()| digest(bytes));
        let limit = Limit {
            bytes_max: picture::IMAGE_BYTES_MAX,
            reject: picture::too_large_bytes,
            room: Some(&self.image_room),
        };
        Ok(match self.judge(object, limit, &self.image_verdicts, check).await? {
            Judged::Gone => ImageRead::Gone,
            Judged::Restless => ImageRead::Same,
            Judged::Good(object, digest) => ImageRead::Good { digest, object },
            Judged::Rejected(object, reject) => ImageRead::Rejected { reject, object },
        })
    }

    /// What an object was put with, if it holds the picture of this size and digest. No more of it is fetched than that.
    pub(crate) async fn holds(&self, key: &str, size: u64, digest: &ImageDigest) -> Result<Option<Metadata>, StoreError> {
        let _room = self.image_room.acquire_many(kib(size)).await.expect("nobody closes it");
        match self.bucket.get(key, None, Some(0..size)).await {
            Ok(found) if found.meta.size == size && self::digest(&found.bytes) == *digest => Ok(Some(found.metadata)),
            // Of an empty object there is no range.
            Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object under its tag. One that was replaced since is described again and read under the new tag.
    async fn judge<T: Clone>(
        &self,
        mut object: SourceObject,
        limit: Limit<'_>,
        verdicts: &Verdicts<T>,
        check: impl Fn(&[u8]) -> Result<T, Reject>,
    ) -> Result<Judged<T>, StoreError> {
        for _ in 0..READ_ATTEMPTS_MAX {
            if object.size > limit.bytes_max {
                return Ok(Judged::Rejected(object, (limit.reject)()));
            }
            let state = (object.key.clone(), object.etag.clone());
            if let Some(verdict) = verdicts.lock().get(&state).cloned() {
                return Ok(Judged::new(object, verdict));
            }
            let _room = match limit.room {
                Some(room) => Some(room.acquire_many(kib(object.size)).await.expect("nobody closes it")),
                None => None,
            };
            let etag = Etag::new(&object.etag);
            let condition = Some(&etag).filter(|_| !simulation::has(Bug::SourceReadIsUnconditional));
            match self.bucket.get(&object.key, condition, None).await {
                Ok(found) => {
                    let verdict = check(&found.bytes);
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
                Err(error) => return Err(error),
            }
        }
        tracing::warn!(source.key = %object.key, "the source is replaced faster than it can be read; the next run sees it");
        Ok(Judged::Restless)
    }
}

/// Above so many bytes an object is rejected from its listed size, and never fetched.
#[derive(Clone, Copy)]
struct Limit<'a> {
    bytes_max: u64,
    reject: fn() -> Reject,
    /// Where its bytes find room; none for those of which any number in flight is small.
    room: Option<&'a Semaphore>,
}

enum Judged<T> {
    Good(SourceObject, T),
    Rejected(SourceObject, Reject),
    Gone,
    Restless,
}

impl<T> Judged<T> {
    fn new(object: SourceObject, verdict: Result<T, Reject>) -> Self {
        match verdict {
            Ok(good) => Self::Good(object, good),
            Err(reject) => Self::Rejected(object, reject),
        }
    }
}

/// Permits for the bytes of a picture.
fn kib(bytes: u64) -> u32 {
    u16::try_from(bytes.div_ceil(1024))
        .map_or(IMAGE_KIB_IN_FLIGHT_MAX, |kib| kib.clamp(1, IMAGE_KIB_IN_FLIGHT_MAX))
        .into()
}

/// What tells whether two pictures have the same bytes.
pub(crate) fn digest(bytes: &[u8]) -> ImageDigest {
    Sha256::digest(bytes).into()
}
