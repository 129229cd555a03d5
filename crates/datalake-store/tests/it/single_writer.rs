//! One writer at a time over a store that knows no conditions on writes.

use std::sync::Arc;

use datalake_store::{
    bucket::Bucket,
    faults::{Fate, Faulty},
    memory::MemoryBucket,
    single_writer::SingleWriter,
    store_contract,
};

#[expect(clippy::unused_async, reason = "the suite takes a future")]
async fn open() -> Arc<dyn Bucket> {
    let ignorant = Faulty::new(Arc::new(MemoryBucket::new()), |_| Fate::RefuseCondition);
    Arc::new(SingleWriter::new(Arc::new(ignorant)))
}

store_contract!(open(), only [
    create_is_refused_where_an_object_is
    update_needs_the_tag
    get_needs_the_tag
    copy_needs_the_sources_tag
    delete_needs_the_tag
    missing_objects
    metadata_round_trips
    reads_see_what_was_written
    readers_never_see_half_an_object
    large_creates_are_decided
    answers_lost_after_the_effect
] because "races are what a single writer does not have, and the rest passes through");
