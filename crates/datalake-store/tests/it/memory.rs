use std::sync::Arc;

use datalake_store::{bucket::Bucket, memory::MemoryBucket, store_contract};

#[expect(clippy::unused_async, reason = "the suite takes a future")]
async fn open() -> Arc<dyn Bucket> {
    Arc::new(MemoryBucket::new())
}

store_contract!(open());
