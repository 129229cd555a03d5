//! Tests on an external S3 server, which the environment names. They run with the feature `real-s3`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use datalake_store::{
    bucket::{Bucket, FENCE_LIFETIME, Metadata, PutMode},
    contract,
    error::StoreError,
    lake,
    lake_url::LakeUrl,
    open_options::OpenOptions,
    s3::S3Bucket,
};
use futures_util::TryStreamExt;
use jiff::SignedDuration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[expect(clippy::disallowed_methods, reason = "the server to test against is named by the environment")]
fn endpoint() -> String {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(
            std::env::var(name).is_ok(),
            "{name} must be set for the tests against a real server"
        );
    }
    std::env::var("DATALAKE_TEST_S3_ENDPOINT").expect("DATALAKE_TEST_S3_ENDPOINT must name the server to test against")
}

#[expect(clippy::disallowed_methods, reason = "the server outlives the tests, whose buckets must differ")]
fn new_lake() -> LakeUrl {
    format!("s3://test-{}/a/prefix", uuid::Uuid::now_v7().simple()).parse().unwrap()
}

fn options() -> OpenOptions {
    OpenOptions {
        endpoint: Some(endpoint().parse().unwrap()),
        ..OpenOptions::default()
    }
}

async fn open() -> Arc<dyn Bucket> {
    let (url, options) = (new_lake(), options());
    lake::create(&url, &options).await.expect("there is no bucket yet");
    lake::create(&url, &options).await.expect("creating it again succeeds");
    lake::open(&url, &options).await.unwrap().bucket
}

datalake_store::store_contract!(
    open(),
    only [
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
        large_objects_are_written_and_read
        large_create_of_an_existing_object_is_a_conflict
        ranges_are_clipped
        empty_objects_are_written_and_read
        put_with_a_lost_response_takes_effect
        fenced_writes_take_effect
        large_fenced_writes_take_effect
        concurrent_fenced_creates_have_one_winner
        fences_report_the_stores_time
    ] because "control_characters_in_names_are_listed is part of a test below"
);

/// versitygw 1.8 does not encode a listing, although the request asks for it, and writes U+FFFD for characters that XML cannot contain.
/// Such an object cannot be read by its listed key, but must not stop the listing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_in_names_do_not_stop_a_listing() {
    let bucket = open().await;
    for key in ["harm/a\u{1}b", "harm/a\tb", "harm/b"] {
        bucket.put(key, "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    }
    let listed: Vec<_> = bucket
        .list("harm/", None)
        .map_ok(|meta| meta.key)
        .try_collect()
        .await
        .expect("a name does not stop the listing");
    if listed[0] == "harm/a\u{fffd}b" {
        assert_eq!(listed, ["harm/a\u{fffd}b", "harm/a\tb", "harm/b"], "all other keys are unchanged");
    } else {
        datalake_store::contract::control_characters_in_names_are_listed(bucket).await;
    }
}

async fn open_s3() -> S3Bucket {
    let (url, options) = (new_lake(), options());
    lake::create(&url, &options).await.expect("there is no bucket yet");
    let LakeUrl::S3 { bucket, prefix } = url else { panic!("{url}") };
    S3Bucket::open(&bucket, &prefix, &options, Arc::default()).await.unwrap()
}

/// Instead of waiting for five minutes, the test signs writes in the past, and in the future for a server whose clock is behind another's.
#[tokio::test]
async fn fenced_writes_expire_by_the_servers_clock() {
    let bucket = open_s3().await;
    let now = bucket.fenced().await.unwrap().store_time;
    let etag = bucket
        .put("expired/1", "a".into(), PutMode::Create, &Metadata::new())
        .await
        .unwrap();
    let expired = now - FENCE_LIFETIME - SignedDuration::from_secs(2);
    let long_ago = now - SignedDuration::from_hours(40 * 24);
    for store_time in [expired, long_ago] {
        contract::check_expired(&bucket, &bucket.fenced_at(store_time), &etag).await;
        let large = Bytes::from(vec![b'b'; 17 * 1024 * 1024]);
        let result = bucket
            .fenced_at(store_time)
            .put("expired/large", large, PutMode::Create, &Metadata::new())
            .await;
        assert!(matches!(result, Err(StoreError::Expired { .. })), "{result:?}");
        assert!(matches!(bucket.head("expired/large").await, Err(StoreError::NotFound { .. })));
    }
    let almost = now - FENCE_LIFETIME + SignedDuration::from_secs(60);
    let ahead = now + SignedDuration::from_secs(5);
    for (key, store_time) in [("almost", almost), ("ahead", ahead)] {
        let view = bucket.fenced_at(store_time);
        view.put(key, "a".into(), PutMode::Create, &Metadata::new())
            .await
            .expect("it has not expired");
        let late = view.put(key, "b".into(), PutMode::Create, &Metadata::new()).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    }
}

#[tokio::test]
async fn sweep_does_not_remove_objects() {
    let bucket = open().await;
    let keys = ["processed_data/output.csv", "processed_data/users/part-1.parquet", "src-data/1.png"];
    for key in keys {
        bucket
            .put(key, vec![b'a'; 17 * 1024 * 1024].into(), PutMode::Create, &Metadata::new())
            .await
            .unwrap();
    }
    assert_eq!(bucket.sweep().await.unwrap(), 0);
    for key in keys {
        bucket.head(key).await.expect("the object exists");
    }
}

/// A client without write access must not be asked to start over.
#[tokio::test]
async fn denied_access_is_not_an_expired_fence() {
    let bucket = open_s3().await;
    let now = bucket.fenced().await.unwrap().store_time;
    let other = S3Bucket::open("no-such-bucket-of-a-lake", "", &options(), Arc::default())
        .await
        .unwrap();
    let result = other.fenced_at(now).put("a", "x".into(), PutMode::Create, &Metadata::new()).await;
    assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
}

/// A new lake behind a proxy that can lose a response: after the flag is set, that of the next request with this method and this part in
/// its first line.
async fn open_lossy(method: &'static str, part: &'static str) -> (Arc<dyn Bucket>, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = OpenOptions {
        endpoint: Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()),
        ..OpenOptions::default()
    };
    let loses_next = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&loses_next);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let flag = Arc::clone(&flag);
            let is_lost = move |line: &str| line.starts_with(method) && line.contains(part) && flag.swap(false, Ordering::SeqCst);
            tokio::spawn(forward(client, is_lost));
        }
    });
    let url = new_lake();
    lake::create(&url, &options).await.expect("there is no bucket yet");
    (lake::open(&url, &options).await.unwrap().bucket, loses_next)
}

