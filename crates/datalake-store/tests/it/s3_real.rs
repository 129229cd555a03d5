//! S3 against a server of somebody else's, which the environment names; the feature `real-s3` asks for it.

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
    lake::create(&url, &options).await.expect("making it again is no error");
    lake::open(&url, &options).await.unwrap().bucket
}

datalake_store::store_contract!(
    open(),
    only [
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
        large_objects
        large_creates_are_decided
        ranges
        empty_objects
        answers_lost_after_the_effect
        fenced_writes_take_effect
        large_fenced_writes_take_effect
        create_once_through_fences
        fences_report_the_stores_time
    ] because "the other, control_characters_in_names, is decided by the test below"
);

/// versitygw 1.8 does not encode a listing, although asked to, and writes U+FFFD for what XML cannot carry. Such an object cannot be
/// reached through its listing, but must not stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_characters_are_listed_or_harm_nobody() {
    let bucket = open().await;
    for key in ["harm/a\u{1}b", "harm/a\tb", "harm/b"] {
        bucket.put(key, "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    }
    let listed: Vec<_> = bucket
        .list("harm/", None)
        .map_ok(|meta| meta.key)
        .try_collect()
        .await
        .expect("a name stops no listing");
    if listed[0] == "harm/a\u{fffd}b" {
        assert_eq!(
            listed,
            ["harm/a\u{fffd}b", "harm/a\tb", "harm/b"],
            "the others are listed as they are"
        );
    } else {
        datalake_store::contract::control_characters_in_names(bucket).await;
    }
}

async fn open_s3() -> S3Bucket {
    let (url, options) = (new_lake(), options());
    lake::create(&url, &options).await.expect("there is no bucket yet");
    let LakeUrl::S3 { bucket, prefix } = url else { panic!("{url}") };
    S3Bucket::open(&bucket, &prefix, &options, Arc::default()).await.unwrap()
}

/// Nobody waits for five minutes: the writes are signed in the past, or in the future of a server whose clock is behind another's.
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
async fn a_sweep_leaves_objects_alone() {
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
        bucket.head(key).await.expect("it is there");
    }
}

/// Who may not write is not asked to start over.
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

/// A new lake, reached by a way on which an answer can be lost: once the flag is set, the next one to a request of this method whose first
/// line has this in it.
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
            tokio::spawn(pass_on(client, is_lost));
        }
    });
    let url = new_lake();
    lake::create(&url, &options).await.expect("there is no bucket yet");
    (lake::open(&url, &options).await.unwrap().bucket, loses_next)
}

/// Passes the bytes of one connection both ways, until the server begins to answer a request whose answer is lost: then both ends are closed.
/// HTTP/1.1 answers one request before it reads the next, so that a request begins with what is read first after an answer.
async fn pass_on(mut client: TcpStream, is_lost: impl Fn(&str) -> bool) {
    let authority = endpoint().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut server = TcpStream::connect(authority).await.expect("the server listens");
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let (mut is_begin, mut loses) = (true, false);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                if is_begin {
                    let head = String::from_utf8_lossy(&asked[..length]);
                    loses = is_lost(head.lines().next().unwrap_or_default());
                    is_begin = false;
                }
                if server.write_all(&asked[..length]).await.is_err() { return }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                let goes_on = answered.starts_with(b"HTTP/1.1 100 ");
                if loses && !goes_on { return }
                is_begin = !goes_on;
                if client.write_all(&answered[..length]).await.is_err() { return }
            }
        }
    }
}

/// A write whose answer is lost took effect, and is known for our own.
async fn check_lost_write(method: &'static str, part: &'static str, is_there_before: bool, bytes: Bytes) {
    let (bucket, loses_next) = open_lossy(method, part).await;
    let mode = match is_there_before {
        true => PutMode::Update(bucket.put("lost", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap()),
        false => PutMode::Create,
    };
    loses_next.store(true, Ordering::SeqCst);
    let written = bucket.put("lost", bytes.clone(), mode.clone(), &Metadata::new()).await;
    assert!(!loses_next.load(Ordering::SeqCst), "no answer was lost: {mode:?}");
    let etag = written.expect("our own first attempt took effect");
    let object = bucket.get("lost", Some(&etag), None).await.unwrap();
    assert!(object.bytes == bytes, "the bytes differ: {mode:?}");
    let late = bucket.put("lost", "c".into(), mode, &Metadata::new()).await;
    assert!(
        matches!(late, Err(StoreError::Conflict { .. })),
        "the second call is another writer: {late:?}"
    );
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_again() {
    let large = Bytes::from(vec![b'b'; 17 * 1024 * 1024]);
    for is_there_before in [false, true] {
        check_lost_write("PUT", "/lost", is_there_before, "b".into()).await;
        // The last request of an upload in parts, which decides; the first one asks for `uploads`.
        check_lost_write("POST", "uploadId=", is_there_before, large.clone()).await;
    }
}

#[tokio::test]
async fn a_delete_and_a_copy_whose_answers_were_lost_are_successes() {
    let (bucket, loses_next) = open_lossy("DELETE", "/lost").await;
    let etag = bucket.put("lost", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    loses_next.store(true, Ordering::SeqCst);
    bucket.delete("lost", Some(&etag)).await.expect("the first attempt removed it");
    assert!(!loses_next.load(Ordering::SeqCst), "no answer was lost");
    assert!(matches!(bucket.head("lost").await, Err(StoreError::NotFound { .. })));

    let (bucket, loses_next) = open_lossy("PUT", "/lost").await;
    let etag = bucket.put("from", "a".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    loses_next.store(true, Ordering::SeqCst);
    bucket
        .copy("from", &etag, "lost", &Metadata::new())
        .await
        .expect("a copy can be made twice");
    assert!(!loses_next.load(Ordering::SeqCst), "no answer was lost");
    assert_eq!(&bucket.get("lost", None, None).await.unwrap().bytes[..], b"a");
}
