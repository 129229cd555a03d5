//! Ranges of CSV and NDJSON, for programs that read a URL like a file.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use crate::{
    fixture::{Lake, put},
    row_queries::bytes,
};

const PATHS: [&str; 6] = [
    "/data.csv",
    "/data.ndjson",
    "/data?format=csv&order=age.desc",
    "/data.ndjson?first_name__contains=e",
    "/data.csv?limit=3&select=user_id,age",
    "/data.csv?escape=spreadsheet",
];

/// Enough users for several entries of the index.
async fn large() -> Lake {
    let lake = Lake::empty();
    let users = (0..20_000).map(|number| put(&format!("{number:06}"), &format!("Name {number} é"), "1990-01-01", number % 3 == 0));
    lake.commit(users.collect()).await;
    lake.watch.refresh_now().await;
    lake
}

async fn check_parts(lake: &Lake, path: &str, part_bytes: usize) {
    let (status, headers, whole) = bytes(lake, path, &[]).await;
    assert_eq!(
        (status, &headers[header::ACCEPT_RANGES]),
        (StatusCode::OK, &"bytes".parse().unwrap()),
        "{path}"
    );
    let head = lake.send(Request::head(path).body(Body::empty()).unwrap()).await;
    assert_eq!(head.header("content-length"), whole.len().to_string(), "{path}");
    assert_eq!(head.header("accept-ranges"), "bytes", "{path}");
    assert_eq!(head.headers[header::ETAG], headers[header::ETAG], "{path}");
    let mut from = 0;
    while from < whole.len() {
        let until = (from + part_bytes).min(whole.len());
        let range = format!("bytes={from}-{}", from + part_bytes - 1);
        let (status, headers, part) = bytes(lake, path, &[(header::RANGE, &range)]).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT, "{path}, {range}");
        let told = format!("bytes {from}-{}/{}", until - 1, whole.len());
        assert_eq!(headers[header::CONTENT_RANGE], told.as_str(), "{path}, {range}");
        assert_eq!(headers[header::CONTENT_LENGTH], (until - from).to_string(), "{path}, {range}");
        assert!(part == whole[from..until], "{path}, {range}");
        from = until;
    }
    let (status, _, tail) = bytes(lake, path, &[(header::RANGE, "bytes=-7")]).await;
    assert_eq!(
        (status, &tail[..]),
        (StatusCode::PARTIAL_CONTENT, &whole[whole.len() - 7..]),
        "{path}"
    );
}

#[tokio::test]
async fn ranges_join_to_the_whole() {
    let lake = Lake::of_users().await;
    for path in PATHS {
        check_parts(&lake, path, 13).await;
    }
    let lake = large().await;
    for path in [
        "/data.csv",
        "/data.ndjson",
        "/data.csv?first_name__contains=7",
        "/data.ndjson?order=first_name",
    ] {
        check_parts(&lake, path, 100_003).await;
    }
}

