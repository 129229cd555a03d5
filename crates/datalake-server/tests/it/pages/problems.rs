//! Problems as pages, and the sign-in page in place of pages that require the token.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};

use crate::{
    fixture::{Answer, Lake},
    pages::{BROWSER, browse, checked},
};

#[track_caller]
fn check(answer: &Answer, status: StatusCode, kind: &str) {
    let page = checked(answer);
    assert_eq!(page.values("data-view"), ["problem"], "{kind}");
    assert_eq!(answer.status, status, "{kind}");
    assert_eq!(answer.header("cache-control"), "no-store", "{kind}");
    assert_eq!(page.values("data-problem"), [format!("/docs/problems#{kind}")]);
}

#[tokio::test]
async fn problems_of_pages_are_pages() {
    let lake = Lake::of_users().await;
    check(&browse(&lake, "/page/nowhere").await, StatusCode::NOT_FOUND, "no-such-path");
    check(&lake.get("/page/nowhere/at/all").await, StatusCode::NOT_FOUND, "no-such-path");
    check(&browse(&lake, "/page").await, StatusCode::NOT_FOUND, "no-such-path");
    check(&browse(&lake, "/?%3Cscript%3E").await, StatusCode::BAD_REQUEST, "invalid-parameter");
    let post = Request::post("/").header("accept", BROWSER).body(Body::empty()).unwrap();
    check(&lake.send(post).await, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
}

#[tokio::test]
async fn problems_of_the_api_are_documents_for_browsers_too() {
    let lake = Lake::of_users().await;
    for path in ["/nowhere", "/data?x", "/page/assets/x", "/page/live?x"] {
        let answer = browse(&lake, path).await;
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn browser_without_the_token_gets_the_sign_in_page() {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new("right").with_hint("kubectl get secret mine"));
    for path in ["/", "/page/users", "/data"] {
        let answer = browse(&lake, path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
        let page = checked(&answer);
        assert_eq!(page.values("data-view"), ["sign-in"], "{path}");
        assert_eq!(page.values("data-problem"), ["/docs/problems#unauthorized"]);
        let text = page.text("main");
        assert!(text.contains("kubectl get secret mine") && text.contains("Bearer $TOKEN"), "{text}");
        assert!(!text.contains("Version 0"), "{text}");
        for asset in [page.attributes("link[rel=stylesheet]", "href"), page.attributes("script", "src")].concat() {
            assert_eq!(lake.get(asset).await.status, StatusCode::OK, "{asset}");
        }
    }
}

#[tokio::test]
async fn other_clients_without_the_token_get_a_document() {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    assert_eq!(browse(&lake, "/page/live?state=x").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(lake.get("/data").await.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn every_kind_of_problem_is_explained() {
    let lake = Lake::of_users().await;
    let reference = checked(&lake.get("/docs/problems").await);
    let is_name = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    // The names are the only literals of this file in lower case.
    let source = include_str!("../../../../datalake-api/src/problem/kind.rs");
    let names: Vec<_> = source.split('"').skip(1).step_by(2).filter(is_name).collect();
    assert!(names.len() > 40 && names.contains(&"invalid-parameter"), "{names:?}");
    for name in names {
        assert_eq!(reference.count(&format!("h2[id='{name}']")), 1, "{name}");
    }
    // The type of a problem is the address of its explanation.
    let kind = lake.get("/data?x").await.json()["type"].as_str().unwrap().to_owned();
    let (path, id) = kind.split_once('#').unwrap();
    assert_eq!(checked(&lake.get(path).await).count(&format!("[id='{id}']")), 1, "{kind}");
}

#[tokio::test]
async fn page_without_a_table_has_one_next_step() {
    let lake = Lake::empty();
    lake.watch.refresh_now().await;
    let users = checked(&lake.get("/page/users").await);
    assert_eq!(users.text("h1"), "No data yet");
    assert_eq!(users.attributes("#problem .primary", "href"), ["/"]);
    assert!(
        !users.attributes("#problem a", "href").contains(&"/page/users"),
        "the list has the same problem"
    );
}
