//! A store in memory, for tests and simulations.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use datalake_core::count::count;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest, Sha256};

use crate::{
    bucket::{Bucket, Etag, FENCE_LIFETIME, Fenced, Head, Metadata, Object, ObjectKind, ObjectMeta, PutMode, STAGED_AGE_MAX, slice},
    error::StoreError,
    request_counter::{PAGE_OBJECTS, RequestCounter},
};

/// The clock's start, 2026-11-24T00:00:00Z: an arbitrary time that tests use as the present.
pub const EPOCH: Timestamp = Timestamp::constant(1_795_478_400, 0);

/// What an object's ETag is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtagInput {
    /// The bytes and the metadata: the same bytes can get another ETag, as in a folder or by multipart uploads to S3.
    #[default]
    BytesAndMetadata,
    /// The bytes, as for single puts to S3: the same bytes always have the same ETag.
    Bytes,
}

/// S3 rejects requests whose signing time is further ahead of its own clock.
const FENCE_SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

/// How writes through a fenced view expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// With the time, as on S3.
    #[default]
    Timed,
    /// When the view is swept, as in a folder.
    Swept,
    /// Never, as on a store without expiring writes.
    Never,
}

/// A store in memory. Clones share the objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryBucket {
    objects: Arc<Mutex<Objects>>,
    counter: Arc<RequestCounter>,
    /// The fence of a fenced view.
    fence: Option<Arc<Fence>>,
}

/// Removes its entry when the last clone of the view is dropped.
#[derive(Debug)]
struct Fence {
    number: u64,
    objects: Arc<Mutex<Objects>>,
}

impl Drop for Fence {
    fn drop(&mut self) {
        self.objects.lock().fences.remove(&self.number);
    }
}

#[derive(Clone, Debug, Default)]
struct Objects {
    by_key: BTreeMap<String, Object>,
    /// The clock, in milliseconds since [`EPOCH`]. Each write advances it by one millisecond, and tests can set it.
    now_ms: i64,
    /// Whether only tests change the clock.
    is_frozen: bool,
    etag_input: EtagInput,
    expiry: Expiry,
    fences_made: u64,
    /// The creation time of each fence that was not swept.
    fences: BTreeMap<u64, i64>,
}

impl MemoryBucket {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that counts its operations in `counter`.
    pub fn with_counter(counter: Arc<RequestCounter>) -> Self {
        Self {
            objects: Arc::default(),
            counter,
            fence: None,
        }
    }

    /// The store with ETags that are computed in this way. Call it before the first write.
    #[must_use]
    pub fn with_etags_of(self, input: EtagInput) -> Self {
        self.lock().etag_input = input;
        self
    }

    /// The store with views that expire in this way.
    #[must_use]
    pub fn expiring(self, expiry: Expiry) -> Self {
        self.set_expiry(expiry);
        self
    }

    /// The store with a clock that only [`MemoryBucket::set_now`] and [`MemoryBucket::advance_to`] change. States of the store that differ
    /// only in the order of writes are then equal.
    #[must_use]
    pub fn frozen(self) -> Self {
        self.lock().is_frozen = true;
        self
    }

    /// Sets how views expire from now on.
    pub fn set_expiry(&self, expiry: Expiry) {
        self.lock().expiry = expiry;
    }

    /// An independent copy of the store with its objects and its clock.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self {
            objects: Arc::new(Mutex::new(self.lock().clone())),
            counter: Arc::default(),
            fence: None,
        }
    }

    /// The time of the store's clock.
    pub fn now(&self) -> Timestamp {
        self.lock().now()
    }

    /// Fails if the fence of this view has expired.
    fn check_fence(&self, objects: &Objects, key: &str) -> Result<(), StoreError> {
        let Some(fence) = &self.fence else { return Ok(()) };
        let is_valid = match (objects.expiry, objects.fences.get(&fence.number)) {
            (Expiry::Never, _) => true,
            (Expiry::Timed, Some(made_ms)) => {
                let age_ms = objects.now_ms - made_ms;
                (-FENCE_SKEW_MAX.as_secs() * 1_000..=FENCE_LIFETIME.as_secs() * 1_000).contains(&age_ms)
            }
            (Expiry::Swept, made) => made.is_some(),
            (Expiry::Timed, None) => false,
        };
        is_valid.then_some(()).ok_or_else(|| StoreError::Expired { key: key.to_owned() })
    }

    /// Sets the store's clock to `at` if it is earlier than that.
    pub fn advance_to(&self, at: Timestamp) {
        let mut objects = self.lock();
        objects.now_ms = objects.now_ms.max(at.as_millisecond() - EPOCH.as_millisecond());
    }

    /// Sets the store's clock to `at`, which may be earlier than before.
    pub fn set_now(&self, at: Timestamp) {
        self.lock().now_ms = at.as_millisecond() - EPOCH.as_millisecond();
    }

    /// The object under the key. Not counted as a request.
    pub fn peek(&self, key: &str) -> Option<Object> {
        self.lock().by_key.get(key).cloned()
    }

    /// The objects whose keys begin with `prefix`, in byte order. Not counted as a request.
    pub fn peek_all(&self, prefix: &str) -> Vec<Object> {
        let objects = self.lock();
        let in_range = objects.by_key.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        in_range
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Inserts an object of another store unchanged, with its bytes, ETag, metadata and time.
    pub fn restore(&self, object: Object) {
        self.lock().by_key.insert(object.meta.key.clone(), object);
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock()
    }
}

