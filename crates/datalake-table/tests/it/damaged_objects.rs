//! Damaged objects of the table: reading them returns a version or an error, and never panics.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{bucket::Bucket, memory::MemoryBucket};
use futures_util::{FutureExt, TryStreamExt};

use crate::support::{details, excluded, put, read, table, users, write};

/// The number of damaged forms of an object that are read.
const FORMS: usize = 2_000;

/// Flips, truncates, repeats and overwrites bytes, including lengths and counts.
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

/// Reads a table with one damaged object.
async fn check(key: &str) {
    let bucket = MemoryBucket::new();
    let of_bucket = table(&bucket);
    let mut version = None;
    for number in 0..5 {
        let staged = of_bucket
            .stage(version.as_ref(), &users(), vec![put(&number.to_string(), number)])
            .await
            .unwrap();
        let rejects = [excluded("src-data/x.csv")];
        version = Some(of_bucket.commit(version.as_ref(), staged, &rejects, &details()).await.unwrap());
    }
    let version = version.unwrap();
    let key = match key {
        "data" => version.data_files()[0].key(),
        "rejects" => version.rejects_file_key().unwrap(),
        key => key.to_owned(),
    };
    // So that a load reads the checkpoint and the entries after it.
    for number in 0..3 {
        bucket.delete(&keys::log_entry(number), None).await.unwrap();
    }
    let sound = read(&bucket, &key).await;
    let mut random = fastrand::Rng::with_seed(14);
    let mut rejected = 0;
    for form in 0..FORMS {
        let bytes = damaged(&sound, &mut random);
        write(&bucket, &key, bytes.clone()).await;
        // A new table reuses nothing that was read before.
        let of_bucket = table(&bucket);
        let all = async {
            let version = of_bucket.latest().await?.expect("there is a table");
            of_bucket.all_rows(&version).try_for_each(|_| async { Ok(()) }).await?;
            for file in version.data_files() {
                of_bucket.check_data_file(&version, file).await?;
            }
            of_bucket.rejects(&version).await.map(drop)
        };
        let read = AssertUnwindSafe(all).catch_unwind().await;
        assert!(read.is_ok(), "form {form} of {key} makes the reader panic: {bytes:?}");
        rejected += usize::from(matches!(read, Ok(Err(_))));
    }
    assert!(rejected > FORMS / 2, "{rejected} forms of {key} were rejected");
}

#[tokio::test]
async fn damaged_entry_is_an_error() {
    check(&keys::log_entry(4)).await;
}

#[tokio::test]
async fn damaged_checkpoint_is_an_error() {
    check(&keys::checkpoint(3)).await;
}

#[tokio::test]
async fn damaged_data_file_is_an_error() {
    check("data").await;
}

#[tokio::test]
async fn damaged_rejects_file_is_an_error() {
    check("rejects").await;
}
