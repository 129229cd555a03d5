//! Requests from pages of other sites.

use axum::http::{Method, StatusCode};
use datalake_api::request::auth::{Access, Token};

use super::{BROWSER, TOKEN, cookie, protected, send, sign_in};
use crate::fixture::Lake;

#[tokio::test]
async fn page_is_requested_again_after_a_cross_site_link() {
    let lake = protected().await;
    for (site, expected) in [("cross-site", true), ("same-site", true), ("same-origin", false), ("none", false)] {
        let headers = [("accept", BROWSER), ("sec-fetch-site", site)];
        let page = send(&lake, Method::GET, "/page/runs", &headers, "").await;
        assert_eq!(page.body.contains("data-reload"), expected, "{site}");
    }
}

/// The status of a request that starts or stops a run, with the cookie. There is no launcher: an authorized request gets 501 or 404.
async fn change(lake: &Lake, cookie: &str, headers: &[(&str, &str)]) -> [u16; 2] {
    let headers = [&[("cookie", cookie)], headers].concat();
    let start = send(lake, Method::POST, "/data", &headers, "").await;
    let stop = send(lake, Method::DELETE, "/runs/run-9", &headers, "").await;
    [start.status.as_u16(), stop.status.as_u16()]
}

#[tokio::test]
async fn a_session_starts_and_stops_runs_from_pages_of_the_server_alone() {
    for is_protected in [true, false] {
        let mut lake = protected().await;
        if !is_protected {
            lake.parts.access = Access::ProtectRuns(Token::new(TOKEN));
        }
        lake.parts.cors_origins = vec!["https://app.example.com".parse().unwrap()];
        let cookie = cookie(&lake).await;
        let bearer = format!("Bearer {TOKEN}");
        let own = ("origin", "http://data.example.com");
        for (headers, expected) in [
            (vec![own], [501, 404]),
            (vec![own, ("sec-fetch-site", "same-origin")], [501, 404]),
            (
                vec![("origin", "https://data.example.com"), ("x-forwarded-proto", "https")],
                [501, 404],
            ),
            (vec![], [401, 401]),
            (vec![("sec-fetch-site", "same-origin")], [401, 401]),
            (vec![("origin", "https://evil.example")], [403, 403]),
            (vec![("origin", "null")], [403, 403]),
            (vec![own, ("sec-fetch-site", "same-site")], [403, 403]),
            (vec![("origin", "http://data.example.com:8081")], [403, 403]),
            // A site that `--cors-origin` allows has to send the token itself.
            (vec![("origin", "https://app.example.com")], [401, 401]),
            (
                vec![("origin", "https://app.example.com"), ("authorization", bearer.as_str())],
                [501, 404],
            ),
            // A bearer token decides; other schemes belong to the proxy.
            (vec![own, ("authorization", "Bearer wrong")], [401, 401]),
            (vec![own, ("authorization", "Basic dXNlcjpwYXNz")], [501, 404]),
        ] {
            assert_eq!(change(&lake, &cookie, &headers).await, expected, "{headers:?}");
        }
        assert_eq!(change(&lake, "", &[own]).await, [401, 401]);
        let answer = send(&lake, Method::POST, "/data", &[("cookie", &cookie)], "").await;
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("only from pages of this server"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn cross_site_sign_in_and_sign_out_are_rejected() {
    let lake = protected().await;
    for headers in [vec![("sec-fetch-site", "cross-site")], vec![("origin", "https://evil.example")]] {
        let answer = sign_in(&lake, TOKEN, "/", &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(answer.headers.get("set-cookie").is_none(), "{headers:?}");
        let answer = send(&lake, Method::POST, "/page/sign-out", &headers, "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let own = sign_in(&lake, TOKEN, "/", &[("origin", "http://data.example.com")]).await;
    assert_eq!(own.status, StatusCode::SEE_OTHER);
}
