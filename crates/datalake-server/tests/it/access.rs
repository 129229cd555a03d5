//! Access with the token, with a browser session, and without either.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::clock::Clock;
use datalake_runs::{launcher::RunLauncher, process::ProcessLauncher};
use datalake_server::serve;
use datalake_store::memory::MemoryBucket;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt;
use url::form_urlencoded;

use crate::{
    fixture::{self, Answer, Lake},
    run_fixture::{self, Fixture},
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const TOKEN: &str = "a-token-of-the-tests";

const HOST: &str = "data.example.com";

async fn send(lake: &Lake, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::HOST, HOST);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    lake.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn browse(lake: &Lake, path: &str, cookie: Option<&str>) -> Answer {
    let cookie = cookie.map(|cookie| ("cookie", cookie));
    let headers: Vec<_> = [("accept", BROWSER)].into_iter().chain(cookie).collect();
    send(lake, Method::GET, path, &headers, "").await
}

/// A lake whose reads need the token.
async fn protected() -> Lake {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new(TOKEN));
    lake
}

/// Submits the form of the sign-in page.
async fn sign_in(lake: &Lake, token: &str, return_to: &str, headers: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("return_to", return_to)
        .finish();
    let headers = [
        &[("content-type", "application/x-www-form-urlencoded"), ("accept", BROWSER)],
        headers,
    ]
    .concat();
    send(lake, Method::POST, "/page/sign-in", &headers, &form).await
}

