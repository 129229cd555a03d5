use std::sync::Arc;

use datalake_store::{
    bucket::{Bucket, FENCE_LIFETIME, STAGED_AGE_MAX},
    contract,
    memory::{EtagInput, Expiry, MemoryBucket},
    store_contract,
};
use jiff::SignedDuration;

async fn open(tags: EtagInput) -> Arc<dyn Bucket> {
    Arc::new(MemoryBucket::new().with_etags_of(tags))
}

mod tagged_by_bytes_and_metadata {
    use super::{EtagInput, open, store_contract};

    store_contract!(open(EtagInput::BytesAndMetadata));
}

mod tagged_by_bytes {
    use super::{EtagInput, open, store_contract};

    store_contract!(open(EtagInput::Bytes));
}

#[tokio::test]
async fn fenced_writes_expire_with_the_time_or_once_they_are_swept() {
    for (expiry, lifetime) in [(Expiry::Timed, FENCE_LIFETIME), (Expiry::Swept, STAGED_AGE_MAX)] {
        let bucket = MemoryBucket::new().expiring(expiry);
        contract::expired_writes_have_no_effect(Arc::new(bucket.clone()), async || {
            bucket.advance_to(bucket.now() + lifetime + SignedDuration::from_secs(1));
            bucket.sweep().await.unwrap();
        })
        .await;
    }
}
