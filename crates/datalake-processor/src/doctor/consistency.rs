//! Checks of what runs assume about reads, listings, copies and the clock of the store.

use datalake_core::run::RunReport;
use datalake_store::{
    bucket::{Etag, Metadata, PutMode},
    error::StoreError,
};
use jiff::Timestamp;

use super::{
    check::{Finding, Outcome},
    probe::Probe,
};

/// Writes of one object, each read back.
const WRITES: usize = 5;

/// Names in byte order, which differs from the order of a language.
const ORDERED: [&str; 7] = ["order-0", "order-A", "order-B", "order-a", "order-a-", "order-a.", "order-b"];

const PROXY: &str = "use a store with strong consistency, without a cache or proxy between the store and this machine";

/// Writes, reads, lists and deletes an object several times.
pub(super) async fn read_after_write(probe: &Probe<'_>) -> Outcome {
    const NAME: &str = "read-back";
    let key = probe.key(NAME);
    for write in 0..WRITES {
        let text = format!("write {write}");
        let etag = probe.put(NAME, &text, PutMode::Replace).await?;
        let object = probe.bucket.get(&key, None, None).await?;
        if object.bytes != text.as_bytes() || object.meta.etag != etag {
            return Err(Finding::failed("a read returned an earlier state of the object", PROXY));
        }
        if probe.bucket.head(&key).await?.meta.etag != etag {
            return Err(Finding::failed("HEAD returned an earlier state of the object", PROXY));
        }
        let listed = probe.list(NAME).await?;
        if !matches!(&listed[..], [object] if object.etag == etag) {
            return Err(Finding::failed("a listing showed an earlier state of the object", PROXY));
        }
    }
    probe.bucket.delete(&key, None).await?;
    match probe.bucket.head(&key).await {
        Err(StoreError::NotFound { .. }) => {}
        Ok(_) => return Err(Finding::failed("HEAD returned an object that was deleted", PROXY)),
        Err(error) => return Err(error.into()),
    }
    if !probe.list(NAME).await?.is_empty() {
        return Err(Finding::failed("a listing showed an object that was deleted", PROXY));
    }
    Ok("reads and listings show each write at once".to_owned())
}

/// Lists objects whose names distinguish byte order from other orders.
pub(super) async fn listing_order(probe: &Probe<'_>) -> Outcome {
    const REMEDY: &str = "use a store that lists keys in byte order; directory buckets of S3 do not";
    for name in ORDERED {
        probe.put(name, name, PutMode::Replace).await?;
    }
    let keys = async |after: Option<&str>| {
        let mut objects = probe.bucket.list(&probe.key("order-"), after);
        let mut keys = Vec::new();
        while let Some(object) = futures_util::TryStreamExt::try_next(&mut objects).await? {
            keys.push(object.key);
        }
        Ok::<_, StoreError>(keys)
    };
    let expected = ORDERED.map(|name| probe.key(name));
    let (all, rest) = (keys(None).await?, keys(Some(&expected[2])).await?);
    if all != expected {
        return Err(Finding::failed("keys are not listed in byte order", REMEDY));
    }
    if rest != expected[3..] {
        return Err(Finding::failed("a listing with start-after returned unexpected keys", REMEDY));
    }
    Ok("keys are listed in byte order".to_owned())
}

/// Copies an object on condition of its `ETag`.
pub(super) async fn copy(probe: &Probe<'_>) -> Outcome {
    const TEXT: &str = "copied";
    let (from, to) = (probe.key("copy-from"), probe.key("copy-to"));
    let etag = probe.put("copy-from", TEXT, PutMode::Replace).await?;
    match probe.bucket.copy(&from, &etag, &to, &Metadata::new()).await {
        Ok(_) => {}
        Err(error) if error.is_not_supported() => {
            return Err(Finding::warning(
                "the store does not support copies",
                "nothing to do: runs read and write images instead, which takes more time",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    if probe.bucket.get(&to, None, None).await?.bytes != TEXT.as_bytes() {
        return Err(Finding::failed("a copy has other bytes than its source", PROXY));
    }
    match probe
        .bucket
        .copy(&from, &Etag::new("0123456789abcdef"), &to, &Metadata::new())
        .await
    {
        Err(StoreError::Conflict { .. }) => Ok("objects are copied on condition of their ETag".to_owned()),
        Ok(_) => Err(Finding::failed(
            "an object was copied although its ETag differs from the requested one",
            "use a store that supports x-amz-copy-source-if-match",
        )),
        Err(error) => Err(error.into()),
    }
}

/// Compares the clock of the store with that of this machine.
pub(super) async fn clock(probe: &Probe<'_>, clock: fn() -> Timestamp) -> Outcome {
    const NAME: &str = "clock";
    let before = clock();
    probe.put(NAME, "time", PutMode::Replace).await?;
    let after = clock();
    let stored = probe.bucket.head(&probe.key(NAME)).await?.meta.modified;
    // The store has whole seconds, so a time up to a second before the write is exact.
    let nearest = stored.clamp(before, after.max(before));
    let offset = stored.duration_since(nearest).as_secs();
    let text = match offset {
        0 => "the clocks of the store and of this machine agree".to_owned(),
        1.. => format!("the store's clock is {offset} s ahead of this machine's"),
        _ => format!("the store's clock is {} s behind this machine's", offset.unsigned_abs()),
    };
    match RunReport::clock_skew_seconds(stored, nearest) {
        None => Ok(text),
        Some(_) => Err(Finding::warning(text, "synchronize the clocks, for example with NTP")),
    }
}