/// Forwards the bytes of one connection in both directions, until the server starts a response that is to be lost: then closes both ends.
/// With HTTP/1.1, a response ends before the next request starts, so the first bytes after a response are the start of a request.
async fn forward(mut client: TcpStream, is_lost: impl Fn(&str) -> bool) {
    let authority = endpoint().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut server = TcpStream::connect(authority).await.expect("the server listens");
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let (mut is_request_start, mut loses) = (true, false);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                if is_request_start {
                    let head = String::from_utf8_lossy(&from_client[..length]);
                    loses = is_lost(head.lines().next().unwrap_or_default());
                    is_request_start = false;
                }
                if server.write_all(&from_client[..length]).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                let is_interim = from_server.starts_with(b"HTTP/1.1 100 ");
                if loses && !is_interim { return }
                is_request_start = !is_interim;
                if client.write_all(&from_server[..length]).await.is_err() { return }
            }
        }
    }
}

/// Checks that a write whose response is lost takes effect and succeeds.
async fn check_lost_write(method: &'static str, part: &'static str, is_there_before: bool, bytes: Bytes) {
    let (bucket, loses_next) = open_lossy(method, part).await;
    let mode = match is_there_before {
        true => PutMode::Update(bucket.put("lost", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap()),
        false => PutMode::Create,
    };
    loses_next.store(true, Ordering::SeqCst);
    let written = bucket.put("lost", bytes.clone(), mode.clone(), &Metadata::new()).await;
    assert!(!loses_next.load(Ordering::SeqCst), "no response was lost: {mode:?}");
    let etag = written.expect("the first attempt took effect");
    let object = bucket.get("lost", Some(&etag), None).await.unwrap();
    assert!(object.bytes == bytes, "the bytes differ: {mode:?}");
    let late = bucket.put("lost", "c".into(), mode, &Metadata::new()).await;
    assert!(
        matches!(late, Err(StoreError::Conflict { .. })),
        "the second call is another writer: {late:?}"
    );
}

#[tokio::test]
async fn write_whose_response_was_lost_is_recognized() {
    let large = Bytes::from(vec![b'b'; 17 * 1024 * 1024]);
    for is_there_before in [false, true] {
        check_lost_write("PUT", "/lost", is_there_before, "b".into()).await;
        // The last request of a multipart upload, which carries the condition. The first request has `uploads` in its query.
        check_lost_write("POST", "uploadId=", is_there_before, large.clone()).await;
    }
}

#[tokio::test]
async fn delete_and_copy_whose_responses_were_lost_succeed() {
    let (bucket, loses_next) = open_lossy("DELETE", "/lost").await;
    let etag = bucket.put("lost", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    loses_next.store(true, Ordering::SeqCst);
    bucket.delete("lost", Some(&etag)).await.expect("the first attempt removed it");
    assert!(!loses_next.load(Ordering::SeqCst), "no response was lost");
    assert!(matches!(bucket.head("lost").await, Err(StoreError::NotFound { .. })));

    let (bucket, loses_next) = open_lossy("PUT", "/lost").await;
    let etag = bucket.put("from", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    loses_next.store(true, Ordering::SeqCst);
    bucket
        .copy("from", &etag, "lost", &Metadata::new())
        .await
        .expect("a copy can be repeated");
    assert!(!loses_next.load(Ordering::SeqCst), "no response was lost");
    assert_eq!(&bucket.get("lost", None, None).await.unwrap().bytes[..], b"a");
}
