//! A single writer on a store without conditional writes.

use std::sync::Arc;

use datalake_store::{
    bucket::Bucket,
    faults::{FaultAction, Faulty},
    memory::MemoryBucket,
    single_writer::SingleWriter,
    store_contract,
};

#[expect(clippy::unused_async, reason = "the suite takes a future")]
async fn open() -> Arc<dyn Bucket> {
    let without_conditions = Faulty::new(Arc::new(MemoryBucket::new()), |_| FaultAction::RefuseCondition);
    Arc::new(SingleWriter::new(Arc::new(without_conditions)))
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
] because "a single writer has no races, and all other operations are forwarded");
