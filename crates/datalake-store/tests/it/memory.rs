use std::sync::Arc;

use datalake_store::{
    bucket::Bucket,
    memory::{MemoryBucket, Tags},
    store_contract,
};

async fn open(tags: Tags) -> Arc<dyn Bucket> {
    Arc::new(MemoryBucket::new().tagged_by(tags))
}

mod tagged_by_bytes_and_metadata {
    use super::{Tags, open, store_contract};

    store_contract!(open(Tags::BytesAndMetadata));
}

mod tagged_by_bytes {
    use super::{Tags, open, store_contract};

    store_contract!(open(Tags::Bytes));
}
