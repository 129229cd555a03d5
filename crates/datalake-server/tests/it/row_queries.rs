//! Rows by conditions and order, in pages, in every format.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use bytes::Bytes;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fixture::{Lake, copy_key, ids, put};

/// Compares the IDs of the rows, and their number in the statistics.
async fn check(lake: &Lake, query: &str, expected: &[&str]) {
    let answer = lake.get(&format!("/data?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "query: {query}, {}", answer.body);
    assert_eq!(ids(&answer.json()), expected, "query: {query}");
    assert_eq!(answer.header("x-total-count"), expected.len().to_string(), "query: {query}");
    let filters: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("order=")).collect();
    let stats = lake.get(&format!("/stats?{}", filters.join("&"))).await.json();
    assert_eq!(stats["count"], expected.len(), "query: {query}");
}

#[tokio::test]
async fn conditions_on_columns() {
    let lake = Lake::of_users().await;
    check(&lake, "first_name=Ada", &["0001"]).await;
    check(&lake, "first_name__contains=e", &["1000", "1001", "1003"]).await; // Bea, Cem, Eve
    check(&lake, "first_name__startswith=d", &["1002"]).await;
    check(&lake, "first_name__in=Ada,Fay", &["0001", "a"]).await;
    check(&lake, "last_name=Last&first_name__not=Ada&user_id__lt=1001", &["1", "1000"]).await;
    check(&lake, "user_id__gte=1000&user_id__lte=1002", &["1000", "1001", "1002"]).await;
    check(&lake, "user_id=1", &["1"]).await;
    check(&lake, "user_id__gt=~", &[]).await;
    check(&lake, "birthts__lt=631152000000", &["0001", "a"]).await;
    check(&lake, "img_path__isnull", &["1", "1001", "a"]).await;
    check(&lake, "age__isnull", &["1003"]).await;
    check(&lake, "age__gte=30&is_image_exists=True", &["0001", "1000"]).await;
    // The minimum among the rows that match all other conditions.
    check(&lake, "min_age&first_name__not=Dia", &["1"]).await;
    check(&lake, "max_age&user_id__gte=1000", &["a"]).await;
    check(&lake, "min_age&last_name=Missing", &[]).await;
}

#[tokio::test]
async fn searches_find_ids_and_names() {
    let lake = Lake::of_users().await;
    check(&lake, "q=1", &["1", "1000", "1001", "1002", "1003", "0001"]).await;
    check(&lake, "q=1&order=user_id", &["0001", "1", "1000", "1001", "1002", "1003"]).await;
    check(&lake, "q=A", &["0001", "a", "1", "1000", "1001", "1002", "1003"]).await;
    check(&lake, "q=BEA%20last", &["1000"]).await;
    check(&lake, "q=last&is_image_exists=False&min_age", &["1"]).await;
    check(&lake, "q=processed_data", &[]).await;
    check(&lake, "q=e&order=age.desc&min_age=0", &["1000", "1001"]).await;
    assert_eq!(lake.get("/data?q=%20").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(lake.get("/data?q=a&q=b").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(lake.get("/data/1000?q=a").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn orders() {
    let lake = Lake::of_users().await;
    check(&lake, "order=user_id.desc", &["a", "1003", "1002", "1001", "1000", "1", "0001"]).await;
    check(&lake, "order=age.desc", &["0001", "a", "1000", "1001", "1", "1002", "1003"]).await;
    check(
        &lake,
        "order=age,first_name.desc",
        &["1", "1002", "1001", "1000", "a", "0001", "1003"],
    )
    .await;
    check(&lake, "order=birthts&min_age=30", &["0001", "a", "1000", "1001"]).await;
}

#[tokio::test]
async fn selected_columns() {
    let lake = Lake::of_users().await;
    let rows = lake.get("/data?select=age,user_id&user_id=1000").await;
    assert_eq!(rows.body, r#"[{"age":36,"user_id":"1000"}]"#);
    let csv = lake.get("/data.csv?select=age,user_id&user_id=1003").await;
    assert_eq!(csv.body, "age,user_id\n,1003\n");
}

#[tokio::test]
async fn errors_name_the_parameter() {
    let lake = Lake::of_users().await;
    for (query, parameter) in [
        ("firstname=Ada", "firstname"),
        ("first_name__like=Ada", "first_name__like"),
        ("birthts=soon", "birthts"),
        ("order=height", "order"),
        ("select=height", "select"),
        ("limit=0", "limit"),
        ("limit=1&limit=2", "limit"),
        ("format=xml", "format"),
        ("shape=round", "shape"),
        ("shape=columns&format=csv", "shape"),
        ("cursor=1", "cursor"),
        ("format=csv&format=csv", "format"),
    ] {
        let answer = lake.get(&format!("/data?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "query: {query}");
        assert_eq!(answer.json()["parameter"], parameter, "query: {query}");
    }
    assert_eq!(lake.get("/data.csv?format=json").await.json()["parameter"], "format");
    let figures = lake.get("/stats?limit=1").await;
    assert_eq!(
        (figures.status, &figures.json()["parameter"]),
        (StatusCode::BAD_REQUEST, &json!("limit"))
    );
}

/// The address in `Link`.
fn next(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(header::LINK)?.to_str().unwrap();
    let address = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    Some(address.to_owned())
}

/// The IDs of all pages, with an action between two pages.
async fn walk(lake: &Lake, first: &str, mut between: impl AsyncFnMut()) -> Vec<String> {
    let (mut found, mut address) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = address {
        let page = lake.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
        found.extend(ids(&page.json()).into_iter().map(str::to_owned));
        address = next(&page.headers);
        between().await;
    }
    found
}

#[tokio::test]
async fn pages_put_together_are_the_whole() {
    let lake = Lake::of_users().await;
    for query in [
        "",
        "order=age.desc",
        "order=first_name,age",
        "is_image_exists=True",
        "last_name=Last&order=user_id.desc",
    ] {
        let whole = lake.get(&format!("/data?{query}")).await.json();
        for limit in 1..=8 {
            let pages = walk(&lake, &format!("/data?{query}&limit={limit}"), async || {}).await;
            assert_eq!(pages, ids(&whole), "query: {query}, limit: {limit}");
        }
    }
    let page = lake.get("/data?limit=2").await;
    assert_eq!(page.header("x-total-count"), "7");
    assert_eq!(next(&lake.get("/data?limit=7").await.headers), None);
}

/// All pages of a cursor are of one version.
#[tokio::test]
async fn pages_are_of_one_version_while_others_are_published() {
    for order in ["user_id", "age.desc"] {
        let lake = Lake::of_users().await;
        let before = lake.get(&format!("/data?order={order}")).await.json();
        let mut published = 0;
        let pages = walk(&lake, &format!("/data?order={order}&limit=1"), async || {
            // Rows before, after and at the cursor are changed, added and removed; some rounds publish twice.
            for _ in 0..2 {
                published += 1;
                let name = format!("New {published}");
                lake.commit(vec![
                    put("00", &name, "1970-01-01", true),
                    put("1000", &name, "2001-01-01", false),
                    put("z", &name, "1990-01-01", true),
                ])
                .await;
                lake.watch.refresh_now().await;
            }
        })
        .await;
        assert_eq!(pages, ids(&before), "order: {order}");
        assert!(published > 10, "{published}");
        assert_eq!(lake.get("/data").await.json().as_array().unwrap().len(), 9);
    }
}

#[tokio::test]
async fn cursors_of_other_queries_are_rejected() {
    let lake = Lake::of_users().await;
    let link = next(&lake.get("/data?limit=1&last_name=Last").await.headers).unwrap();
    let cursor = link.split("cursor=").nth(1).unwrap();
    let other = lake.get(&format!("/data?limit=1&last_name=Other&cursor={cursor}")).await;
    assert_eq!(
        (other.status, &other.json()["parameter"]),
        (StatusCode::BAD_REQUEST, &json!("cursor"))
    );
    let other = lake.get(&format!("{link}&on=2000-01-01")).await;
    assert_eq!((other.status, &other.json()["parameter"]), (StatusCode::BAD_REQUEST, &json!("on")));
    let other = lake.get(&format!("{link}&version=0")).await;
    assert_eq!(
        (other.status, &other.json()["parameter"]),
        (StatusCode::BAD_REQUEST, &json!("cursor"))
    );
    // The page size and the columns may change from page to page.
    let page = lake.get(&link.replace("limit=1", "limit=3&select=user_id")).await;
    assert_eq!(ids(&page.json()), ["1", "1000", "1001"]);
    // A version that does not exist: the table was rebuilt.
    let gone = lake.get(&link.replace("cursor=0~", "cursor=9~")).await;
    assert_eq!(gone.status, StatusCode::GONE, "{}", gone.body);
    assert_eq!(gone.json()["type"], "/docs/problems#cursor-gone");
}

#[tokio::test]
async fn formats_have_the_same_rows() {
    let lake = Lake::of_users().await;
    let rows = lake.get("/data").await.json();
    let ndjson = lake.get("/data.ndjson").await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = ndjson.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), rows);
    let csv = lake.get("/data?format=csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.body.lines().next(), Some("user_id,first_name,last_name,birthts,img_path"));
    assert_eq!(csv.body.lines().nth(2), Some("1,\"Zoë \"\"Z\"\" \\\",Last,1090022400000,"));
    assert_eq!(csv.body.lines().count(), 8);
    let columns = lake.get("/data?shape=columns&limit=2&select=user_id,age").await;
    assert_eq!(columns.body, r#"{"user_id":{"0":"0001","1":"1"},"age":{"0":46,"1":22}}"#);
    let none = lake.get("/data?shape=columns&last_name=Missing&select=user_id,age").await;
    assert_eq!(none.body, r#"{"user_id":{},"age":{}}"#);
    assert_eq!(lake.get("/data.ndjson?last_name=Missing").await.body, "");
    assert_eq!(lake.get("/data.csv?last_name=Missing").await.body.lines().count(), 1);
}

/// Both request CSV, and each link keeps the form of its request.
#[tokio::test]
async fn a_page_links_to_pages_of_its_own_path() {
    let lake = Lake::of_users().await;
    let by_header = Request::get("/data?limit=2").header(header::ACCEPT, "text/csv");
    let by_header = lake.send(by_header.body(Body::empty()).unwrap()).await;
    assert!(
        by_header.header("link").starts_with("</data?limit=2&"),
        "{}",
        by_header.header("link")
    );
    let by_suffix = lake.get("/data.csv?limit=2").await;
    assert!(
        by_suffix.header("link").starts_with("</data.csv?limit=2&"),
        "{}",
        by_suffix.header("link")
    );
    assert_eq!(by_suffix.header("content-type"), by_header.header("content-type"));
}

async fn listener_health(lake: &Lake, accept: &str) -> (StatusCode, String) {
    let request = Request::get("/data").header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = lake.router().oneshot(request).await.unwrap();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (response.status(), content_type)
}

#[tokio::test]
async fn formats_are_negotiated() {
    let lake = Lake::of_users().await;
    for (accept, content_type) in [
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("text/html,*/*;q=0.1", "application/json"),
    ] {
        assert_eq!(
            listener_health(&lake, accept).await,
            (StatusCode::OK, content_type.to_owned()),
            "Accept: {accept}"
        );
    }
    assert_eq!(listener_health(&lake, "text/html").await.0, StatusCode::NOT_ACCEPTABLE);
    let refused = lake
        .send(
            Request::get("/data")
                .header(header::ACCEPT, "image/png")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("text/csv") && detail.contains("application/vnd.apache.parquet"),
        "{detail}"
    );
}

/// Status, headers and body of a request with more headers.
pub(crate) async fn bytes(lake: &Lake, path: &str, headers: &[(header::HeaderName, &str)]) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = lake.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, 10_000_000).await.unwrap())
}

#[tokio::test]
async fn parquet_ranges_are_served() {
    let lake = Lake::of_users().await;
    let path = "/data.parquet?order=user_id.desc";
    let (status, headers, whole) = bytes(&lake, path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&whole[..4], &whole[whole.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
    assert_eq!(headers[header::CONTENT_LENGTH], whole.len().to_string());
    let etag = headers[header::ETAG].to_str().unwrap();

    // A response without a body has no ranges.
    for range in [None, Some("bytes=0-3")] {
        let mut request = Request::head(path);
        request
            .headers_mut()
            .unwrap()
            .extend(range.map(|range| (header::RANGE, HeaderValue::from_static(range))));
        let head = lake.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (StatusCode::OK, whole.len().to_string().as_str())
        );
    }

    let (status, headers, end) = bytes(&lake, path, &[(header::RANGE, "bytes=-8")]).await;
    assert_eq!((status, &end[..]), (StatusCode::PARTIAL_CONTENT, &whole[whole.len() - 8..]));
    let range = format!("bytes {}-{}/{}", whole.len() - 8, whole.len() - 1, whole.len());
    assert_eq!(headers[header::CONTENT_RANGE], range);
    let (status, _, start) = bytes(&lake, path, &[(header::RANGE, "bytes=0-3"), (header::IF_RANGE, etag)]).await;
    assert_eq!((status, &start[..]), (StatusCode::PARTIAL_CONTENT, &b"PAR1"[..]));
    // The file has changed: a range of it is useless.
    let (status, _, all) = bytes(&lake, path, &[(header::RANGE, "bytes=0-3"), (header::IF_RANGE, "\"older\"")]).await;
    assert_eq!((status, all.len()), (StatusCode::OK, whole.len()));
    // A request for the end of a small file gets all of it.
    let (status, _, all) = bytes(&lake, path, &[(header::RANGE, "bytes=-65536")]).await;
    assert_eq!((status, all.as_ref()), (StatusCode::PARTIAL_CONTENT, whole.as_ref()));
    let (status, headers, _) = bytes(&lake, path, &[(header::RANGE, "bytes=100000000-")]).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers[header::CONTENT_RANGE], format!("bytes */{}", whole.len()));
    for passed_over in ["lines=1-2", "bytes=0-0,2-3"] {
        let (status, _, all) = bytes(&lake, path, &[(header::RANGE, passed_over)]).await;
        assert_eq!((status, all.len()), (StatusCode::OK, whole.len()), "Range: {passed_over}");
    }
}

/// Rows of a table with more than one chunk, in every format.
#[tokio::test]
async fn large_responses_are_complete() {
    let lake = Lake::empty();
    let users: Vec<_> = (0..30_000).map(|number| format!("{number:05}")).collect();
    lake.commit(
        users
            .iter()
            .map(|user| put(user, "\u{1F600} \"quoted\"", "1990-01-01", user.ends_with('7')))
            .collect(),
    )
    .await;
    lake.watch.refresh_now().await;
    let expected: Vec<_> = users.iter().map(String::as_str).collect();
    assert_eq!(ids(&lake.get("/data").await.json()), expected);
    let sevens: Vec<_> = expected.iter().copied().filter(|user| user.ends_with('7')).collect();
    assert_eq!(ids(&lake.get("/data?is_image_exists=True").await.json()), sevens);
    let last = lake.get("/data?order=user_id.desc&limit=10000&user_id__lt=20000").await;
    assert_eq!(last.header("x-total-count"), "20000");
    assert_eq!(
        ids(&last.json()),
        expected[10_000..20_000].iter().rev().copied().collect::<Vec<_>>()
    );
    // A page of 1,000 rows has a known length and is no streamed response.
    for path in ["/data?limit=1000", "/data?limit=1000&order=user_id.desc", "/data.arrow?limit=1000"] {
        let (_, headers, page) = bytes(&lake, path, &[]).await;
        assert!(page.len() > 64 * 1024, "{path}: {} bytes", page.len());
        assert_eq!(headers[header::CONTENT_LENGTH], page.len().to_string(), "{path}");
    }
    let columns = lake.get("/data?shape=columns&select=user_id,img_path").await.json();
    assert_eq!(columns["user_id"].as_object().unwrap().len(), 30_000);
    assert_eq!(columns["img_path"]["7"], copy_key("00007"));
    let (_, _, arrow) = bytes(&lake, "/data.arrow", &[]).await;
    assert!(arrow.len() > 30_000 * 40, "{} bytes", arrow.len());
}