impl Objects {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(EPOCH.as_millisecond() + self.now_ms).unwrap_or(Timestamp::MAX)
    }

    /// Removes fences that are too old, and returns their number.
    fn sweep(&mut self) -> u64 {
        let oldest_ms = self.now_ms - STAGED_AGE_MAX.as_secs() * 1_000;
        let before = self.fences.len();
        self.fences.retain(|_, made_ms| *made_ms >= oldest_ms);
        count(before - self.fences.len())
    }

    fn find(&self, key: &str, if_match: Option<&Etag>) -> Result<&Object, StoreError> {
        let object = self.by_key.get(key).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })?;
        match if_match {
            Some(etag) if *etag != object.meta.etag => Err(StoreError::Conflict { key: key.to_owned() }),
            _ => Ok(object),
        }
    }

    fn insert(&mut self, key: &str, bytes: Bytes, metadata: &Metadata) -> Etag {
        self.now_ms += i64::from(!self.is_frozen);
        let mut hasher = Sha256::new_with_prefix(&bytes);
        if self.etag_input == EtagInput::BytesAndMetadata {
            for (name, value) in metadata {
                hasher.update(name);
                hasher.update(value);
            }
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let etag = Etag::new(&format!("{digest:02x?}").replace([' ', ',', '[', ']'], ""));
        let modified = self.now();
        let size = count(bytes.len());
        let meta = ObjectMeta {
            key: key.to_owned(),
            etag: etag.clone(),
            size,
            modified,
            kind: ObjectKind::Object,
        };
        self.by_key.insert(
            key.to_owned(),
            Object {
                meta,
                metadata: metadata.clone(),
                bytes,
            },
        );
        etag
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        let first = start_after.map_or(Bound::Included(prefix), |key| {
            if key < prefix {
                Bound::Included(prefix)
            } else {
                Bound::Excluded(key)
            }
        });
        let objects = self.lock();
        let in_range = objects.by_key.range::<str, _>((first, Bound::Unbounded));
        let found: Vec<_> = in_range
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| Ok(object.meta.clone()))
            .collect();
        for _ in 0..found.len().div_ceil(PAGE_OBJECTS).max(1) {
            self.counter.count_list();
        }
        stream::iter(found).boxed()
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        self.counter.count_get();
        let object = self.lock().find(key, if_match)?.clone();
        match range {
            None => Ok(object),
            Some(range) => Ok(Object {
                bytes: slice(&object.bytes, &range, key)?,
                ..object
            }),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.counter.count_put();
        let mut objects = self.lock();
        self.check_fence(&objects, key)?;
        match &mode {
            PutMode::Create if objects.by_key.contains_key(key) => return Err(StoreError::Conflict { key: key.to_owned() }),
            PutMode::Update(etag) => {
                objects.find(key, Some(etag))?;
            }
            PutMode::Create | PutMode::Replace => {}
        }
        Ok(objects.insert(key, bytes, metadata))
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.counter.count_copy();
        let mut objects = self.lock();
        self.check_fence(&objects, to)?;
        let bytes = objects.find(from, Some(source_if_match))?.bytes.clone();
        Ok(objects.insert(to, bytes, metadata))
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        self.counter.count_delete();
        let mut objects = self.lock();
        self.check_fence(&objects, key)?;
        if if_match.is_some() {
            objects.find(key, if_match)?;
        }
        objects.by_key.remove(key);
        Ok(())
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.counter.count_head();
        let objects = self.lock();
        let object = objects.find(key, None)?;
        Ok(Head {
            meta: object.meta.clone(),
            metadata: object.metadata.clone(),
        })
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        self.counter.count_head();
        let mut objects = self.lock();
        objects.sweep();
        objects.fences_made += 1;
        let (number, made_ms) = (objects.fences_made, objects.now_ms);
        objects.fences.insert(number, made_ms);
        let fence = Fence {
            number,
            objects: Arc::clone(&self.objects),
        };
        Ok(Fenced {
            bucket: Arc::new(Self {
                fence: Some(Arc::new(fence)),
                ..self.clone()
            }),
            store_time: objects.now(),
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.counter.count_delete();
        Ok(self.lock().sweep())
    }

    fn identity(&self) -> String {
        "memory".to_owned()
    }
}
