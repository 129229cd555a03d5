//! Objects of the table with damaged bytes: whatever they hold, a load ends with a version or with an error.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{bucket::Bucket, memory::MemoryBucket};
use futures_util::FutureExt;

use crate::support::{details, put, read, refusal, table, write};

/// So many damaged forms of an object are read.
const FORMS: usize = 2_000;

/// Bytes flipped, cut off, repeated and overwritten by ones: lengths and counts are among them.
fn damaged(bytes: &Bytes, random: &mut fastrand::Rng) -> Bytes {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..bytes.len());
        match random.u8(..6) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = random.u8(..),
            2 => bytes.truncate(at.max(1)),
            3 => {
                let end = bytes.len().min(at + random.usize(1..9));
                bytes[at..end].fill(0xff);
            }
            4 => {
                let end = bytes.len().min(at + random.usize(1..99));
                bytes.extend_from_within(at..end);
            }
            _ => drop(bytes.splice(at..at, [random.u8(..)])),
        }
    }
    bytes.into()
}

/// Reads all that a lake shows with one object damaged.
async fn check(key: &str) {
    let bucket = MemoryBucket::new();
    let of_bucket = table(&bucket);
    let mut version = None;
    for number in 0..5 {
        let staged = of_bucket
            .stage(version.as_ref(), vec![put(&number.to_string(), number)])
            .await
            .unwrap();
        let refusals = [refusal("src-data/x.csv")];
        version = Some(of_bucket.commit(version.as_ref(), staged, &refusals, &details()).await.unwrap());
    }
    let version = version.unwrap();
    let key = match key {
        "data" => version.data_files()[0].key(),
        "rejects" => version.rejects_file_key().unwrap(),
        key => key.to_owned(),
    };
    // A load reads the checkpoint, and the entries after it.
    for number in 0..3 {
        bucket.delete(&keys::log_entry(number), None).await.unwrap();
    }
    let sound = read(&bucket, &key).await;
    let mut random = fastrand::Rng::with_seed(14);
    let mut refused = 0;
    for form in 0..FORMS {
        let bytes = damaged(&sound, &mut random);
        write(&bucket, &key, bytes.clone()).await;
        // Nothing that was read before is reused.
        let of_bucket = table(&bucket);
        let all = async {
            let version = of_bucket.latest().await?.expect("there is a table");
            for file in version.data_files() {
                of_bucket.rows_of_data_file(file).await?;
                of_bucket.check_data_file(file).await?;
            }
            of_bucket.rejects(&version).await.map(drop)
        };
        let read = AssertUnwindSafe(all).catch_unwind().await;
        assert!(read.is_ok(), "form {form} of {key} makes the reader panic: {bytes:?}");
        refused += usize::from(matches!(read, Ok(Err(_))));
    }
    assert!(refused > FORMS / 2, "{refused} forms of {key} were refused");
}

#[tokio::test]
async fn a_damaged_entry_is_an_error() {
    check(&keys::log_entry(4)).await;
}

#[tokio::test]
async fn a_damaged_checkpoint_is_an_error() {
    check(&keys::checkpoint(3)).await;
}

#[tokio::test]
async fn a_damaged_data_file_is_an_error() {
    check("data").await;
}

#[tokio::test]
async fn a_damaged_rejects_file_is_an_error() {
    check("rejects").await;
}