#[tokio::test]
async fn ranges_follow_rfc_9110() {
    let lake = Lake::of_users().await;
    let path = "/data.csv?version=0";
    let (_, headers, whole) = bytes(&lake, path, &[]).await;
    let etag = headers[header::ETAG].to_str().unwrap();
    let first = (header::RANGE, "bytes=0-6");
    let status = async |headers: &[(header::HeaderName, &str)]| bytes(&lake, path, headers).await.0.as_u16();
    assert_eq!(status(&[first.clone(), (header::IF_RANGE, etag)]).await, 206);
    assert_eq!(status(&[first.clone(), (header::IF_RANGE, "\"other\"")]).await, 200);
    assert_eq!(
        status(&[first.clone(), (header::IF_RANGE, "Tue, 24 Nov 2026 11:00:00 GMT")]).await,
        200
    );
    assert_eq!(status(&[first.clone(), (header::IF_MATCH, "\"other\"")]).await, 412);
    assert_eq!(status(&[first.clone(), (header::IF_NONE_MATCH, etag)]).await, 304);
    assert_eq!(status(&[(header::RANGE, "bytes=0-1,3-4")]).await, 200);
    assert_eq!(status(&[(header::RANGE, "rows=0-1")]).await, 200);
    // The bytes of a content coding differ.
    let gzip = (header::ACCEPT_ENCODING, "gzip");
    let (part_status, headers, part) = bytes(&lake, path, &[first, gzip]).await;
    assert_eq!((part_status, &part[..]), (StatusCode::PARTIAL_CONTENT, &whole[..7]));
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    let behind = format!("bytes={}-", whole.len());
    let answer = Request::get(path).header(header::RANGE, behind).body(Body::empty()).unwrap();
    let answer = lake.send(answer).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.header("content-range"), format!("bytes */{}", whole.len()));
    // An empty representation has no ranges.
    let (status, headers, none) = bytes(&lake, "/data.ndjson?user_id=unknown", &[(header::RANGE, "bytes=0-")]).await;
    assert_eq!(
        (status, &headers[header::CONTENT_RANGE]),
        (StatusCode::RANGE_NOT_SATISFIABLE, &"bytes */0".parse().unwrap())
    );
    assert!(String::from_utf8_lossy(&none).contains("range-not-satisfiable"));
}

#[tokio::test]
async fn ranges_of_a_version_are_stable() {
    let lake = Lake::of_users().await;
    let (_, _, whole) = bytes(&lake, "/data.csv?version=0", &[]).await;
    let head = async || bytes(&lake, "/data.csv?version=0", &[(header::RANGE, "bytes=20-90")]).await.2;
    let before = head().await;
    lake.commit(vec![put("0000", "Abe", "1990-01-01", false)]).await;
    lake.watch.refresh_now().await;
    assert_eq!((&before[..], &head().await[..]), (&whole[20..=90], &whole[20..=90]));
    let (_, _, newest) = bytes(&lake, "/data.csv", &[(header::RANGE, "bytes=20-90")]).await;
    assert_ne!(newest, before);
}

#[tokio::test]
async fn escape_spreadsheet_prefixes_formula_cells() {
    let lake = Lake::empty();
    lake.commit(vec![
        put("-1", "=HYPERLINK(\"http://x\",\"y\")", "1960-01-01", true),
        put("1", "@Ada", "1990-01-01", false),
    ])
    .await;
    lake.watch.refresh_now().await;
    let query = "select=user_id,first_name,birthts,img_path";
    let plain = lake.get(&format!("/data.csv?{query}")).await;
    assert_eq!(
        plain.body,
        "user_id,first_name,birthts,img_path\n\
         -1,\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",-315619200000,processed_data/images/-1.png\n\
         1,@Ada,631152000000,\n"
    );
    let escaped = lake.get(&format!("/data.csv?{query}&escape=spreadsheet")).await;
    assert_eq!(
        escaped.body,
        "user_id,first_name,birthts,img_path\n\
         '-1,\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",-315619200000,processed_data/images/-1.png\n\
         1,'@Ada,631152000000,\n"
    );
    assert_ne!(plain.header("etag"), escaped.header("etag"));
    let request = Request::get(format!("/data?{query}&escape=spreadsheet")).header(header::ACCEPT, "text/csv");
    assert_eq!(lake.send(request.body(Body::empty()).unwrap()).await.body, escaped.body);
    for refused in [
        "/data?escape=spreadsheet",
        "/data.ndjson?escape=spreadsheet",
        "/data.csv?escape=html",
        "/data.csv?escape",
    ] {
        let answer = lake.get(refused).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{refused}");
        assert_eq!(answer.json()["parameter"], "escape", "{refused}");
    }
    let twice = lake.get("/data.csv?escape=spreadsheet&escape=spreadsheet").await;
    assert_eq!(twice.json()["parameter"], "escape");
}
