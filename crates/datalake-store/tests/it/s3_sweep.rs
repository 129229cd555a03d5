//! Multipart uploads that were never completed.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use datalake_store::{bucket::Bucket, error::StoreError, s3::S3Bucket};

use crate::{
    s3::http,
    s3_canned::{Respond, canned, error, status, with},
};

fn upload(key: &str, id: &str, initiated: &str) -> String {
    format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{initiated}</Initiated></Upload>")
}

/// What a sweep aborts if the server lists these uploads for every prefix.
async fn aborted(uploads: &str, date: Option<&'static str>) -> (u64, Vec<String>) {
    let aborted: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, uploads) = (Arc::clone(&aborted), uploads.to_owned());
    let client = http(move |request| {
        let response = match (request.method(), request.uri()) {
            ("GET", uri) if uri.contains("?uploads") => {
                let listed = status(200, format!("<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>"));
                with(listed, date.map(|date| ("date", date)).as_slice())
            }
            ("DELETE", uri) if uri.contains("uploadId=gone") => error(404, "NoSuchUpload"),
            ("DELETE", uri) => {
                let path = uri.trim_start_matches("http://in-process/lake/");
                seen.lock().unwrap().push(path.split("x-id").next().unwrap().to_owned());
                status(204, "")
            }
            (method, uri) => panic!("{method} {uri}"),
        };
        HttpConnectorFuture::ready(response)
    });
    let count = S3Bucket::over(client, "lake", "a/prefix/", Arc::default()).sweep().await.unwrap();
    let mut aborted = aborted.lock().unwrap().clone();
    aborted.sort();
    (count, aborted)
}

#[tokio::test]
async fn uploads_older_than_a_day_by_the_servers_clock_are_aborted() {
    let uploads = [
        upload("a/prefix/processed_data/output.csv", "old", "2026-11-22T23:59:59.000Z"),
        upload("a/prefix/processed_data/output.csv", "young", "2026-11-23T00:00:01.000Z"),
        upload("a/prefix/processed_data/output.csv", "future", "2027-11-24T00:00:00.000Z"),
        upload("a/prefix/processed_data/output.csv", "gone", "2026-11-01T00:00:00.000Z"),
        upload("a/prefix/processed_data/users/part-1.parquet", "old", "2026-10-01T00:00:00.000Z"),
        // The server ignores the prefix: these uploads belong to another lake and to the owner of the sources.
        upload("b/processed_data/output.csv", "other", "2026-10-01T00:00:00.000Z"),
        upload("a/prefix/src-data/1.png", "source", "2026-10-01T00:00:00.000Z"),
    ]
    .concat();
    let (count, paths) = aborted(&uploads, Some("Tue, 24 Nov 2026 00:00:00 GMT")).await;
    assert_eq!(count, 2);
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths[0].starts_with("a/prefix/processed_data/output.csv?"), "{paths:?}");
    assert!(paths[1].starts_with("a/prefix/processed_data/users/part-1.parquet?"), "{paths:?}");
    assert_eq!(aborted(&uploads, None).await, (0, Vec::new()), "without a clock, nothing is old");
}

#[tokio::test]
async fn sweep_succeeds_on_a_store_that_cannot_list_uploads() {
    let responses: [Respond; 4] = [
        || error(501, "NotImplemented"),
        || error(403, "AccessDenied"),
        || error(405, "MethodNotAllowed"),
        || status(200, "<ListMultipartUploadsResult></ListMultipartUploadsResult>"),
    ];
    for response in responses {
        assert_eq!(canned(vec![response]).0.sweep().await.unwrap(), 0);
    }
    let unavailable = canned(vec![|| status(503, "")]).0.sweep().await;
    assert!(matches!(unavailable, Err(StoreError::Unavailable { .. })), "{unavailable:?}");
}
