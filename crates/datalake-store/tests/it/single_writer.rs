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
    create_of_an_existing_object_is_a_conflict
    update_needs_the_current_etag
    get_needs_the_current_etag
    copy_needs_the_current_etag_of_the_source
    delete_needs_the_current_etag
    missing_objects_are_not_found
    metadata_round_trips
    reads_see_what_was_written
    readers_never_see_a_part_of_an_object
    large_create_of_an_existing_object_is_a_conflict
    put_with_a_lost_response_takes_effect
] because "races are what a single writer does not have, and the rest passes through");