/// The cookie that a browser has after signing in.
async fn cookie(lake: &Lake) -> String {
    let answer = sign_in(lake, TOKEN, "/", &[]).await;
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn status(lake: &Lake, cookie: &str) -> StatusCode {
    send(lake, Method::GET, "/data", &[("cookie", cookie)], "").await.status
}

/// The address in the form of a sign-in page.
#[track_caller]
fn return_to(page: &str) -> String {
    let (_, rest) = page
        .split_once("name=\"return_to\" value=\"")
        .unwrap_or_else(|| panic!("no form: {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

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
async fn page_is_requested_again_after_a_cross_site_link() {
    let lake = protected().await;
    for (site, expected) in [("cross-site", true), ("same-site", true), ("same-origin", false), ("none", false)] {
        let headers = [("accept", BROWSER), ("sec-fetch-site", site)];
        let page = send(&lake, Method::GET, "/page/runs", &headers, "").await;
        assert_eq!(page.body.contains("data-reload"), expected, "{site}");
    }
}

#[tokio::test]
async fn session_lasts_12_hours() {
    let lake = protected().await;
    let answer = sign_in(&lake, TOKEN, "/page/users?min_age", &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/page/users?min_age")
    );
    assert_eq!((answer.header("cache-control"), answer.body.as_str()), ("no-store", ""));
    let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert!(!cookie.contains(TOKEN), "{cookie}");

    let page = browse(&lake, "/page/users?min_age", Some(cookie)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.body.contains("id=\"sign-out\"") && !page.body.contains("/page/sign-in"),
        "{}",
        page.body
    );
    assert_eq!(status(&lake, &format!("theme=dark; {cookie}")).await, StatusCode::OK);
    // Another replica shares only the token.
    assert_eq!(status(&protected().await, cookie).await, StatusCode::OK);
    // A copied token may end with a line feed.
    assert_eq!(sign_in(&lake, &format!("{TOKEN}\n"), "/", &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn cookie_is_secure_over_https() {
    let lake = protected().await;
    for (name, value, expected) in [
        ("x-forwarded-proto", "https", true),
        ("forwarded", "for=192.0.2.1;proto=https;host=data.example.com", true),
        ("x-forwarded-proto", "http", false),
    ] {
        let answer = sign_in(&lake, TOKEN, "/", &[(name, value)]).await;
        let is_secure = answer.header("set-cookie").ends_with("; SameSite=Strict; Secure");
        assert_eq!(is_secure, expected, "{name}: {value}");
    }
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

fn in_12_hours() -> Timestamp {
    fixture::now() + SignedDuration::from_hours(12)
}

fn a_second_earlier() -> Timestamp {
    in_12_hours() - SignedDuration::from_secs(1)
}

#[tokio::test]
async fn expired_forged_and_superseded_cookies_are_rejected() {
    let mut lake = protected().await;
    let token = lake.parts.access.token().unwrap().clone();
    let cookie = cookie(&lake).await;
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
    let (name_and_expiry, code) = cookie.split_once('.').unwrap();
    let (name, expiry) = name_and_expiry.split_once('=').unwrap();
    let later = expiry.parse::<i64>().unwrap() + 1;
    for forged in [
        format!("{name}={later}.{code}"),
        format!("{name}={expiry}.{}", "0".repeat(64)),
        format!("{name}={expiry}."),
        format!("{name}={expiry}"),
        format!("{name}="),
        format!("other={expiry}.{code}"),
    ] {
        assert_eq!(status(&lake, &forged).await, StatusCode::UNAUTHORIZED, "{forged}");
    }

    lake.parts.clock = Clock::new(a_second_earlier);
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
    lake.parts.clock = Clock::new(in_12_hours);
    assert_eq!(status(&lake, &cookie).await, StatusCode::UNAUTHORIZED);
    lake.parts.clock = Clock::new(fixture::now);

    assert!(token.replace("another-token"));
    assert_eq!(status(&lake, &cookie).await, StatusCode::UNAUTHORIZED);
    assert!(token.replace(TOKEN));
    assert_eq!(status(&lake, &cookie).await, StatusCode::OK);
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
async fn signing_in_leads_to_pages_of_this_server_alone() {
    let lake = protected().await;
    for (address, expected) in [
        ("/page/runs", "/page/runs"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        ("evil.example", "/"),
        ("/page/sign-out", "/"),
        ("", "/"),
    ] {
        let answer = sign_in(&lake, TOKEN, address, &[]).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, expected),
            "{address:?}"
        );
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", address)
            .finish();
        let page = browse(&lake, &format!("/page/sign-in?{form}"), None).await;
        assert_eq!(return_to(&page.body), expected, "{address:?}");
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

#[tokio::test]
async fn signing_out_removes_the_cookie() {
    let lake = protected().await;
    let answer = send(&lake, Method::POST, "/page/sign-out", &[], "").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(
        answer.header("set-cookie"),
        "datalake_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    );
    assert_eq!(browse(&lake, "/page/sign-out", None).await.status, StatusCode::METHOD_NOT_ALLOWED);
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

#[tokio::test]
async fn sign_in_permits_runs_while_reads_are_open() {
    let fixture = RunsThatFail::new().await;
    let anonymous = fixture.body("/page/runs", &[]).await;
    assert!(
        anonymous.contains("data-needs-token") && anonymous.contains("/page/sign-in?return_to=%2Fpage%2Fruns"),
        "{anonymous}"
    );
    let signed_in = fixture.body("/page/runs", &[("cookie", &fixture.cookie().await)]).await;
    assert!(
        !signed_in.contains("data-needs-token") && signed_in.contains("id=\"sign-out\""),
        "{signed_in}"
    );
    // A shell needs the token nevertheless.
    assert!(signed_in.contains("Bearer $TOKEN"), "{signed_in}");
}

/// A server with a token and open reads, and a failed run whose error and log name the location of the lake.
struct RunsThatFail {
    router: Router,
    run_id: String,
    _dir: TempDir,
}

/// A part of what a run logs about the infrastructure.
const SECRET: &str = "s3://internal-bucket";

impl RunsThatFail {
    async fn new() -> Self {
        let (dir, command) = Fixture::scripted("echo 'cannot read s3://internal-bucket/lake at http://store.internal:9000' >&2; exit 1");
        let launcher = ProcessLauncher::new(command, run_fixture::new_run_id, Clock::new(run_fixture::now));
        let mut changes = launcher.changes();
        let mut parts = run_fixture::parts(Arc::new(MemoryBucket::new()), Arc::new(launcher));
        parts.access = Access::ProtectRuns(Token::new(TOKEN));
        let table = parts.table.clone();
        let router = serve::router(parts);
        table.refresh_now().await;
        let bearer = format!("Bearer {TOKEN}");
        let start = Request::post("/data").header("authorization", &bearer);
        let run_id = run_fixture::send(&router, start, Body::empty()).await.body["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let this = Self { router, run_id, _dir: dir };
        loop {
            changes.mark_unchanged();
            let run = this.body(&format!("/runs/{}", this.run_id), &[]).await;
            if run.contains("\"failed\"") {
                return this;
            }
            changes.changed().await.unwrap();
        }
    }

    async fn body(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let request = headers
            .iter()
            .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let cache = response.headers()["cache-control"].to_str().unwrap();
        assert!(cache.contains("private") || cache.contains("no-store"), "{path}: {cache}");
        assert!(
            response.headers().get("etag").is_none(),
            "{path}: the ETag would not name the client"
        );
        String::from_utf8(to_bytes(response.into_body(), 1_000_000).await.unwrap().to_vec()).unwrap()
    }

    async fn cookie(&self) -> String {
        let request = Request::post("/page/sign-in").body(Body::from(format!("token={TOKEN}"))).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn run_details_require_the_token() {
    let fixture = RunsThatFail::new().await;
    let id = &fixture.run_id;
    let paths = [
        "/runs".to_owned(),
        format!("/runs/{id}"),
        format!("/runs/{id}/events"),
        "/data".to_owned(),
        "/".to_owned(),
        "/page/runs".to_owned(),
        format!("/page/runs/{id}"),
        "/page/users".to_owned(),
    ];
    let (bearer, cookie) = (format!("Bearer {TOKEN}"), fixture.cookie().await);
    for path in &paths {
        for headers in [vec![], vec![("authorization", "Bearer wrong")]] {
            let body = fixture.body(path, &headers).await;
            for name in ["internal", "log_tail", "id=\"log-tail\""] {
                assert!(!body.contains(name), "{path} has {name}: {body}");
            }
        }
        let anonymous = fixture.body(path, &[]).await;
        assert!(
            anonymous.contains("he run failed; send the token") || path == "/page/users",
            "{path}: {anonymous}"
        );
        for rights in [("authorization", &bearer), ("cookie", &cookie)] {
            let full = fixture.body(path, &[(rights.0, rights.1)]).await;
            assert!(full.contains(SECRET) || path == "/page/users", "{path}: {full}");
        }
    }
}
