//! The frame of every page, its headers, and the assets.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use crate::{
    fixture::Lake,
    pages::{BROWSER, browse, checked},
};

#[tokio::test]
async fn page_has_security_and_caching_headers() {
    let lake = Lake::of_users().await;
    let answer = browse(&lake, "/").await;
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("vary"), "accept");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn page_links_only_to_its_own_server() {
    let lake = Lake::of_users().await;
    let page = checked(&browse(&lake, "/").await);
    for address in page.values("href").into_iter().chain(page.values("src")) {
        assert!(address.starts_with('/') || address.starts_with('#'), "{address}");
    }
}

#[tokio::test]
async fn footer_has_the_api_request_for_the_same_data() {
    let lake = Lake::of_users().await;
    let page = checked(&browse(&lake, "/").await);
    assert_eq!(page.api(), "/stats");
    assert_eq!(page.text("footer code"), "curl 'http://lake.example.com/stats'");
    assert_eq!(page.values("data-version"), ["0"]);
}

#[tokio::test]
async fn assets_are_small_immutable_and_load_nothing() {
    let lake = Lake::of_users().await;
    let answer = browse(&lake, "/").await;
    let page = checked(&answer);
    let mut bytes = answer.body.len();
    let addresses = [page.values("href"), page.values("src")].concat();
    let assets: BTreeSet<_> = addresses
        .into_iter()
        .filter(|address| address.starts_with("/page/assets/"))
        .collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    for asset in assets {
        let answer = lake.get(asset).await;
        assert_eq!(answer.status, StatusCode::OK, "{asset}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{asset}");
        let expected = match asset.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(answer.header("content-type"), expected, "{asset}");
        for forbidden in ["url(", "@import", "import(", "http:", "https:", "Storage", "cookie"] {
            let text = answer.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(forbidden), "{forbidden} in {asset}");
        }
        bytes += answer.body.len();
    }
    assert!(bytes < 80 * 1024, "{bytes} bytes");
    assert_eq!(lake.get("/page/assets/page-000000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn root_is_a_page_or_the_json_index() {
    let lake = Lake::of_users().await;
    for (accept, is_page) in [(BROWSER, true), ("*/*", true), ("application/json", false)] {
        let request = Request::get("/").header("accept", accept).body(Body::empty()).unwrap();
        let answer = lake.send(request).await;
        assert_eq!(answer.header("content-type").starts_with("text/html"), is_page, "{accept}");
    }
    let head = lake.send(Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}
