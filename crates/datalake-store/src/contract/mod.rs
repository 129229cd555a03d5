//! One suite for every store: what the product relies on, a case each.
//!
//! A case takes a store and works under a prefix of its own, so that several can share a bucket. A store's tests name them all through
//! [`crate::store_contract`].

mod conditions;
mod fences;
mod objects;

pub use conditions::*;
pub use fences::*;
pub use objects::*;

use crate::bucket::{Bucket, Etag, Metadata, PutMode};

/// Makes a test of each case for a store. `$open` is a future of an `Arc<dyn Bucket>`.
///
/// A store that departs from the contract names the cases that it can decide, and says why not the others: other stores decide those.
#[macro_export]
macro_rules! store_contract {
    ($open:expr) => {
        $crate::store_contract!($open, only [
            create_once_under_a_race
            update_under_a_race
            create_is_refused_where_an_object_is
            update_needs_the_tag
            get_needs_the_tag
            copy_needs_the_sources_tag
            delete_needs_the_tag
            missing_objects
            metadata_round_trips
            reads_see_what_was_written
            readers_never_see_half_an_object
            listing_is_in_key_order
            listing_in_pages
            awkward_names
            control_characters_in_names
            large_objects
            large_creates_are_decided
            ranges
            empty_objects
            answers_lost_after_the_effect
            fenced_writes_take_effect
            large_fenced_writes_take_effect
            create_once_through_fences
            fences_report_the_stores_time
        ] because "it holds the contract");
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
    let object = bucket.get(key, None, None).await.expect("the object is there");
    String::from_utf8(object.bytes.to_vec()).expect("the suite writes texts")
}
