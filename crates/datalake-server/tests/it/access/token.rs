//! Requests without the token, with a wrong one, and servers without one.

use axum::http::{Method, StatusCode};

use super::{TOKEN, browse, protected, return_to, send, sign_in};
use crate::fixture::Lake;

#[tokio::test]
async fn browsers_get_the_sign_in_page_and_api_clients_a_problem() {
    let lake = protected().await;
    for path in [
        "/",
        "/page/users?min_age&order=age",
        "/page/runs/run-1",
        "/data?format=csv",
        "/page/nowhere",
    ] {
        let page = browse(&lake, path, None).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(
            (page.header("content-type"), page.header("cache-control")),
            ("text/html; charset=utf-8", "no-store"),
            "{path}"
        );
        assert!(
            page.body.contains("action=\"/page/sign-in\"") && !page.body.contains("Cem"),
            "{path}: {}",
            page.body
        );
        assert_eq!(return_to(&page.body), path);
        // The browser would send the form with `Origin: null`, which is rejected.
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
    }
    for accept in ["application/json", "*/*"] {
        for path in ["/", "/data", "/runs"] {
            let problem = send(&lake, Method::GET, path, &[("accept", accept)], "").await;
            assert_eq!(problem.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(problem.header("content-type"), "application/problem+json", "{path}");
            assert_eq!(problem.json()["type"], "/docs/problems#unauthorized", "{path}");
        }
    }
    let page = browse(&lake, "/page/sign-in?return_to=%2Fpage%2Fruns", None).await;
    assert_eq!((page.status, return_to(&page.body).as_str()), (StatusCode::OK, "/page/runs"));
    let files: Vec<_> = page.body.split('"').filter(|text| text.starts_with("/page/assets/")).collect();
    assert!(files.len() >= 3, "style, script and icon: {files:?}");
    for file in files {
        assert_eq!(browse(&lake, file, None).await.status, StatusCode::OK, "{file}");
    }
    // The token must never be part of a URL.
    let in_query = browse(&lake, "/page/sign-in?token=secret", None).await;
    assert_eq!(in_query.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn wrong_token_returns_the_sign_in_page() {
    let lake = protected().await;
    for token in ["", "wrong", "A-TOKEN-OF-THE-TESTS", "<b>"] {
        let answer = sign_in(&lake, token, "/page/runs?limit=5", &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(
            (answer.header("www-authenticate"), answer.header("cache-control")),
            ("Bearer", "no-store"),
            "{token}"
        );
        assert!(
            answer.body.contains("Invalid token.") && !answer.body.contains("<b>"),
            "{}",
            answer.body
        );
        assert_eq!(return_to(&answer.body), "/page/runs?limit=5");
        assert!(answer.headers.get("set-cookie").is_none(), "{token}");
    }
    let none = send(&lake, Method::POST, "/page/sign-in", &[], "").await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    let large = sign_in(&lake, &"x".repeat(16 * 1024), "/", &[]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn server_without_token_has_no_sign_in() {
    let lake = Lake::of_users().await;
    let answer = sign_in(&lake, TOKEN, "/page/runs", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/page/runs"));
    assert!(answer.headers.get("set-cookie").is_none());
    assert_eq!(browse(&lake, "/page/sign-in", None).await.status, StatusCode::SEE_OTHER);
    let page = browse(&lake, "/page/users", None).await.body;
    assert!(!page.contains("sign-in") && !page.contains("sign-out"), "{page}");
}
