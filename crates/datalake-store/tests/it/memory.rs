use std::sync::Arc;

use datalake_store::{bucket::Bucket, memory::MemoryBucket, store_contract};

async fn open() -> Arc<dyn Bucket> {
    Arc::new(MemoryBucket::new())
}

store_contract!(open());
