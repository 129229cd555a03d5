use std::sync::Arc;

use datalake_store::{
    bucket::{Bucket, FENCE_LIFETIME, STAGED_AGE_MAX},
    contract,
    memory::{EtagInput, Expiry, MemoryBucket},
    store_contract,
};
use jiff::SignedDuration;

async fn open(input: EtagInput) -> Arc<dyn Bucket> {
    Arc::new(MemoryBucket::new().with_etags_of(input))
}

mod etags_of_bytes_and_metadata {
    use super::{EtagInput, open, store_contract};

    store_contract!(open(EtagInput::BytesAndMetadata));
}

mod etags_of_bytes {
    use super::{EtagInput, open, store_contract};

    store_contract!(open(EtagInput::Bytes));
}

#[tokio::test]
async fn fenced_writes_expire_by_time_or_by_a_sweep() {
    for (expiry, lifetime) in [(Expiry::Timed, FENCE_LIFETIME), (Expiry::Swept, STAGED_AGE_MAX)] {
        let bucket = MemoryBucket::new().expiring(expiry);
        contract::expired_writes_have_no_effect(Arc::new(bucket.clone()), async || {
            bucket.advance_to(bucket.now() + lifetime + SignedDuration::from_secs(1));
            bucket.sweep().await.unwrap();
        })
        .await;
    }
}
