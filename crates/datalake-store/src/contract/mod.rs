//! The contract of [`crate::bucket::Bucket`] as a test suite for every store, with one case for each property that the product relies on.
//!
//! A case takes a store and uses its own prefix, so several cases can share a bucket. A store's tests run them with
//! [`crate::store_contract`].

mod conditions;
mod fences;
mod objects;

pub use conditions::*;
pub use fences::*;
pub use objects::*;

use crate::bucket::{Bucket, Etag, Metadata, PutMode};

/// Defines a test of each case for a store. `$open` is a future of an `Arc<dyn Bucket>`.
///
/// A store that cannot run all cases lists those that it can run, and gives the reason.
#[macro_export]
macro_rules! store_contract {
    ($open:expr) => {
        $crate::store_contract!($open, only [
            concurrent_creates_have_one_winner
            concurrent_updates_have_one_winner
            create_of_an_existing_object_is_a_conflict
            update_needs_the_current_etag
            get_needs_the_current_etag
            copy_needs_the_current_etag_of_the_source
            delete_needs_the_current_etag
            missing_objects_are_not_found
            metadata_round_trips
            reads_see_what_was_written
            readers_never_see_a_part_of_an_object
            listing_is_in_key_order
            listing_has_each_object_once
            unusual_names_are_not_interpreted
            control_characters_in_names_are_listed
            large_objects_are_written_and_read
            large_create_of_an_existing_object_is_a_conflict
            ranges_are_clipped
            empty_objects_are_written_and_read
            put_with_a_lost_response_takes_effect
            fenced_writes_take_effect
            large_fenced_writes_take_effect
            concurrent_fenced_creates_have_one_winner
            fences_report_the_stores_time
        ] because "it fulfills the contract");
    };
    ($open:expr, only [$($case:ident)+] because $reason:literal) => {
        const _: &str = $reason;
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::contract::$case($open.await).await;
            }
        )+
    };
}

async fn put(bucket: &dyn Bucket, key: &str, bytes: &'static str) -> Etag {
    bucket
        .put(key, bytes.into(), PutMode::Replace, &Metadata::new())
        .await
        .expect("a plain put succeeds")
}

async fn text(bucket: &dyn Bucket, key: &str) -> String {
    let object = bucket.get(key, None, None).await.expect("the object exists");
    String::from_utf8(object.bytes.to_vec()).expect("the suite writes UTF-8")
}
