//! The examples page.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};

use crate::{
    fixture::{Lake, put},
    pages::page,
};

#[tokio::test]
async fn examples_are_those_of_the_index_and_respond() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/examples").await;
    let hrefs = shown.values("data-example");
    let index = Request::get("/").header("accept", "application/json").body(Body::empty()).unwrap();
    let index = lake.send(index).await.json();
    let listed: Vec<_> = index["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|example| example["href"].as_str().unwrap())
        .collect();
    assert_eq!(hrefs, listed);
    for href in hrefs {
        assert_eq!(lake.get(href).await.status.as_u16(), 200, "{href}");
        shown.check_link(href);
    }
}

#[tokio::test]
async fn both_groups_are_linked_at_the_top() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/examples").await;
    for id in ["basic", "further"] {
        assert!(shown.has(&format!("h2#{id}")), "{id}");
        shown.check_link(&format!("#{id}"));
    }
}

#[tokio::test]
async fn footer_requests_the_list_as_json() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/examples").await;
    assert_eq!(shown.api(), "/");
    let command = shown.text("footer code");
    assert!(command.starts_with("curl -H 'Accept: application/json' '"), "{command}");
}

#[tokio::test]
async fn examples_of_rows_link_to_pages() {
    let lake = Lake::of_users().await;
    let shown = page(&lake, "/page/examples").await;
    let links = shown.links().into_iter();
    let pages: BTreeSet<_> = links.filter(|href| href.starts_with("/page/users?")).collect();
    assert!(pages.len() > 8, "{pages:?}");
    for path in pages {
        page(&lake, path).await;
    }
}

#[tokio::test]
async fn examples_use_a_user_of_the_lake() {
    let lake = Lake::empty();
    lake.commit(vec![put("a", "Ann", "2000-01-01", false), put("b", "Bo", "2000-01-01", true)])
        .await;
    lake.watch.refresh_now().await;
    let shown = page(&lake, "/page/examples").await;
    let hrefs = shown.values("data-example");
    assert!(hrefs.contains(&"/data/b") && hrefs.contains(&"/data/b/image"), "{hrefs:?}");
}
