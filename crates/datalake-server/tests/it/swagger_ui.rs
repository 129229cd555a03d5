//! `/docs`: Swagger UI without requests to other sites.

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::Value;
use tower::ServiceExt;

use crate::fixture::Lake;

/// The URLs that a page or a style sheet loads.
fn parts_of<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before)
        .skip(1)
        .map(|rest| rest.trim_start_matches(['"', '\'']).split(['"', ')']).next().unwrap())
        .collect()
}

#[tokio::test]
async fn swagger_ui_loads_nothing_from_other_sites() {
    let lake = Lake::empty();
    let page = lake.get("/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let mut parts = parts_of(&page.body, "href=\"");
    parts.extend(parts_of(&page.body, "src=\""));
    assert_eq!(
        parts,
        [
            "favicon-32x32.png",
            "swagger-ui.css",
            "docs.css",
            "../",
            "rejects",
            "problems",
            "docs-theme.js",
            "swagger-ui-bundle.js",
            "docs.js"
        ]
    );
    // The policy does not allow inline scripts.
    assert_eq!(page.body.matches("<script").count(), page.body.matches("<script src=").count());
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(
        !policy.contains("http") && !policy.contains('*') && !policy.contains("unsafe"),
        "{policy}"
    );
    let is_file = |part: &&str| part.contains('.') && *part != "../";
    for part in parts.into_iter().filter(is_file) {
        let request = Request::get(format!("/docs/{part}")).body(Body::empty()).unwrap();
        let answer = lake.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{part}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{part}");
        assert_eq!(answer.headers()["content-security-policy"], policy, "{part}");
        assert!(!answer.headers().contains_key("content-encoding"), "{part}");
    }
    let style = lake.get("/docs/swagger-ui.css").await.body;
    for address in parts_of(&style, "url(") {
        assert!(address.starts_with("data:"), "{address}");
    }
    let script = lake.get("/docs/docs.js").await.body;
    assert!(script.contains("url: \"../openapi.json\"") && !script.contains("http"), "{script}");
}

#[tokio::test]
async fn stored_gzip_is_sent_to_clients_that_accept_it() {
    let lake = Lake::empty();
    let plain = lake.get("/docs/swagger-ui-bundle.js").await;
    assert_eq!(plain.header("content-type"), "text/javascript; charset=utf-8");
    assert!(plain.body.contains("SwaggerUIBundle"));
    let request = Request::get("/docs/swagger-ui-bundle.js").header("accept-encoding", "gzip, br");
    let packed = lake.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = to_bytes(packed.into_body(), 10_000_000).await.unwrap();
    assert!(
        packed.len() * 3 < plain.body.len(),
        "{} bytes of {}",
        packed.len(),
        plain.body.len()
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_problems() {
    let lake = Lake::empty();
    let moved = lake.get("/docs").await;
    assert_eq!((moved.status, moved.header("location")), (StatusCode::TEMPORARY_REDIRECT, "/docs/"));
    // Files of Swagger UI that the page does not need.
    for path in [
        "/docs/index.html",
        "/docs/swagger-initializer.js",
        "/docs/oauth2-redirect.html",
        "/docs/a/b",
    ] {
        let answer = lake.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json()["type"], "/docs/problems#no-such-path", "{path}");
    }
    for path in ["/docs", "/docs/", "/docs/docs.js"] {
        let posted = lake.send(Request::post(path).body(Body::empty()).unwrap()).await;
        assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(posted.json()["type"], "/docs/problems#method-not-allowed", "{path}");
        assert_eq!(posted.header("allow"), "GET,HEAD", "{path}");
        let head = lake.send(Request::head(path).body(Body::empty()).unwrap()).await;
        assert!(head.status.is_success() || head.status.is_redirection(), "{path}");
        assert_eq!(head.body, "", "{path}");
    }
    assert_eq!(lake.get("/docs/?url=http://elsewhere/").await.status, StatusCode::BAD_REQUEST);
}

/// The security scheme of the `Authorize` button.
#[tokio::test]
async fn the_token_is_described() {
    let document: Value = Lake::empty().get("/openapi.json").await.json();
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["security"], serde_json::json!([{}, { "token": [] }]));
}
